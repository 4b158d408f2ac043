#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""What a look at the awake sites costs torpord: the reaper's own thread, on listeners and connections made for it. It
judges nothing.

    scan.py [--quick] [--awake=100] [--sites=10000] [--connections=5000] [--json FILE]
                                                        TORPOR_BUILD is the build directory (default: build)
"""
import argparse
import json
import os
import pathlib
import subprocess
import sys

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "system"))

import cgroups  # noqa: E402
import measure  # noqa: E402
from harness import BUILD  # noqa: E402

KINDS = ("tcp4", "tcp6", "unix")


def scan(kind, arguments, cgroup):
    """One run of the program scan, in which each awake site has a cgroup of its own."""
    run = subprocess.run([BUILD / "tests/bench/scan", f"--kind={kind}", f"--listeners={arguments.awake}",
                          f"--others={arguments.sites - arguments.awake}", f"--connections={arguments.connections}",
                          f"--scans={10 if arguments.quick else 100}", "--interval-ms=100", f"--cgroup={cgroup}"],
                         check=True, stdout=subprocess.PIPE)
    return json.loads(run.stdout)


def table(results):
    lines = ["| kind | awake | of sites | connections | CPU of a look, ms |", "|---|---|---|---|---|"]
    for row in results["rows"]:
        lines.append(f"| {row['kind']} | {row['listeners']} | {row['listeners'] + row['others']} | {row['seen']} | "
                     f"{row['cpu_ms_per_scan']:.2f} |")
    return "\n".join(lines)


def main():
    parser = argparse.ArgumentParser(usage=__doc__)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--awake", type=int, default=100)
    parser.add_argument("--sites", type=int, default=10000)
    parser.add_argument("--connections", type=int, default=5000)
    parser.add_argument("--json", metavar="FILE", type=pathlib.Path)
    arguments = parser.parse_args()
    cgroup = cgroups.root() / f"torpor-scan-{os.getpid()}"
    cgroup.mkdir()
    try:
        rows = [scan(kind, arguments, cgroup) for kind in KINDS]
    finally:
        cgroups.destroy(cgroup)
    results = {"machine": measure.machine(BUILD), "rows": rows}
    if arguments.json:
        arguments.json.write_text(json.dumps(results, indent=1) + "\n")
    print(table(results))


if __name__ == "__main__":
    main()
