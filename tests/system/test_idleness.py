# SPDX-License-Identifier: LGPL-2.1-or-later
"""What is use of a site and what is not: requests that take long, visitors who drip, connections that are open, and what
the program says itself."""
import threading
import time

import pytest

from harness import HttpConnection, connect, http_get, wait_until

QUICK = {"FreezeAfterSec": "200ms", "StopAfterSec": "infinity"}
TICK = 0.05  # the kernel counts in ticks of up to 10 ms: within one, nobody can tell which of two moved last
NOTIFY = {"NotifyAccess": "all"}


@pytest.fixture
def quick(torpor):
    """Looks at awake sites twenty times a second."""
    torpor.write(torpor.etc / "torpor.conf", "[Daemon]\nScanIntervalSec=50ms\n")
    return torpor


def busy(torpor, site, text):
    """Waits until that is what holds it awake."""
    wait_until(lambda: text in (torpor.status(site).get("busy") or ""), f"busy: {text}")


def at(torpor, kind):
    return torpor.address() if kind == "tcp" else str(torpor.run / "a.sock")


@pytest.mark.parametrize("kind, hold", [("tcp", "a request is under way"), ("unix", "a request may be under way")])
@pytest.mark.parametrize("kept", [False, True])
def test_a_long_request_holds_it_awake(quick, kept, kind, hold):
    """It waits for nothing but its time, which would stand still."""
    address = quick.add_site("a", at(quick, kind), hibernate={**QUICK, "RequestTimeoutSec": "5s"})
    quick.start()
    with HttpConnection(address) as connection, quick.events("a") as events:
        if kept:
            connection.get()
            time.sleep(TICK)
        connection.send("/slow?ms=1200")
        busy(quick, "a", hold)
        assert connection.receive().text == "slow\n"
        assert "frozen" not in events.transitions("a")
        events.wait_event(to="frozen")


@pytest.mark.parametrize("kind", ["tcp", "unix"])
@pytest.mark.parametrize("timeout, frozen", [("400ms", True), ("0", True), ("infinity", False)])
def test_a_request_counts_for_so_long(quick, timeout, frozen, kind):
    """What nobody answers is a message that wants no answer."""
    address = quick.add_site("a", at(quick, kind), exec_start="/helpers/probe-server",
                             hibernate={**QUICK, "RequestTimeoutSec": timeout})
    quick.start()
    quick.visit("a", address)
    with connect(address) as sock, quick.events("a") as events:
        sock.sendall(b"GET /")
        if frozen:
            events.wait_event(to="frozen")
        else:
            busy(quick, "a", "under way")
            time.sleep(0.6)
            assert quick.state("a") == "awake"
        sock.sendall(b"counter HTTP/1.0\r\n\r\n")
        assert sock.recv(1000).endswith(b"2\n")


def test_who_drips_holds_nothing_awake(quick):
    """A byte of a request now and then: each thaws the site for a moment, and all of them do not keep it from being
    stopped."""
    address = quick.add_site("a", hibernate={"FreezeAfterSec": "300ms", "StopAfterSec": "3s",
                                             "RequestTimeoutSec": "500ms"})
    quick.start()
    quick.visit("a", address)
    over = threading.Event()

    def drip():
        with connect(address) as sock:
            while not over.wait(2):
                try:
                    sock.sendall(b"x")
                except OSError:
                    return
    with quick.events("a") as events:
        visitor = threading.Thread(target=drip)
        visitor.start()
        try:
            events.wait_event(to="frozen")
            events.wait_event(to="awake")
            events.wait_event(to="stopping")
        finally:
            over.set()
            visitor.join()


def test_an_answer_in_time_is_use(quick):
    """Messages over one connection, each answered, more often than the site may be idle."""
    address = quick.add_site("a", exec_start="/helpers/probe-server --echo",
                             hibernate={"FreezeAfterSec": "500ms", "StopAfterSec": "1s", "RequestTimeoutSec": "200ms"})
    quick.start()
    with connect(address) as sock, quick.events("a") as events:
        end, slowest = time.monotonic() + 2, 0
        while time.monotonic() < end:
            before = time.monotonic()
            sock.sendall(b"x")
            assert sock.recv(1) == b"x"
            time.sleep(0.1)
            slowest = max(slowest, time.monotonic() - before)
        if slowest < 0.4:  # else this machine was too slow to say
            assert "frozen" not in events.transitions("a")


@pytest.mark.parametrize("kind", ["tcp", "unix"])
def test_open_connections_may_be_use(quick, kind):
    address = quick.add_site("a", at(quick, kind), hibernate={**QUICK, "FreezeConnections": "no", "RequestTimeoutSec": "0"})
    quick.start()
    with HttpConnection(address) as connection, quick.events("a") as events:
        connection.get()
        busy(quick, "a", "a connection is open")
        time.sleep(0.4)
        assert "frozen" not in events.transitions("a")
        assert "a connection is open" in quick.torporctl("status", "a").stdout
        assert quick.torporctl("freeze", "a", check=False).returncode != 0
    quick.wait_state("a", "frozen")


def test_a_visitor_who_hangs_up_is_seen(torpor):
    """While it is frozen, and the program gets to know."""
    address = torpor.add_site("a")
    torpor.start()
    with torpor.events("a") as events:
        with HttpConnection(address) as connection:
            connection.get()
            torpor.wait_state("a", "awake")
            torpor.freeze("a")
        assert events.wait_event(from_="frozen", to="awake")["reason"] == "data on an open connection"
    torpor.freeze("a")
    assert torpor.status("a")["connections"] == 0


def test_the_program_says_that_it_is_busy(quick):
    """Also where a freeze by command comes between: what it said holds until it says otherwise."""
    address = quick.add_site("a", container=NOTIFY, hibernate=QUICK)
    quick.start()
    with quick.events("a") as events:
        assert http_get(address, "/notify?TORPOR_BUSY=1").text == "ok\n"
        busy(quick, "a", "it says that it is busy")
        time.sleep(0.4)
        assert "frozen" not in events.transitions("a")
        quick.freeze("a")
        http_get(address)
        busy(quick, "a", "it says that it is busy")
        http_get(address, "/notify?TORPOR_BUSY=0")
        events.wait_event(to="frozen")


def test_the_program_asks_for_time(quick):
    address = quick.add_site("a", container=NOTIFY, hibernate=QUICK)
    quick.start()
    with quick.events("a") as events:
        started = time.monotonic()
        assert http_get(address, "/notify?EXTEND_TIMEOUT_USEC=1000000").text == "ok\n"
        busy(quick, "a", "it says that it is busy")
        events.wait_event(to="frozen")
        assert time.monotonic() - started >= 1
