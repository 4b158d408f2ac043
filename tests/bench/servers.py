#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""What the servers of the shipped templates cost to wake, as the table of the README; and how many first requests are
lost over many cold wakes with eight clients at a time. Judges nothing.

    servers.py [--rounds N] [--wakes N] [--json FILE] [TEMPLATE...]     TORPOR_BUILD is the build directory
"""
import argparse
import contextlib
import json
import os
import pathlib
import sys
import time

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "system"))

import cgroups  # noqa: E402
import measure  # noqa: E402
from databases import DATABASES  # noqa: E402
from harness import BUILD, HELPERS, TORPORD, Instance, VarlinkError, wait_until  # noqa: E402
from servers import WEB, PythonHttp, Static, add_site, install_templates  # noqa: E402

SITE = "shop.example.com"
CLIENTS = 8
PAUSE_S = 0.005     # before a wake, so that what the one before set in motion is over
LOST = (Static, PythonHttp)  # one that inherits its listener, and one that binds it


def say(text):
    print(f"[{time.monotonic() - STARTED:6.1f} s] {text}", file=sys.stderr, flush=True)


class Site:
    """A site of a kind on a torpord of its own."""

    def __init__(self, kind, stack):
        self.kind = kind
        self.instance = Instance()
        stack.callback(self.instance.destroy)
        install_templates(self.instance)
        self.address = add_site(self.instance, self.instance.directory / "www", kind, SITE,
                                container={"StandardOutput": "null"})
        self.instance.start()
        stack.callback(self.instance.terminate)
        self.control = stack.enter_context(self.instance.connection())
        self.ask()  # from here on its files are in memory

    def ask(self):
        started = time.perf_counter()
        self.kind.first_answer(self.address, SITE)
        return (time.perf_counter() - started) * 1e6

    def settle(self):
        """Waits until the site is awake in the daemon's books too."""
        self.instance.wait_state(SITE, "awake")

    def stop(self):
        self.settle()
        self.control.call("Stop", site=SITE)
        time.sleep(PAUSE_S)

    def freeze(self):
        def frozen():
            try:
                return self.control.call("Freeze", site=SITE)["state"] == "frozen"
            except VarlinkError:  # it has not quite ended its answer
                return False
        self.settle()
        wait_until(frozen, f"{self.kind.template} to freeze")
        time.sleep(PAUSE_S)

    def memory(self):
        """Of all its processes, each shared page by its share. A worker of the servers' may end meanwhile."""
        self.settle()
        total = 0
        for pid in cgroups.processes(self.instance.cgroup_of(SITE)):
            with contextlib.suppress(FileNotFoundError, ProcessLookupError):
                total += measure.memory(pid)["pss_bytes"]
        return total


def cost(kind, rounds):
    with contextlib.ExitStack() as stack:
        site = Site(kind, stack)
        latencies = {"cold": [], "frozen": [], "warm": []}
        for _ in range(rounds):
            site.stop()
            latencies["cold"].append(site.ask())
            site.freeze()
            latencies["frozen"].append(site.ask())
            latencies["warm"].append(site.ask())
        row = {"server": kind.server, "template": kind.template, "handover": kind.handover,
               "memory_bytes": site.memory()}
        for what, values in latencies.items():
            sample = measure.Sample()
            sample.add({"latencies_us": values, "errors": {}})
            row[what] = sample.summary()
    return row


def lost(kind, wakes):
    """Every wake is a new container: the site is stopped before it."""
    client, counts = measure.WakeClient(HELPERS), {"requests": 0, "failed": 0, "errors": {}}
    with contextlib.ExitStack() as stack:
        stack.callback(client.close)
        site = Site(kind, stack)
        before = site.instance.status(SITE)["wakes"]
        for _ in range(wakes):
            site.stop()
            result = client.run(CLIENTS, [site.address], CLIENTS)
            counts["requests"] += result["count"]
            counts["failed"] += result["failed"]
            for error, count in result["errors"].items():
                counts["errors"][error] = counts["errors"].get(error, 0) + count
        site.settle()
        wakes = site.instance.status(SITE)["wakes"] - before
    return {"server": kind.server, "wakes": wakes, "clients": CLIENTS, **counts}


def ms(value_us):
    return f"{value_us / 1000:.2f}" if value_us < 10000 else f"{value_us / 1000:.0f}"


def table(results):
    machine = results["machine"]
    lines = [f"{machine['cpus']} CPUs ({machine['cpu_model']}), Linux {machine['kernel']}, {machine['system']}, "
             f"{machine['date']}", f"milliseconds to the first answer, p50 (p90) of {results['rounds']}", "",
             "| server | template | handover | from cold | from frozen | warm | memory awake |",
             "|---|---|---|---|---|---|---|"]
    for row in results["costs"]:
        handover = "bind(2)" if row["handover"] == "bind" else "`LISTEN_FDS`"
        times = " | ".join(f"{ms(row[what]['p50_us'])} ({ms(row[what]['p90_us'])})"
                           for what in ("cold", "frozen", "warm"))
        lines.append(f"| {row['server']} | `{row['template']}` | {handover} | {times} | "
                     f"{row['memory_bytes'] / 2**20:.0f} MiB |")
    lines.append("")
    for row in results["lost"]:
        kinds = ", ".join(f"{count} {kind}" for kind, count in row["errors"].items() if count)
        lines.append(f"first requests lost over {row['wakes']:,} cold wakes of a real server ({row['server']}), "
                     f"{row['clients']} clients at a time: {row['failed']} of {row['requests']:,}"
                     f"{' (' + kinds + ')' if kinds else ''}")
    return "\n".join(lines)


def main():
    kinds = {kind.template: kind for kind in WEB + DATABASES}
    parser = argparse.ArgumentParser(description="Measures the servers of the shipped templates.")
    parser.add_argument("--rounds", type=int, default=20, help="wakes of each kind (default: 20)")
    parser.add_argument("--wakes", type=int, default=1000, help="cold wakes to lose requests at (default: 1000; 0: none)")
    parser.add_argument("--json", type=pathlib.Path, metavar="FILE",
                        help="where the results go (default: tests/bench/results/servers-DATE.json)")
    parser.add_argument("templates", nargs="*", metavar="TEMPLATE", help=f"of {' '.join(kinds)} (default: all)")
    options = parser.parse_args()
    unknown = set(options.templates) - set(kinds)
    if unknown or os.geteuid() != 0 or not TORPORD.exists():
        parser.error(f"no such template: {' '.join(unknown)}" if unknown else f"needs root and {TORPORD}")
    results = {"machine": measure.machine(BUILD), "rounds": options.rounds, "costs": [], "lost": []}
    for template in options.templates or kinds:
        say(template)
        results["costs"].append(cost(kinds[template], options.rounds))
    for kind in LOST if options.wakes else ():
        say(f"{options.wakes} cold wakes of {kind.server}")
        results["lost"].append(lost(kind(), options.wakes))
    path = options.json or HERE / "results" / f"servers-{results['machine']['date'].replace(':', '')}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(results, indent=1) + "\n")
    print(table(results))
    print(f"\nresults: {path}")
    return 0


STARTED = time.monotonic()
if __name__ == "__main__":
    sys.exit(main())
