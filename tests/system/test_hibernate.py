# SPDX-License-Identifier: LGPL-2.1-or-later
"""The way down, by time and by command; the way back, by a connection; and nothing lost on either."""
import contextlib
import json
import os
import pathlib
import random
import re
import signal
import subprocess
import time

import pytest

import cgroups
import tasks
from harness import HELPERS, SANITIZED, HttpConnection, VarlinkError, connect, http_get, wait_until

NEVER = {"FreezeAfterSec": "infinity", "StopAfterSec": "infinity"}


@pytest.fixture
def quick(torpor):
    """Looks at awake sites twenty times a second."""
    torpor.write(torpor.etc / "torpor.conf", "[Daemon]\nScanIntervalSec=50ms\n")
    return torpor


class LoadClient:
    """wake-client asking one site without a pause, until it is told to end."""

    def __init__(self, address, count):
        self.process = subprocess.Popen(
            [HELPERS / "wake-client", f"--count={count}", "--until-eof", "--json", address],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE)

    def end(self):
        out, _ = self.process.communicate(timeout=300)
        return json.loads(out)


def test_freeze_by_time_and_thaw_by_connection(quick):
    address = quick.add_site("a", hibernate={**NEVER, "FreezeAfterSec": "300ms"})
    quick.start()
    with quick.events("a") as events:
        started = time.monotonic()
        assert http_get(address, "/counter").text == "1\n"
        events.wait_event(to="frozen")
        assert time.monotonic() - started >= 0.3
        status = quick.status("a")
        assert cgroups.is_frozen(quick.cgroup_of("a"))
        assert quick.visit("a", address, "/counter").text == "2\n"
        assert events.wait_event(from_="frozen")["to"] == "awake"
    after = quick.status("a")
    assert after["pid"] == status["pid"]
    assert (after["wakes"], after["thaws"]) == (1, 1)


def test_stop_by_time_and_cold_wake(quick):
    address = quick.add_site("a", hibernate={"FreezeAfterSec": "200ms", "StopAfterSec": "500ms"})
    quick.start()
    with quick.events("a") as events:
        started = time.monotonic()
        http_get(address, "/counter")
        events.wait_event(to="frozen")
        events.wait_event(to="cold")
        assert time.monotonic() - started >= 0.5
        assert quick.cgroup_of("a") is None
        assert cgroups.children(quick.sites_cgroup) == []
        assert quick.visit("a", address, "/counter").text == "1\n"
    assert quick.wakes("a") == 2


def test_stop_without_freezing_first(quick):
    address = quick.add_site("a", hibernate={**NEVER, "StopAfterSec": "300ms"})
    quick.start()
    with quick.events("a") as events:
        http_get(address)
        events.wait_event(to="cold")
        assert "frozen" not in events.transitions("a")


@pytest.mark.parametrize("kind", ["one connection", "many connections", "many over a unix socket"])
def test_requests_keep_it_awake(quick, kind):
    """Asked again long before the time is over, for six times as long as the time."""
    address = str(quick.run / "a.sock") if kind == "many over a unix socket" else quick.address()
    quick.add_site("a", address, hibernate={**NEVER, "FreezeAfterSec": "500ms"})
    quick.start()
    with quick.events("a") as events:
        kept, end, slowest = HttpConnection(address), time.monotonic() + 3, 0
        with kept:
            while time.monotonic() < end:
                before = time.monotonic()
                if kind == "one connection":
                    kept.get()
                else:
                    http_get(address)
                time.sleep(0.05)
                slowest = max(slowest, time.monotonic() - before)
            if slowest < 0.4:  # else this machine was too slow to say
                assert events.transitions("a") == ["starting", "awake"]
        events.wait_event(to="frozen")


def test_cpu_use_keeps_it_awake(quick):
    """A machine that has other things to do may leave it without a processor for a moment, which looks like idleness."""
    address = quick.add_site("a", hibernate={**NEVER, "FreezeAfterSec": "1s"})
    quick.start()
    with quick.events("a") as events, HttpConnection(address) as connection:
        started = time.monotonic()
        connection.send("/busy?ms=2500", close=True)
        wait_until(lambda: quick.status("a").get("busy"), "a scan")
        assert connection.receive().status == 200
        events.wait_event(to="frozen")
        assert time.monotonic() - started >= 2.5


def test_commands(torpor):
    address = torpor.add_site("a")
    torpor.start()
    with pytest.raises(VarlinkError) as refused:
        torpor.freeze("a")
    assert refused.value.name == "NotPossible"
    assert torpor.call("Stop", site="a")["state"] == "cold"
    torpor.visit("a", address)
    pid = torpor.status("a")["pid"]
    torpor.freeze("a")
    assert torpor.call("Freeze", site="a")["state"] == "frozen"
    assert torpor.call("Wake", site="a")["state"] == "awake"
    assert torpor.status("a")["pid"] == pid
    assert torpor.call("Restart", site="a")["state"] == "awake"
    assert torpor.status("a")["pid"] != pid
    torpor.freeze("a")
    assert torpor.call("Stop", site="a")["state"] == "cold"
    assert "pid" not in torpor.status("a")
    with pytest.raises(VarlinkError) as unknown:
        torpor.call("Stop", site="nobody")
    assert unknown.value.name == "NoSuchSite"


def test_open_connection_sleeps_and_wakes(torpor):
    address = torpor.add_site("a")
    torpor.start()
    with HttpConnection(address) as connection, torpor.events("a") as events:
        for number in range(1, 6):
            assert connection.get("/counter").text == f"{number}\n"
            torpor.wait_state("a", "awake")
            torpor.freeze("a")
            events.wait_event(to="frozen")
        assert torpor.status("a")["connections"] == 1
    assert http_get(address, "/counter").text == "6\n"


def test_echo_over_a_frozen_site(torpor):
    address = torpor.add_site("a", exec_start="/helpers/probe-server --echo")
    torpor.start()
    with connect(address) as one, connect(address) as other:
        for number in range(5):
            for sock in (one, other):
                sock.sendall(b"%d" % number)
                assert sock.recv(100) == b"%d" % number
            torpor.wait_state("a", "awake")
            torpor.freeze("a")
    status = torpor.wait_state("a", "awake", "frozen")
    assert status and torpor.wakes("a") == 1


def test_a_socket_without_outside_does_not_wake(torpor):
    address = torpor.add_site("a")
    torpor.start()
    torpor.visit("a", address, "/pair")
    torpor.freeze("a")
    assert http_get(address).status == 200
    assert torpor.status("a")["thaws"] == 1


def test_unread_bytes_undo_a_freeze(torpor):
    """They are seen before it counts, not after."""
    address = torpor.add_site("a", str(torpor.run / "a.sock"))
    torpor.start()
    with HttpConnection(address) as connection:
        connection.get()
        torpor.wait_state("a", "awake")
        pid = torpor.status("a")["pid"]
        os.kill(pid, signal.SIGSTOP)
        connection.send("/counter")
        with pytest.raises(VarlinkError) as refused:
            torpor.call("Freeze", site="a")
        assert refused.value.name == "NotPossible"
        os.kill(pid, signal.SIGCONT)
        assert connection.receive().text == "2\n"
    assert torpor.status("a")["thaws"] == 0


@pytest.mark.parametrize("kind", ["tcp", "unix"])
def test_nothing_is_lost_around_a_freeze(torpor, kind):
    address = torpor.address() if kind == "tcp" else str(torpor.run / "a.sock")
    torpor.add_site("a", address, template="static")
    torpor.start()
    torpor.call("Wake", site="a")
    rounds = 50 if SANITIZED else 300
    client, chance = LoadClient(address, 10 * rounds), random.Random(1)
    frozen = 0
    with torpor.connection() as connection, torpor.events("a") as events:
        while frozen < rounds:
            spin(chance.uniform(0, 0.001))
            try:
                frozen += connection.call("Freeze", site="a")["state"] == "frozen"
            except VarlinkError as error:
                assert error.name == "NotPossible"  # a request came first
                continue
            events.wait_event(from_="frozen")
        result = client.end()
    assert result["failed"] == 0, result
    assert torpor.status("a")["thaws"] >= rounds
    assert torpor.wakes("a") == 1


@pytest.mark.parametrize("kind", ["tcp", "unix"])
@pytest.mark.parametrize("rung", ["awake", "frozen"])
def test_nothing_is_lost_around_a_stop(torpor, kind, rung):
    address = torpor.address() if kind == "tcp" else str(torpor.run / "a.sock")
    torpor.add_site("a", address, template="static")
    torpor.start()
    rounds = 30 if SANITIZED else 150
    client, chance = LoadClient(address, 10 * rounds), random.Random(2)
    with torpor.connection() as connection:
        for _ in range(rounds):
            torpor.wait_state("a", "awake")
            spin(chance.uniform(0, 0.003))
            if rung == "frozen":
                try:
                    connection.call("Freeze", site="a")
                except VarlinkError as error:
                    assert error.name == "NotPossible"
            try:
                connection.call("Stop", site="a")
            except VarlinkError as error:
                assert error.name == "NotPossible"  # woken again by the next request before it was cold
        result = client.end()
    assert result["failed"] == 0, result
    assert torpor.status("a")["wakes"] >= rounds / 2


@pytest.mark.parametrize("kind", ["tcp", "unix"])
def test_nothing_is_lost_while_a_handler_is_installed(torpor, kind):
    """The stop comes when the program has no handler for its signal yet, and takes its first connection in the
    very next moment: to look at the one and then to kill would lose the other."""
    address = torpor.address() if kind == "tcp" else str(torpor.run / "a.sock")
    torpor.add_site("a", address, exec_start="/helpers/probe-server --sleep-start=5")
    torpor.start()
    rounds = 30 if SANITIZED else 300
    client, chance = LoadClient(address, rounds), random.Random(4)
    with torpor.connection() as connection:
        for _ in range(rounds):
            torpor.wait_state("a", "awake")
            spin(0.004 + chance.uniform(0, 0.0015))
            try:
                connection.call("Stop", site="a")
            except VarlinkError as error:
                assert error.name == "NotPossible"
        result = client.end()
    assert result["failed"] == 0, result


def test_nothing_is_lost_by_the_clock(quick):
    """Freezes and stops by themselves, with requests that come just when it is time."""
    address = quick.add_site("a", template="static",
                             hibernate={"FreezeAfterSec": "50ms", "StopAfterSec": "100ms"})
    quick.start()
    chance = random.Random(3)
    for _ in range(20 if SANITIZED else 60):
        assert http_get(address).text == "hello\n"
        time.sleep(chance.uniform(0.03, 0.2))
    status = quick.status("a")
    assert status["wakes"] > 1


def spin(seconds):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        pass


def test_request_in_flight_ends_before_the_stop(torpor):
    address = torpor.add_site("a")
    torpor.start()
    with HttpConnection(address) as connection, torpor.events("a") as events:
        connection.get()
        connection.send("/slow?ms=700")
        wait_until(lambda: http_get(address, "/counter").text != "1\n", "the request")
        torpor.call("Stop", site="a")
        assert connection.receive().text == "slow\n"
        events.wait_event(to="cold")


DRAIN = {"KillSignal": "SIGKILL", "DrainSec": "60s"}


@pytest.mark.parametrize("kind", ["tcp", "unix"])
def test_a_drain_waits_for_a_request(torpor, kind):
    """The program could not end it: it is killed, but when it has answered. Others are served meanwhile."""
    address = torpor.address() if kind == "tcp" else str(torpor.run / "a.sock")
    torpor.add_site("a", address, container=DRAIN)
    torpor.start()
    with HttpConnection(address) as connection, torpor.events("a") as events:
        connection.send("/slow?ms=700", close=True)
        wait_until(lambda: http_get(address, "/counter").text != "1\n", "the request")
        torpor.wait_state("a", "awake")
        with torpor.connection() as control:
            control.send("Stop", {"site": "a"})
            events.wait_event(to="stopping")
            assert http_get(address).status == 200
            assert connection.receive().text == "slow\n"
            events.wait_event(to="cold")
    assert torpor.wakes("a") == 1


def test_a_drain_does_not_wait_for_an_idle_connection(torpor):
    """A browser's, over TCP."""
    address = torpor.add_site("a", container=DRAIN)
    torpor.start()
    with HttpConnection(address) as connection:
        connection.get()
        torpor.wait_state("a", "awake")
        assert torpor.call("Stop", site="a")["took_us"] < 60_000_000
    assert "still serves" not in torpor.log()


def test_an_idle_site_is_not_drained(quick):
    address = quick.add_site("a", str(quick.run / "a.sock"), container={**DRAIN, "DrainSec": "1d"},
                             hibernate={"FreezeAfterSec": "200ms", "StopAfterSec": "400ms", "RequestTimeoutSec": "100ms"})
    quick.start()
    with HttpConnection(address) as connection, quick.events("a") as events:
        connection.get()
        events.wait_event(to="cold")


def test_a_frozen_site_is_drained(torpor):
    """Told to stop with a connection open, it serves that to the end."""
    address = torpor.add_site("a", str(torpor.run / "a.sock"), container=DRAIN)
    torpor.start()
    with torpor.events("a") as events, torpor.connection() as control:
        with HttpConnection(address) as connection:
            connection.get()
            torpor.wait_state("a", "awake")
            torpor.freeze("a")
            control.send("Stop", {"site": "a"})
            events.wait_event(to="stopping")
            assert connection.get("/counter").text == "2\n"
        events.wait_event(to="cold")


def test_a_drain_ends(torpor):
    address = torpor.add_site("a", str(torpor.run / "a.sock"), container={**DRAIN, "DrainSec": "300ms"})
    torpor.start()
    torpor.visit("a", address)
    with HttpConnection(address) as connection:
        connection.get()
        assert torpor.call("Stop", site="a")["took_us"] >= 300_000
    torpor.wait_log("site a: still serves somebody after DrainSec=")


@pytest.mark.parametrize("kind", ["tcp", "unix"])
def test_nothing_is_lost_around_a_drain(torpor, kind):
    """With a program that knows no end but SIGKILL."""
    address = torpor.address() if kind == "tcp" else str(torpor.run / "a.sock")
    torpor.add_site("a", address, template="static", container=DRAIN)
    torpor.start()
    rounds = 20 if SANITIZED else 100
    client = LoadClient(address, 10 * rounds)
    with torpor.connection() as connection:
        for _ in range(rounds):
            torpor.wait_state("a", "awake")
            with contextlib.suppress(VarlinkError):  # woken again by the next request before it was cold
                connection.call("Stop", site="a")
        result = client.end()
    assert result["failed"] == 0, result
    assert torpor.status("a")["wakes"] >= rounds / 2
    assert "still serves" not in torpor.log()


def test_connection_while_stopping_wakes_again(torpor):
    address = torpor.add_site("a")
    torpor.start()
    with HttpConnection(address) as slow, torpor.events("a") as events:
        slow.get()
        torpor.wait_state("a", "awake")  # the program may answer before torpord has been told of its start
        slow.send("/slow?ms=500")
        wait_until(lambda: http_get(address, "/counter").text != "1\n", "the request")
        with torpor.connection() as control:
            control.send("Stop", {"site": "a"})
            events.wait_event(to="stopping")
            # The signal comes right after the event; from then on it is the next container's turn.
            wait_until(lambda: http_get(address, "/counter").text == "1\n", "the next container")
        assert slow.receive().text == "slow\n"
    torpor.wait_state("a", "awake")
    assert torpor.wakes("a") == 2


def test_program_that_does_not_stop_is_killed(torpor):
    address = torpor.add_site("a", exec_start="/helpers/probe-server --ignore-term",
                              container={"TimeoutStopSec": "300ms"})
    torpor.start()
    torpor.visit("a", address)
    started = time.monotonic()
    assert torpor.call("Stop", site="a")["state"] == "cold"
    assert time.monotonic() - started >= 0.3
    assert http_get(address, "/counter").text == "1\n"


def test_everything_it_started_is_gone(torpor):
    address = torpor.add_site("a")
    torpor.start()
    torpor.visit("a", address, "/spawn?ms=600000&ignore-term=1")
    pids = torpor.processes("a")
    assert len(pids) == 2
    torpor.call("Stop", site="a")
    assert not any(os.path.exists(f"/proc/{pid}") for pid in pids)
    assert cgroups.children(torpor.sites_cgroup) == []


def test_frozen_site_that_is_killed_is_cold(torpor):
    """As by the kernel when memory runs out: a wake to cold, not a failure."""
    address = torpor.add_site("a")
    torpor.start()
    torpor.visit("a", address)
    torpor.freeze("a")
    with torpor.events("a") as events:
        os.kill(torpor.status("a")["pid"], signal.SIGKILL)
        events.wait_event(to="cold")
    assert http_get(address, "/counter").text == "1\n"
    assert torpor.status("a").get("failure") is None


def test_keep_warm_never_gets_cold(quick):
    address = quick.add_site("a", hibernate={"FreezeAfterSec": "100ms", "StopAfterSec": "200ms",
                                             "Keep": "warm"})
    other = quick.add_site("b", hibernate={"FreezeAfterSec": "100ms", "StopAfterSec": "200ms"})
    quick.start()
    with quick.events() as events:
        http_get(address)
        http_get(other)
        events.wait_event(site="b", to="cold")
        quick.wait_state("a", "frozen")
        time.sleep(0.5)
        assert quick.state("a") == "frozen"
        assert "cold" not in events.transitions("a")


def test_keep_awake_is_started_and_stays(quick):
    quick.add_site("a", hibernate={"FreezeAfterSec": "100ms", "StopAfterSec": "200ms", "Keep": "awake"})
    quick.start()
    quick.wait_state("a", "awake")
    time.sleep(0.5)
    assert quick.state("a") == "awake"


def test_keep_awake_comes_back(quick):
    address = quick.add_site("a", hibernate={"Keep": "awake"})
    quick.start()
    quick.wait_state("a", "awake")
    with quick.events("a") as events:
        with connect(address) as sock:
            sock.sendall(b"GET /exit?code=0 HTTP/1.1\r\n\r\n")
            events.wait_event(to="awake")
    assert http_get(address, "/counter").text == "1\n"


@pytest.mark.timing
def test_no_wake_up_while_nothing_is_awake(torpor):
    """When all that has happened has been seen to. That memory is short would be news, and is none of this test's."""
    torpor.write(torpor.etc / "torpor.conf", "[Daemon]\nScanIntervalSec=100ms\nMemoryPressureWatch=no\n")
    addresses = [torpor.add_site(f"site{i}") for i in range(100)]
    torpor.start()
    for number, address in enumerate(addresses[:3]):
        torpor.visit(f"site{number}", address)
    torpor.freeze("site0")
    torpor.call("Stop", site="site1")
    torpor.call("Stop", site="site2")
    before = wait_until(lambda: tasks.rest(torpor.pid), "rest", 300)  # what is done in the background has to be done, too
    time.sleep(3)
    after = tasks.tasks(torpor.pid)
    assert before.keys() == after.keys()
    woken = [f"{before[number]}\n  and then {task}" for number, task in after.items()
             if task.gone or task.switches != before[number].switches]
    assert not woken, "\n".join(woken)


@pytest.mark.parametrize("end", ["Freeze", "Stop", "exit"])
def test_no_scan_after_the_last_one_sleeps(torpor, end):
    """The one that would have come is called off at once."""
    torpor.write(torpor.etc / "torpor.conf", "[Daemon]\nScanIntervalSec=4min\nMemoryPressureWatch=no\n")
    address = torpor.add_site("a")
    torpor.start()
    torpor.visit("a", address)
    if end == "Freeze":
        torpor.freeze("a")
    elif end == "Stop":
        torpor.call("Stop", site="a")
    else:
        with connect(address) as sock:
            sock.sendall(b"GET /exit?code=0 HTTP/1.1\r\n\r\n")
            torpor.wait_state("a", "cold")
    wait_until(lambda: tasks.rest(torpor.pid), "rest")


def listens_to(torpor, name):
    """Whether the loop is woken by what a file of that name has to say."""
    links = torpor.descriptors()
    loop = min(number for number, link in links.items() if link == "anon_inode:[eventpoll]")
    text = pathlib.Path(f"/proc/{torpor.pid}/fdinfo/{loop}").read_text()
    return any(links.get(int(number), "").endswith(name) for number in re.findall(r"^tfd: +(\d+)", text, re.M))


def test_memory_pressure_is_nobodys_business_while_all_are_cold(torpor):
    """However often the kernel tells of it: nothing could be paged out or stopped. Of a site that sleeps it could."""
    address = torpor.add_site("a")
    torpor.start()
    if "/proc/pressure/memory" not in torpor.descriptors().values():
        pytest.skip("this kernel does not tell of memory pressure")
    for _ in range(2):
        wait_until(lambda: not listens_to(torpor, "pressure/memory") and not listens_to(torpor, "memory.pressure"), "rest")
        torpor.visit("a", address)
        torpor.freeze("a")
        wait_until(lambda: listens_to(torpor, "pressure/memory"), "a loop that listens")
        torpor.call("Stop", site="a")


def test_sigterm_ends_all_of_them(torpor):
    addresses = [torpor.add_site(f"site{i}") for i in range(20)]
    torpor.start()
    for number, address in enumerate(addresses):
        torpor.visit(f"site{number}", address)
    for number in range(0, 20, 2):
        torpor.freeze(f"site{number}")
    torpor.stop()


def test_sigterm_lets_requests_end(torpor):
    address = torpor.add_site("a")
    torpor.start()
    with HttpConnection(address) as connection:
        connection.get()
        connection.send("/slow?ms=500")
        wait_until(lambda: http_get(address, "/counter").text != "1\n", "the request")
        torpor.process.send_signal(signal.SIGTERM)
        assert connection.receive().text == "slow\n"
        assert torpor.process.wait(60) == 0
    assert torpor.leftovers() == []
