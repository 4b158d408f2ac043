# SPDX-License-Identifier: LGPL-2.1-or-later
"""What starts and stops could leave behind, counted; and sites of every kind to start and stop."""
import collections
import os
import pathlib
import re
import time

import rootfs
import tasks
from daemon import wait_until
from network import PLUGINS, Networks
from oci import BASE, Layout, entry
from varlink import VarlinkError

# Names of /proc/slabinfo. The kernel counts some that are free: what is leaked by each start stands out all the same.
KERNEL = {"mounts": "mnt_cache", "network namespaces": "net_namespace", "pid namespaces": "pid_namespace",
          "user namespaces": "user_namespace", "host names": "uts_namespace", "keys": "key_jar"}
KERNEL_SLACK = 1000
# Sandboxes that launchers make ahead, when they have the time: of each some namespaces are held, with a descriptor each.
SPARE = 24
SPARE_KINDS = ("mnt", "net", "ipc", "uts", "user")
NETWORK_ROUNDS = 10  # plugins take a hundred times as long as all the rest


def tables(pid):
    """The links of each descriptor table of a process: that of its first thread, and the largest of the others."""
    found = {}
    for task in os.listdir(f"/proc/{pid}/task"):
        links = []
        try:
            for entry in os.scandir(f"/proc/{pid}/task/{task}/fd"):
                links.append(os.readlink(entry.path))
        except FileNotFoundError:
            continue
        key = "first" if task == str(pid) else "others"
        if len(links) >= len(found.get(key, [])):
            found[key] = links
    return found


def children(pid):
    return [child for task in os.listdir(f"/proc/{pid}/task")
            for child in pathlib.Path(f"/proc/{pid}/task/{task}/children").read_text().split()]


def census(torpor):
    """Of what belongs to this torpord: name -> number."""
    links = tables(torpor.pid)
    kinds = collections.Counter(match[1] for table in links.values() for link in table
                                if (match := re.match(r"(mnt|net|pid|ipc|uts|user|cgroup|time):\[", link)))
    mounts = pathlib.Path(f"/proc/{torpor.pid}/mountinfo").read_text().splitlines()
    return {
        "processes": len(children(torpor.pid)),
        "control groups": sum(len(names) for _, names, _ in os.walk(torpor.sites_cgroup)),
        "mounts on the host": len([line for line in mounts if str(torpor.directory) in line]),
        "loop devices": len([path for path in rootfs.loop_devices() if str(torpor.directory) in path]),
        "descriptors of the loop": len(links["first"]),
        "descriptors of launchers": len(links["others"]),
        **{f"namespaces held: {kind}": kinds[kind] for kind in ("mnt", "net", "ipc", "uts", "user", "pid", "cgroup")},
        "files of networks": len(list((torpor.run / "network").glob("*"))) + len(list(torpor.directory.glob("addresses/*/[0-9]*"))),
    }


def kernel_census():
    """Of the whole kernel, for who has the machine to himself."""
    slabs = pathlib.Path("/proc/slabinfo").read_text()
    found = {f"kernel: {name}": int(match[1]) for name, slab in KERNEL.items()
             if (match := re.search(rf"^{slab}\s+(\d+)", slabs, re.M))}
    return {**found, "kernel: mounts of the host": len(pathlib.Path("/proc/self/mountinfo").read_text().splitlines()),
            "kernel: keys of /proc/keys": len(pathlib.Path("/proc/keys").read_text().splitlines()),
            "kernel: processes": sum(name.isdigit() for name in os.listdir("/proc"))}


def memory_kb(torpor):
    return int(re.search(r"VmRSS:\s+(\d+)", pathlib.Path(f"/proc/{torpor.pid}/status").read_text())[1])


class Sites:
    """One of each kind, on an instance that does not run yet. networks: with one on a CNI network, too."""

    def __init__(self, torpor, networks=False):
        self.torpor = torpor
        self.rounds = 0
        root = rootfs.make_root(torpor.directory / "root")
        image = rootfs.make_image(root, torpor.directory / "image.squashfs")
        layout = Layout(torpor.directory / "oci")
        layout.add(layout.manifest([BASE, [entry("second", "layer")]]))
        self.networks = Networks(torpor) if networks else None
        bound = torpor.address()
        own = {"template": None, "exec_start": rootfs.EXEC}
        kinds = {
            "host": {},
            "directory": {**own, "container": {"RootDirectory": root}},
            "overlay": {**own, "container": {"RootDirectory": root, "Overlay": "tmpfs"}},
            "image": {**own, "container": {"RootImage": image, "Overlay": "tmpfs", "PrivateUsers": "yes"}},
            "oci": {"template": None, "container": {"RootOCI": layout.path, "Overlay": "tmpfs"}},
            "kept": {**own, "container": {"RootImage": image, "Overlay": torpor.directory / "kept"}},
            "users": {**own, "container": {"RootDirectory": root, "PrivateUsers": "yes", "User": "root"}},
            "dynamic": {"container": {"DynamicUser": "yes"}},
            "bound": {"listen": bound, "exec_start": f"/helpers/probe-server --listen={bound}", "container": {"Handover": "bind"}},
            "paths": {"container": {"ReadOnlyPaths": "/usr/share", "InaccessiblePaths": "/proc/net /usr/lib/os-release",
                                    "TemporaryFileSystem": "/data", "PrivateNetwork": "no"}},
            # These fail, at different steps.
            "no-program": {"exec_start": "/nowhere/at/all"},
            "no-target": {**own, "container": {"RootDirectory": root, "BindPaths": "/usr:/nowhere"}},
            "no-label": {"container": {"AppArmorProfile": "torpor-nosuch"}},
        }
        self.failing = [name for name in kinds if name.startswith("no-")]
        self.addresses = {}
        for name, keys in kinds.items():
            container = {"StandardOutput": "null", **keys.pop("container", {})}
            listen = keys.pop("listen", str(torpor.directory / f"{name}.sock"))
            self.addresses[name] = torpor.add_site(name, listen, container=container, **keys)
        if self.networks:
            self.networks.add("lan", self.networks.bridge())
            self.addresses["network"] = self.networks.add_site("network", container={"Network": "lan"})

    def start(self):
        if self.networks:
            self.networks.start()
        else:
            self.torpor.start()
        wait_until(lambda: not self.torpor.file_errors(), "images to be unpacked")

    def round(self):
        """One start of each, by turns by command and by a visitor; the number of starts."""
        self.rounds += 1
        names = [name for name in self.addresses if name != "network" or self.rounds % NETWORK_ROUNDS == 1]
        for name in names:
            if name in self.failing:
                try:
                    self.torpor.call("Wake", site=name)
                except VarlinkError as error:
                    assert error.name == "StartFailed", error
                else:
                    raise AssertionError(f"{name} has started")
            elif self.rounds % 2 or self.networks and name == "bound":  # by TCP, in a network that is not ours
                self.torpor.call("Wake", site=name)
            else:
                self.torpor.visit(name, self.addresses[name])
            self.torpor.call("Stop", site=name)
        return len(names)


def settled(torpor, count=census):
    """The census when it does not change any more: sandboxes are made ahead, the kernel takes its time. torpord answers
    before each: on a busy machine it may not have come to close the connection of the call before, and would seem to be at
    rest with it."""
    with torpor.connection() as connection:
        def look():
            connection.call("GetHost")
            return count(torpor)
        last, since = look(), time.monotonic()

        def quiet():
            nonlocal last, since
            now = look()
            if now != last:
                last, since = now, time.monotonic()
            return time.monotonic() - since > 0.3
        wait_until(quiet, "a census that stays the same")
        return last


def slack(name):
    """By how much a count may be larger, whatever has happened."""
    if name == "descriptors of launchers":
        return SPARE * len(SPARE_KINDS)
    if name.startswith("kernel: "):
        return KERNEL_SLACK
    return SPARE if name in (f"namespaces held: {kind}" for kind in SPARE_KINDS) else 0


def assert_nothing_left(torpor, before, count=census):
    """Nothing is more than it was."""
    def more():
        return {name: (before[name], number) for name, number in settled(torpor, count).items()
                if number > before[name] + slack(name)}
    try:
        wait_until(lambda: not more(), "what was there before")
    except AssertionError:
        raise AssertionError(f"more than before (before, now): {more()}") from None
