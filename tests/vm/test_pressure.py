# SPDX-License-Identifier: LGPL-2.1-or-later
"""Frozen sites and the host's memory."""
import pathlib
import subprocess
import sys
import time

import pytest

from harness import VarlinkError, http_get, wait_until

MIB = 1 << 20


def frozen_site(torpor, kb, **keys):
    """A frozen site "a" that holds so much memory: its address."""
    address = torpor.add_site("a", **keys)
    torpor.visit("a", address)
    assert http_get(address, f"/allocate?kb={kb}").text == f"{kb * 1024}\n"
    torpor.freeze("a")
    return address


def test_reclaim(torpor):
    """A frozen site's memory can be written to the swap, and is there again when it is thawed."""
    address = frozen_site(torpor, 50000)
    before = int(torpor.file("a", "memory.current"))
    assert before > 48 * MIB
    (torpor.cgroup_of("a") / "memory.reclaim").write_text(str(40 * MIB))
    assert int(torpor.file("a", "memory.current")) <= before - 36 * MIB
    assert int(torpor.file("a", "memory.swap.current")) >= 36 * MIB
    assert torpor.state("a") == "frozen"
    assert http_get(address, "/allocate?kb=1").text == f"{50001 * 1024}\n"


def oom_kills():
    text = pathlib.Path("/proc/vmstat").read_text()
    return int(dict(line.split() for line in text.splitlines())["oom_kill"])


def test_frozen_site_is_killed_when_the_host_is_out_of_memory(torpor):
    """T12: the kernel takes a frozen site first where its unit says so. It is cold then, which is no failure, and
    starts on the next connection; torpord and the other sites live."""
    address = frozen_site(torpor, 50000, container={"OOMScoreAdjust": 1000})
    other = torpor.add_site("b")
    bystander = torpor.visit("b", other, "/pid").text
    kills = oom_kills()
    with torpor.events("a") as events:
        pathlib.Path("/proc/sysrq-trigger").write_text("f")  # the OOM killer, called by hand
        assert events.wait_event(site="a")["to"] == "cold"
    assert oom_kills() == kills + 1
    wait_until(lambda: "a.site" not in torpor.site_cgroups(), "the end of its cgroup")
    assert http_get(address, "/counter").text == "1\n"
    assert http_get(other, "/pid").text == bystander and torpor.wakes("b") == 1


def test_frozen_site_is_killed_by_its_own_limit(torpor):
    """A limit lowered below what a frozen site holds, with no swap to go to."""
    address = frozen_site(torpor, 50000, resources={"MemorySwapMax": 0, "MemoryMax": "100M"})
    with torpor.events("a") as events:
        (torpor.cgroup_of("a") / "memory.max").write_text(str(20 * MIB))
        assert events.wait_event(site="a")["to"] == "cold"
    assert http_get(address, "/counter").text == "1\n"


def test_paged_out_by_the_memory_controller(torpor):
    """What a site with a limit has, which its cgroup can reclaim, and one without, which cannot."""
    for name, keys in (("limited", {"resources": {"MemoryMax": "200M"}}), ("plain", {})):
        address = torpor.add_site(name, **keys)
        torpor.visit(name, address)
        assert http_get(address, "/allocate?kb=50000").text == f"{50000 * 1024}\n"
        torpor.freeze(name)
        before = torpor.status(name)["memory_bytes"]
        assert torpor.call("PageOut", site=name)["state"] == "paged"
        assert before > 48 * MIB and torpor.status(name)["memory_bytes"] < 8 * MIB
        assert http_get(address, "/allocate?kb=1").text == f"{50001 * 1024}\n"
        assert torpor.wakes(name) == 1
    assert int(torpor.file("limited", "memory.swap.current")) > 0


def test_paged_out_site_is_killed_when_the_host_is_out_of_memory(torpor):
    address = frozen_site(torpor, 50000, container={"OOMScoreAdjust": 1000})
    torpor.call("PageOut", site="a")
    with torpor.events("a") as events:
        pathlib.Path("/proc/sysrq-trigger").write_text("f")
        assert events.wait_event()["to"] == "cold"
    assert http_get(address, "/counter").text == "1\n"
    assert torpor.status("a").get("failure") is None


def test_a_site_that_may_not_swap_stays_frozen(torpor):
    frozen_site(torpor, 1000, resources={"MemorySwapMax": 0})
    with pytest.raises(VarlinkError) as refused:
        torpor.call("PageOut", site="a")
    assert "MemorySwapMax=" in refused.value.parameters["reason"] and torpor.state("a") == "frozen"


def sleepers(torpor):
    """Sites that sleep with 60 MiB each, the coldest first, and the last of a lower priority; and one that is awake."""
    for name in ("a", "b", "c", "low"):
        address = torpor.add_site(name, hibernate={"StopAfterSec": "infinity", "Priority": -1 if name == "low" else 0})
        torpor.visit(name, address)
        assert http_get(address, "/allocate?kb=61440").status == 200
        torpor.freeze(name)
    used = torpor.add_site("used", hibernate={"FreezeAfterSec": "infinity", "StopAfterSec": "infinity"})
    torpor.visit("used", used)
    return used


def wait_down(torpor, events, used, kills):
    """Asks the site that is awake until memory is no longer short; gives who went down meanwhile, in order."""
    deadline = time.monotonic() + 120
    while not (down := [event for event in events.seen if event["to"] == "paging"]) or torpor.host()["memory_short"]:
        assert time.monotonic() < deadline, f"no end of it: {torpor.host()}, {down}"
        assert http_get(used, "/allocate?kb=256").status == 200
    assert oom_kills() == kills
    assert torpor.state("used") == "awake" and torpor.wakes("used") == 1
    assert {event["reason"] for event in down} == {"memory is short"}
    return [event["site"] for event in down]


HOG = """
import re, time
def available():
    return int(re.search(r"MemAvailable: *(\\d+)", open("/proc/meminfo").read())[1]) * 1024
held = []
while available() > 60 << 20:
    held.append(bytearray(b"x") * (8 << 20))
print("full", flush=True)
time.sleep(600)
"""


def test_memory_is_kept_free(torpor):
    """Somebody else takes it all: the lowest priority goes down first, then the coldest, until there is enough."""
    used, kills = sleepers(torpor), oom_kills()
    with torpor.events() as events, subprocess.Popen([sys.executable, "-c", HOG], stdout=subprocess.PIPE) as hog:
        try:
            assert hog.stdout.readline() == b"full\n"
            down = wait_down(torpor, events, used, kills)
        finally:
            hog.kill()
    assert down == ["low", "a", "b", "c"][:len(down)]
    assert "memory is short" in torpor.log()


# Most of the memory is locked, and what is left is less than what is used.
THRASH = """
import ctypes, mmap, re
FLAGS = mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS
def available():
    return int(re.search(r"MemAvailable: *(\\d+)", open("/proc/meminfo").read())[1]) * 1024
kept = mmap.mmap(-1, available() - (100 << 20), flags=FLAGS)
address = ctypes.addressof(ctypes.c_char.from_buffer(kept))
assert ctypes.CDLL(None, use_errno=True).mlock(ctypes.c_void_p(address), ctypes.c_size_t(len(kept))) == 0
used = mmap.mmap(-1, 180 << 20, flags=FLAGS)
print("begins", flush=True)
while True:
    for at in range(0, len(used), mmap.PAGESIZE):
        used[at] = 1
"""


@pytest.fixture
def pressure_alone(torpor):
    """Nothing but what the kernel tells of pressure makes memory short."""
    path = torpor.etc / "torpor.conf"
    before = path.read_text() if path.exists() else None
    torpor.write(path, "[Daemon]\nMemoryKeepFree=0\nMemoryPressureThresholdSec=20ms\n")
    torpor.restart()
    yield torpor
    path.unlink()
    if before is not None:
        torpor.write(path, before)
    torpor.restart()


def test_pressure_on_the_whole_host(pressure_alone):
    """A process that is none of torpor's uses more than there is, again and again: the kernel says that the host stalls,
    and the coldest go down until it does no more, though the process goes on."""
    torpor = pressure_alone
    used, kills = sleepers(torpor), oom_kills()
    with torpor.events() as events, subprocess.Popen([sys.executable, "-c", THRASH], stdout=subprocess.PIPE) as hog:
        try:
            assert hog.stdout.readline() == b"begins\n"
            down = wait_down(torpor, events, used, kills)
            assert hog.poll() is None
        finally:
            hog.kill()
    assert down == ["low", "a", "b", "c"][:len(down)]
    assert "memory is no longer short" in torpor.log()


def test_pressure_in_its_own_control_group(torpor):
    """The kernel says that tasks stall for want of memory: as long as they do, one site after another goes down."""
    used, kills = sleepers(torpor), oom_kills()
    high = torpor.cgroup / "memory.high"
    current = int((torpor.cgroup / "memory.current").read_text())
    with torpor.events() as events:
        try:
            high.write_text(str(current - 20 * MIB))
            down = wait_down(torpor, events, used, kills)
        finally:
            high.write_text("max")
    assert down == ["low", "a", "b", "c"][:len(down)]
