#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Starts and stops sites of every kind, again and again, and counts what is left.

    leaks.py [--starts=N]

With nobody else who does the like on this machine: the kernel's own counts are of all of it. The exit code is 1 when anything is left."""
import argparse
import collections
import os
import pathlib
import re
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
sys.path.insert(0, str(ROOT / "tests/system"))
os.environ.setdefault("TORPOR_BUILD", str(ROOT / "build-bench"))

from harness import Instance  # noqa: E402
from leaks import PLUGINS, Sites, kernel_census, memory_kb, settled, slack, tables  # noqa: E402

WARM_UP_ROUNDS = 20


def count(torpor):
    """What is torpord's, when it does not change any more; what is the whole machine's changes for ever."""
    return {**settled(torpor), **kernel_census()}


def describe(pid, link):
    """What the kernel says of a descriptor that is a socket, if it can be found."""
    number = re.match(r"socket:\[(\d+)\]", link)
    for table in sorted(pathlib.Path(f"/proc/{pid}/net").iterdir()) if number else []:
        if table.name in ("unix", "netlink", "packet", "tcp", "tcp6", "udp", "udp6"):
            for line in table.read_text().splitlines():
                if number[1] in line.split():
                    return f"{link}: {table.name} {' '.join(line.split())}"
    return link


def show(before, after, starts):
    """The table; what there is more of than there may be."""
    left = [name for name, number in after.items() if number > before[name] + slack(name)]
    print(f"\n{'':34}{'before':>9}{'after':>9}")
    for name, number in after.items():
        print(f"{name:34}{before[name]:9}{number:9}{'   LEFT' if name in left else ''}")
    print(f"\n{starts} starts and stops: {'left: ' + ', '.join(left) if left else 'nothing left'}")
    return left


def run(torpor, wanted):
    sites = Sites(torpor, networks=(PLUGINS / "bridge").exists())
    sites.start()
    for _ in range(WARM_UP_ROUNDS):
        sites.round()
    before, memory, began, starts = count(torpor), memory_kb(torpor), time.monotonic(), 0
    links = collections.Counter(tables(torpor.pid)["first"])
    print(f"{len(sites.addresses)} kinds of sites, {len(sites.failing)} of which fail to start"
          f"{'' if sites.networks else '; no CNI plugins on this machine'}", flush=True)
    while starts < wanted:
        starts += sites.round()
        if sites.rounds % 50 == 0 and sys.stderr.isatty():
            print(f"\r{starts}", end="", file=sys.stderr, flush=True)
    seconds = time.monotonic() - began
    left = show(before, count(torpor), starts)
    if left:
        for link in collections.Counter(tables(torpor.pid)["first"]) - links:
            print(f"new descriptor of the loop: {describe(torpor.pid, link)}")
    print(f"{seconds:.0f} s, {seconds / starts * 1000:.1f} ms each, one after the other; "
          f"torpord's resident memory {memory} KiB before, {memory_kb(torpor)} KiB after")
    torpor.stop()
    return left


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--starts", type=int, default=10000)
    arguments = parser.parse_args()
    torpor = Instance()
    try:
        return 1 if run(torpor, arguments.starts) else 0
    finally:
        torpor.destroy()


if __name__ == "__main__":
    sys.exit(main())
