# SPDX-License-Identifier: LGPL-2.1-or-later
"""Limits as the kernel has them in force: written, changed under a running site, shared by slices."""
import os
import pathlib
import subprocess
import time

import pytest

import cgroups
from harness import VarlinkError, http_get, wait_until

DISK = "/dev/nvme0n1"
MIB = 1 << 20

# Every key, what it says, and what the kernel has then. DISK stands for the number of the disk.
KEYS = [
    ("CPUQuota", "50%", "cpu.max", "50000 100000"),
    ("CPUWeight", "70", "cpu.weight", "70"),
    ("AllowedCPUs", "1", "cpuset.cpus", "1"),
    ("AllowedMemoryNodes", "0", "cpuset.mems", "0"),
    ("MemoryMin", "4M", "memory.min", str(4 * MIB)),
    ("MemoryLow", "8M", "memory.low", str(8 * MIB)),
    ("MemoryHigh", "300M", "memory.high", str(300 * MIB)),
    ("MemoryMax", "400M", "memory.max", str(400 * MIB)),
    ("MemorySwapMax", "64M", "memory.swap.max", str(64 * MIB)),
    ("IOWeight", "250", "io.weight", "default 250"),
    ("IOReadBandwidthMax", f"{DISK} 5M", "io.max", "DISK rbps=5000000 wbps=max riops=max wiops=max"),
    ("TasksMax", "40", "pids.max", "40"),
]


def number_of(path):
    number = os.stat(path).st_rdev
    return f"{os.major(number)}:{os.minor(number)}"


def values(torpor, site):
    """What the kernel has in the files of all keys."""
    return {file: (torpor.cgroup_of(site) / file).read_text().strip() for _, _, file, _ in KEYS}


def spin(torpor, site, count):
    """Processes in a site's cgroup that take all the CPU they get."""
    path = torpor.cgroup_of(site) / "cgroup.procs"
    return [subprocess.Popen(["/bin/sh", "-c", f"echo $$ > {path} && while :; do :; done"],
                             stdin=subprocess.DEVNULL) for _ in range(count)]


def cpu_us(path):
    return int((path / "cpu.stat").read_text().split()[1])


def shares(paths, seconds):
    """Of the CPU time that these cgroups take together in a while, how much each gets."""
    before = [cpu_us(path) for path in paths]
    time.sleep(seconds)
    used = [cpu_us(path) - start for path, start in zip(paths, before)]
    return [us / sum(used) for us in used], sum(used) / seconds / 1e6


@pytest.fixture
def hogs():
    running = []
    yield running
    for process in running:
        process.kill()
        process.wait()


def test_every_key(torpor):
    """Written at the start; changed and taken away while the site runs, back to what a new cgroup has."""
    address = torpor.add_site("plain", resources={"TasksMax": "infinity"})
    torpor.visit("plain", address)
    address = torpor.add_site("a", resources={key: value for key, value, _, _ in KEYS})
    torpor.visit("a", address)
    assert torpor.status("a")["limits_not_in_force"] == []
    pid = torpor.status("a")["pid"]
    expected = {file: value.replace("DISK", number_of(DISK)) for _, _, file, value in KEYS}
    assert values(torpor, "a") == expected
    assert torpor.status("a")["limits"] == expected
    torpor.add_site("a", address, resources={"TasksMax": "infinity"})
    plain = values(torpor, "plain")
    assert (plain["cpuset.cpus"], plain["io.weight"], plain["io.max"]) == ("", "default 100", "")
    wait_until(lambda: torpor.status("a")["limits"] == {"pids.max": "max"}, "the change")
    # A set that is in use cannot be empty: it is all that there is.
    assert values(torpor, "a") == {**plain, "cpuset.cpus": "0-1", "cpuset.mems": "0"}
    assert torpor.status("a")["limits_not_in_force"] == []
    torpor.add_site("a", address, resources={key: value for key, value, _, _ in KEYS})
    wait_until(lambda: values(torpor, "a") == expected, "the values of the keys")
    status = torpor.status("a")
    assert (status["pid"], status["restart_needed"], status["limits_not_in_force"]) == (pid, False, [])


def test_idle(torpor):
    address = torpor.add_site("a", resources={"CPUWeight": "idle"})
    torpor.visit("a", address)
    assert torpor.file("a", "cpu.idle") == "1"
    torpor.add_site("a", address, resources={"CPUWeight": "30"})
    wait_until(lambda: (torpor.file("a", "cpu.idle"), torpor.file("a", "cpu.weight")) == ("0", "30"), "a weight")
    torpor.add_site("a", address, resources={"CPUWeight": "idle"})
    wait_until(lambda: torpor.file("a", "cpu.idle") == "1", "idle again")
    assert torpor.status("a")["limits_not_in_force"] == []


def test_disk_of_a_file_and_of_a_partition(torpor, tmp_path):
    """The disk is found behind a file system, and a partition's behind the partition."""
    image = tmp_path / "disk"
    entry = bytes([0, 0, 2, 0, 0x83, 0, 0, 0]) + (2048).to_bytes(4, "little") + (8192).to_bytes(4, "little")
    with open(image, "wb") as file:
        file.write(bytes(446) + entry + bytes(48) + b"\x55\xaa")
        file.truncate(16 * MIB)
    loop = subprocess.run(["losetup", "--find", "--show", "--partscan", image], check=True, capture_output=True,
                          text=True).stdout.strip()
    try:
        wait_until(lambda: os.path.exists(f"{loop}p1"), "the partition")
        assert number_of(f"{loop}p1") != number_of(loop)
        address = torpor.add_site("a", resources={"IOWriteIOPSMax": ["/usr 70", f"{loop}p1 80"],
                                                  "IODeviceWeight": f"{loop} 60"})
        torpor.visit("a", address)
        lines = set(torpor.file("a", "io.max").splitlines())
        assert lines == {f"{number_of(DISK)} rbps=max wbps=max riops=max wiops=70",
                         f"{number_of(loop)} rbps=max wbps=max riops=max wiops=80"}
        assert torpor.status("a")["limits_not_in_force"] == ["io.weight (Operation not supported)"]
        torpor.add_site("a", address, resources={"IOWriteIOPSMax": f"{loop} 90"})
        expected = f"{number_of(loop)} rbps=max wbps=max riops=max wiops=90"
        wait_until(lambda: torpor.file("a", "io.max") == expected, "the other disk's line to go")
        assert torpor.file("a", "io.weight") == "default 100" and not torpor.status("a")["limits_not_in_force"]
    finally:
        torpor.remove_sites()
        subprocess.run(["losetup", "--detach", loop], check=True)


def test_weight_of_a_disk(torpor):
    """A disk without a scheduler for weights: the site starts and says so, and has it when the disk can."""
    resources = {"IODeviceWeight": f"{DISK} 60", "IOWeight": "200"}
    address = torpor.add_site("a", resources=resources)
    torpor.visit("a", address)
    assert torpor.status("a")["limits_not_in_force"] == ["io.weight (Operation not supported)"]
    assert torpor.file("a", "io.weight") == "default 200"
    torpor.add_site("b", resources={**resources, "RequireLimits": "yes"})
    with pytest.raises(VarlinkError) as error:
        torpor.call("Wake", site="b")
    assert "RequireLimits=yes, and not in force on this host: io.weight (" in error.value.parameters["message"]
    qos = cgroups.root() / "io.cost.qos"
    qos.write_text(f"{number_of(DISK)} enable=1")
    try:
        torpor.add_site("a", address, resources={**resources, "IOWeight": "300"})
        wait_until(lambda: torpor.file("a", "io.weight") == f"default 300\n{number_of(DISK)} 60", "the weights")
        wait_until(lambda: not torpor.status("a")["limits_not_in_force"], "the books")
    finally:
        torpor.remove_sites()
        qos.write_text(f"{number_of(DISK)} enable=0")


def test_shares_of_the_host(torpor):
    """What is built in is a little more than what the kernel leaves."""
    address = torpor.add_site("a", resources={"MemoryMax": "50%", "TasksMax": "10%"})
    torpor.visit("a", address)
    memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGESIZE")
    assert abs(int(torpor.file("a", "memory.max")) - memory // 2) <= 8192
    tasks = min(int(pathlib.Path("/proc/sys/kernel", name).read_text()) for name in ("pid_max", "threads-max"))
    assert int(torpor.file("a", "pids.max")) == tasks // 10


def test_weights_of_sites(torpor, hogs):
    """T30: 80 % and 20 % where both want all of the machine; all of it for who is left."""
    paths = []
    for name, weight in (("a", "80"), ("b", "20")):
        torpor.visit(name, torpor.add_site(name, resources={"CPUWeight": weight}))
        paths.append(torpor.cgroup_of(name))
    first, second = spin(torpor, "a", 4), spin(torpor, "b", 4)
    hogs += first + second
    time.sleep(1)
    (a, b), _ = shares(paths, 6)
    assert 0.70 < a < 0.90, (a, b)
    for process in first:
        process.kill()
        process.wait()
    time.sleep(1)
    (a, b), cpus = shares(paths, 4)
    assert b > 0.95 and cpus > 1.4, (a, b, cpus)


def test_weights_of_slices(torpor, hogs):
    """A customer's sites share what is his, however many they are."""
    for name, weight in (("gold", "80"), ("bronze", "20")):
        torpor.write(torpor.etc / "slices" / f"{name}.slice", f"[Resources]\nCPUWeight={weight}\n")
    try:
        for name, of in (("a", "gold"), ("b", "bronze"), ("c", "bronze"), ("d", "bronze")):
            torpor.visit(name, torpor.add_site(name, site={"Slice": of}))
            hogs += spin(torpor, name, 4)
        time.sleep(1)
        (gold, bronze), _ = shares([torpor.sites_cgroup / "gold.slice", torpor.sites_cgroup / "bronze.slice"], 6)
        assert 0.70 < gold < 0.90, (gold, bronze)
        # The other way round, while they run.
        for name, weight in (("gold", "20"), ("bronze", "80")):
            torpor.write(torpor.etc / "slices" / f"{name}.slice", f"[Resources]\nCPUWeight={weight}\n")
        wait_until(lambda: (torpor.sites_cgroup / "bronze.slice/cpu.weight").read_text() == "80\n", "the change")
        (gold, bronze), _ = shares([torpor.sites_cgroup / "gold.slice", torpor.sites_cgroup / "bronze.slice"], 6)
        assert 0.70 < bronze < 0.90, (gold, bronze)
    finally:
        for name in ("gold", "bronze"):
            (torpor.etc / "slices" / f"{name}.slice").unlink()


def test_quota(torpor, hogs):
    """T30: at most 30 % of a CPU, whatever is idle; more as soon as it may."""
    address = torpor.add_site("a", resources={"CPUQuota": "30%"})
    torpor.visit("a", address)
    hogs += spin(torpor, "a", 4)
    time.sleep(1)
    _, cpus = shares([torpor.cgroup_of("a")], 5)
    assert 0.1 < cpus < 0.4, cpus
    torpor.add_site("a", address)
    wait_until(lambda: torpor.file("a", "cpu.max") == "max 100000", "no quota")
    time.sleep(1)
    _, cpus = shares([torpor.cgroup_of("a")], 4)
    assert cpus > 1.0, cpus


def test_allowed_cpus(torpor, hogs):
    address = torpor.add_site("a", resources={"AllowedCPUs": "1"})
    torpor.visit("a", address)
    hogs += spin(torpor, "a", 2)
    wait_until(lambda: len(cgroups.processes(torpor.cgroup_of("a"))) >= 3, "the processes")
    for pid in cgroups.processes(torpor.cgroup_of("a")):
        assert os.sched_getaffinity(pid) == {1}
    torpor.add_site("a", address, resources={"AllowedCPUs": "0"})
    wait_until(lambda: all(os.sched_getaffinity(pid) == {0} for pid in cgroups.processes(torpor.cgroup_of("a"))),
               "the other CPU")


def test_controllers_are_enabled_when_they_are_needed(torpor):
    """io and cpuset cost every start: not before a site asks for them, and then for those that run too."""
    torpor.restart()
    torpor.visit("a", torpor.add_site("a", site={"Slice": "s"}))
    assert not (torpor.cgroup_of("a") / "cpuset.cpus").exists() and not (torpor.cgroup_of("a") / "io.max").exists()
    control = torpor.sites_cgroup / "s.slice/cgroup.subtree_control"
    assert set(control.read_text().split()) == {"cpu", "memory", "pids"}
    torpor.visit("b", torpor.add_site("b", site={"Slice": "s"}, resources={"AllowedCPUs": "0"}))
    assert set(control.read_text().split()) == {"cpu", "cpuset", "memory", "pids"}
    torpor.write(torpor.etc / "slices/s.slice", f"[Resources]\nIOReadIOPSMax={DISK} 1000\n")
    try:
        wait_until(lambda: "riops=1000" in _read(torpor.sites_cgroup / "s.slice/io.max"), "the slice's limit")
        assert "io" not in control.read_text().split()
    finally:
        (torpor.etc / "slices/s.slice").unlink()
    wait_until(lambda: _read(torpor.sites_cgroup / "s.slice/io.max") == "", "its end")


def _read(path):
    return path.read_text() if path.exists() else ""


def test_io_bandwidth(torpor):
    """T30: 4 MiB at 1 MB a second take four seconds, and a host that is slow anyway takes no less."""
    address = torpor.add_site("a", resources={"IOWriteBandwidthMax": "/var 1M"})
    torpor.visit("a", address)
    procs = torpor.cgroup_of("a") / "cgroup.procs"
    started = time.monotonic()
    subprocess.run(["/bin/sh", "-c", f"echo $$ > {procs} && exec dd if=/dev/zero of=/var/torpor-test bs=256k count=16 "
                    "oflag=direct status=none"], check=True)
    took = time.monotonic() - started
    os.unlink("/var/torpor-test")
    assert took > 3, took


def test_memory_is_lowered_live(torpor):
    """The kernel reclaims before the write is over; the daemon goes on meanwhile, and nobody is killed."""
    address = torpor.add_site("a", resources={"MemoryMax": "600M"})
    torpor.visit("a", address)
    assert http_get(address, "/allocate?kb=200000").status == 200
    assert int(torpor.file("a", "memory.current")) > 200000 * 1024
    pid = torpor.status("a")["pid"]
    torpor.add_site("a", address, resources={"MemoryMax": "100M"})
    while torpor.file("a", "memory.max") != str(100 * MIB):
        started = time.monotonic()
        torpor.host()
        assert time.monotonic() - started < 5
    wait_until(lambda: int(torpor.file("a", "memory.current")) <= 100 * MIB, "the memory to go")
    wait_until(lambda: torpor.status("a")["limits"].get("memory.max") == str(100 * MIB), "the books")
    assert torpor.status("a")["pid"] == pid and torpor.numbers("a", "memory.events")["oom_kill"] == 0


def test_a_slice_bounds_its_sites(torpor):
    """Memory and tasks of all of them together; who goes over is one of them, and nobody else."""
    torpor.write(torpor.etc / "slices/s.slice", "[Resources]\nMemoryMax=120M\nMemorySwapMax=0\nTasksMax=30\n")
    try:
        other = torpor.add_site("other")
        torpor.visit("other", other)
        addresses = [torpor.add_site(name, site={"Slice": "s"}) for name in ("a", "b")]
        for name, address in zip(("a", "b"), addresses):
            torpor.visit(name, address)
        whole = torpor.sites_cgroup / "s.slice"
        assert (whole / "memory.max").read_text().strip() == str(120 * MIB)
        with torpor.events() as events:
            http_get(addresses[0], "/allocate?kb=60000")
            with pytest.raises((ConnectionError, OSError)):
                http_get(addresses[1], "/allocate?kb=90000")
            events.wait(lambda event: event["site"] in ("a", "b") and event["to"] in ("cold", "failed"), 60)
        assert "oom_kill 0" not in (whole / "memory.events").read_text()
        assert int((whole / "memory.current").read_text()) <= 120 * MIB
        for _ in range(40):
            http_get(addresses[0], "/spawn?ms=60000")
        assert int((whole / "pids.current").read_text()) == 30
        assert http_get(other, "/counter").text == "2\n"
    finally:
        (torpor.etc / "slices/s.slice").unlink()


def test_require_limits(torpor):
    """A whole host keeps every promise; one that nobody can keep is refused."""
    address = torpor.add_site("a", resources={"RequireLimits": "yes", **{key: value for key, value, _, _ in KEYS}})
    torpor.visit("a", address)
    assert torpor.status("a")["limits_not_in_force"] == []
    torpor.add_site("b", resources={"RequireLimits": "yes", "IOReadIOPSMax": "/proc 5"})
    with pytest.raises(VarlinkError) as error:
        torpor.call("Wake", site="b")
    assert "IOReadIOPSMax=/proc (no block device is behind it" in error.value.parameters["message"]


def test_a_value_that_the_kernel_refuses(torpor):
    """Said in status, and the rest is in force; a site that insists on it is not started."""
    address = torpor.add_site("a", resources={"AllowedMemoryNodes": "7", "MemoryMax": "300M"})
    torpor.visit("a", address)
    assert torpor.status("a")["limits_not_in_force"] == ["cpuset.mems (Invalid argument)"]
    assert torpor.file("a", "memory.max") == str(300 * MIB)
    torpor.add_site("a", address, resources={"MemoryMax": "300M"})
    wait_until(lambda: not torpor.status("a")["limits_not_in_force"], "no error")
    torpor.add_site("a", address, resources={"AllowedMemoryNodes": "7", "MemoryMax": "200M"})
    wait_until(lambda: torpor.status("a")["limits_not_in_force"] == ["cpuset.mems (Invalid argument)"], "an error")
    assert torpor.file("a", "memory.max") == str(200 * MIB)
    torpor.add_site("b", resources={"AllowedMemoryNodes": "7", "RequireLimits": "yes"})
    with pytest.raises(VarlinkError) as error:
        torpor.call("Wake", site="b")
    assert "not in force on this host: cpuset.mems (" in error.value.parameters["message"]


def test_a_kernel_without_zswap(torpor):
    torpor.add_site("a", resources={"MemoryZSwapMax": "10M"})
    has = (torpor.cgroup / "memory.zswap.max").exists()
    assert torpor.status("a")["limits_not_in_force"] == (
        [] if has else ["MemoryZSwapMax= (this host's kernel has no memory.zswap.max)"])


def test_devices(torpor):
    """The program is asked whatever the node's mode says."""
    root = {"User": "root", "CapabilityBoundingSet": "CAP_DAC_OVERRIDE", "AmbientCapabilities": "CAP_DAC_OVERRIDE"}
    address = torpor.add_site("a", container={"DeviceAllow": f"{DISK} r", **root})
    assert http_get(address, f"/open?path={DISK}&how=r").text == "ok\n"
    assert http_get(address, f"/open?path={DISK}&how=rw").text == "EPERM\n"
    assert http_get(address, "/open?path=/dev/null&how=rw").text == "ok\n"
    assert torpor.status("a")["limits_not_in_force"] == []


def test_set(torpor):
    """The answer comes when the kernel has it; a slice and a site, for good and until the next boot."""
    torpor.write(torpor.etc / "slices/s.slice", "[Resources]\nMemoryMax=900M\n")
    address = torpor.add_site("a", site={"Slice": "s"}, resources={"MemoryMax": "600M"})
    torpor.visit("a", address)
    files = [torpor.call("Set", site="a", settings=["MemoryMax=500M", "CPUWeight=55"])["file"]]
    try:
        assert (torpor.file("a", "memory.max"), torpor.file("a", "cpu.weight")) == (str(500 * MIB), "55")
        files.append(torpor.call("Set", slice="s", settings=["MemoryMax=700M"], persist=True)["file"])
        assert (torpor.sites_cgroup / "s.slice/memory.max").read_text().strip() == str(700 * MIB)
        answer = torpor.call("Set", site="a", settings=["AllowedMemoryNodes=7"])
        assert answer["limits_not_in_force"] == ["cpuset.mems (Invalid argument)"]
        assert torpor.torporctl("set", "a", "AllowedMemoryNodes=", "MemoryMax=").stderr == ""
        assert torpor.file("a", "memory.max") == "max"
        # Over a restart of the service, of which the run folder is the same.
        torpor.restart()
        torpor.visit("a", address)
        assert (torpor.file("a", "memory.max"), torpor.file("a", "cpu.weight")) == ("max", "55")
    finally:
        (torpor.etc / "slices/s.slice").unlink()
        for path in map(pathlib.Path, files):
            path.unlink()
            path.parent.rmdir()


def test_set_goes_on_while_the_kernel_reclaims(torpor):
    """The daemon answers others while a limit far below what is used is being written."""
    address = torpor.add_site("a")
    torpor.visit("a", address)
    assert http_get(address, "/allocate?kb=250000").status == 200
    with torpor.connection() as connection:
        connection.send("Set", {"site": "a", "settings": ["MemoryMax=60M"]})
        started = time.monotonic()
        torpor.host()
        assert time.monotonic() - started < 5
        path = pathlib.Path(connection.reply()[0]["file"])
    assert int(torpor.file("a", "memory.current")) <= 60 * MIB
    assert torpor.numbers("a", "memory.events")["oom_kill"] == 0
    path.unlink()
    path.parent.rmdir()
