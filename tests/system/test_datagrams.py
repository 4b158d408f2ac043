# SPDX-License-Identifier: LGPL-2.1-or-later
"""A request that is a datagram: nobody holds it once it is taken, and yet it is answered before the site sleeps."""
import socket
import time

import pytest

from harness import VarlinkError, connect

# Says that it has taken one, and answers as soon as there is a file of that name.
PROGRAM = """\
import os, socket, sys, time
listener = socket.socket(fileno=3)
while True:
    name, peer = listener.recvfrom(100)
    listener.sendto(b"taken", peer)
    while not os.path.exists("/gate/" + name.decode()):
        time.sleep(0.01) if sys.argv[1] == "sleeps" else None
    listener.sendto(b"done", peer)
"""
OWED_S = 0.9  # for less than a second it may sleep meanwhile


@pytest.fixture
def gate(torpor):
    """A function that lets the request of that name be answered."""
    folder = torpor.directory / "gate"
    folder.mkdir()
    (torpor.directory / "own.py").write_text(PROGRAM)
    return lambda name: (folder / name).touch()


def start(torpor, address, how):
    paths = f"{torpor.directory}/own.py:/own.py {torpor.directory}/gate:/gate"
    torpor.add_site("a", exec_start=f"/usr/bin/python3 /own.py {how}", container={"BindReadOnlyPaths": paths},
                    socket={"ListenStream": "", "ListenDatagram": address, "SocketMode": "0666"})
    torpor.start()


def visit(torpor, address):
    """A visitor who has an address of its own, to be answered at."""
    if not address.startswith("/"):
        return connect(address, socket.SOCK_DGRAM)
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    sock.settimeout(60)
    sock.bind(f"\0{torpor.directory.name}")
    sock.connect(address)
    return sock


def ask(sock, name):
    sock.send(name.encode())
    assert sock.recv(100) == b"taken"


@pytest.mark.parametrize("kind", ["udp", "unix"])
def test_who_computes_an_answer_is_not_frozen(torpor, gate, kind):
    address = torpor.address() if kind == "udp" else str(torpor.run / "a.sock")
    start(torpor, address, "computes")
    with visit(torpor, address) as sock:
        for name in ("first", "second"):
            ask(sock, name)
            torpor.wait_state("a", "awake")
            with pytest.raises(VarlinkError) as refused:
                torpor.call("Freeze", site="a")
            assert refused.value.name == "NotPossible"
            gate(name)
            assert sock.recv(100) == b"done"
            torpor.freeze("a")
    assert torpor.wakes("a") == 1


def is_frozen_before(torpor, sock, gate, name):
    """Whether it is frozen before it has answered; None: nobody can say, as it has had more than its time."""
    begun = time.monotonic()
    ask(sock, name)
    try:
        frozen = torpor.call("Freeze", site="a")["state"] == "frozen"
    except VarlinkError as error:
        assert error.name == "NotPossible"
        frozen = False
    in_time = time.monotonic() - begun < OWED_S
    if frozen:
        torpor.call("Wake", site="a")
    gate(name)
    assert sock.recv(100) == b"done"
    return frozen if in_time else None


def test_who_sleeps_before_an_answer_is_not_frozen(torpor, gate):
    address = torpor.address()
    start(torpor, address, "sleeps")
    gate("start")
    with visit(torpor, address) as sock:
        ask(sock, "start")
        assert sock.recv(100) == b"done"
        torpor.wait_state("a", "awake")
        for number in range(100):
            if (frozen := is_frozen_before(torpor, sock, gate, f"n{number}")) is not None:
                break
        assert frozen is False
        torpor.freeze("a")
