# SPDX-License-Identifier: LGPL-2.1-or-later
"""The rungs below frozen: paged out by time and by command, back by a connection, and what happens without a swap."""
import os
import pathlib
import random
import re
import signal
import time

import pytest

import cgroups
from harness import SANITIZED, HttpConnection, VarlinkError, http_get, wait_until
from swap import swap

pytestmark = pytest.mark.alone  # the swap is the whole machine's

NEVER = {"FreezeAfterSec": "infinity", "PageOutAfterSec": "infinity", "StopAfterSec": "infinity"}
MIB = 1 << 20


@pytest.fixture
def swapped():
    with swap(256) as there:
        if not there:
            pytest.skip("this kernel has no zram to make a swap of")
        yield


@pytest.fixture
def quick(torpor):
    """Looks at awake sites twenty times a second."""
    torpor.write(torpor.etc / "torpor.conf", "[Daemon]\nScanIntervalSec=50ms\n")
    return torpor


def swap_used():
    text = pathlib.Path("/proc/meminfo").read_text()
    values = {line.split(":")[0]: int(line.split()[1]) * 1024 for line in text.splitlines()}
    return values["SwapTotal"] - values["SwapFree"]


def large_site(torpor, **keys):
    """A site that is awake and holds 32 MiB."""
    address = torpor.add_site("a", **keys)
    torpor.start()
    torpor.visit("a", address, "/allocate?kb=32768")
    return address


def test_page_out_by_time(quick, swapped):
    """Its idle time counts from its last use, not from the freeze; and again after a wake."""
    address = large_site(quick, hibernate={**NEVER, "FreezeAfterSec": "100ms", "PageOutAfterSec": "300ms"})
    with quick.events("a") as events:
        events.wait_event(to="paged")
        assert events.transitions("a")[-4:] == ["freezing", "frozen", "paging", "paged"]
        status = quick.status("a")
        assert status["memory_bytes"] < 4 * MIB and swap_used() > 30 * MIB
        assert cgroups.is_frozen(quick.cgroup_of("a"))
        assert "pages_out_in_us" not in status and "stops_in_us" not in status
        assert http_get(address, "/allocate?kb=1").text == f"{32769 * 1024}\n"
        assert events.wait_event(from_="paged")["to"] == "awake"
        events.wait_event(to="paged")
    after = quick.status("a")
    assert after["pid"] == status["pid"]
    assert (after["wakes"], after["thaws"]) == (1, 1)


def test_page_out_is_the_time_to_freeze_where_that_is_longer(quick, swapped):
    large_site(quick, hibernate={**NEVER, "PageOutAfterSec": "200ms"})
    with quick.events("a") as events:
        assert events.wait_event(to="paged")


def test_paged_out_and_stopped_by_time(quick, swapped):
    address = large_site(quick, hibernate={"FreezeAfterSec": "100ms", "PageOutAfterSec": "200ms",
                                           "StopAfterSec": "3s"})
    with quick.events("a") as events:
        events.wait_event(to="paged")
        assert 0 < quick.status("a")["stops_in_us"] <= 3_000_000
        events.wait_event(to="cold")
    assert http_get(address, "/allocate?kb=1").text == "1024\n"


def test_what_comes_next_is_told(quick, swapped):
    address = quick.add_site("a", hibernate={"FreezeAfterSec": "1min", "PageOutAfterSec": "2min", "StopAfterSec": "3min"})
    quick.start()
    quick.visit("a", address)
    wait_until(lambda: "pages_out_in_us" in quick.status("a"), "an idle site")
    assert "paged out in 1min" in quick.torporctl("status", "a").stdout
    quick.freeze("a")
    status = quick.status("a")
    assert 60_000_000 < status["pages_out_in_us"] <= 120_000_000 < status["stops_in_us"] <= 180_000_000


def test_commands(torpor, swapped):
    address = large_site(torpor)
    torpor.freeze("a")
    assert torpor.torporctl("pageout", "a").stdout.startswith("a: paged after ")
    assert torpor.state("a") == "paged" and torpor.sites(state="paged").keys() == {"a"}
    assert "1 paged" in torpor.torporctl("status").stdout
    assert "in the swap" in torpor.torporctl("why", "a").stdout
    assert torpor.call("PageOut", site="a")["state"] == "paged"
    with pytest.raises(VarlinkError) as refused:
        torpor.call("Freeze", site="a")
    assert refused.value.name == "NotPossible"
    assert torpor.call("Wake", site="a")["state"] == "awake"
    page_out(torpor, "a")
    assert torpor.call("Stop", site="a")["state"] == "cold"
    with pytest.raises(VarlinkError) as refused:
        torpor.call("PageOut", site="a")
    assert refused.value.name == "NotPossible"
    assert http_get(address, "/allocate?kb=1").text == "1024\n"


def test_open_connection_wakes_it(torpor, swapped):
    address = torpor.add_site("a")
    torpor.start()
    with HttpConnection(address) as connection, torpor.events("a") as events:
        for number in range(1, 6):
            assert connection.get("/counter").text == f"{number}\n"
            torpor.wait_state("a", "awake")
            page_out(torpor, "a")
            events.wait_event(to="paged")
            assert torpor.status("a")["connections"] == 1


def page_out(torpor, site):
    """One that has just answered may not be frozen yet: it is asked again."""
    def paged():
        try:
            return torpor.call("PageOut", site=site)["state"] == "paged"
        except VarlinkError as error:
            if error.name != "NotPossible" or error.parameters["state"] != "awake":
                raise
            return False
    wait_until(paged, f"{site} to be paged out")


def test_a_wake_does_not_wait_for_the_page_out(torpor, swapped):
    """It comes at any point of it, and wins."""
    address = torpor.add_site("a")
    torpor.start()
    torpor.visit("a", address, "/allocate?kb=131072")
    chance, early, count = random.Random(1), 0, 1
    with torpor.connection() as control, torpor.events("a") as events:
        for _ in range(5 if SANITIZED else 20):
            torpor.freeze("a")
            control.send("PageOut", {"site": "a"})
            events.wait_event(to="paging")
            time.sleep(chance.choice([0, 0.001, 0.01, 0.1]))
            with HttpConnection(address) as connection:
                count += 1
                assert connection.get("/counter").text == f"{count}\n"
            early += "error" in control.receive()
            torpor.wait_state("a", "awake")
    assert early > 0
    assert torpor.wakes("a") == 1


def swap_cached():
    """Bytes that were read from the swap, and that nobody has used since."""
    return int(re.search(r"^SwapCached: *([0-9]+) kB$", pathlib.Path("/proc/meminfo").read_text(), re.M)[1]) * 1024


@pytest.mark.parametrize("prefetch", ["yes", "no"])
def test_what_was_used_is_fetched(torpor, swapped, prefetch):
    """What the site has used since it was paged out first, and only that, is read before it asks for it."""
    address = large_site(torpor, hibernate={**NEVER, "Prefetch": prefetch})
    page_out(torpor, "a")
    torpor.visit("a", address, "/allocate?kb=8192")
    page_out(torpor, "a")
    before = swap_cached()
    torpor.visit("a", address)
    if prefetch == "yes":
        wait_until(lambda: swap_cached() - before > 7 * MIB, "what it has used")
    assert swap_cached() - before < (16 if prefetch == "yes" else 4) * MIB
    assert http_get(address, "/allocate?kb=1").text == f"{(32768 + 8192 + 1) * 1024}\n"


def test_killed_while_paged_out_is_cold(torpor, swapped):
    """As by the kernel when memory runs out: a wake to cold, not a failure."""
    address = large_site(torpor)
    page_out(torpor, "a")
    with torpor.events("a") as events:
        os.kill(torpor.status("a")["pid"], signal.SIGKILL)
        assert events.wait_event()["to"] == "cold"
    assert http_get(address, "/counter").text == "1\n"
    assert torpor.status("a").get("failure") is None


def test_keep_warm_is_not_paged_out_by_time(quick, swapped):
    address = quick.add_site("a", hibernate={**NEVER, "FreezeAfterSec": "100ms", "PageOutAfterSec": "200ms",
                                             "Keep": "warm"})
    other = quick.add_site("b", hibernate={**NEVER, "FreezeAfterSec": "100ms", "PageOutAfterSec": "200ms"})
    quick.start()
    with quick.events() as events:
        http_get(address)
        http_get(other)
        events.wait_event(site="b", to="paged")
        quick.wait_state("a", "frozen")
        assert "paging" not in events.transitions("a")


def no_swap():
    if len(pathlib.Path("/proc/swaps").read_text().splitlines()) > 1:
        pytest.skip("this machine has a swap")


def test_without_swap_it_is_stopped(quick):
    """T17: the next rung down; said once."""
    no_swap()
    keys = {"hibernate": {**NEVER, "FreezeAfterSec": "100ms", "PageOutAfterSec": "200ms"}}
    addresses = [quick.add_site(name, **keys) for name in ("a", "b", "c")]
    quick.start()
    with quick.events() as events:
        for address in addresses:
            http_get(address)
        for name in ("a", "b", "c"):
            wait_until(lambda: "cold" in events.transitions(name), f"{name} to be stopped")
            assert "paged" not in events.transitions(name)
    assert quick.log().count("there is no swap, or too little is left of it") == 1


def test_without_swap_it_stays_frozen_where_its_unit_says_so(quick):
    no_swap()
    address = quick.add_site("a", hibernate={"FreezeAfterSec": "100ms", "PageOutAfterSec": "200ms",
                                             "SwapFullAction": "none", "StopAfterSec": "600ms"})
    quick.start()
    with quick.events("a") as events:
        http_get(address)
        assert events.wait_event(from_="paging")["to"] == "frozen"
        events.wait_event(to="cold")
        assert events.transitions("a").count("paging") == 1


def test_the_command_says_that_there_is_no_swap(torpor):
    no_swap()
    address = torpor.add_site("a")
    torpor.start()
    torpor.visit("a", address)
    torpor.freeze("a")
    with pytest.raises(VarlinkError) as refused:
        torpor.call("PageOut", site="a")
    assert "no swap" in refused.value.parameters["reason"]
    assert torpor.state("a") == "frozen"


def test_full_swap_is_no_swap(quick):
    """Room is made, and it is used."""
    no_swap()
    with swap(16) as there:
        if not there:
            pytest.skip("this kernel has no zram to make a swap of")
        large_site(quick)
        quick.freeze("a")
        with pytest.raises(VarlinkError) as refused:
            quick.call("PageOut", site="a")
        assert "too little is left" in refused.value.parameters["reason"]
        assert quick.state("a") == "frozen"
        with swap(64):
            assert quick.call("PageOut", site="a")["state"] == "paged"
            quick.call("Stop", site="a")
