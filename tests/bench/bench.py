#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Measures torpor beside the floor and xinetd in one run, round by round, and judges nothing.

    bench.py [--quick] [--json FILE]        TORPOR_BUILD is the build directory (default: build)
"""
import argparse
import contextlib
import itertools
import json
import os
import pathlib
import random
import subprocess
import sys
import time

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "system"))

import measure  # noqa: E402
import report  # noqa: E402
from competitors import Floor, Torpor, Xinetd  # noqa: E402
from harness import BUILD, HELPERS, TORPORD, VarlinkError  # noqa: E402

SMALL, MIDDLE, LARGE = 10, 1000, 10000
MANY = 64   # requests at a time
FEW = 10    # sites of one serial round
FROZEN_LOSS_S = 60
PAUSE_S = 0.005  # before a cold wake that is to be by itself
REST_S = 0.1     # before a round of cold wakes: the kernel takes the containers of the round before apart

FULL = {"serial_rounds": 100, "many_rounds": 30, "idle_s": 60, "requests": 10000, "thaws": 1000}
QUICK = {"serial_rounds": 10, "many_rounds": 3, "idle_s": 5, "requests": 1000, "thaws": 100}


def say(text):
    print(f"[{time.monotonic() - STARTED:6.1f} s] {text}", file=sys.stderr, flush=True)


class Bench:
    def __init__(self, scale, stack):
        self.scale = scale
        self.stack = stack
        self.random = random.Random(1)
        self.samples = {}
        self.running = []
        self.numbers = itertools.count()
        self.client = measure.WakeClient(HELPERS)
        stack.callback(self.client.close)
        self.results = {"machine": measure.machine(BUILD), "scale": scale, "notes": [], "loads": [],
                        "memory_per_site": []}

    # Starting.

    def start(self, kind, sites):
        say(f"{kind.name}, {sites} sites")
        competitor = kind(next(self.numbers), sites)
        self.stack.callback(competitor.close)
        competitor.start()
        self.running.append(competitor)
        self.results["loads"].append({"who": kind.name, **competitor.load()})
        return competitor

    def start_all(self):
        """The middle size is there for the memory alone."""
        middle = self.start(Torpor, MIDDLE)
        large = self.start(Torpor, LARGE)
        self.rest(middle, large)
        middle.close()
        self.running.remove(middle)
        self.start(Torpor, SMALL)
        for kind in (Floor, Xinetd):
            if kind is Xinetd and not Xinetd.binary:
                self.results["notes"].append("xinetd is not installed")
                continue
            by_size = [self.start(kind, sites) for sites in (SMALL, LARGE)]
            self.memory_per_site(*by_size)

    def rest(self, middle, large):
        """CPU at rest, then memory, when everything that a start leaves to later has been done."""
        say(f"{LARGE} cold sites at rest for {self.scale['idle_s']} s")
        time.sleep(1)
        self.results["idle"] = {"sites": LARGE, **measure.cpu_over(large.pid, self.scale["idle_s"])}
        self.results["version"] = large.instance.host().get("version", "?")
        self.memory_per_site(middle, large)

    def memory_per_site(self, less, more):
        few, many = measure.memory(less.pid), measure.memory(more.pid)
        self.results["memory_per_site"].append({
            "who": more.name, "sites": more.sites, "less": less.sites,
            **{key: (many[key] - few[key]) / (more.sites - less.sites) for key in few}})

    # Latencies.

    def add(self, what, competitor, at_once, result):
        key = (what, competitor.name, competitor.sites, at_once)
        self.samples.setdefault(key, measure.Sample()).add(result)

    def round(self):
        """Everyone once, in another order each time, since one leaves work for the kernel to the next."""
        return self.random.sample(self.running, len(self.running))

    def choose(self, competitor, count):
        """Sites of a round, different ones each time where there are enough."""
        return self.random.sample(range(competitor.sites), min(count, competitor.sites))

    def cold(self):
        for at_once, rounds in ((1, self.scale["serial_rounds"]), (MANY, self.scale["many_rounds"])):
            say(f"cold wakes, {at_once} at a time")
            for _ in range(rounds):
                for competitor in self.round():
                    sites = self.choose(competitor, FEW if at_once == 1 else MANY)
                    count = max(len(sites), at_once)
                    time.sleep(REST_S)
                    result = self.client.run(at_once, competitor.targets(sites), count)
                    self.add("cold", competitor, at_once, result)
                    competitor.cool(sites)

    def alone(self):
        """Cold wakes each by itself: what the one before set in motion is over."""
        say("cold wakes, each by itself")
        for _ in range(self.scale["serial_rounds"]):
            for competitor in self.round():
                sites = self.choose(competitor, FEW)
                for site in sites:
                    time.sleep(PAUSE_S)
                    self.add("alone", competitor, 1, self.client.run(1, competitor.targets([site]), 1))
                competitor.cool(sites)

    def warm_and_frozen(self):
        for at_once, rounds in ((1, self.scale["serial_rounds"]), (MANY, self.scale["many_rounds"])):
            say(f"warm and frozen, {at_once} at a time")
            sites = {competitor: self.choose(competitor, FEW if at_once == 1 else MANY)
                     for competitor in self.running}
            for competitor, chosen in sites.items():
                self.client.run(1, competitor.targets(chosen))
            for _ in range(rounds):
                for competitor in self.round():
                    chosen = sites[competitor]
                    targets, count = competitor.targets(chosen), max(len(chosen), at_once)
                    self.add("warm", competitor, at_once, self.client.run(at_once, targets, count))
                    if competitor.freezes:
                        competitor.freeze(chosen)
                        self.add("frozen", competitor, at_once, self.client.run(at_once, targets, count))
            for competitor, chosen in sites.items():
                competitor.cool(chosen)

    def frozen_loss(self):
        """Sequential requests without a pause, while the site is frozen again and again beneath them."""
        say(f"{self.scale['requests']} requests while frozen {self.scale['thaws']} times")
        torpor = next(competitor for competitor in self.running if competitor.freezes)
        site = torpor.site(0)
        client = subprocess.Popen([HELPERS / "wake-client", f"--count={self.scale['requests']}", "--until-eof",
                                   "--timeout-ms=5000", "--json", torpor.target(0)],
                                  stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        connection, deadline = torpor.connections[0], time.monotonic() + FROZEN_LOSS_S
        counts = {"freezes": 0, "refused_freezes": 0, "thaws": 0}
        connection.call("Wake", site=site)
        with torpor.instance.events(site) as events:
            while counts["thaws"] < self.scale["thaws"] and time.monotonic() < deadline:
                pause_until = time.monotonic() + self.random.uniform(0, 0.001)
                while time.monotonic() < pause_until:
                    pass
                try:
                    connection.call("Freeze", site=site)
                    counts["freezes"] += 1
                except VarlinkError:  # a request came first
                    counts["refused_freezes"] += 1
                    continue
                events.wait_event(site=site, from_="frozen")
                counts["thaws"] += 1
        answer = json.loads(client.communicate()[0])
        self.results["frozen_loss"] = {
            "requests": answer["count"], **counts, "failed": answer["failed"], "errors": answer["errors"],
            **{key: answer[key] for key in ("p50_us", "p90_us", "p99_us", "max_us")}}
        torpor.cool([0])

    # Results.

    def finish(self):
        order = {"alone": 0, "cold": 1, "frozen": 2, "warm": 3}
        rows = sorted(self.samples,
                      key=lambda key: (order[key[0]], key[3], key[2], key[1] != "torpor", key[1]))
        self.results["latencies"] = [
            {"what": what, "who": who, "sites": sites, "at_once": at_once,
             **self.samples[what, who, sites, at_once].summary()} for what, who, sites, at_once in rows]
        self.results["notes"].append(f"{MANY} at once at {SMALL} sites: {MANY} connections to {SMALL} sites")
        p50 = {(row["what"], row["who"], row["sites"], row["at_once"]): row["p50_us"]
               for row in self.results["latencies"]}
        ratios = {}
        for sites in (SMALL, LARGE):
            at = f"serial, {sites} sites"
            ratios[f"cold by itself, torpor / floor, {sites} sites"] = ("alone", "torpor", "alone", "floor", sites)
            ratios[f"cold, torpor / floor, {at}"] = ("cold", "torpor", "cold", "floor", sites)
            ratios[f"frozen / warm, torpor, {at}"] = ("frozen", "torpor", "warm", "torpor", sites)
        self.results["ratios"] = {name: p50[what, who, sites, 1] / p50[other, whom, sites, 1]
                                  for name, (what, who, other, whom, sites) in ratios.items()}
        for who in ("torpor", "floor"):
            self.results["ratios"][f"cold, {who}, serial, {LARGE} / {SMALL} sites"] = \
                p50["cold", who, LARGE, 1] / p50["cold", who, SMALL, 1]
        self.results["seconds"] = round(time.monotonic() - STARTED, 1)


def main():
    parser = argparse.ArgumentParser(description="Measures torpor beside the floor and xinetd.")
    parser.add_argument("--quick", action="store_true", help="fewer rounds: under a minute")
    parser.add_argument("--json", type=pathlib.Path, metavar="FILE",
                        help="where the results go (default: tests/bench/results/DATE.json)")
    options = parser.parse_args()
    if os.geteuid() != 0 or not TORPORD.exists():
        parser.error(f"needs root and {TORPORD}")
    with contextlib.ExitStack() as stack:
        bench = Bench(QUICK if options.quick else FULL, stack)
        bench.start_all()
        bench.alone()
        bench.cold()
        bench.warm_and_frozen()
        bench.frozen_loss()
        bench.finish()
    path = options.json or HERE / "results" / f"{bench.results['machine']['date'].replace(':', '')}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(bench.results, indent=1) + "\n")
    print(report.table(bench.results))
    print(f"\nresults: {path}")
    return 0


STARTED = time.monotonic()
if __name__ == "__main__":
    sys.exit(main())
