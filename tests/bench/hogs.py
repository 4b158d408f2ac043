#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Lets one site take all that it can get, and asks its neighbours meanwhile: one that is awake, and one that is woken.
Calm and hog take turns. In the machine of the tests, where every limit is in force, with all kinds of hogs; then on this
host, with those that act on torpord rather than on a processor. It judges nothing.

    hogs.py [--quick] [--here | --machine] [-k KIND]... [--json FILE]    TORPOR_BUILD is the build directory (default: build)

In the machine everything takes ten to thirty times as long: the figures are to be compared with each other alone."""
import argparse
import json
import pathlib
import sys

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent / folder) for folder in ("system", "vm", "vm/host")]

import measure  # noqa: E402
from hogging import FOLDER, HERE_TOO, KINDS, LIMITS, Hogging  # noqa: E402

FULL, QUICK = {"rounds": 4, "seconds": 6.0}, {"rounds": 2, "seconds": 2.0}


def say(text):
    print(text, file=sys.stderr, flush=True)


HEAD = ["| hog | awake neighbour p50 | p99 | wake of another p50 | p90 | requests, wakes meanwhile | lost | torpord KiB before, "
        "meanwhile, after |", "|---|---|---|---|---|---|---|---|"]


def pair(one, what, rank):
    """Milliseconds before and meanwhile, and how much more."""
    before, meanwhile = (one[when][what][rank] / 1000 for when in ("calm", "hog"))
    return f"{before:.3g} -> {meanwhile:.3g} ({meanwhile / before:.2f}x)"


def row(kind, one):
    samples = [sample for when in ("calm", "hog") for sample in one[when].values()]
    lost = sum(count for sample in samples for count in sample["errors"].values())
    return (f"| {kind} | {pair(one, 'warm', 'p50_us')} | {pair(one, 'warm', 'p99_us')} | {pair(one, 'wake', 'p50_us')} | "
            f"{pair(one, 'wake', 'p90_us')} | {one['hog']['warm']['count']}, {one['hog']['wake']['count']} | {lost} | "
            f"{', '.join(map(str, one['rss_kib'].values()))} |")


def table(title, found):
    machine = found["machine"]
    return "\n".join([f"{title}: {machine['cpus']} CPUs, Linux {machine['kernel']}, {machine['system']}, {machine['date']}", "",
                      *HEAD, *[row(kind, one) for kind, one in found["kinds"].items()]])


def inside(line):
    """In the machine: what is found is said line by line."""
    from reports import Reports, arguments
    from service import Service
    reports = Reports(line)
    scale, kinds = json.loads(arguments()[0])
    FOLDER.mkdir()
    FOLDER.chmod(0o777)
    reports.say("machine", machine=measure.machine(HERE.parent.parent / "build"))
    try:
        for kind in kinds:
            service = Service()  # writes the templates, which go with the sites
            reports.say("kind", kind=kind, **Hogging(service, kind, LIMITS).run(**scale))
            service.remove_sites()
    except Exception:
        say(f"{service.sites()}\n{service.log()[-4000:]}")  # on the console
        raise
    reports.say("done")


def in_machine(scale, kinds):
    from vm import run_program
    found = {"kinds": {}}
    for report in run_program("tests/bench/hogs.py", [json.dumps([scale, kinds])]):
        what = report.pop("report")
        if what == "machine":
            found.update(report)
        elif what == "kind":
            kind = report.pop("kind")
            found["kinds"][kind] = report
            say(f"in the machine: {row(kind, report)}")
    return found


def here(scale, kinds):
    from harness import BUILD, Instance
    found = {"machine": measure.machine(BUILD), "kinds": {}}
    for kind in kinds:
        instance = Instance()
        try:
            instance.start()
            found["kinds"][kind] = Hogging(instance, kind, None).run(**scale)
            say(f"here: {row(kind, found['kinds'][kind])}")
            instance.stop()
        finally:
            instance.destroy()
    return found


def main():
    if len(sys.argv) == 2 and sys.argv[1].startswith("/dev/"):
        inside(sys.argv[1])
        return
    parser = argparse.ArgumentParser(usage=__doc__)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--here", action="store_true")
    parser.add_argument("--machine", action="store_true")
    parser.add_argument("-k", action="append", choices=list(KINDS), metavar="KIND")
    parser.add_argument("--json", metavar="FILE", type=pathlib.Path)
    arguments = parser.parse_args()
    scale, kinds = QUICK if arguments.quick else FULL, arguments.k or list(KINDS)
    results = dict(scale)
    if not arguments.here:
        results["in_machine"] = in_machine(scale, kinds)
    if not arguments.machine:
        results["here"] = here(scale, [kind for kind in kinds if kind in HERE_TOO])
    if arguments.json:
        arguments.json.write_text(json.dumps(results, indent=1) + "\n")
    for name, title in (("in_machine", "in a machine that is emulated, with limits"), ("here", "on this host, without")):
        if name in results:
            print(f"\n{table(title, results[name])}")


if __name__ == "__main__":
    main()
