#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""What a site that sleeps costs on each rung: real Python sites, woken, frozen, paged out to a swap of compressed memory
that is made for this and taken away again, and asked once more. Some of them are paged out and asked again and again, one
half with Prefetch=yes. It judges nothing.

    ladder.py [--quick] [--sites=N] [--json FILE]        TORPOR_BUILD is the build directory (default: build)
"""
import argparse
import json
import pathlib
import sys
import time

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "system"))

import measure  # noqa: E402
from harness import BUILD, HELPERS, Instance, VarlinkError, http_get, wait_until  # noqa: E402
from swap import swap  # noqa: E402

APPS = HERE.parent / "apps"
BATCH = 20         # sites that are awake at a time
AGAIN, ROUNDS = 60, 4  # sites that are paged out so many times more
FIRST_PORT = 20000
SWAP_A_SITE_MB = 40
TEMPLATE = f"""\
[Container]
ExecStart=/usr/bin/python3 /apps/listen.py
BindReadOnlyPaths={APPS}:/apps
Environment=PYTHONDONTWRITEBYTECODE=1
StandardOutput=null
StandardError=inherit
[Hibernate]
FreezeAfterSec=infinity
StopAfterSec=infinity
"""


def say(text):
    print(f"[{time.monotonic() - STARTED:6.1f} s] {text}", file=sys.stderr, flush=True)


class Box:
    def __init__(self, sites):
        self.instance = Instance()
        self.instance.write_template("python", TEMPLATE)
        self.names = [f"site{index:04}" for index in range(sites)]
        self.targets = {name: f"{self.instance.ip}:{FIRST_PORT + index}" for index, name in enumerate(self.names)}
        for name, target in self.targets.items():
            self.instance.write_site(name, f"[Site]\nTemplate=python\n[Socket]\nListenStream={target}\n"
                                           f"[Hibernate]\nPrefetch={self.prefetch(name)}\n")
        self.instance.start()
        self.control = self.instance.connection(timeout=600)
        self.client = measure.WakeClient(HELPERS)
        self.samples = {}
        self.memory = {}

    @staticmethod
    def prefetch(name):
        return "yes" if int(name[-1]) % 2 else "no"

    def count(self, name):
        return json.loads(http_get(self.targets[name]).text)["count"]

    def note(self, rung, names):
        for name in names:
            pid = self.control.call("GetStatus", site=name)["status"]["pid"]
            self.memory.setdefault(rung, []).append(measure.memory(pid))

    def down(self, method, name, state):
        """What has just answered may not be frozen yet: it is asked again."""
        def there():
            try:
                return self.control.call(method, site=name)["state"] == state
            except VarlinkError as error:
                if error.name != "NotPossible" or error.parameters["state"] != "awake":
                    raise
                return False
        wait_until(there, f"{name} to be {state}")

    def ask(self, what, names):
        for name in names:
            self.samples.setdefault(what, measure.Sample()).add(self.client.run(1, [self.targets[name]], 1))

    def put_to_sleep(self, names):
        self.ask("from cold", names)
        self.ask("awake", names)
        self.note("awake", names)
        for name in names:
            self.down("Freeze", name, "frozen")
        self.ask("from frozen", names)
        for name in names:
            self.down("Freeze", name, "frozen")
        self.note("frozen", names)
        started = time.monotonic()
        for name in names:
            self.down("PageOut", name, "paged")
        self.page_out_s = getattr(self, "page_out_s", 0) + time.monotonic() - started
        self.note("paged out", names)

    def again(self, names):
        """What it has used since the first time is known from the second on."""
        for _ in range(ROUNDS):
            for name in names:
                self.down("Freeze", name, "frozen")
            for name in names:
                self.down("PageOut", name, "paged")
            for name in names:
                self.ask(f"from paged out again, Prefetch={self.prefetch(name)}", [name])

    def close(self):
        self.client.close()
        self.control.close()
        try:
            self.instance.stop()
        finally:
            self.instance.destroy()


def mean(rows, key):
    return sum(row[key] for row in rows) / len(rows)


def zram_bytes():
    """What compressed memory holds, and takes for it."""
    stats = [(path / "mm_stat").read_text().split() for path in pathlib.Path("/sys/block").glob("zram*")]
    return max(((int(fields[0]), int(fields[2])) for fields in stats), default=(0, 0))


def run(box):
    for at in range(0, len(box.names), BATCH):
        box.put_to_sleep(box.names[at:at + BATCH])
        say(f"{min(at + BATCH, len(box.names))} sites paged out")
    held, taken = zram_bytes()
    states = box.instance.host()["states"]
    box.ask("from paged out", box.names)
    counts = [box.count(name) for name in box.names]
    host = box.instance.host()
    box.again(box.names[:AGAIN])
    return {"machine": measure.machine(BUILD), "sites": len(box.names), "paged": states["paged"],
            "swap_held_bytes": held, "swap_taken_bytes": taken,
            "page_out_ms": box.page_out_s * 1000 / len(box.names),
            "went_on": sum(count == 5 for count in counts), "wakes": host["wakes"],
            "memory": {rung: {key: mean(rows, key) for key in rows[0]} for rung, rows in box.memory.items()},
            "latencies": {what: sample.summary() for what, sample in box.samples.items()}}


def table(results):
    awake = results["memory"]["awake"]
    lines = [f"{results['sites']} Python sites, {results['paged']} of them paged out at a time", "",
             "| a site | resident, its share (PSS) | against awake | with all that others have mapped too (RSS) |",
             "|---|---|---|---|"]
    for rung, row in results["memory"].items():
        lines.append(f"| {rung} | {row['pss_bytes'] / 2**20:.2f} MiB | {row['pss_bytes'] / awake['pss_bytes']:.3f} | "
                     f"{row['rss_bytes'] / 2**20:.2f} MiB |")
    lines += ["", "| to the first byte | p50 ms | p99 ms | lost |", "|---|---|---|---|"]
    for what, row in results["latencies"].items():
        lines.append(f"| {what} | {row['p50_us'] / 1000:.2f} | {row['p99_us'] / 1000:.2f} | "
                     f"{sum(row['errors'].values())} of {row['count']} |")
    lines += ["", f"paging one out: {results['page_out_ms']:.1f} ms; compressed memory a site: "
                  f"{results['swap_taken_bytes'] / results['sites'] / 2**20:.2f} MiB for "
                  f"{results['swap_held_bytes'] / results['sites'] / 2**20:.2f}",
              f"went on where they were: {results['went_on']} of {results['sites']}; starts: {results['wakes']}"]
    return "\n".join(lines)


def main():
    parser = argparse.ArgumentParser(usage=__doc__)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--sites", type=int)
    parser.add_argument("--json", metavar="FILE", type=pathlib.Path)
    arguments = parser.parse_args()
    sites = arguments.sites or (50 if arguments.quick else 1000)
    with swap(sites * SWAP_A_SITE_MB) as there:
        if not there:
            sys.exit("this kernel has no zram to make a swap of")
        box = Box(sites)
        try:
            results = run(box)
            if arguments.json:
                arguments.json.write_text(json.dumps(results, indent=1) + "\n")
            print(table(results), flush=True)
        finally:
            box.close()


if __name__ == "__main__":
    STARTED = time.monotonic()
    main()
