# SPDX-License-Identifier: LGPL-2.1-or-later
"""What is measured, and of which process."""
import json
import os
import pathlib
import platform
import subprocess
import time

TICKS = os.sysconf("SC_CLK_TCK")


class WakeClient:
    """tests/helpers/wake-client, kept running: measures from one process, without an interpreter in the way."""

    def __init__(self, helpers, *options):
        self.process = subprocess.Popen([helpers / "wake-client", "--commands", *options], stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE, text=True)

    def run(self, concurrency, targets, count=None):
        """`count` requests (default: one a target), `concurrency` at a time, on the targets in turn."""
        self.process.stdin.write(f"{concurrency} {count or len(targets)} {' '.join(targets)}\n")
        self.process.stdin.flush()
        return json.loads(self.process.stdout.readline())

    def close(self):
        self.process.stdin.close()
        self.process.wait()


class Sample:
    """Latencies of one kind, gathered over many rounds."""

    def __init__(self):
        self.latencies_us = []
        self.errors = {}

    def add(self, result):
        self.latencies_us += result["latencies_us"]
        for kind, count in result["errors"].items():
            if count:
                self.errors[kind] = self.errors.get(kind, 0) + count

    def summary(self):
        ordered = sorted(self.latencies_us)

        def rank(percent):
            """The nearest rank: a latency that was measured."""
            return round(ordered[max(0, -(-len(ordered) * percent // 100) - 1)], 1) if ordered else None

        return {"count": len(ordered), "p50_us": rank(50), "p90_us": rank(90), "p99_us": rank(99),
                "max_us": rank(100), "errors": self.errors}


def memory(pid):
    """Resident and proportional bytes of a process."""
    fields = {}
    for line in pathlib.Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()[1:]:
        name, _, value = line.partition(":")
        fields[name] = int(value.split()[0]) * 1024
    return {"rss_bytes": fields["Rss"], "pss_bytes": fields["Pss"],
            "private_dirty_bytes": fields["Private_Dirty"]}


def cpu(pid):
    """CPU time and context switches since the start, by thread."""
    threads = {}
    for task in pathlib.Path(f"/proc/{pid}/task").iterdir():
        fields = (task / "stat").read_text().rpartition(")")[2].split()
        switches = {line.split(":")[0]: int(line.split()[1])
                    for line in (task / "status").read_text().splitlines() if "ctxt_switches" in line}
        threads[task.name] = {
            "name": (task / "comm").read_text().strip(),
            "ticks": int(fields[11]) + int(fields[12]),
            "run_ns": int((task / "schedstat").read_text().split()[0]),
            "voluntary": switches["voluntary_ctxt_switches"],
            "involuntary": switches["nonvoluntary_ctxt_switches"]}
    return threads


def cpu_over(pid, seconds):
    """What a process used in a time in which nothing happened to it."""
    before = cpu(pid)
    time.sleep(seconds)
    after = cpu(pid)
    nothing = {"ticks": 0, "run_ns": 0, "voluntary": 0, "involuntary": 0}
    threads = [{"name": now["name"], **{key: now[key] - before.get(thread, nothing)[key] for key in nothing}}
               for thread, now in after.items()]
    return {"seconds": seconds,
            "cpu_ms": sum(thread["ticks"] for thread in threads) * 1000 / TICKS,
            "run_ns": sum(thread["run_ns"] for thread in threads),
            "voluntary_switches": sum(thread["voluntary"] for thread in threads),
            "threads": threads}


def count_listening(ip):
    """TCP sockets that listen on an address, as the kernel sees it."""
    local = "".join(f"{int(part):02X}" for part in reversed(ip.split("."))) + ":"
    with open("/proc/net/tcp", encoding="ascii") as table:
        return sum(fields[1].startswith(local) and fields[3] == "0A"
                   for fields in (line.split(None, 4) for line in table))


def wait_listening(ip, count, timeout=60.0):
    """Waits until `count` sockets listen on ip; returns how many did when it gave up."""
    deadline = time.monotonic() + timeout
    while (found := count_listening(ip)) < count and time.monotonic() < deadline:
        time.sleep(0.005)
    return found


def machine(build):
    """The facts without which a figure says nothing."""
    cpu_model = next((line.partition(":")[2].strip() for line in open("/proc/cpuinfo", encoding="utf-8")
                      if line.startswith("model name")), platform.machine())
    total_kb = int(open("/proc/meminfo", encoding="ascii").readline().split()[1])
    facts = {"date": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()), "kernel": platform.release(),
             "machine": platform.machine(), "cpus": os.cpu_count(), "cpu_model": cpu_model,
             "memory_bytes": total_kb * 1024, "system": _system()}
    options = build / "meson-info/intro-buildoptions.json"
    if options.exists():
        values = {option["name"]: option["value"] for option in json.loads(options.read_text())}
        facts["build"] = {name: values.get(name) for name in ("buildtype", "optimization", "b_sanitize")}
    return facts


def _system():
    for line in open("/etc/os-release", encoding="utf-8"):
        if line.startswith("PRETTY_NAME="):
            return line.partition("=")[2].strip().strip('"')
    return platform.system()
