# SPDX-License-Identifier: LGPL-2.1-or-later
"""What does not wake a site: connections without data, and visitors who are not let in."""
import random
import socket
import time

import pytest

from client import parse
from harness import connect, http_get, wait_until

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


def wildcard_port():
    """Of all addresses: among those that the other tests, each on an address of its own, come to last."""
    while True:
        port = random.randrange(31000, 32000)
        with socket.socket(socket.AF_INET6) as sock:
            try:
                sock.bind(("::", port))
                return port
            except OSError:
                continue


def test_a_list_of_who_is_let_in(torpor):
    """Names, and IPv4 at an IPv6 listener."""
    port = wildcard_port()
    address = f"{torpor.ip}:{port}"
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


def probes(torpor, site):
    return torpor.status(site).get("probes", {})


@pytest.mark.parametrize("state", ["cold", "frozen"])
@pytest.mark.parametrize("family", ["IPv4", "IPv6"])
def test_who_hangs_up_without_a_byte_does_not_wake(torpor, state, family):
    """One after another, and many at once; a visitor among them does, and is answered."""
    address = torpor.address() if family == "IPv4" else torpor.address6()
    torpor.add_site("a", address, socket={"DeferAcceptSec": "30s"})
    torpor.start()
    if state == "frozen":
        torpor.visit("a", address)
        torpor.freeze("a")
    connect(address).close()
    wait_until(lambda: probes(torpor, "a").get("hung_up") == 1, "a probe in the status")
    for sock in [connect(address) for _ in range(20)]:
        sock.close()
    wait_until(lambda: probes(torpor, "a").get("hung_up") == 21, "the others")
    assert torpor.state("a") == state
    assert "21 ended without a byte" in torpor.torporctl("status", "a").stdout
    connect(address).close()
    assert http_get(address).status == 200


def test_who_hangs_up_after_his_request_wakes(torpor):
    """He may have half-closed the connection alone."""
    address = torpor.add_site("a", socket={"DeferAcceptSec": "30s"})
    torpor.start()
    with connect(address) as sock:
        sock.sendall(REQUEST)
        sock.shutdown(socket.SHUT_WR)
        assert sock.recv(100).startswith(b"HTTP/1.1 200")


LIMIT = {"WakeLimitBurst": "2", "WakeLimitIntervalSec": "1h"}


def wake_from(torpor, source, address):
    """A request that finds the site frozen, whether it wakes it or not."""
    sock = connect_from(source, address)
    sock.sendall(REQUEST)
    return sock


def put_to_sleep(torpor, state):
    if state == "frozen":
        torpor.freeze("a")
    else:
        torpor.call("Stop", site="a")


@pytest.mark.parametrize("state", ["cold", "frozen"])
def test_one_source_wakes_it_so_often(torpor, state):
    """Then it waits; another wakes the site, and both are answered."""
    address = torpor.add_site("a", socket=LIMIT)
    torpor.start()
    torpor.call("Wake", site="a")
    for _ in range(2):
        put_to_sleep(torpor, state)
        with wake_from(torpor, "127.0.0.2", address) as sock:
            assert sock.recv(100).startswith(b"HTTP/1.1 200")
        torpor.wait_state("a", "awake")
    put_to_sleep(torpor, state)
    with wake_from(torpor, "127.0.0.2", address) as waits:
        wait_until(lambda: probes(torpor, "a").get("put_off") == 1, "a wake that is put off")
        stays(torpor, "a", state)
        assert 3500e6 < probes(torpor, "a")["waits_us"] < 3600e6
        assert "1 put off (WakeLimitBurst=)" in torpor.torporctl("status", "a").stdout
        with wake_from(torpor, "127.0.0.3", address) as other:
            assert other.recv(100).startswith(b"HTTP/1.1 200")
            assert waits.recv(100).startswith(b"HTTP/1.1 200")


def test_the_interval_ends(torpor):
    address = torpor.add_site("a", socket={"WakeLimitBurst": "1", "WakeLimitIntervalSec": "1s"})
    torpor.start()
    started = time.monotonic()
    with wake_from(torpor, "127.0.0.2", address) as sock:
        assert sock.recv(100)
    torpor.wait_state("a", "awake")
    torpor.freeze("a")
    with wake_from(torpor, "127.0.0.2", address) as sock:
        assert sock.recv(100)
    assert time.monotonic() - started >= 1
    assert probes(torpor, "a")["put_off"] == 1


def test_who_is_put_off_does_not_keep_it_from_the_next_rung(torpor):
    address = torpor.add_site("a", socket=LIMIT | {"WakeLimitBurst": "1"}, hibernate={"StopAfterSec": "1s"})
    torpor.write(torpor.etc / "torpor.conf", "[Daemon]\nScanIntervalSec=50ms\n")
    torpor.start()
    with wake_from(torpor, "127.0.0.2", address) as sock:
        assert sock.recv(100)
    torpor.wait_state("a", "awake")
    torpor.freeze("a")
    with wake_from(torpor, "127.0.0.2", address), torpor.events("a") as events:
        events.wait_event(to="cold")
        stays(torpor, "a", "cold")


def test_an_edit_lets_them_in(torpor):
    address = torpor.add_site("a", socket=LIMIT | {"WakeLimitBurst": "1"})
    torpor.start()
    with wake_from(torpor, "127.0.0.2", address) as sock:
        assert sock.recv(100)
    torpor.wait_state("a", "awake")
    torpor.freeze("a")
    with wake_from(torpor, "127.0.0.2", address) as sock:
        wait_until(lambda: probes(torpor, "a").get("put_off") == 1, "a wake that is put off")
        torpor.torporctl("set", "a", "WakeLimitBurst=5")
        assert sock.recv(100).startswith(b"HTTP/1.1 200")


@pytest.mark.timing
def test_putting_off_costs_nothing(torpor):
    """Those who wait, and those who come again and again: no busy loop."""
    address = torpor.add_site("a", socket=LIMIT | {"WakeLimitBurst": "1"})
    torpor.start()
    with wake_from(torpor, "127.0.0.2", address) as sock:
        assert sock.recv(100)
    torpor.wait_state("a", "awake")
    torpor.freeze("a")
    waiting = [wake_from(torpor, "127.0.0.2", address)]
    wait_until(lambda: probes(torpor, "a").get("put_off") == 1, "a wake that is put off")
    used = torpor.host()["cpu_usage_us"]
    end = time.monotonic() + 1
    while time.monotonic() < end:
        waiting.append(wake_from(torpor, "127.0.0.2", address))
        time.sleep(0.005)
    assert torpor.state("a") == "frozen"
    assert torpor.host()["cpu_usage_us"] - used < 200000
    for sock in waiting:
        sock.close()


def test_nobody_is_lost_among_probes(torpor):
    """Visitors, each from another address, while others hang up all the time and the site sleeps again and again."""
    address = torpor.add_site("a", template="static", socket={"DeferAcceptSec": "30s", **LIMIT})
    torpor.start()
    for number in range(60):
        probing = [connect(address) for _ in range(number % 4)]
        with connect_from(f"127.0.9.{number + 1}", address) as sock:
            for probe in probing:
                probe.close()
            connect(address).close()
            sock.sendall(REQUEST)
            assert b" 200 " in sock.recv(100)
        torpor.wait_state("a", "awake")
        torpor.freeze("a")
    assert torpor.wakes("a") == 1
