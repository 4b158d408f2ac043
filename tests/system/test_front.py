# SPDX-License-Identifier: LGPL-2.1-or-later
"""The example of a front web server, nginx, before sites of the shipped templates."""
import asyncio
import re

import pytest
import websockets

import front
from databases import Memcached
from harness import REPOSITORY, http_get
from servers import Php, Static, Uvicorn, add_site, install_templates

# Says what it knows of its visitors: of requests, and of each message of a WebSocket.
VISITORS = """\
async def app(scope, receive, send):
    assert scope["type"] != "lifespan"
    client = scope["client"][0] if scope["client"] else "nobody"
    if scope["type"] == "websocket":
        await receive()
        await send({"type": "websocket.accept"})
        while (message := await receive())["type"] == "websocket.receive":
            await send({"type": "websocket.send", "text": f"{client}: {message['text']}"})
        return
    upgrade = dict(scope["headers"]).get(b"upgrade", b"").decode()
    body = f"client={client}\\nscheme={scope['scheme']}\\nupgrade={upgrade}\\n".encode()
    await send({"type": "http.response.start", "status": 200,
                "headers": [(b"content-length", str(len(body)).encode())]})
    await send({"type": "http.response.body", "body": body})
"""


class Front:
    def __init__(self, torpor):
        self.www, self.address = torpor.directory / "www", torpor.address()
        self.www.mkdir()
        conf, site = front.files(self.address, torpor.run, torpor.directory / "front", self.www)
        torpor.write(torpor.directory / "front" / "nginx.conf", conf)
        torpor.write_site("front", site)

    def get(self, name, path="/", **headers):
        return http_get(self.address, path, headers={"Host": name, **headers})


@pytest.fixture
def nginx(torpor):
    install_templates(torpor)
    return Front(torpor)


def test_sites_by_their_names(torpor, nginx):
    """From cold, in HTTP and in FastCGI."""
    static, php = Static(), Php()
    add_site(torpor, nginx.www, static, "shop.example.com")
    add_site(torpor, nginx.www, php, "php.example.com")
    torpor.start()
    assert nginx.get("shop.example.com").text == static.files["index.html"]
    assert php.check(nginx.get("php.example.com", php.path)) == 1
    for name in ("shop.example.com", "php.example.com"):
        torpor.wait_state(name, "awake")


def test_names_without_a_dot(torpor, nginx):
    """Databases and caches: nobody wakes them by asking for them, though the front server could reach them."""
    for name in ("cache", "cache-2"):
        add_site(torpor, nginx.www, Memcached(), name, socket={"SocketGroup": "www-data"})
    torpor.start()
    for name in ("cache", "cache-2", "CACHE", "cache.", "cache:80", "."):
        assert (name, nginx.get(name).status in (400, 404)) == (name, True)
    assert [torpor.status(name)["wakes"] for name in ("cache", "cache-2")] == [0, 0]


def visitors(torpor, nginx):
    """A site by uvicorn with the setting of the example, which the head of the template says too."""
    setting = re.search(r"TORPOR_UVICORN=\S+", (REPOSITORY / "units" / "examples" / "uvicorn.site").read_text())[0]
    assert setting in (REPOSITORY / "templates" / "uvicorn.template").read_text()
    kind = Uvicorn()
    kind.files = {"app.py": VISITORS}
    add_site(torpor, nginx.www, kind, "ws.example.com", container={"Environment": setting})
    torpor.start()


def test_visitors_are_known(torpor, nginx):
    """By what the front server says, not by what they say; and they change the protocol to no other than WebSockets."""
    visitors(torpor, nginx)
    for headers in ({}, {"X-Forwarded-For": "203.0.113.7"}, {"Upgrade": "h2c", "Connection": "Upgrade"}):
        assert nginx.get("ws.example.com", **headers).fields == {"client": "127.0.0.1", "scheme": "http", "upgrade": ""}


def test_a_websocket(torpor, nginx):
    """Stays open while its site is frozen."""
    visitors(torpor, nginx)
    host, _, port = nginx.address.rpartition(":")

    async def talk():
        loop = asyncio.get_running_loop()
        async with websockets.connect("ws://ws.example.com/", host=host, port=int(port), ping_interval=None) as connection:
            for number in range(3):
                await connection.send(str(number))
                assert await asyncio.wait_for(connection.recv(), 60) == f"127.0.0.1: {number}"
                await loop.run_in_executor(None, torpor.wait_state, "ws.example.com", "awake")
                await loop.run_in_executor(None, torpor.freeze, "ws.example.com")
            await connection.send("last")
            assert await asyncio.wait_for(connection.recv(), 60) == "127.0.0.1: last"

    asyncio.run(talk())
    assert torpor.status("ws.example.com")["wakes"] == 1
