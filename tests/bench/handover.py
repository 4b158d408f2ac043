#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""What handover by bind(2) costs: requests per second against the same server run bare, the time that it adds to a cold
wake, and what a site that never leaves off binding does to another's wakes. All side by side in one run; judges nothing.

    handover.py [--rounds N] [--seconds N] [--json FILE]        TORPOR_BUILD is the build directory
"""
import argparse
import contextlib
import json
import os
import pathlib
import re
import shlex
import statistics
import subprocess
import sys
import tempfile
import time

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "system"))

import measure  # noqa: E402
from competitors import loopback  # noqa: E402
from harness import BUILD, HELPERS, TORPORD, Instance, connect, wait_until  # noqa: E402

PAUSE_S = 0.005  # before a wake, so that what the one before set in motion is over
TINY = "/helpers/static-server"
NGINX = """
daemon off; worker_processes 1; pid {folder}/pid; error_log /dev/null;
events {{ worker_connections 512; }}
http {{ access_log off; client_body_temp_path {folder}/b; proxy_temp_path {folder}/p; fastcgi_temp_path {folder}/f;
uwsgi_temp_path {folder}/u; scgi_temp_path {folder}/s;
server {{ listen {address}; location / {{ return 200 "hello\\n"; }} }} }}
"""


def say(text):
    print(f"[{time.monotonic() - STARTED:6.1f} s] {text}", file=sys.stderr, flush=True)


def unit(address, command, **container):
    lines = "".join(f"{key}={value}\n" for key, value in container.items())
    return (f"[Socket]\nListenStream={address}\n[Container]\nExecStart={command}\nBindReadOnlyPaths={HELPERS}:/helpers\n"
            f"StandardOutput=null\n{lines}[Hibernate]\nFreezeAfterSec=infinity\nStopAfterSec=infinity\n")


def torpor(stack, units):
    """A torpord with sites of these names and texts."""
    instance = Instance()
    stack.callback(instance.destroy)
    for name, text in units.items():
        (instance.etc / "sites" / f"{name}.site").write_text(text)
    instance.start()
    stack.callback(instance.terminate)
    return instance


# Requests a second.

def nginx_load(address, seconds):
    out = subprocess.run(["wrk", "-t1", "-c16", f"-d{seconds}s", f"http://{address}/"], check=True, capture_output=True,
                         text=True).stdout
    return float(re.search(r"Requests/sec:\s+([\d.]+)", out)[1])


def redis_load(address, seconds):
    host, port = address.split(":")
    out = subprocess.run(["redis-benchmark", "-h", host, "-p", port, "-t", "get", "-n", str(60000 * seconds), "-c", "16",
                          "--csv"], check=True, capture_output=True, text=True).stdout
    return float(out.splitlines()[-1].split(",")[1].strip('"'))


def nginx(address, folder):
    path = folder / "nginx.conf"
    path.write_text(NGINX.format(folder=folder, address=address))
    return ["/usr/sbin/nginx", "-c", str(path), "-e", "/dev/null"]


def redis(address, folder):
    host, port = address.split(":")
    return ["/usr/bin/redis-server", "--bind", host, "--port", port, "--save", "", "--dir", str(folder)]


def requests(stack, server, load, rounds, seconds):
    """The same command line bare and as a site, each with folders of its own, in turns."""
    rates = {"bare": [], "torpor": []}
    addresses = {"bare": f"{loopback(0)}:8080", "torpor": f"{loopback(1)}:8080"}
    folders = {who: pathlib.Path(stack.enter_context(tempfile.TemporaryDirectory())) for who in rates}
    for folder in folders.values():
        folder.chmod(0o777)
    commands = {who: server(addresses[who], folders[who]) for who in rates}
    bare = subprocess.Popen(commands["bare"], user="nobody", group="nogroup", stdin=subprocess.DEVNULL,
                            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    stack.callback(bare.wait)
    stack.callback(bare.terminate)
    instance = torpor(stack, {"a": unit(addresses["torpor"], shlex.join(commands["torpor"]).replace("%", "%%"),
                                        Handover="bind", BindPaths=folders["torpor"])})

    def answers(address):
        with contextlib.suppress(OSError), connect(address):
            return True
        return False
    wait_until(lambda: answers(addresses["bare"]), "the bare server")
    load(addresses["torpor"], 1)
    if instance.status("a")["listeners"][0].get("taken") != "bound":
        raise RuntimeError(f"not handed over by bind: {instance.status('a')['listeners']}")
    for _ in range(rounds):
        for who in rates:
            rates[who].append(load(addresses[who], seconds))
    return {"server": pathlib.Path(commands["bare"][0]).name, **rates,
            "ratio": statistics.median(rates["torpor"]) / statistics.median(rates["bare"])}


# Cold wakes.

class Waker:
    def __init__(self, instance, client):
        self.instance, self.client = instance, client

    def wake(self, site, address):
        time.sleep(PAUSE_S)
        result = self.client.run(1, [address])
        self.instance.wait_state(site, "awake")
        self.instance.call("Stop", site=site)
        return result["latencies_us"][0]


def added(stack, rounds):
    """One program, that inherits its listener or binds it."""
    addresses = {name: f"{loopback(2)}:{port}" for name, port in (("listen-fds", 8081), ("auto", 8082), ("bind", 8083))}
    instance = torpor(stack, {
        name: unit(address, f"{TINY} --listen={address}" if name == "bind" else TINY, Handover=name)
        for name, address in addresses.items()})
    client = measure.WakeClient(HELPERS)
    stack.callback(client.close)
    waker, samples = Waker(instance, client), {name: [] for name in addresses}
    for _ in range(rounds):
        for name, address in addresses.items():
            samples[name].append(waker.wake(name, address))
    return {name: statistics.median(values) for name, values in samples.items()}


def loops(stack, rounds):
    """Another site's wakes: alone, beside a program that only computes, beside one that binds for ever."""
    other, busy, hog = (f"{loopback(3)}:{port}" for port in (8084, 8085, 8086))
    instance = torpor(stack, {
        "other": unit(other, TINY),
        "binds": unit(busy, "/helpers/binder loop=1000000000,127.0.0.1:9009", Handover="bind"),
        "computes": unit(hog, "/bin/sh -c 'while :; do :; done'")})
    client = measure.WakeClient(HELPERS)
    stack.callback(client.close)
    waker, samples = Waker(instance, client), {"alone": [], "computes": [], "binds": []}
    for _ in range(rounds // 10):
        for beside, values in samples.items():
            if beside != "alone":
                instance.call("Wake", site=beside)
            values += [waker.wake("other", other) for _ in range(10)]
            if beside != "alone":
                instance.call("Stop", site=beside)
    return {beside: statistics.median(values) for beside, values in samples.items()}


def table(results):
    machine, wake, beside = results["machine"], results["cold_wake_us"], results["beside_us"]
    lines = [f"{machine['cpus']} CPUs ({machine['cpu_model']}), Linux {machine['kernel']}, {machine['system']}, "
             f"{machine['date']}", ""]
    for row in results["requests"]:
        lines.append(f"{row['server']}, requests a second: {statistics.median(row['torpor']):,.0f} by bind, "
                     f"{statistics.median(row['bare']):,.0f} bare: {row['ratio']:.3f} (medians of {len(row['bare'])})")
    lines.append(f"cold wake, p50: {wake['listen-fds']:,.0f} us inherited, {wake['auto']:,.0f} us inherited with auto, "
                 f"{wake['bind']:,.0f} us by bind: {wake['bind'] - wake['listen-fds']:+,.0f} us")
    lines.append(f"another site's cold wake, p50: {beside['alone']:,.0f} us alone, {beside['computes']:,.0f} us beside a "
                 f"program that computes, {beside['binds']:,.0f} us beside one that binds: "
                 f"{beside['binds'] / beside['alone']:.2f} times alone")
    return "\n".join(lines)


def main():
    parser = argparse.ArgumentParser(description="Measures what handover by bind(2) costs.")
    parser.add_argument("--rounds", type=int, default=200, help="cold wakes of each kind (default: 200)")
    parser.add_argument("--seconds", type=int, default=2, help="of load in a round of requests, of 10 (default: 2)")
    parser.add_argument("--json", type=pathlib.Path, metavar="FILE",
                        help="where the results go (default: tests/bench/results/handover-DATE.json)")
    options = parser.parse_args()
    if os.geteuid() != 0 or not TORPORD.exists():
        parser.error(f"needs root and {TORPORD}")
    results = {"machine": measure.machine(BUILD), "requests": []}
    for server, load in ((nginx, nginx_load), (redis, redis_load)):
        say(f"requests to {server.__name__}")
        with contextlib.ExitStack() as stack:
            results["requests"].append(requests(stack, server, load, 10, options.seconds))
    for name, function in (("cold_wake_us", added), ("beside_us", loops)):
        say(name)
        with contextlib.ExitStack() as stack:
            results[name] = function(stack, options.rounds)
    path = options.json or HERE / "results" / f"handover-{results['machine']['date'].replace(':', '')}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(results, indent=1) + "\n")
    print(table(results))
    print(f"\nresults: {path}")
    return 0


STARTED = time.monotonic()
if __name__ == "__main__":
    sys.exit(main())
