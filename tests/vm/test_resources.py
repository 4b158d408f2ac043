# SPDX-License-Identifier: LGPL-2.1-or-later
"""[Resources] in force: every controller is in cgroup v2 here."""
import time

import pytest

from harness import http_get, wait_until

MIB = 1 << 20

FILES = {
    "CPUWeight": ("250", "cpu.weight", "250"),
    "CPUQuota": ("150%", "cpu.max", "150000 100000"),
    "AllowedCPUs": ("1", "cpuset.cpus", "1"),
    "MemoryMin": ("1M", "memory.min", str(MIB)),
    "MemoryLow": ("2M", "memory.low", str(2 * MIB)),
    "MemoryHigh": ("100M", "memory.high", str(100 * MIB)),
    "MemoryMax": ("200M", "memory.max", str(200 * MIB)),
    "MemorySwapMax": ("infinity", "memory.swap.max", "max"),
    "IOWeight": ("300", "io.weight", "default 300"),
    "TasksMax": ("50", "pids.max", "50"),
}


def usage_us(torpor, *sites):
    return [torpor.numbers(site, "cpu.stat")["usage_usec"] for site in sites]


def usage_over(torpor, seconds, *sites):
    """CPU time that each takes in a while."""
    before = usage_us(torpor, *sites)
    time.sleep(seconds)
    return [after - earlier for after, earlier in zip(usage_us(torpor, *sites), before)]


def test_every_file(torpor):
    address = torpor.add_site("a", resources={key: value for key, (value, _, _) in FILES.items()})
    torpor.visit("a", address)
    found = {key: torpor.file("a", name) for key, (_, name, _) in FILES.items()}
    assert found == {key: text for key, (_, _, text) in FILES.items()}
    status = torpor.status("a")
    assert status["limits_not_in_force"] == []
    assert status["limits"] == {name: text for _, name, text in FILES.values()}


def test_memory_max(torpor):
    """Who takes more than he may is killed, and nobody else; the next visitor finds the site again."""
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
    assert http_get(other, "/pid").text == bystander and torpor.status("b")["wakes"] == 1


def test_memory_hog_from_the_first_instruction(torpor):
    """It dies at once, again and again: torpord waits longer and longer, and goes on answering for others."""
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


def test_cpu_quota(torpor):
    address = torpor.add_site("a", resources={"CPUQuota": "20%"})
    torpor.visit("a", address)
    assert torpor.file("a", "cpu.max") == "20000 100000"
    for _ in range(2):
        http_get(address, "/busy?ms=600000")
    started = time.monotonic()
    usage, = usage_over(torpor, 5, "a")
    share = usage / 1e6 / (time.monotonic() - started)
    assert 0.05 < share < 0.30
    assert torpor.numbers("a", "cpu.stat")["nr_throttled"] > 0


def test_cpu_weight(torpor):
    """80 to 20 where both want all, everything where the other wants nothing."""
    addresses = [torpor.add_site(name, resources={"CPUWeight": weight, "AllowedCPUs": 1})
                 for name, weight in (("a", 80), ("b", 20))]
    for name, address in zip("ab", addresses):
        torpor.visit(name, address)
        http_get(address, "/busy?ms=600000")
    mine, theirs = usage_over(torpor, 8, "a", "b")
    assert 0.7 < mine / (mine + theirs) < 0.9
    torpor.call("Stop", site="a")
    started = time.monotonic()
    alone, = usage_over(torpor, 5, "b")
    assert alone / 1e6 / (time.monotonic() - started) > 0.5


def test_allowed_cpus(torpor):
    address = torpor.add_site("a", resources={"AllowedCPUs": 1})
    torpor.visit("a", address)
    assert torpor.file("a", "cpuset.cpus.effective") == "1"
    allowed = [line.split()[1] for line in http_get(address, "/status").lines if line.startswith("Cpus_allowed_list")]
    assert allowed == ["1"]


def test_fork_bomb(torpor):
    """T29: as the first instruction. It never has more processes than it may, and can be stopped."""
    torpor.add_site("a", exec_start="/helpers/hog fork", resources={"TasksMax": 40})
    other = torpor.add_site("b")
    torpor.call("Wake", site="a")
    path = torpor.cgroup_of("a")
    wait_until(lambda: torpor.numbers("a", "pids.events")["max"] > 0, "the bomb to reach TasksMax")
    seen = [int((path / "pids.current").read_text()) for _ in range(50)]
    assert max(seen) <= 40
    if (path / "pids.peak").exists():  # Linux 6.11
        assert int((path / "pids.peak").read_text()) == 40
    assert torpor.visit("b", other, "/counter").text == "1\n"
    torpor.call("Stop", site="a")
    assert torpor.site_cgroups() == ["b.site"]
