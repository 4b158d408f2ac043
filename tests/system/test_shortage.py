# SPDX-License-Identifier: LGPL-2.1-or-later
"""The ceilings of the host: how many are awake, and how much memory is kept free. Real pressure is for the machine of
the tests (vm/test_pressure.py)."""
import contextlib
import pathlib
import subprocess
import sys
import threading
import time

import pytest

from harness import HttpConnection, http_get, wait_until
from swap import swap

pytestmark = pytest.mark.alone  # the memory and the swap are the whole machine's

HOG = """\
import mmap, sys
with mmap.mmap(-1, int(sys.argv[1]), flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | mmap.MAP_POPULATE):
    print(flush=True)
    sys.stdin.read()
"""
NEVER = {"FreezeAfterSec": "infinity", "StopAfterSec": "infinity"}


def configure(torpor, **keys):
    lines = "".join(f"{key}={value}\n" for key, value in keys.items())
    torpor.write(torpor.etc / "torpor.conf", f"[Daemon]\nScanIntervalSec=50ms\n{lines}")


def available():
    for line in pathlib.Path("/proc/meminfo").read_text().splitlines():
        if line.startswith("MemAvailable:"):
            return int(line.split()[1]) * 1024
    raise AssertionError("no MemAvailable")


@contextlib.contextmanager
def taken(size):
    """So many bytes of the machine's memory, by another process: this one's threads go on meanwhile."""
    with subprocess.Popen([sys.executable, "-c", HOG, str(size)], stdin=subprocess.PIPE,
                          stdout=subprocess.PIPE) as process:
        assert process.stdout.readline()
        try:
            yield
        finally:
            process.stdin.close()


@contextlib.contextmanager
def in_use(address):
    """Asks all the time; the slowest answer, in seconds, is appended to the list it gives."""
    end, slowest = threading.Event(), [0.0]

    def ask():
        with HttpConnection(address) as connection:
            while not end.is_set():
                before = time.monotonic()
                assert connection.get("/counter").status == 200
                slowest[0] = max(slowest[0], time.monotonic() - before)
                time.sleep(0.01)
    thread = threading.Thread(target=ask)
    thread.start()
    try:
        yield slowest
    finally:
        end.set()
        thread.join()


@pytest.fixture
def short(torpor):
    """Sites that sleep, the coldest first, one of them of a low priority; and one in use. Gives a context in which
    memory is short."""
    free = available()
    configure(torpor, MemoryKeepFree=free - free // 16, MemoryPressureWatch="no")
    for name in ("a", "b", "c", "low", "warm"):
        torpor.add_site(name, hibernate={**NEVER, "Priority": -1 if name == "low" else 0,
                                         "Keep": "warm" if name == "warm" else "no"})
    used = torpor.add_site("used")
    torpor.start()
    for name in ("a", "warm", "b", "c", "low"):
        torpor.call("Wake", site=name)
        torpor.freeze(name)
    with in_use(used) as slowest:
        wait_until(lambda: torpor.status("used").get("connections"), "a scan")
        assert not torpor.host()["memory_short"]
        yield lambda: taken(free // 8)
    assert torpor.state("used") == "awake" and slowest[0] < 5
    assert torpor.state("warm") == "frozen"


def test_the_coldest_are_paged_out_first(torpor, short):
    with swap(256) as there:
        if not there:
            pytest.skip("this kernel has no zram to make a swap of")
        with torpor.events() as events:
            with short():
                wait_until(lambda: set(torpor.sites(state="paged")) == {"a", "b", "c", "low"}, "all paged out")
                host = torpor.host()
                assert host["memory_short"] and any("memory is short" in text for text in host["warnings"])
            wait_until(lambda: not torpor.host()["memory_short"], "enough memory")
            down = [event for event in events.seen if event["to"] == "paging"]
            assert [event["site"] for event in down] == ["low", "a", "b", "c"]
            assert {event["reason"] for event in down} == {"memory is short"}
        assert "memory is no longer short: 4 times" in torpor.log()
        for name in ("a", "b", "c", "low"):  # or they keep the swap from being taken away
            torpor.call("Stop", site=name)


def test_without_swap_the_coldest_are_stopped_first(torpor, short):
    if len(pathlib.Path("/proc/swaps").read_text().splitlines()) > 1:
        pytest.skip("this machine has a swap")
    with torpor.events() as events, short():
        wait_until(lambda: set(torpor.sites(state="cold")) == {"a", "b", "c", "low"}, "all stopped")
        assert [event["site"] for event in events.seen if event["to"] == "stopping"] == ["low", "a", "b", "c"]


def test_awake_sites_that_nobody_uses_follow(torpor):
    """After those that sleep; nobody waits for a site that starts meanwhile."""
    configure(torpor, MemoryKeepFree="100%", MemoryPressureWatch="no")  # never enough
    addresses = {name: torpor.add_site(name, hibernate={**NEVER, "SwapFullAction": "none"}) for name in ("a", "b")}
    torpor.start()
    with torpor.events() as events:
        started = time.monotonic()
        for name, address in addresses.items():
            torpor.visit(name, address)
        for name in addresses:
            wait_until(lambda: torpor.state(name) in ("frozen", "paged"), f"{name} to sleep")
        assert time.monotonic() - started >= 5
        assert {event["site"] for event in events.seen if event["to"] == "freezing"} == {"a", "b"}
        assert http_get(addresses["a"], "/counter").text == "2\n"


def idle(status):
    return "idle_us" in status and "busy" not in status


def test_few_are_awake(torpor):
    """Above the ceiling the lowest priority goes first, then the coldest; what is in use does not."""
    configure(torpor, MaxAwake=3)
    used = torpor.add_site("used", hibernate={**NEVER, "Priority": -100})
    names = ("high", "a", "b", "c", "d")
    addresses = {name: torpor.add_site(name, hibernate={**NEVER, "Priority": 5 if name == "high" else 0}) for name in names}
    torpor.start()
    with in_use(used), torpor.events() as events:
        for name in names:
            torpor.visit(name, addresses[name])
            wait_until(lambda: torpor.host()["states"]["awake"] <= 3, "the ceiling")
            wait_until(lambda: idle(torpor.status(name)), f"{name} to be idle")
        wait_until(lambda: set(torpor.sites(state="frozen")) == {"a", "b", "c"}, "the coldest frozen")
        assert torpor.state("used") == torpor.state("high") == torpor.state("d") == "awake"
        assert {event["reason"] for event in events.seen if event["to"] == "freezing"} == {"too many are awake"}
    assert torpor.host()["awake_limit"] == 3


def test_a_box_that_is_busy_is_not_held_to_the_ceiling(torpor):
    configure(torpor, MaxAwake=1)
    addresses = [torpor.add_site(name, hibernate=NEVER) for name in ("a", "b", "c")]
    torpor.start()
    with contextlib.ExitStack() as stack:
        for address in addresses:
            stack.enter_context(in_use(address))
        wait_until(lambda: torpor.host()["states"]["awake"] == 3, "all awake")
        time.sleep(0.3)  # six scans
        assert torpor.host()["states"]["awake"] == 3
    wait_until(lambda: torpor.host()["states"]["awake"] == 1, "the ceiling")
