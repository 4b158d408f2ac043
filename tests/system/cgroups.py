# SPDX-License-Identifier: LGPL-2.1-or-later
"""Control groups of the tests' own, below the cgroup v2 root."""
import os
import pathlib
import select
import time


def root():
    """Where cgroup v2 is mounted: alone, or beside the controllers of v1."""
    for line in pathlib.Path("/proc/self/mountinfo").read_text().splitlines():
        fields, _, rest = line.partition(" - ")
        if rest.split()[0] == "cgroup2":
            return pathlib.Path(fields.split()[4])
    raise RuntimeError("cgroup v2 is not mounted")


def processes(path):
    """The pids in a cgroup and in all below it."""
    pids = []
    for directory, _, _ in os.walk(path):
        try:
            pids += [int(pid) for pid in pathlib.Path(directory, "cgroup.procs").read_text().split()]
        except FileNotFoundError:
            pass
    return pids


def children(path):
    """The names of the cgroups in one; none when it is gone itself."""
    if not os.path.isdir(path):
        return []
    return sorted(entry.name for entry in os.scandir(path) if entry.is_dir())


def enable_controllers(path):
    """Hands on to the cgroups below what there is: nothing where the controllers are mounted in version 1."""
    for name in pathlib.Path(path, "cgroup.controllers").read_text().split():
        pathlib.Path(path, "cgroup.subtree_control").write_text(f"+{name}")


def is_frozen(path):
    return "frozen 1" in pathlib.Path(path, "cgroup.events").read_text()


def is_populated(path):
    return "populated 1" in pathlib.Path(path, "cgroup.events").read_text()


def wait_empty(path, timeout=60.0):
    deadline = time.monotonic() + timeout
    fd = os.open(pathlib.Path(path, "cgroup.events"), os.O_RDONLY)
    try:
        poll = select.poll()
        poll.register(fd, select.POLLPRI)
        while b"populated 1" in os.pread(fd, 4096, 0):
            left = deadline - time.monotonic()
            if left <= 0:
                raise TimeoutError(f"{path} still holds {processes(path)}")
            poll.poll(left * 1000)
    finally:
        os.close(fd)


def destroy(path):
    """Kills what lives below and removes it all."""
    if not os.path.isdir(path):
        return
    pathlib.Path(path, "cgroup.kill").write_text("1")
    wait_empty(path)
    for directory, _, _ in os.walk(path, topdown=False):
        os.rmdir(directory)


def remove_stale(prefix):
    """Ends what test runs that were killed have left: PREFIX-PID-N of a pid that is gone."""
    for path in root().glob(f"{prefix}-*-*"):
        pid = path.name.split("-")[-2]
        if pid.isdigit() and not os.path.exists(f"/proc/{pid}"):
            destroy(path)
