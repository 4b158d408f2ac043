# SPDX-License-Identifier: LGPL-2.1-or-later
"""What the first visitors of a cold site see of its start: nothing but an answer."""
import concurrent.futures
import json
import os
import subprocess

import pytest

from databases import PostgreSQL
from harness import HELPERS, HttpConnection, site_text, wait_until
from servers import Go, Node, PythonHttp, Static, add_site, install_templates

CLIENTS = 8
NAME = "shop.example.com"


def ask_at_once(address):
    """As many requests at a time as there are clients, each of a new connection, none tried again."""
    out = subprocess.run([HELPERS / "wake-client", f"--concurrency={CLIENTS}", f"--count={CLIENTS}", "--json", address],
                         stdout=subprocess.PIPE, check=False).stdout
    return json.loads(out)


@pytest.mark.parametrize("kind", [Static(), PythonHttp(), Node(), Go()], ids=lambda kind: kind.template)
def test_none_is_lost(torpor, kind):
    """The bench does the same a thousand times: ./run bench servers."""
    install_templates(torpor)
    address = add_site(torpor, torpor.directory / "www", kind)
    torpor.start()
    for number in range(1, 16):
        result = ask_at_once(address)
        assert (result["count"], result["failed"]) == (CLIENTS, 0), result
        torpor.wait_state(NAME, "awake")
        assert torpor.wakes(NAME) == number
        torpor.call("Stop", site=NAME)


def test_none_is_told_that_a_database_starts(torpor):
    """PostgreSQL itself takes connections from its first moment, and turns them away."""
    install_templates(torpor)
    kind = PostgreSQL()
    address = add_site(torpor, torpor.directory / "www", kind)
    torpor.start()
    with concurrent.futures.ThreadPoolExecutor(CLIENTS) as pool:
        for number in range(3):
            answers = list(pool.map(lambda _: kind.get(address, NAME), range(CLIENTS)))
            counts = sorted(kind.check(answer) for answer in answers)
            assert counts == list(range(number * CLIENTS + 1, (number + 1) * CLIENTS + 1))
            torpor.wait_state(NAME, "awake")
            torpor.call("Stop", site=NAME)


SLOW = """\
import http.server
open("/start").read()
http.server.ThreadingHTTPServer(("", 80), http.server.SimpleHTTPRequestHandler).serve_forever()
"""


def test_a_start_that_takes_too_long(torpor):
    """Nothing is closed, the status says what is the matter, and who waited is answered when it has come up."""
    fifo, program, address = torpor.directory / "start", torpor.directory / "slow.py", torpor.address()
    os.mkfifo(fifo, 0o644)
    program.write_text(SLOW)
    torpor.write_site("a", site_text(address, template=None, container={
        "ExecStart": "/usr/bin/python3 /slow.py", "BindPort": "80", "TimeoutStartSec": "300ms",
        "StandardOutput": "inherit", "BindReadOnlyPaths": f"{program}:/slow.py {fifo}:/start"}))
    torpor.start()
    with HttpConnection(address) as connection:
        connection.send("/", close=True)
        failure = wait_until(lambda: torpor.status("a").get("failure"), "a failure")
        assert failure["step"] == "handover"
        assert address in failure["message"] and "TimeoutStartSec=" in failure["message"]
        torpor.wait_log("site a: its program never took its listener")
        assert torpor.state("a") == "awake"
        with open(fifo, "w", encoding="ascii"):
            pass
        response = connection.receive()
        assert (response.status, response.headers["server"].split("/")[0]) == (200, "SimpleHTTP")
    assert torpor.wakes("a") == 1
