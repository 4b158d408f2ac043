# SPDX-License-Identifier: LGPL-2.1-or-later
"""Sandboxes that are made ahead: what a start takes, and what is made in its place."""
import os
import pathlib

import pytest

import tasks
from harness import wait_until

FIRST_HIGH = 8192  # descriptors of sandboxes are this and above: daemon/launch/sandbox.c


@pytest.fixture
def networks(torpor):
    """Gives the network namespaces of the sandboxes that wait, once no thread makes or drops any. They are kept until the
    test ends: the kernel gives the number of one that is gone to the next."""
    kept = {}

    def look():
        wait_until(lambda: tasks.rest(torpor.pid, "launcher"), "rest", 300)
        launcher = next(path for path in pathlib.Path(f"/proc/{torpor.pid}/task").iterdir()
                        if (path / "comm").read_text() == "launcher\n")
        found = {link: path for path in (launcher / "fd").iterdir() if int(path.name) >= FIRST_HIGH and
                 (link := path.readlink().name).startswith("net:")}
        for link in found.keys() - kept.keys():
            kept[link] = os.open(found[link], os.O_RDONLY)
        return set(found)
    yield look
    for fd in kept.values():
        os.close(fd)


def cycle(torpor, sites, name):
    """A start, and the end of it."""
    torpor.visit(name, sites[name])
    torpor.call("Stop", site=name)


def one_for_each(torpor, sites, networks):
    """Whether each start, of either kind, took one and had one made anew; all else was left as it was."""
    before = networks()
    for name in ("plain", "hiding", "hiding", "plain"):
        cycle(torpor, sites, name)
        after = networks()
        if len(after) != len(before) or len(after & before) != len(before) - 1:
            return False
        before = after
    return True


def test_kinds_of_sites_that_take_turns(torpor, networks):
    """What one kind has ready is not thrown away for the other's sake. (All of them are once a minute, and when /etc is
    another: so it may take a second look.)"""
    torpor.write(torpor.etc / "torpor.conf", "[Daemon]\nScanIntervalSec=100ms\nMemoryPressureWatch=no\n")
    sites = {"plain": torpor.add_site("plain"),
             "hiding": torpor.add_site("hiding", container={"ProtectProc": "invisible"})}
    torpor.start()
    for name in sites:
        cycle(torpor, sites, name)
    assert len(networks()) >= 2
    assert any(one_for_each(torpor, sites, networks) for _ in range(5))


def test_a_kind_that_is_not_asked_for_any_more(torpor, networks):
    """Its places are the others' in the end."""
    torpor.write(torpor.etc / "torpor.conf", "[Daemon]\nScanIntervalSec=100ms\nMemoryPressureWatch=no\n")
    sites = {"plain": torpor.add_site("plain"),
             "hiding": torpor.add_site("hiding", container={"ProtectProc": "invisible"})}
    torpor.start()
    cycle(torpor, sites, "hiding")
    old = networks()
    for _ in range(65):
        cycle(torpor, sites, "plain")
    after = networks()
    assert len(after) == len(old)
    assert not after & old
