# SPDX-License-Identifier: LGPL-2.1-or-later
"""Who takes more than he may, and what becomes of him: limits by file are in test_limits.py."""
import pytest

import cgroups
from harness import http_get, wait_until

MIB = 1 << 20
WALL = 400  # processes and threads: many times what a test of this file needs


def test_memory_max(torpor):
    """T30: who takes more than he may is killed, and nobody else; the next visitor finds the site again."""
    address, other = torpor.add_site("a", resources={"MemoryMax": "40M", "MemorySwapMax": "0"}), torpor.add_site("b")
    torpor.visit("a", address)
    bystander = torpor.visit("b", other, "/pid").text
    assert http_get(address, "/allocate?kb=20000").status == 200
    with pytest.raises(ConnectionResetError):
        http_get(address, "/allocate?kb=60000")
    failure = wait_until(lambda: torpor.status("a").get("failure"), "why it ended")
    assert "out of memory" in failure["message"] and "MemoryMax=" in failure["message"]
    assert "out of memory" in torpor.torporctl("status", "a", check=False).stdout
    assert http_get(address, "/counter").text == "1\n"
    assert http_get(other, "/pid").text == bystander and torpor.wakes("b") == 1


def test_memory_hog_from_the_first_instruction(torpor):
    """T30: it dies at once, again and again: torpord waits longer and longer, and goes on answering for others."""
    torpor.add_site("a", exec_start="/helpers/hog memory", resources={"MemoryMax": "30M", "MemorySwapMax": "0"})
    other = torpor.add_site("b")
    torpor.call("Wake", site="a")
    torpor.wait_state("a", "failed")
    failure = torpor.status("a")["failure"]
    assert "out of memory" in failure["message"] and failure["retry_in_us"] > 0
    assert torpor.visit("b", other, "/counter").text == "1\n"


def test_memory_high(torpor):
    """Above it the site's memory goes to the swap, and it lives."""
    address = torpor.add_site("a", resources={"MemoryHigh": "30M"})
    torpor.visit("a", address)
    assert http_get(address, "/allocate?kb=60000").text == f"{60000 * 1024}\n"
    assert torpor.numbers("a", "memory.events")["high"] > 0
    assert int(torpor.file("a", "memory.current")) < 40 * MIB
    assert int(torpor.file("a", "memory.swap.current")) > 20 * MIB


def test_swap_max(torpor):
    address = torpor.add_site("a", resources={"MemoryMax": "30M", "MemorySwapMax": "8M"})
    torpor.visit("a", address)
    assert http_get(address, "/allocate?kb=34000").status == 200
    assert 0 < int(torpor.file("a", "memory.swap.current")) <= 8 * MIB
    with pytest.raises(ConnectionResetError):
        http_get(address, "/allocate?kb=30000")


@pytest.fixture
def wall(torpor):
    """Around all sites together: a bomb without a limit of its own fails its test, and does not take the machine."""
    path = torpor.cgroup / "pids.max"
    before = path.read_text()
    path.write_text(str(WALL))
    yield
    for name in torpor.site_cgroups():  # before it falls
        (torpor.cgroup / name / "cgroup.kill").write_text("1")
        cgroups.wait_empty(torpor.cgroup / name)
    path.write_text(before)


def test_fork_bomb(torpor, wall):
    """T29: as the first instruction. It never has more processes than it may, and can be stopped."""
    torpor.add_site("a", exec_start="/helpers/hog fork", resources={"TasksMax": 20})
    other = torpor.add_site("b")
    torpor.call("Wake", site="a")
    path = torpor.cgroup_of("a")

    def seen():
        return int((path / "pids.current").read_text())
    wait_until(lambda: torpor.numbers("a", "pids.events")["max"] > 0 or seen() > 20, "the bomb to reach TasksMax")
    assert max(seen() for _ in range(20)) <= 20
    if (path / "pids.peak").exists():  # Linux 6.11
        assert int((path / "pids.peak").read_text()) == 20
    assert torpor.visit("b", other, "/counter").text == "1\n"
    torpor.call("Stop", site="a")
    assert torpor.site_cgroups() == ["b.site"]
