# SPDX-License-Identifier: LGPL-2.1-or-later
"""Sites that take all that they can get of one thing, and what their neighbours have of it."""
import contextlib
import os
import pathlib
import re
import subprocess
import sys
import time

import measure
from harness import HELPERS

# What a site of a hosting has, on a machine of two processors.
LIMITS = {"CPUWeight": "100", "CPUQuota": "100%", "MemoryMax": "64M", "MemorySwapMax": "192M", "TasksMax": "64", "IOWeight": "100",
          "IOReadBandwidthMax": "/var 8M", "IOWriteBandwidthMax": "/var 8M"}
RECLAIM_BYTES = 160 << 20
FOLDER = pathlib.Path("/var/torpor-hog")
VISITORS = 2000
WARM_A_WAKE = 12  # requests to the neighbour that is awake, for each wake of the other
PAUSE_S = 0.004   # between two of them
SETTLE_S = 0.7    # until a hog has all that it gets, and until its end is forgotten

# Visitors who hold their connections, and now and then send a byte of a request that never ends.
DRIP = """\
import socket, sys, time
address, count = sys.argv[1], int(sys.argv[2])
host, port = address.rsplit(":", 1)
held = [socket.create_connection((host, int(port))) for _ in range(count)]
print("held", flush=True)
while True:
    for visitor in held[::20]:
        visitor.send(b"x")
    time.sleep(0.2)
"""


class Kind:
    """command: of tests/helpers, none for a server. here: it needs no controller to be seen. logs: its output goes
    somewhere. path: what the neighbour is asked for. without: a limit that it does not have."""

    def __init__(self, command="", here=False, logs=False, path="/", without=None, **sections):
        self.command, self.here, self.logs, self.path, self.sections = command, here, logs, path, sections
        self.without = without

    def start(self, hogging):
        hogging.torpor.call("Wake", site="hog")

    def stop(self, hogging):
        hogging.torpor.call("Stop", site="hog")


class Visited(Kind):
    """Many visitors, who hold their connections."""

    def start(self, hogging):
        self.process = subprocess.Popen([sys.executable, "-c", DRIP, hogging.hog, str(VISITORS)], stdout=subprocess.PIPE)
        assert self.process.stdout.readline() == b"held\n"

    def stop(self, hogging):
        self.process.kill()
        self.process.communicate()
        super().stop(hogging)


KINDS = {
    "cpu": Kind("hog cpu"),
    "cpu-by-weight": Kind("hog cpu", without="CPUQuota"),
    "memory": Kind(f"hog reclaim {RECLAIM_BYTES}"),
    "disk": Kind("hog disk /data", path="/disk?path=/usr/bin/env", container={"BindPaths": f"{FOLDER}:/data"}),
    "processes": Kind("hog fork"),
    "log": Kind("hog log", here=True, logs=True),
    "inotify": Kind("hog inotify /tmp", here=True),
    "notify": Kind("hog notify", here=True, container={"NotifyAccess": "all"}),
    "bind": Kind("hostile-binder ADDRESS storm=4", here=True, container={"Handover": "bind", "TimeoutStopSec": "1s"}),
    "connections": Visited(here=True, container={"LimitNOFILE": "8192"}),
}
HERE_TOO = [name for name, kind in KINDS.items() if kind.here]


def rss_kib(pid):
    return int(re.search(r"VmRSS:\s+(\d+)", pathlib.Path(f"/proc/{pid}/status").read_text())[1])


class Hogging:
    """One kind of hog on a torpord. limits: of all sites; None on a host without controllers."""

    def __init__(self, torpor, kind, limits):
        self.torpor, self.kind, self.limits = torpor, KINDS[kind], limits
        self.hog, self.warm, self.cold = (torpor.address() for _ in range(3))
        self.samples = {when: {what: measure.Sample() for what in ("warm", "wake")} for when in ("calm", "hog")}

    def add_sites(self, stack):
        """The hog; a neighbour that is awake; and one that is cold."""
        sections = {name: dict(values) for name, values in self.kind.sections.items()}
        if self.kind.logs:
            sections["container"] = {"StandardOutput": self.log_target(stack)}
        limits = {"resources": self.limits} if self.limits else {}
        if self.limits:
            sections["resources"] = {key: value for key, value in self.limits.items() if key != self.kind.without}
        command = f"/helpers/{self.kind.command.replace('ADDRESS', self.hog)}" if self.kind.command else None
        self.torpor.add_site("hog", self.hog, template="static", exec_start=command, **sections)
        self.torpor.add_site("warm", self.warm, template="probe", **limits)
        self.torpor.add_site("cold", self.cold, template="static", **limits)
        for name in ("hog", "warm", "cold"):
            self.torpor.wait_site(name)

    def log_target(self, stack):
        """The journal; where there is none, somebody who reads and forgets."""
        if self.limits:
            return "journal"
        path = self.torpor.directory / "log.pipe"
        os.mkfifo(path)
        reader = subprocess.Popen(["/bin/sh", "-c", f"exec cat <>{path} >/dev/null"])
        stack.callback(reader.wait)
        stack.callback(reader.kill)
        return f"file:{path}"

    def measure(self, when, seconds):
        """Asks the neighbours for a while; returns the largest that torpord was meanwhile."""
        samples, end, peak_kib = self.samples[when], time.monotonic() + seconds, 0
        while time.monotonic() < end:
            for _ in range(WARM_A_WAKE):
                samples["warm"].add(self.asker.run(1, [self.warm], 1))
                time.sleep(PAUSE_S)
            samples["wake"].add(self.waker.run(1, [self.cold], 1))
            self.torpor.wait_state("cold", "awake")
            self.torpor.call("Stop", site="cold")
            peak_kib = max(peak_kib, rss_kib(self.torpor.pid))
        return peak_kib

    def run(self, rounds, seconds):
        """What was found, as JSON has it."""
        rss = {"before": 0, "meanwhile": 0, "after": 0}
        with contextlib.ExitStack() as stack:
            self.add_sites(stack)
            self.asker = measure.WakeClient(HELPERS, f"--path={self.kind.path}")
            self.waker = measure.WakeClient(HELPERS)
            stack.callback(self.asker.close)
            stack.callback(self.waker.close)
            self.torpor.visit("warm", self.warm)
            self.measure("calm", seconds / 2)
            self.samples["calm"] = {what: measure.Sample() for what in self.samples["calm"]}
            rss["before"] = rss_kib(self.torpor.pid)
            for _ in range(rounds):
                self.measure("calm", seconds)
                self.kind.start(self)
                time.sleep(SETTLE_S)
                rss["meanwhile"] = max(rss["meanwhile"], self.measure("hog", seconds))
                self.kind.stop(self)
                time.sleep(SETTLE_S)
            rss["after"] = rss_kib(self.torpor.pid)
        return {"rss_kib": rss, **{when: {what: sample.summary() for what, sample in samples.items()}
                                   for when, samples in self.samples.items()}}
