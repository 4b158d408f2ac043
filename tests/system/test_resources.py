# SPDX-License-Identifier: LGPL-2.1-or-later
"""Limits where the host has what they need and where it has not, and devices."""
import os
import pathlib
import sys

import pytest

from harness import HttpConnection, VarlinkError, http_get, wait_until
from rootfs import EXEC, make_root

# A key of [Resources] for each controller.
KEYS = {"cpu": ("CPUWeight", "50", "cpu.weight"), "cpuset": ("AllowedCPUs", "0", "cpuset.cpus"),
        "io": ("IOReadBandwidthMax", "/dev/loop0 10M", "io.max"), "memory": ("MemoryMax", "512M", "memory.max"),
        "pids": ("TasksMax", "64", "pids.max")}


def opens(address, path, how="r"):
    return http_get(address, f"/open?path={path}&how={how}").text.strip()


@pytest.fixture
def box(torpor):
    """A site with these keys of [Container], by itself: its address."""
    def start(name="a", **container):
        address = torpor.add_site(name, container=container)
        if not torpor.running:
            torpor.start()
        torpor.wait_site(name)
        return address
    return start


def test_in_force_or_said_to_be_missing(torpor):
    address = torpor.add_site("a", resources={key: value for key, value, _ in KEYS.values()})
    torpor.start()
    missing = torpor.host()["controllers_missing"]
    torpor.visit("a", address)
    status = torpor.status("a")
    for controller, (key, _, file) in KEYS.items():
        said = [text for text in status["limits_not_in_force"] if text.startswith(key + "=")]
        if controller in missing:
            assert f"no {controller} controller in this host's cgroup v2" in said[0]
            assert file not in status["limits"]
        else:
            assert not said
            assert pathlib.Path(torpor.cgroup_of("a"), file).read_text().split() == status["limits"][file].split()


def test_require_limits(torpor):
    """A start that is refused, by name; the port stays open, and who waits is served when the unit is mended."""
    address = torpor.add_site("a", resources={"RequireLimits": "yes", "IOReadBandwidthMax": "/dev/torpor-nosuch 1M"})
    torpor.start()
    with torpor.events("a") as events, HttpConnection(address) as visitor:
        visitor.send("/")
        events.wait_event(to="failed")
        failure = torpor.status("a")["failure"]
        assert failure["step"] == "resources"
        assert "RequireLimits=yes, and not in force on this host: " in failure["message"]
        torpor.add_site("a", address)
        assert visitor.receive().text == "hello\n"


def test_require_what_is_there(torpor):
    """The default of TasksMax= is a limit as well; one that has none starts anywhere."""
    address = torpor.add_site("a", resources={"RequireLimits": "yes"})
    other = torpor.add_site("b", resources={"RequireLimits": "yes"}, container={"DevicePolicy": "auto"})
    torpor.start()
    if "pids" in torpor.host()["controllers_missing"]:
        assert any(text.startswith("TasksMax= ") for text in torpor.status("a")["limits_not_in_force"])
        with pytest.raises(VarlinkError) as error:
            torpor.call("Wake", site="a")
        assert error.value.name == "StartFailed"
    else:
        assert http_get(address).status == 200
        assert http_get(other).status == 200


def test_shares_of_the_host(torpor):
    torpor.add_site("a", resources={"MemoryMax": "50%", "TasksMax": "25%"})
    torpor.start()
    status = torpor.status("a")
    memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGESIZE")
    if "memory.max" in status["limits"]:
        assert abs(int(status["limits"]["memory.max"]) - memory // 2) < 10000
    else:
        assert "MemoryMax= (no memory controller in this host's cgroup v2)" in status["limits_not_in_force"]
    assert "MemoryMax=50%" in torpor.call("Cat", site="a")["text"]


def test_devices_by_default(torpor, box):
    address = box()
    for name in ("null", "zero", "full", "random", "urandom"):
        assert opens(address, f"/dev/{name}", "rw") == "ok", name
    assert opens(address, "/dev/ptmx", "rw") == "ok"
    assert opens(address, "/dev/kmsg") == "ENOENT"
    assert not any(text.startswith("Device") for text in torpor.status("a")["limits_not_in_force"])


def test_devices_that_are_allowed(box):
    """Each has a node that the site's own user may use, as far as it is allowed to."""
    address = box(DeviceAllow=["/dev/fuse r", "/dev/net/tun", "/dev/loop-control w"])
    assert opens(address, "/dev/fuse") == "ok"
    assert opens(address, "/dev/fuse", "w") == "EACCES"
    assert opens(address, "/dev/net/tun", "rw") == "ok"
    assert opens(address, "/dev/loop-control", "w") == "ok"
    fields = http_get(address, "/stat?path=/dev/fuse").fields
    assert (fields["mode"], fields["uid"]) == ("20444", "0")
    # Nothing can be added to it.
    assert http_get(address, "/write?path=/dev/other").text.strip() == "EROFS"
    assert opens(address, "/dev/null", "rw") == "ok"


def test_block_devices(box):
    address = box(DeviceAllow="/dev/loop0 r")
    assert http_get(address, "/stat?path=/dev/loop0").fields["mode"] == "60444"
    assert opens(address, "/dev/loop0") == "ok"


def test_devices_are_refused_by_the_kernel(box):
    """A user who may do anything with files, and a node that is there: the program says no."""
    root = {"User": "root", "CapabilityBoundingSet": "CAP_DAC_OVERRIDE", "AmbientCapabilities": "CAP_DAC_OVERRIDE"}
    address = box("a", DeviceAllow="/dev/fuse r", **root)
    assert opens(address, "/dev/fuse", "w") == "EPERM"
    assert opens(address, "/dev/fuse", "rw") == "EPERM"
    assert opens(address, "/dev/fuse") == "ok"
    address = box("b", DevicePolicy="strict", DeviceAllow="/dev/full", **root)
    assert opens(address, "/dev/full", "rw") == "ok"
    for name in ("null", "zero", "random", "tty", "ptmx"):
        assert opens(address, f"/dev/{name}") == "EPERM", name
    address = box("c", DevicePolicy="auto", DeviceAllow="char-mem", **root)
    assert opens(address, "/dev/null", "rw") == "ok"


def test_a_device_that_is_not_there(torpor, box):
    address = box(DeviceAllow=["/dev/torpor-nosuch", "char-torpor"])
    assert http_get(address).status == 200
    missing = [text for text in torpor.status("a")["limits_not_in_force"] if text.startswith("Device")]
    assert missing == ["DeviceAllow=/dev/torpor-nosuch (No such file or directory)",
                       "DeviceAllow=char-torpor (no such devices in /proc/devices)"]


def test_limits_are_changed_live(torpor):
    """No restart, and none needed: the container follows."""
    address = torpor.add_site("a", resources={"MemoryMax": "512M", "TasksMax": "100"})
    torpor.start()
    torpor.visit("a", address)
    pid = torpor.status("a")["pid"]
    torpor.add_site("a", address, site={"Description": "two"}, resources={"MemoryMax": "256M", "CPUWeight": "50"},
                    hibernate={"FreezeAfterSec": "1h"})
    wait_until(lambda: torpor.status("a")["description"] == "two", "the change")
    status = torpor.status("a")
    assert (status["pid"], status["restart_needed"]) == (pid, False)
    for controller, file, value in (("memory", "memory.max", 256 << 20), ("cpu", "cpu.weight", 50),
                                    ("pids", "pids.max", 512)):
        if controller in torpor.host()["controllers_missing"]:
            assert any(f"no {controller} controller" in text for text in status["limits_not_in_force"])
        else:
            wait_until(lambda: int(pathlib.Path(torpor.cgroup_of("a"), file).read_text()) == value, file)
            assert torpor.status("a")["limits"][file] == str(value)


def test_what_a_container_cannot_follow(torpor):
    """A change of the program's environment needs a restart, until it is taken back."""
    address = torpor.add_site("a", container={"Environment": "X=1"}, resources={"CPUWeight": "7"})
    torpor.start()
    torpor.visit("a", address)
    torpor.add_site("a", address, container={"Environment": "X=2"}, resources={"CPUWeight": "8"})
    wait_until(lambda: torpor.status("a")["restart_needed"], "the change")
    torpor.add_site("a", address, container={"Environment": "X=1"}, resources={"CPUWeight": "9"})
    wait_until(lambda: not torpor.status("a")["restart_needed"], "the way back")
    assert "CPUWeight=9" in torpor.call("Cat", site="a")["text"]


def test_devices_are_taken_away_live(torpor, box):
    """The node stays until a restart, and cannot be opened any more."""
    address = box(DeviceAllow="/dev/fuse")
    torpor.visit("a", address)
    assert opens(address, "/dev/fuse", "rw") == "ok"
    torpor.add_site("a", address, container={"DeviceAllow": "/dev/full"})
    wait_until(lambda: opens(address, "/dev/fuse", "rw") == "EPERM", "the new program")
    assert http_get(address, "/stat?path=/dev/fuse").status == 200
    assert torpor.status("a")["restart_needed"] is True
    torpor.add_site("a", address, container={"DevicePolicy": "auto"})
    wait_until(lambda: opens(address, "/dev/fuse", "rw") == "ok", "no program")
    torpor.add_site("a", address)
    wait_until(lambda: opens(address, "/dev/fuse", "rw") == "EPERM", "the default program")
    assert not any("program" in text for text in torpor.status("a")["limits_not_in_force"])


def test_change_of_a_frozen_site(torpor, box):
    address = box(DeviceAllow="/dev/fuse")
    torpor.visit("a", address)
    torpor.freeze("a")
    torpor.add_site("a", address, resources={"MemoryMax": "128M"})
    wait_until(lambda: torpor.status("a")["restart_needed"], "the change")
    assert torpor.state("a") == "frozen"
    wait_until(lambda: opens(address, "/dev/fuse", "rw") == "EPERM", "the new program")


def test_many_changes_at_once(torpor, box):
    """Each waits for the one before; the last one counts, and nothing is left of any."""
    address = box()
    torpor.visit("a", address)
    before = len(torpor.descriptors())
    for number in range(50):
        torpor.add_site("a", address, site={"Description": str(number)},
                        container={"DeviceAllow": "/dev/fuse" if number % 2 == 0 else "/dev/full"})
    torpor.add_site("a", address, site={"Description": "last"}, container={"DeviceAllow": "/dev/fuse r"})
    wait_until(lambda: torpor.status("a")["description"] == "last", "the last change")
    torpor.call("Restart", site="a")
    assert opens(address, "/dev/fuse") == "ok"
    assert opens(address, "/dev/fuse", "w") == "EACCES"
    wait_until(lambda: len(torpor.descriptors()) <= before + 2, "no more open files than before")


def test_devices_in_a_root_of_its_own(torpor):
    """Nodes of what is allowed in its /dev as well, and the program in its cgroup."""
    root = {"RootDirectory": make_root(torpor.directory / "root"), "StandardOutput": "inherit", "User": "root",
            "PrivateUsers": "no",  # the nodes belong to the host's root, who may pass over their modes
            "CapabilityBoundingSet": "CAP_DAC_OVERRIDE", "AmbientCapabilities": "CAP_DAC_OVERRIDE"}
    address = torpor.add_site("a", template=None, exec_start=EXEC, container={"DeviceAllow": "/dev/fuse r", **root})
    torpor.start()
    assert opens(address, "/dev/fuse") == "ok"
    assert opens(address, "/dev/fuse", "rw") == "EPERM"
    assert opens(address, "/dev/null", "rw") == "ok"


# Execs a program that gets EPERM from bpf(2), by a seccomp filter: load the call's number; bpf? refuse; allow.
WITHOUT_BPF = """\
import ctypes, os, struct, sys
code = b"".join(struct.pack("HBBI", *row) for row in ((0x20, 0, 0, 0), (0x15, 0, 1, 321), (6, 0, 0, 0x50001),
                                                      (6, 0, 0, 0x7fff0000)))
filters = ctypes.create_string_buffer(code)
class Program(ctypes.Structure):
    _fields_ = [("length", ctypes.c_ushort), ("filters", ctypes.c_void_p)]
program = Program(4, ctypes.addressof(filters))
assert ctypes.CDLL(None).prctl(22, 2, ctypes.byref(program), 0, 0) == 0
os.execv(sys.argv[1], sys.argv[1:])
"""


@pytest.mark.skipif(os.uname().machine != "x86_64", reason="the number of bpf(2) is that of x86-64")
def test_a_host_without_device_programs(torpor):
    """Said in status, and refused where limits are required; the nodes and the capabilities are as they were."""
    address = torpor.add_site("a")
    torpor.add_site("b", resources={"RequireLimits": "yes", "TasksMax": "infinity"})
    torpor.start(wrapper=(sys.executable, "-c", WITHOUT_BPF))
    torpor.visit("a", address)
    text = "DevicePolicy= (this host's kernel takes no device program by bpf(2))"
    assert text in torpor.status("a")["limits_not_in_force"]
    assert opens(address, "/dev/null", "rw") == "ok"
    with pytest.raises(VarlinkError) as error:
        torpor.call("Wake", site="b")
    assert "RequireLimits=yes, and not in force on this host: " in error.value.parameters["message"]
