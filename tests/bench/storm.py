#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Wakes many cold sites at once, torpor beside the floor, and asks a neighbour that is awake all the while. It judges
nothing.

    storm.py [--quick] [--json FILE]        TORPOR_BUILD is the build directory (default: build)
"""
import argparse
import contextlib
import json
import pathlib
import random
import statistics
import sys
import threading
import time

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "system"))

import measure  # noqa: E402
from competitors import Floor, Torpor  # noqa: E402
from harness import BUILD, HELPERS  # noqa: E402

SITES = 500
PAUSE_S = 0.002  # between two questions to the neighbour
REST_S = 0.3     # the kernel takes the containers of the round before apart
FULL, QUICK = {"rounds": 20}, {"rounds": 3}


class Neighbour:
    """One that is awake, asked again and again from another process than the storm's."""

    def __init__(self, target):
        self.target = target
        self.client = measure.WakeClient(HELPERS)
        self.samples = {"usual": measure.Sample(), "storm": measure.Sample()}

    def ask(self, what):
        self.samples[what].add(self.client.run(1, [self.target], 1))
        time.sleep(PAUSE_S)

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
    def __init__(self, competitor, stack):
        self.competitor = competitor
        self.indices = list(range(SITES))
        self.client = measure.WakeClient(HELPERS)
        self.neighbour = Neighbour(competitor.target(SITES))
        stack.callback(self.client.close)
        stack.callback(self.neighbour.client.close)
        self.seconds = []
        self.sample = measure.Sample()

    def run(self):
        """Calm for as long as the storm before it took, and half a second; then the storm."""
        until = time.monotonic() + 0.5 + (self.seconds[-1] if self.seconds else 0)
        while time.monotonic() < until:
            self.neighbour.ask("usual")
        targets = self.competitor.targets(self.indices)
        started = time.monotonic()
        result = self.neighbour.ask_during(lambda: self.client.run(SITES, targets, SITES))
        self.seconds.append(time.monotonic() - started)
        self.sample.add(result)
        self.competitor.cool(self.indices)
        time.sleep(REST_S)

    def summary(self):
        return {"seconds": round(statistics.median(self.seconds), 4), "wakes": self.sample.summary(),
                "neighbour": self.neighbour.summary()}


def table(results):
    lines = [f"{SITES} cold sites at once, {results['rounds']} rounds; milliseconds", "",
             "| | all awake after | first byte p50 (p99) | neighbour before p50 (p99) | neighbour meanwhile p50 (p99) |",
             "|---|---|---|---|---|"]

    def pair(sample):
        return f"{sample['p50_us'] / 1000:.3g} ({sample['p99_us'] / 1000:.3g})"
    for name, one in results["storms"].items():
        usual, storm = one["neighbour"]["usual"], one["neighbour"]["storm"]
        lines.append(f"| {name} | {one['seconds'] * 1000:.0f} | {pair(one['wakes'])} | {pair(usual)} | {pair(storm)} |")
    torpor, floor = results["storms"]["torpor"], results["storms"]["floor"]
    usual, storm = torpor["neighbour"]["usual"], torpor["neighbour"]["storm"]
    lines += ["", f"all awake, against the floor: {torpor['seconds'] / floor['seconds']:.2f}x",
              f"the neighbour's p99, against before: {storm['p99_us'] / usual['p99_us']:.2f}x "
              f"(beside the floor: {floor['neighbour']['storm']['p99_us'] / floor['neighbour']['usual']['p99_us']:.2f}x)",
              f"lost: {sum(torpor['wakes']['errors'].values())} of {torpor['wakes']['count']}; of the neighbour's: "
              f"{sum(storm['errors'].values()) + sum(usual['errors'].values())}",
              f"starts at a time: {results['max_starting']}"]
    return "\n".join(lines)


def main():
    parser = argparse.ArgumentParser(usage=__doc__)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--json", metavar="FILE", type=pathlib.Path)
    arguments = parser.parse_args()
    scale = QUICK if arguments.quick else FULL
    with contextlib.ExitStack() as stack:
        storms = {}
        for number, kind in enumerate((Torpor, Floor)):
            competitor = kind(number, SITES + 1)
            stack.callback(competitor.close)
            competitor.start()
            storms[kind.name] = Storm(competitor, stack)
            storms[kind.name].neighbour.ask("usual")
        for _ in range(scale["rounds"]):
            for storm in random.sample(list(storms.values()), len(storms)):
                storm.run()
        results = {"machine": measure.machine(BUILD), **scale,
                   "max_starting": storms["torpor"].competitor.instance.host()["max_starting"],
                   "storms": {name: storm.summary() for name, storm in storms.items()}}
    if arguments.json:
        arguments.json.write_text(json.dumps(results, indent=1) + "\n")
    print(table(results))


if __name__ == "__main__":
    main()
