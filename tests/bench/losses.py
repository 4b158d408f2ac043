#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Counts what is lost of many requests, each a connection of its own, that come in bursts while the site is taken down to
a rung and comes back by them again and again: frozen, paged out to a swap that is made for this, stopped; over
TCP and over a unix socket; the server ends as one should. It judges nothing.

    losses.py [--quick] [--requests=N] [--json FILE]        TORPOR_BUILD is the build directory (default: build)
"""
import argparse
import contextlib
import json
import pathlib
import random
import sys
import threading
import time

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "system"))

import measure  # noqa: E402
from harness import BUILD, HELPERS, Instance, VarlinkError  # noqa: E402
from swap import swap  # noqa: E402

RUNGS = {"freeze": "Freeze", "page-out": "PageOut", "stop": "Stop"}
FULL, QUICK = {"requests": 100000}, {"requests": 2000}
BURST, CLIENTS = 20, 4  # requests, so many at a time
CALM_S = {"freeze": 0.004, "page-out": 0.03, "stop": 0.006}  # at most, between two bursts: now longer than the way down
PAUSE_S = 0.002         # at most, between two ways down


def say(text):
    print(f"[{time.monotonic() - STARTED:6.1f} s] {text}", file=sys.stderr, flush=True)


class Bursts(threading.Thread):
    """Asks in bursts, until all requests have been made."""

    def __init__(self, target, requests, calm_s):
        super().__init__()
        self.target, self.requests, self.calm_s = target, requests, calm_s
        self.client = measure.WakeClient(HELPERS)
        self.sample = measure.Sample()
        self.made = 0

    def run(self):
        chance = random.Random(1)
        while self.made < self.requests:
            self.sample.add(self.client.run(CLIENTS, [self.target], BURST))
            self.made += BURST
            time.sleep(chance.uniform(0, self.calm_s))
        self.client.close()


def lose(kind, rung, scale):
    """One way down over and over, as long as requests come."""
    instance = Instance()
    try:
        address = instance.address() if kind == "tcp" else str(instance.run / "a.sock")
        instance.add_site("a", address, template="static")
        instance.start()
        bursts = Bursts(address, scale["requests"], CALM_S[rung])
        chance, downs, undone = random.Random(2), 0, 0
        started = time.monotonic()
        bursts.start()
        with instance.connection() as control:
            while bursts.is_alive():
                time.sleep(chance.uniform(0, PAUSE_S))
                try:
                    control.call(RUNGS[rung], site="a")
                    downs += 1
                except VarlinkError as error:
                    if error.name != "NotPossible":
                        raise
                    undone += 1  # a request came first, or the site was on its way up
        bursts.join()
        status, lost = instance.status("a"), bursts.sample.summary()
        instance.stop()
        return {"kind": kind, "rung": rung, "seconds": round(time.monotonic() - started, 1), "downs": downs,
                "undone": undone, "requests": bursts.made, "answered": lost["count"], "lost": lost["errors"],
                "wakes": status["wakes"], "thaws": status["thaws"]}
    finally:
        instance.destroy()


def table(results):
    lines = ["| | | requests | lost | way down taken | undone by a request | starts | thaws |",
             "|---|---|---|---|---|---|---|---|"]
    for row in results["rows"]:
        lost = ", ".join(f"{count} {what}" for what, count in row["lost"].items()) or row["requests"] - row["answered"]
        lines.append(f"| {row['rung']} | {row['kind']} | {row['requests']} | {lost} | {row['downs']} | {row['undone']} | "
                     f"{row['wakes']} | {row['thaws']} |")
    return "\n".join(lines)


def main():
    parser = argparse.ArgumentParser(usage=__doc__)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--requests", type=int)
    parser.add_argument("--json", metavar="FILE", type=pathlib.Path)
    arguments = parser.parse_args()
    scale = QUICK if arguments.quick else FULL
    if arguments.requests:
        scale = {"requests": arguments.requests}
    rows = []
    for rung in RUNGS:
        with swap(256) if rung == "page-out" else contextlib.nullcontext(True) as there:
            if not there:
                say("this kernel has no zram to make a swap of: nothing is paged out")
                continue
            for kind in ("tcp", "unix"):
                say(f"{rung}, {kind}")
                rows.append(lose(kind, rung, scale))
    results = {"machine": measure.machine(BUILD), **scale, "rows": rows}
    if arguments.json:
        arguments.json.write_text(json.dumps(results, indent=1) + "\n")
    print(table(results))


if __name__ == "__main__":
    STARTED = time.monotonic()
    main()
