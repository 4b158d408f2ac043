# SPDX-License-Identifier: LGPL-2.1-or-later
"""Sandboxes that are made ahead: what a start takes, and what is made in its place."""
import pathlib

import tasks
from harness import wait_until

FIRST_HIGH = 8192  # descriptors of sandboxes are this and above: daemon/launch/sandbox.c


def networks(torpor):
    """The network namespaces of the sandboxes that wait, once no thread makes or drops any."""
    wait_until(lambda: tasks.rest(torpor.pid), "rest", 300)
    launcher = next(path for path in pathlib.Path(f"/proc/{torpor.pid}/task").iterdir()
                    if (path / "comm").read_text() == "launcher\n")
    links = [path.readlink().name for path in (launcher / "fd").iterdir() if int(path.name) >= FIRST_HIGH]
    return {link for link in links if link.startswith("net:")}


def cycle(torpor, sites, name):
    """A start, and the end of it."""
    torpor.visit(name, sites[name])
    torpor.call("Stop", site=name)


def one_for_each(torpor, sites):
    """Whether each start, of either kind, took one and had one made anew; all else was left as it was."""
    before = networks(torpor)
    for name in ("plain", "hiding", "hiding", "plain"):
        cycle(torpor, sites, name)
        after = networks(torpor)
        if len(after) != len(before) or len(after & before) != len(before) - 1:
            return False
        before = after
    return True


def test_kinds_of_sites_that_take_turns(torpor):
    """What one kind has ready is not thrown away for the other's sake. (All of them are once a minute, and when /etc is
    another: so it may take a second look.)"""
    torpor.write(torpor.etc / "torpor.conf", "[Daemon]\nScanIntervalSec=100ms\nMemoryPressureWatch=no\n")
    sites = {"plain": torpor.add_site("plain"),
             "hiding": torpor.add_site("hiding", container={"ProtectProc": "invisible"})}
    torpor.start()
    for name in sites:
        cycle(torpor, sites, name)
    assert len(networks(torpor)) >= 2
    assert any(one_for_each(torpor, sites) for _ in range(5))


def test_a_kind_that_is_not_asked_for_any_more(torpor):
    """Its places are the others' in the end."""
    torpor.write(torpor.etc / "torpor.conf", "[Daemon]\nScanIntervalSec=100ms\nMemoryPressureWatch=no\n")
    sites = {"plain": torpor.add_site("plain"),
             "hiding": torpor.add_site("hiding", container={"ProtectProc": "invisible"})}
    torpor.start()
    cycle(torpor, sites, "hiding")
    old = networks(torpor)
    for _ in range(65):
        cycle(torpor, sites, "plain")
    after = networks(torpor)
    assert len(after) == len(old)
    assert not after & old
