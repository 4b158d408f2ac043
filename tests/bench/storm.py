#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Wakes many cold sites at once, torpor beside the floor, and asks a neighbour that is awake all the while. It judges
nothing.

    storm.py [--quick] [--program static|python|node] [--sites N] [--neighbour static|python|node] [--json FILE]

TORPOR_BUILD is the build directory. The visitors stand for another machine: their process gets a processor at once (by
SCHED_FIFO), so that what is measured of the neighbour is how long it takes, not how long its visitor waits for a turn.

The program is the same on both sides, and is handed its listener as descriptor 3: the smallest server there is, behind
which nothing that a start costs can hide, or Python's or Node's own web server. (php -S takes no listener from anybody
but torpor, which answers its bind: there is no floor for it.) The neighbour is the smallest server, too, unless another
is asked for: a storm that it feels is then not hidden by what it does itself.
"""
import argparse
import contextlib
import json
import os
import pathlib
import random
import statistics
import sys
import threading
import time

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "system"))

import measure  # noqa: E402
from competitors import SERVER, TEMPLATE, Floor, Torpor  # noqa: E402
from harness import BUILD, HELPERS  # noqa: E402

APPS = HERE.parent / "apps"
PROGRAMS = {"static": (500, SERVER), "python": (100, "/usr/bin/python3", APPS / "descriptor.py"),
            "node": (100, "/usr/bin/node", APPS / "descriptor.js")}  # how many sites at once, and the command
PAUSE_S = 0.002  # between two questions to the neighbour
REST_S = 0.3     # the kernel takes the containers of the round before apart
FULL, QUICK = {"rounds": 20}, {"rounds": 3}


def visitors(stack):
    """A client that comes before whoever it asks."""
    client = measure.WakeClient(HELPERS)
    stack.callback(client.close)
    os.sched_setscheduler(client.process.pid, os.SCHED_FIFO, os.sched_param(1))
    return client


class Site(Torpor):
    """torpor, with any program; the last site is the neighbour, with its own."""
    command = neighbour = ()

    def write_files(self):
        super().write_files()
        self.instance.write_template("bench", TEMPLATE + self.container(self.command))
        with open(self.instance.etc / "sites" / f"{self.site(self.sites - 1)}.site", "a", encoding="utf-8") as unit:
            unit.write(self.container(self.neighbour))

    @staticmethod
    def container(command):
        return (f"[Container]\nBindReadOnlyPaths={APPS} {HELPERS}\nExecStart=\n"
                f"ExecStart={' '.join(map(str, command))}\n")


class Beside(Floor):
    """The floor; its neighbour is another one, of one site, as it starts the same program for all of its own."""
    neighbour = ()

    def __init__(self, number, sites):
        super().__init__(number, sites - 1)
        self.other = Floor(number + 1, 1)

    def start(self):
        self.other.command = self.neighbour
        self.other.start()
        super().start()

    def target(self, index):
        return super().target(index) if index < self.sites else self.other.target(0)

    def close(self):
        super().close()
        self.other.close()


class Neighbour:
    """One that is awake, asked again and again from another process than the storm's."""

    def __init__(self, target, client):
        self.target = target
        self.client = client
        self.samples = {what: measure.Sample() for what in ("usual", "storm")}

    def ask(self, what):
        self.samples[what].add(self.client.run(1, [self.target], 1))
        time.sleep(PAUSE_S)

    def ask_for(self, seconds):
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            self.ask("usual")

    def ask_during(self, storm):
        """From before the storm to its end; returns the storm's own result."""
        results = []
        thread = threading.Thread(target=lambda: results.append(storm()))
        thread.start()
        while thread.is_alive():
            self.ask("storm")
        thread.join()
        return results[0]

    def summary(self):
        return {what: sample.summary() for what, sample in self.samples.items()}


class Storm:
    """Of all sites of a competitor but the last, which is the neighbour."""

    def __init__(self, competitor, sites, stack):
        self.competitor = competitor
        self.indices = list(range(sites))
        self.client = visitors(stack)
        self.neighbour = Neighbour(competitor.target(sites), visitors(stack))
        self.seconds = []
        self.sample = measure.Sample()

    def run(self):
        """Calm for as long as the storm before it took, and half a second; then the storm."""
        self.neighbour.ask_for(0.5 + (self.seconds[-1] if self.seconds else 0))
        targets = self.competitor.targets(self.indices)
        started = time.monotonic()
        result = self.neighbour.ask_during(lambda: self.client.run(len(targets), targets))
        self.seconds.append(time.monotonic() - started)
        self.sample.add(result)
        self.competitor.cool(self.indices)
        time.sleep(REST_S)

    def summary(self):
        return {"seconds": round(statistics.median(self.seconds), 4), "wakes": self.sample.summary(),
                "neighbour": self.neighbour.summary()}


def table(results):
    lines = [f"{results['sites']} cold sites at once ({results['program']}), {results['rounds']} rounds; milliseconds", "",
             f"| | all awake after | first byte p50 (p99) | neighbour ({results['neighbour']}) before p50 (p99) | meanwhile |",
             "|---|---|---|---|---|"]

    def pair(sample):
        return f"{sample['p50_us'] / 1000:.3g} ({sample['p99_us'] / 1000:.3g})"
    for name, one in results["storms"].items():
        lines.append(f"| {name} | {one['seconds'] * 1000:.0f} | {pair(one['wakes'])} | "
                     f"{' | '.join(pair(one['neighbour'][what]) for what in ('usual', 'storm'))} |")
    torpor, floor = results["storms"]["torpor"], results["storms"]["floor"]

    def more(storm):
        """Of a competitor's neighbour: how much more its p99 is."""
        return f"{storm['neighbour']['storm']['p99_us'] / storm['neighbour']['usual']['p99_us']:.2f}x"
    lines += ["", f"all awake, against the floor: {torpor['seconds'] / floor['seconds']:.2f}x",
              f"the neighbour's p99, against before: {more(torpor)} (beside the floor: {more(floor)})",
              f"lost: {sum(torpor['wakes']['errors'].values())} of {torpor['wakes']['count']}; of the neighbour's: "
              f"{sum(sum(sample['errors'].values()) for sample in torpor['neighbour'].values())}",
              f"starts at a time: {results['max_starting']}"]
    return "\n".join(lines)


def main():
    parser = argparse.ArgumentParser(usage=__doc__)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--program", choices=PROGRAMS, default="static")
    parser.add_argument("--sites", metavar="N", type=int)
    parser.add_argument("--neighbour", choices=PROGRAMS, default="static")
    parser.add_argument("--json", metavar="FILE", type=pathlib.Path)
    arguments = parser.parse_args()
    scale = QUICK if arguments.quick else FULL
    usual, *command = PROGRAMS[arguments.program]
    sites = arguments.sites or usual
    with contextlib.ExitStack() as stack:
        storms = {}
        for number, kind in enumerate((Site, Beside)):
            competitor = kind(number, sites + 1)
            competitor.command, competitor.neighbour = command, PROGRAMS[arguments.neighbour][1:]
            stack.callback(competitor.close)
            competitor.start()
            storms[kind.name] = Storm(competitor, sites, stack)
            storms[kind.name].neighbour.ask("usual")
        for _ in range(scale["rounds"]):
            for storm in random.sample(list(storms.values()), len(storms)):
                storm.run()
        results = {"machine": measure.machine(BUILD), **scale, "program": arguments.program, "sites": sites,
                   "neighbour": arguments.neighbour,
                   "max_starting": storms["torpor"].competitor.instance.host()["max_starting"],
                   "storms": {name: storm.summary() for name, storm in storms.items()}}
    if arguments.json:
        arguments.json.write_text(json.dumps(results, indent=1) + "\n")
    print(table(results))


if __name__ == "__main__":
    main()
