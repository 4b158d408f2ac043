# SPDX-License-Identifier: LGPL-2.1-or-later
"""AcceptWhenReady=: connections wait in their listener while the program starts and stops, though it asks for them."""
import pytest

from harness import HttpConnection, http_get, wait_until

STARTING = {"Type": "notify", "NotifyAccess": "all"}


@pytest.fixture(params=["tcp", "unix"])
def listen(request, torpor):
    return torpor.address() if request.param == "tcp" else str(torpor.run / "a.sock")


def add_site(torpor, listen, exec_start="", **container):
    return torpor.add_site("a", listen, exec_start=f"/helpers/probe-server {exec_start}", container=container)


@pytest.mark.parametrize("handover", ["auto", "listen-fds"])
def test_none_before_it_is_ready(torpor, listen, handover):
    address = add_site(torpor, listen, "--ready-by-child=300", AcceptWhenReady="yes", Handover=handover, **STARTING)
    torpor.start()
    assert http_get(address).status == 200
    assert torpor.state("a") == "awake"


def test_without_it_they_are_served_at_once(torpor, listen):
    """So that the test before this one can fail."""
    address = add_site(torpor, listen, "--ready-by-child=600000", **STARTING)
    torpor.start()
    assert http_get(address).status == 200
    assert torpor.state("a") == "starting"


@pytest.mark.parametrize("gated", [True, False])
def test_none_when_it_is_to_stop(torpor, listen, gated):
    """A drain waits for the slow request. Who comes meanwhile is the next container's."""
    address = add_site(torpor, listen, KillSignal="SIGKILL", DrainSec="60s", AcceptWhenReady="yes" if gated else "no")
    torpor.start()
    with HttpConnection(address) as slow, torpor.events("a") as events:
        slow.send("/slow?ms=700", close=True)
        wait_until(lambda: http_get(address, "/counter").text != "1\n", "the request")
        torpor.wait_state("a", "awake")
        with torpor.connection() as control:
            control.send("Stop", {"site": "a"})
            events.wait_event(to="stopping")
            text = http_get(address, "/counter").text
            assert (text == "1\n") == gated
            assert slow.receive().text == "slow\n"
    assert torpor.status("a")["wakes"] == (2 if gated else 1)


OWN = """\
import os, socket
own = socket.create_server(("127.0.0.1", 9000))
socket.create_connection(("127.0.0.1", 9000))
own.accept()
socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM).sendto(b"READY=1", os.environ["NOTIFY_SOCKET"])
listener = socket.socket(fileno=3)
while True:
    connection = listener.accept()[0]
    connection.recv(4096)
    connection.sendall(b"HTTP/1.1 200 OK\\r\\nContent-Length: 3\\r\\n\\r\\nown")
"""


def test_other_sockets_are_not_meant(torpor, listen):
    """What the program takes from itself before it is ready is its own affair."""
    (torpor.directory / "own.py").write_text(OWN)
    torpor.add_site("a", listen, exec_start="/usr/bin/python3 /own.py",
                    container={"AcceptWhenReady": "yes", "BindReadOnlyPaths": f"{torpor.directory}/own.py:/own.py",
                               **STARTING})
    torpor.start()
    assert http_get(listen).text == "own"


def test_a_freeze_leaves_the_gate_open(torpor, listen):
    address = add_site(torpor, listen, AcceptWhenReady="yes")
    torpor.start()
    for number in range(1, 5):
        assert torpor.visit("a", address, "/counter").text == f"{number}\n"
        torpor.freeze("a")
