# SPDX-License-Identifier: LGPL-2.1-or-later
"""An open WebSocket sleeps and wakes with its site: Debian's python3-websockets on both ends."""
import asyncio

import websockets

from harness import SANITIZED

ROUNDS = 20 if SANITIZED else 100
# Answers each message by what it is to this connection, and how many connections there have been.
SERVER = """\
import asyncio, socket
import websockets

connections = 0

async def serve(connection, path=None):
    global connections
    connections += 1
    mine, messages = connections, 0
    async for message in connection:
        messages += 1
        await connection.send(f"{mine} {messages} {message}")

async def main():
    async with websockets.serve(serve, sock=socket.socket(fileno=3), ping_interval=None):
        await asyncio.Future()

asyncio.run(main())
"""


def test_a_websocket_over_freezes_and_thaws(torpor):
    """The same connection, and every message, in its order: those sent while the site is frozen too."""
    script = torpor.directory / "server.py"
    script.write_text(SERVER)
    script.chmod(0o644)
    address = torpor.add_site("a", exec_start="/usr/bin/python3 /server.py",
                              container={"BindReadOnlyPaths": f"{script}:/server.py"})
    torpor.start()

    async def talk():
        loop, sent = asyncio.get_running_loop(), 0
        async with websockets.connect(f"ws://{address}/", ping_interval=None) as connection:
            for number in range(ROUNDS):
                await loop.run_in_executor(None, torpor.freeze, "a")
                for part in range(3):
                    sent += 1
                    await connection.send(f"{number}.{part}")
                for part in range(3):
                    answer = await asyncio.wait_for(connection.recv(), 60)
                    assert answer == f"1 {sent - 2 + part} {number}.{part}"
                await loop.run_in_executor(None, torpor.wait_state, "a", "awake")

    asyncio.run(talk())
    status = torpor.status("a")
    assert status["wakes"] == 1
    assert status["thaws"] >= ROUNDS
