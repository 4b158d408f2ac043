#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Measures the start of a container by torpor beside `runc run` and `crun run` of the same program in the same root,
with the same namespaces and a filter of the same kind, in one run, round by round; and judges nothing. The runtimes are
started by the floor, a bare epoll loop, on the first connection to a listener, which they hand to the program.

    containers.py [--rounds N] [--json FILE]        TORPOR_BUILD is the build directory (default: build)
"""
import argparse
import contextlib
import json
import os
import pathlib
import random
import shutil
import subprocess
import sys
import tempfile
import time

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "system"))

import measure  # noqa: E402
from competitors import FIRST_PORT, Floor, SERVER, Torpor  # noqa: E402
from harness import BUILD, HELPERS, TORPORD  # noqa: E402
from rootfs import make_image  # noqa: E402

SITES = 10
ENDS_S = 30
PAUSE_S = 0.005  # before a start, so that what the one before set in motion is over
PROGRAM = f"/bin/{SERVER.name}"
NAMESPACES = ("pid", "network", "ipc", "uts", "mount", "cgroup", "user")
FIRST_ID, IDS = 1000000, 65536
ALONE = "TORPOR_BENCH_CONTAINERS"  # set: in a mount namespace of its own
HIDDEN = ["/proc/acpi", "/proc/asound", "/proc/interrupts", "/proc/kcore", "/proc/keys", "/proc/latency_stats",
          "/proc/sched_debug", "/proc/scsi", "/proc/timer_list", "/proc/timer_stats", "/sys/firmware"]
READ_ONLY = ["/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"]


def say(text):
    print(f"[{time.monotonic() - STARTED:6.1f} s] {text}", file=sys.stderr, flush=True)


def enter_namespace():
    """Again, where cgroup v2 is alone: the runtimes know no v1 beside an empty v2."""
    if ALONE not in os.environ:
        os.environ[ALONE] = "1"
        os.execvp("unshare", ["unshare", "--mount", "--propagation=private", sys.executable, *sys.argv])
    if not pathlib.Path("/sys/fs/cgroup/cgroup.controllers").exists():
        subprocess.run(["umount", "--recursive", "/sys/fs/cgroup"], check=True)
        subprocess.run(["mount", "-t", "cgroup2", "cgroup2", "/sys/fs/cgroup"], check=True)


def system_calls():
    """Those of systemd's @system-service and what a container's start needs: some three hundred, as others allow."""
    text = subprocess.run(["systemd-analyze", "--no-pager", "syscall-filter"], check=True, capture_output=True,
                          text=True).stdout
    groups, group = {}, None
    for line in text.splitlines():
        if line.startswith("@"):
            group = groups.setdefault(line.strip(), [])
        elif group is not None and line.startswith("    ") and not line.strip().startswith("#"):
            group.append(line.strip())

    def expand(name):
        return {call for item in groups[name] for call in (expand(item) if item.startswith("@") else {item})}

    return sorted(expand("@system-service") | expand("@default"))


def bundle_config():
    return {
        "ociVersion": "1.0.2", "root": {"path": "rootfs", "readonly": True}, "hostname": "bench",
        "process": {"args": [PROGRAM], "cwd": "/", "env": ["PATH=/bin", "LISTEN_FDS=1", "LISTEN_PID=1"], "user": {"uid": 65534, "gid": 65534},
                    "noNewPrivileges": True, "capabilities": {}},
        "mounts": [
            {"destination": "/proc", "type": "proc", "source": "proc"},
            {"destination": "/dev", "type": "tmpfs", "source": "tmpfs", "options": ["nosuid", "mode=755", "size=64k"]},
            {"destination": "/dev/pts", "type": "devpts", "source": "devpts",
             "options": ["nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620"]},
            {"destination": "/dev/shm", "type": "tmpfs", "source": "shm",
             "options": ["nosuid", "noexec", "nodev", "mode=1777", "size=65536k"]},
            {"destination": "/tmp", "type": "tmpfs", "source": "tmpfs", "options": ["nosuid", "nodev", "mode=1777"]},
            {"destination": "/run", "type": "tmpfs", "source": "tmpfs", "options": ["nosuid", "nodev", "mode=755"]}],
        "linux": {
            "namespaces": [{"type": kind} for kind in NAMESPACES],
            "uidMappings": [{"containerID": 0, "hostID": FIRST_ID, "size": IDS}],
            "gidMappings": [{"containerID": 0, "hostID": FIRST_ID, "size": IDS}],
            "maskedPaths": HIDDEN, "readonlyPaths": READ_ONLY,
            "seccomp": {"defaultAction": "SCMP_ACT_ERRNO", "architectures": ["SCMP_ARCH_X86_64"],
                        "syscalls": [{"names": system_calls(), "action": "SCMP_ACT_ALLOW"}]}}}


class Roots:
    """The same root as a bundle and as an image."""

    def __init__(self, folder):
        self.folder = folder
        self.bundle = folder / "bundle"
        root = self.bundle / "rootfs"
        for name in ("bin", "dev", "proc", "run", "sys", "tmp"):
            (root / name).mkdir(parents=True)
        shutil.copy(SERVER, root / "bin")
        (self.bundle / "config.json").write_text(json.dumps(bundle_config()))
        self.image = make_image(root, folder / "root.erofs")


class Runtime(Floor):
    def __init__(self, number, binary, roots):
        super().__init__(number, SITES)
        self.name = f"{binary} run"
        path = shutil.which(binary, path="/usr/bin:/usr/sbin")
        self.runtime = (path, "--root", roots.folder / binary)
        self.container = f"torpor-bench-{os.getpid()}-{binary}-"
        self.command = (*self.runtime, "run", "--preserve-fds", "1", "--bundle", roots.bundle, f"{self.container}PORT")

    def cool(self, indices):
        """The runtime removes what it has made when the program has ended. The program may have answered before the runtime has
        written down that it runs."""
        deadline = time.monotonic() + ENDS_S
        for index in indices:
            kill = [*self.runtime, "kill", f"{self.container}{FIRST_PORT + index}", "KILL"]
            while subprocess.run(kill, stderr=subprocess.DEVNULL, check=False).returncode != 0:
                if time.monotonic() > deadline:
                    raise RuntimeError(f"{' '.join(map(str, kill))}: it knows of no such container")
                time.sleep(0.001)
        while pathlib.Path(f"/proc/{self.pid}/task/{self.pid}/children").read_text():
            if time.monotonic() > deadline:
                raise RuntimeError(f"{self.name} does not end")
            time.sleep(0.001)
        super().cool(indices)


class Site(Torpor):
    """torpor, with keys of its own."""

    def __init__(self, number, name, **keys):
        super().__init__(number, SITES)
        self.name, self.keys = name, keys

    def write_files(self):
        super().write_files()
        text = "".join(f"{key}={value}\n" for key, value in self.keys.items())
        self.instance.write_template("bench", f"[Container]\n{text}StandardOutput=null\n"
                                              "[Hibernate]\nFreezeAfterSec=infinity\nStopAfterSec=infinity\n")


def competitors(roots):
    image = {"RootImage": roots.image, "Overlay": "tmpfs", "ExecStart": PROGRAM}
    return [Floor(0, SITES), Site(1, "torpor", RootOCI=roots.bundle), Runtime(2, "crun", roots),
            Runtime(3, "runc", roots), Site(4, "torpor, erofs and overlay", **image),
            Site(5, "torpor, the same without a user namespace", PrivateUsers="no", **image),
            Site(6, "torpor, erofs alone", RootImage=roots.image, ExecStart=PROGRAM)]


def run(stack, rounds):
    roots = Roots(pathlib.Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="torpor-bench-"))))
    roots.folder.chmod(0o755)
    client = measure.WakeClient(HELPERS)
    stack.callback(client.close)
    running = competitors(roots)
    for competitor in running:
        say(competitor.name)
        stack.callback(competitor.close)
        competitor.start()
    samples = {competitor: measure.Sample() for competitor in running}
    order = random.Random(1)
    for number in range(rounds + 1):
        for competitor in order.sample(running, len(running)):
            site = order.randrange(SITES)
            time.sleep(PAUSE_S)
            result = client.run(1, competitor.targets([site]), 1)
            competitor.cool([site])
            if number > 0:  # the first one reads files and makes what is kept
                samples[competitor].add(result)
    return [{"who": competitor.name, **sample.summary()} for competitor, sample in samples.items()]


def ratios(rows):
    p50 = {row["who"]: row["p50_us"] for row in rows}
    return {f"{a} / {b}": p50[a] / p50[b] for a, b in (
        ("runc run", "torpor"), ("crun run", "torpor"), ("torpor", "floor"), ("torpor, erofs and overlay", "floor"),
        ("torpor, the same without a user namespace", "floor"), ("torpor, erofs alone", "floor"))
        if p50[a] and p50[b]}


def table(results):
    lines = [f"{'milliseconds to the first byte':46}{'p50':>8}{'p90':>8}{'p99':>8}{'lost':>6}"]
    for row in results["starts"]:
        times = "".join(f"{row[key] / 1000:8.2f}" if row[key] is not None else f"{'-':>8}"
                        for key in ("p50_us", "p90_us", "p99_us"))
        lines.append(f"{row['who']:46}{times}{sum(row['errors'].values()):>6}")
    lines.append("")
    lines += [f"{name:60}{value:6.2f}" for name, value in results["ratios"].items()]
    return "\n".join(lines)


def main():
    parser = argparse.ArgumentParser(description="Measures torpor's start of a container beside runc's and crun's.")
    parser.add_argument("--rounds", type=int, default=200, help="starts of each kind (default: 200)")
    parser.add_argument("--json", type=pathlib.Path, metavar="FILE",
                        help="where the results go (default: tests/bench/results/containers-DATE.json)")
    options = parser.parse_args()
    if os.geteuid() != 0 or not TORPORD.exists():
        parser.error(f"needs root and {TORPORD}")
    enter_namespace()
    results = {"machine": measure.machine(BUILD), "rounds": options.rounds, "versions": {
        name: subprocess.run([name, "--version"], check=True, capture_output=True, text=True).stdout.splitlines()[0]
        for name in ("runc", "crun")}}
    with contextlib.ExitStack() as stack:
        results["starts"] = run(stack, options.rounds)
    results["ratios"] = ratios(results["starts"])
    path = options.json or HERE / "results" / f"containers-{results['machine']['date'].replace(':', '')}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(results, indent=1) + "\n")
    print(table(results))
    print(f"\nresults: {path}")
    return 0


STARTED = time.monotonic()
if __name__ == "__main__":
    sys.exit(main())
