# SPDX-License-Identifier: LGPL-2.1-or-later
"""What does not wake a site: connections without data, and visitors who are not let in."""
import socket
import time

import pytest

from client import parse
from harness import connect, http_get

REQUEST = b"GET / HTTP/1.0\r\n\r\n"
QUIET = 0.4  # seconds in which nothing happens


def connect_from(source, address, kind=socket.SOCK_STREAM, timeout=10):
    """A socket of the given source address, connected."""
    family, target = parse(address)
    sock = socket.socket(family, kind)
    sock.bind((source, 0))
    sock.settimeout(timeout)
    try:
        sock.connect(target)
    except OSError:
        sock.close()
        raise
    return sock


def let_in(source, address):
    """Whether a request from there is answered; one that is not has QUIET seconds."""
    try:
        with connect_from(source, address, timeout=QUIET) as sock:
            sock.settimeout(60)
            sock.sendall(REQUEST)
            return sock.recv(100).startswith(b"HTTP/1.1 200")
    except TimeoutError:
        return False


def dropped(torpor, site):
    return sum(listener.get("dropped", 0) for listener in torpor.status(site)["listeners"])


def stays(torpor, site, state, seconds=QUIET):
    """Looks as long: there is no event for what does not happen."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        assert torpor.state(site) == state
        time.sleep(0.05)


def test_who_is_kept_out_does_not_wake(torpor):
    address = torpor.add_site("a", socket={"IPAddressDeny": "127.0.0.2 127.0.1.0/24"})
    torpor.start()
    assert not let_in("127.0.0.2", address)
    assert not let_in("127.0.1.77", address)
    assert torpor.state("a") == "cold"
    assert dropped(torpor, "a") >= 2
    assert "packets dropped" in torpor.torporctl("status", "a").stdout
    assert let_in("127.0.2.1", address)
    assert not let_in("127.0.0.2", address)  # nor while it is awake
    torpor.wait_state("a", "awake")
    torpor.freeze("a")
    assert not let_in("127.0.0.2", address)
    assert torpor.state("a") == "frozen"


def test_a_list_of_who_is_let_in(torpor):
    """Names, and IPv4 at an IPv6 listener."""
    address = torpor.address()
    port = address.rpartition(":")[2]
    torpor.add_site("a", f"[::]:{port}", socket={"IPAddressAllow": ["127.0.0.0/16", "::1"], "IPAddressDeny": "any",
                                                 "BindIPv6Only": "both"})
    torpor.start()
    assert not let_in("127.1.0.1", address)
    assert torpor.state("a") == "cold"
    assert let_in("127.0.7.1", address)
    assert http_get(f"[::1]:{port}").status == 200


def test_datagrams_are_kept_out_too(torpor):
    address = torpor.address()
    torpor.write_site("a", f"[Site]\nTemplate=probe\n[Socket]\nListenDatagram={address}\nIPAddressDeny=127.0.0.2\n")
    torpor.start()
    with connect_from("127.0.0.2", address, socket.SOCK_DGRAM) as sock:
        sock.send(b"x")
    assert dropped(torpor, "a") == 1
    stays(torpor, "a", "cold")


def test_lists_change_under_a_program_that_runs(torpor):
    """By an edit and by a command; the listener stays the same, and so does the program."""
    address = torpor.add_site("a")
    torpor.start()
    torpor.visit("a", address)
    pid = torpor.status("a")["pid"]
    torpor.torporctl("set", "a", "IPAddressDeny=127.0.0.2")
    assert not let_in("127.0.0.2", address)
    assert let_in("127.0.0.3", address)
    torpor.torporctl("set", "a", "IPAddressDeny=")
    assert let_in("127.0.0.2", address)
    status = torpor.status("a")
    assert status["pid"] == pid and not status["restart_needed"]


def test_a_socket_from_systemd_gets_the_lists(torpor):
    address = torpor.add_site("a", socket={"IPAddressDeny": "127.0.0.2"})
    with socket.socket() as listener:
        listener.bind(parse(address)[1])
        listener.listen()
        torpor.start(sockets=[listener], socket_names=["a"])
    assert not let_in("127.0.0.2", address)
    assert torpor.state("a") == "cold"
    assert let_in("127.0.0.3", address)


def test_lists_that_are_wrong_are_refused(torpor):
    torpor.add_site("a", socket={"IPAddressAllow": "10.0.0.0/40"})
    torpor.start()
    error, = torpor.file_errors()
    assert "IPAddressAllow" in error["message"] and error["line"] == 5


@pytest.mark.parametrize("state", ["cold", "frozen"])
def test_a_connection_without_data_does_not_wake(torpor, state):
    address = torpor.add_site("a", socket={"DeferAcceptSec": "30s"})
    torpor.start()
    if state == "frozen":
        torpor.visit("a", address)
        torpor.freeze("a")
    with connect(address) as held:
        stays(torpor, "a", state)
        held.sendall(REQUEST)
        assert held.recv(100).startswith(b"HTTP/1.1 200")
    torpor.wait_state("a", "awake")


def test_deferring_has_an_end(torpor):
    """A visitor who waits for the server to speak first is let in after the time."""
    address = torpor.add_site("a", socket={"DeferAcceptSec": "1s"})
    torpor.start()
    with connect(address):
        torpor.wait_state("a", "awake")
