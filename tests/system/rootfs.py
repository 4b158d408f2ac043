# SPDX-License-Identifier: LGPL-2.1-or-later
"""Roots of sites' own, as small as they can be: a static probe server and the folders that a root has to have."""
import ctypes
import os
import pathlib
import re
import shutil
import subprocess
import threading

from harness import HELPERS

EXEC = "/bin/probe-server"
RENAME_EXCHANGE = 2
AT_FDCWD = -100

libc = ctypes.CDLL(None, use_errno=True)


def make_root(path, *without):
    """A root at path, without some of its folders."""
    for name in ("bin", "data", "dev", "etc", "proc", "run", "tmp"):
        if name not in without:
            (path / name).mkdir(parents=True)
    shutil.copy(HELPERS / "probe-server", path / "bin")
    (path / "etc/os-release").write_text("ID=tiny\n")
    return path


def make_image(root, path):
    """The root as an image of the kind that path ends in."""
    command = ["mksquashfs", root, path, "-quiet", "-no-progress"] if path.suffix == ".squashfs" else \
        ["mkfs.erofs", path, root]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    return path


def mount_table(directory):
    """What is mounted on the host below a test's folder, or where a container has its own."""
    points = [line.split()[4] for line in pathlib.Path("/proc/self/mountinfo").read_text().splitlines()]
    common = ("/", "/data", "/dev", "/dev/pts", "/dev/shm", "/etc/resolv.conf", "/proc", "/run", "/tmp")
    return sorted(point for point in points if point in common or point.startswith(str(directory)))


def tree(path):
    """Every file below a folder with its kind, owner, mode and content: what must not change."""
    found = {}
    for folder, names, files in os.walk(path):
        for name in names + files:
            file = pathlib.Path(folder, name)
            stat = file.lstat()
            content = file.read_bytes() if file.is_file() and not file.is_symlink() else None
            found[str(file)] = (stat.st_mode, stat.st_uid, stat.st_gid, content)
    return found


def mounts_in_kernel():
    """How many mounts there are in all namespaces, those that nobody can see included."""
    return int(re.search(r"^mnt_cache\s+(\d+)", pathlib.Path("/proc/slabinfo").read_text(), re.M)[1])


def loop_devices():
    """The loop devices that are in use: their files."""
    return [path.read_text().strip() for path in pathlib.Path("/sys/block").glob("loop*/loop/backing_file")]


class Swapper:
    """Exchanges two names in a folder as fast as it can, for as long as it is entered."""

    def __init__(self, *pairs):
        self.pairs = [(os.fsencode(one), os.fsencode(other)) for one, other in pairs]
        self.stopping = threading.Event()
        self.thread = threading.Thread(target=self._run)
        self.swaps = 0

    def _run(self):
        while not self.stopping.is_set():
            for one, other in self.pairs:
                if libc.renameat2(AT_FDCWD, one, AT_FDCWD, other, RENAME_EXCHANGE) != 0:
                    raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()), one)
            self.swaps += 1

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.stopping.set()
        self.thread.join()
