# SPDX-License-Identifier: LGPL-2.1-or-later
"""The example of a blog and its database, two sites: who asks for a page wakes both, and both hibernate."""
import concurrent.futures
import re
import shutil
import subprocess

import pytest

import cgroups
from databases import MariaDB, Redis
from client import http_get
from harness import REPOSITORY
from servers import APPS, Php, fastcgi_get, install_templates

EXAMPLES = REPOSITORY / "units" / "examples"
SITES = ("blog", "blog-db")


def setup_commands():
    """What the example says is to be typed."""
    text = (EXAMPLES / "blog-db.site").read_text()
    return "".join(re.findall(r"^#     (\w.*;)$", text, re.M))


@pytest.fixture
def blog(torpor):
    """The sites as they ship, with their folders here; both cold. Returns how to ask for a page: its number."""
    install_templates(torpor)
    www, data = torpor.directory / "www", torpor.directory / "data"
    www.mkdir()
    shutil.copy(APPS / "blog.php", www / "index.php")
    MariaDB().provide(data, "blog-db")
    for name, line in (("blog", f"BindReadOnlyPaths={www}:/srv/www/blog"),
                       ("blog-db", f"BindPaths={data}:/var/lib/torpor/blog-db")):
        shutil.copy(EXAMPLES / f"{name}.site", torpor.etc / "sites")
        torpor.write_drop_in(name, "here.conf", f"[Container]\n{line}\n"
                                                "[Hibernate]\nFreezeAfterSec=infinity\nStopAfterSec=infinity\n")
    listen = torpor.run / "listen"

    def page():
        response = fastcgi_get(str(listen / "blog.sock"), "/srv/www/blog", "/index.php")
        assert response.status == 200, response.text
        assert response.fields["php"] == Php.version()
        assert response.fields["database"] == MariaDB().version()
        return int(response.fields["count"])

    torpor.start()
    commands = setup_commands()
    assert commands.count(";") == 3
    subprocess.run(["mariadb", "--no-defaults", f"--socket={listen / 'blog-db.sock'}"], input=commands, text=True,
                   check=True)
    torpor.wait_state("blog-db", "awake")
    torpor.call("Stop", site="blog-db")
    return page


def states(torpor):
    return [torpor.state(name) for name in SITES]


def test_from_cold_and_cold(torpor, blog):
    assert states(torpor) == ["cold", "cold"]
    assert blog() == 1
    assert [torpor.wait_state(name, "awake") for name in SITES] == ["awake", "awake"]


def test_from_frozen_and_frozen(torpor, blog):
    blog()
    for number in (2, 3, 4):
        for name in SITES:
            torpor.wait_state(name, "awake")
            torpor.freeze(name)
        assert all(cgroups.is_frozen(torpor.cgroup_of(name)) for name in SITES)
        assert blog() == number
    assert [torpor.status(name)["thaws"] for name in SITES] == [3, 3]


@pytest.mark.parametrize("which", SITES)
def test_one_of_them_is_stopped(torpor, blog, which):
    """The other stays awake, and its next page, or its next query, wakes it."""
    other = SITES[1 - SITES.index(which)]
    blog()
    pid = torpor.status(other)["pid"]
    for number in (2, 3):
        torpor.wait_state(which, "awake")
        torpor.call("Stop", site=which)
        assert torpor.state(other) == "awake"
        assert blog() == number
    assert torpor.status(other)["pid"] == pid


def test_no_page_is_lost(torpor, blog):
    """Four readers, while the database is stopped and frozen again and again."""
    blog()

    def read(_):
        return [blog() for _ in range(25)]

    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        readers = pool.map(read, range(4))
        for _ in range(5):
            torpor.wait_state("blog-db", "awake")
            torpor.call("Stop", site="blog-db")
        numbers = [number for reader in readers for number in reader]
    assert len(numbers) == 100 and blog() == 102
    assert torpor.status("blog-db")["wakes"] >= 5


def test_both_hibernate_by_themselves(torpor, blog):
    torpor.write(torpor.etc / "torpor.conf", "[Daemon]\nScanIntervalSec=100ms\n")
    for name in SITES:
        torpor.write_drop_in(name, "soon.conf", "[Hibernate]\nFreezeAfterSec=500ms\nStopAfterSec=1500ms\n")
    torpor.call("Reload")
    with torpor.events("blog") as one, torpor.events("blog-db") as other:
        assert blog() == 1
        for events in (one, other):
            events.wait_event(to="cold")
    assert blog() == 2


COUNTER = """\
import http.server, os, socket

class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        with socket.socket(socket.AF_UNIX) as cache:
            cache.connect(os.environ["CACHE"])
            cache.sendall(b"INCR hits\\r\\n")
            body = cache.recv(100)
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

http.server.ThreadingHTTPServer(("", 9000), Handler).serve_forever()
"""


def test_a_cache(torpor):
    """The example of a Redis server, used by a site of www-data that mounts its socket, as the example says."""
    install_templates(torpor)
    program, data, names = torpor.directory / "counter.py", torpor.directory / "data", ("app", "redis")
    program.write_text(COUNTER)
    Redis().provide(data, "redis")
    shutil.copy(EXAMPLES / "redis.site", torpor.etc / "sites")
    torpor.write_drop_in("redis", "here.conf", f"[Container]\nBindPaths={data}:/var/lib/torpor/redis\n"
                                               "[Hibernate]\nFreezeAfterSec=infinity\nStopAfterSec=infinity\n")
    mounts, = re.findall(r"BindReadOnlyPaths=(\S+)", (EXAMPLES / "redis.site").read_text())
    app = torpor.add_site("app", exec_start="/usr/bin/python3 /counter.py", container={
        "User": "www-data", "BindPort": "9000", "Environment": "CACHE=%t/listen/redis.sock",
        "BindReadOnlyPaths": [f"{program}:/counter.py", mounts]})
    torpor.start()
    for number in range(1, 4):
        assert http_get(app).text == f":{number}\r\n"
        for name in names:
            torpor.wait_state(name, "awake")
            torpor.freeze(name)
    torpor.call("Stop", site="redis")
    assert http_get(app).text == ":4\r\n"


RELAY = """\
import http.client, http.server, os

class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        other = http.client.HTTPConnection(os.environ["OTHER"])
        other.request("GET", self.path)
        body = other.getresponse().read()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

http.server.ThreadingHTTPServer(("", 9000), Handler).serve_forever()
"""


def test_by_address(torpor):
    """A site that has the host's network reaches another by its port, which wakes it from cold and from frozen."""
    program, names = torpor.directory / "relay.py", ("front", "back")
    program.write_text(RELAY)
    back = torpor.add_site("back")
    front = torpor.add_site("front", exec_start="/usr/bin/python3 /relay.py", container={
        "Network": "host", "BindPort": "9000", "Environment": f"OTHER={back}",
        "BindReadOnlyPaths": f"{program}:/relay.py"})
    torpor.start()
    for number in range(1, 4):
        assert http_get(front, "/counter").text == f"{number}\n"
        for name in names:
            torpor.wait_state(name, "awake")
            torpor.freeze(name)
    assert [torpor.status(name)["wakes"] for name in names] == [1, 1]
    torpor.call("Stop", site="back")
    assert http_get(front, "/counter").text == "1\n"
    torpor.wait_state("back", "awake")  # the answer may be quicker than torpord's books
    assert [torpor.status(name)["wakes"] for name in names] == [1, 2]
