# SPDX-License-Identifier: LGPL-2.1-or-later
"""Frozen sites and the host's memory."""
import pathlib

from harness import http_get, wait_until

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
    assert http_get(other, "/pid").text == bystander and torpor.status("b")["wakes"] == 1


def test_frozen_site_is_killed_by_its_own_limit(torpor):
    """A limit lowered below what a frozen site holds, with no swap to go to."""
    address = frozen_site(torpor, 50000, resources={"MemorySwapMax": 0, "MemoryMax": "100M"})
    with torpor.events("a") as events:
        (torpor.cgroup_of("a") / "memory.max").write_text(str(20 * MIB))
        assert events.wait_event(site="a")["to"] == "cold"
    assert http_get(address, "/counter").text == "1\n"
