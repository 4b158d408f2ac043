# SPDX-License-Identifier: LGPL-2.1-or-later
"""torporctl security says what is so: each of its answers is held against what programs inside of the container see,
and against what the kernel says of it from outside. An item without a check here fails the test."""
import os
import pathlib
import re

import pytest

import cgroups
from client import connect
from harness import HELPERS, http_get, site_text
from rootfs import EXEC, make_image, make_root
from test_container import mounts, status_fields
from test_syscalls import HAZARDS, LOOSENED, MARK, RESTRICTED, answers

CAPABILITIES = ("CAP_SYS_ADMIN CAP_SYS_PTRACE CAP_CHOWN CAP_NET_RAW CAP_NET_BIND_SERVICE CAP_SYS_NICE")
STANDARD_NODES = {"null", "zero", "full", "random", "urandom", "tty"}
HELPERS_MOUNT = "/helpers"

CONTAINERS = {
    "default": {},
    "root": {"User": "root", "UMask": "0", "OOMScoreAdjust": "300", "LimitCORE": "0", "LimitNOFILE": "512:600"},
    "capable": {"CapabilityBoundingSet": CAPABILITIES, "AmbientCapabilities": CAPABILITIES, "Group": "daemon"},
    "bounded": {"User": "root", "CapabilityBoundingSet": "CAP_CHOWN CAP_SYS_ADMIN"},
    "host network": {"PrivateNetwork": "no", "DevicePolicy": "auto"},
    "devices": {"DeviceAllow": ["/dev/kmsg r", "/dev/ptmx rw", "char-mem r"]},
    "files": {"BindPaths": "{data}:/data", "EnvironmentFile": "{data}/environment", "UMask": "0007"},
    "tmp": {"BindPaths": "{data}:/tmp", "ProtectProc": "invisible"},
    "paths": {"BindPaths": "{data}:/data", "ReadOnlyPaths": "/data"},
    "restricted": RESTRICTED | {"Handover": "listen-fds", "NotifyAccess": "all"},
    "loosened": LOOSENED,
}


def capability_names():
    """Bit -> name."""
    text = pathlib.Path("/usr/include/linux/capability.h").read_text()
    return {int(bit): name for name, bit in re.findall(r"#define (CAP_\w+)\s+(\d+)\s*$", text, re.MULTILINE)}


def names_of(mask):
    return {name for bit, name in capability_names().items() if int(mask, 16) & 1 << bit}


def words(value):
    return set() if value == "none" else set(value.split())


def pairs(response):
    return dict(line.split("=", 1) for line in response.lines)


class Container:
    """One that runs, beside what torporctl says of it. check_ITEM(value) holds the value of an item against it."""

    def __init__(self, torpor, name, address):
        self.torpor, self.name, self.address = torpor, name, address
        torpor.visit(name, address)
        self.security = torpor.torporctl_json("security", name)
        self.values = {finding["id"]: finding["value"] for finding in self.security["findings"]}
        self.status = status_fields(address)
        self.ids = pairs(http_get(address, "/ids"))
        self.mounts = mounts(address)
        self.namespaces = dict(line.split() for line in http_get(address, "/ns").lines)

    def get(self, path):
        return http_get(self.address, path)

    # Who it is.

    def check_user(self, value):
        assert self.ids["uid"] == self.ids["euid"] and (self.ids["uid"] == value or self.is_dynamic(value, "uid"))

    def check_group(self, value):
        assert self.ids["gid"] == self.ids["egid"] and (self.ids["gid"] == value or self.is_dynamic(value, "gid"))

    def is_dynamic(self, value, kind):
        return value == "dynamic" and int(self.ids[kind]) >= (61184 if self.is_own("user") else 0x40000000)

    def check_supplementary_groups(self, value):
        assert value == "none" and self.ids["groups"] == ""

    def check_no_new_privileges(self, value):
        assert value == "yes" and self.status["NoNewPrivs"] == "1"

    def check_capabilities(self, _):
        """The four items together are each of the four sets."""
        listed = [words(self.values[f"capabilities-{kind}"]) for kind in ("host", "files", "network", "other")]
        assert sum(map(len, listed)) == len(set.union(*listed))
        for name in ("CapInh", "CapPrm", "CapEff", "CapAmb"):
            assert names_of(self.status[name]) == set.union(*listed), name

    check_capabilities_host = check_capabilities_files = check_capabilities_network = check_capabilities
    check_capabilities_other = check_capabilities

    def check_capabilities_bounding(self, value):
        assert names_of(self.status["CapBnd"]) == words(value)

    # Namespaces.

    def is_own(self, kind):
        return self.namespaces[kind] != os.readlink(f"/proc/{self.torpor.pid}/ns/{kind}")

    def check_namespace(self, kind, value):
        assert self.is_own(kind) == {"own": True, "no": False}[value], kind

    def check_namespace_user(self, value):
        self.check_namespace("user", value)

    def check_namespace_mount(self, value):
        self.check_namespace("mnt", value)

    def check_namespace_pid(self, value):
        self.check_namespace("pid", value)
        assert all(line.isdigit() is False or int(line) < 100 for line in self.get("/list?path=/proc").lines)

    def check_namespace_ipc(self, value):
        self.check_namespace("ipc", value)

    def check_namespace_uts(self, value):
        self.check_namespace("uts", value)

    def check_namespace_cgroup(self, value):
        self.check_namespace("cgroup", value)

    def check_namespace_time(self, value):
        self.check_namespace("time", value)

    def check_network(self, value):
        interfaces = {line.split(":")[0].strip() for line in self.get("/net").lines[2:]}
        assert self.is_own("net") == (value != "host")
        assert (interfaces == {"lo"}) == (value == "none") or value == "host"

    # Files.

    def check_root(self, value):
        """The tests' own roots have a name in their os-release."""
        assert (self.get("/read?path=/etc/os-release").text == "ID=tiny\n") == (value in ("directory", "image"))
        assert (self.get("/stat?path=/usr/bin/env").text == self.stat_outside("/usr/bin/env")) == (value == "host")

    @staticmethod
    def stat_outside(path):
        st = os.stat(path, follow_symlinks=False)
        return f"mode={st.st_mode:o}\nuid={st.st_uid}\ngid={st.st_gid}\nsize={st.st_size}\nrdev={st.st_rdev:x}\n"

    def check_root_writable(self, value):
        assert ("rw" in self.mounts["/"][0]) == (value != "no")
        assert (self.get("/write?path=/torpor-test").text == "EROFS\n") == (value == "no")

    def writable_mounts(self):
        """What is no memory of the container's own, and writable."""
        return {point for point, (options, kind, _) in self.mounts.items()
                if "rw" in options and kind not in ("devpts", "proc")
                and not (kind in ("tmpfs", "overlay") and self.is_private(point))}

    def is_private(self, point):
        """Whether the mount is a file system of the container's: its device is none of the host's mounts."""
        lines = [line.split() for line in self.get("/mounts").lines]
        device = [fields[2] for fields in lines if fields[4] == point][-1]
        outside = {line.split()[2] for line in pathlib.Path("/proc/self/mountinfo").read_text().splitlines()}
        return device not in outside

    def check_host_paths_writable(self, value):
        targets = {"/data", "/tmp"} & self.mounts.keys() if value != "none" else set()
        targets -= {"/tmp"} if "/data" in targets else set()
        assert self.writable_mounts() == targets and (len(targets) > 0) == (value != "none")
        for target in targets:
            assert self.get(f"/write?path={target}/from-inside").text == "ok\n"
            assert pathlib.Path(value, "from-inside").read_text() == "x"

    def check_host_paths_readable(self, value):
        sources = {HELPERS_MOUNT: str(HELPERS), "/data": str(self.torpor.directory / "data")}
        assert words(value) == {source for point, source in sources.items()
                                if point in self.mounts and "ro" in self.mounts[point][0]}

    def check_tmp(self, value):
        pathlib.Path("/tmp/torpor-test-of-tmp").touch()
        assert self.get("/stat?path=/tmp/torpor-test-of-tmp").status == 404
        assert (self.mounts["/tmp"][1] == "tmpfs" and self.is_private("/tmp")) == (value == "own")
        pathlib.Path("/tmp/torpor-test-of-tmp").unlink()

    def check_proc(self, value):
        masked, read_only = map(int, re.fullmatch(r"(\d+) masked (\d+) read-only", value).groups())
        below = {point: mount for point, mount in self.mounts.items() if point.startswith("/proc/")}
        bound = [point for point, (options, kind, _) in below.items() if kind == "proc" and "ro" in options]
        assert 0 < len(bound) <= read_only and 0 < len(below) - len(bound) <= masked
        for point in below.keys() - set(bound):
            assert "".join(self.get(f"/read?path={point}").lines) in ("", "EISDIR", "EACCES"), point
        assert self.get("/stat?path=/sys").status == 404

    def check_proc_processes(self, value):
        options = [text for text in self.mounts["/proc"][2] if text.startswith("hidepid=")]
        assert options == ([] if value == "default" else [f"hidepid={value}"])

    def nodes(self):
        found = set()
        for name in self.get("/list?path=/dev").lines:
            if int(pairs(self.get(f"/stat?path=/dev/{name}"))["mode"], 8) & 0o170000 in (0o020000, 0o060000):
                found.add(name)
        return found

    def check_device_nodes(self, value):
        assert self.nodes() == STANDARD_NODES | {path.removeprefix("/dev/") for path in words(value) - {"standard"}}

    def check_device_program(self, value):
        assert value in ("closed", "classes", "auto", "not in force")
        missing = self.torpor.status(self.name)["limits_not_in_force"]
        assert any("DevicePolicy=" in text for text in missing) == (value == "not in force")

    def check_environment_files(self, value):
        assert any(line == "FROM_FILE=yes" for line in self.get("/env").lines) == (value == "1")

    def check_umask(self, value):
        assert pairs(self.get("/host"))["umask"] == value

    # Limits.

    def check_limit(self, file, value):
        """A number, written to the file of the control group; else nothing is."""
        path = self.torpor.cgroup_of(self.name) / file
        if value == "not in force":
            assert not path.exists() and self.torpor.status(self.name)["limits_not_in_force"]
        elif path.exists():
            assert path.read_text().strip() == ("max" if value == "none" else value)
        else:
            assert value == "none"

    def check_limit_memory(self, value):
        self.check_limit("memory.max", value)

    def check_limit_tasks(self, value):
        self.check_limit("pids.max", value)

    def check_limit_cpu(self, value):
        assert value == "none"

    def check_limit_io(self, value):
        assert value == "none"

    def check_limits_in_force(self, value):
        assert len(self.torpor.status(self.name)["limits_not_in_force"]) == int(value)

    def check_resource_limit(self, title, value, inherited):
        line = next(line for line in self.get("/limits").lines if line.startswith(title))
        soft, hard = (text.replace("unlimited", "infinity") for text in line[len(title):].split()[:2])
        if value == "inherited":
            assert [soft, hard] == inherited
        else:
            assert f"{soft}:{hard}" == value

    def check_limit_core_dumps(self, value):
        text = pathlib.Path(f"/proc/{self.torpor.pid}/limits").read_text()
        own = re.search(r"Max core file size +(\S+) +(\S+)", text).groups()
        self.check_resource_limit("Max core file size", value, [text.replace("unlimited", "infinity") for text in own])

    def check_limit_open_files(self, value):
        self.check_resource_limit("Max open files", value, None)

    def check_oom_score(self, value):
        assert self.get("/read?path=/proc/self/oom_score_adj").text.strip() == value

    # The rest.

    def check_session(self, value):
        assert value == "new" and self.ids["sid"] == self.ids["pgid"] == self.ids["pid"] == "1"

    def check_controlling_terminal(self, value):
        after_name = self.get("/read?path=/proc/self/stat").text.rpartition(")")[2].split()
        assert value == "none" and after_name[4] == "0"

    def check_label(self, value):
        def read(path):
            try:
                return pathlib.Path(path).read_text()
            except OSError as error:
                return error.errno
        inside, = cgroups.processes(self.torpor.cgroup_of(self.name))
        assert value == "inherited" and read(f"/proc/{inside}/attr/current") == read(f"/proc/{self.torpor.pid}/attr/current")

    def check_notify_socket(self, value):
        assert any(line.startswith("NOTIFY_SOCKET=") for line in self.get("/env").lines) == (value != "none")

    def check_interception(self, value):
        assert words(value) in ({"bind", "listen"}, set())


class Calls:
    """What the probe of system calls got in a container of the same kind."""

    def __init__(self, uses, calls, values):
        self.uses, self.calls, self.values = uses, calls, values

    def refused(self, *names):
        return all(self.uses[name] in ("EPERM", "ENOSYS", "EACCES", "EAFNOSUPPORT", "SIGSYS") for name in names)

    def check_system_calls(self, value):
        """By number. Those that have an error of their own cannot be told from the kernel's."""
        allowed, known = map(int, value.split("/"))
        refused = {number for number, answer in self.calls.items() if answer in (MARK, "SIGSYS")}
        others = {"308": "setns", "435": "clone3", "437": "openat2", "314": "sched_setattr", "248": "add_key",
                  "249": "request_key", "250": "keyctl"}
        assert 0 <= known - allowed - len(refused) <= len(others.keys() - refused)

    def check_system_calls_hazards(self, value):
        for name in HAZARDS.split():
            if name in self.uses and name != "process_vm_readv":
                assert self.refused(name) or name in words(value), name
                assert (self.uses[name] in ("ENOSYS", "EACCES")) <= (name not in words(value)), name

    def check_system_calls_groups(self, value):
        assert ("@mount" in words(value)) == (self.calls["165"] != MARK)
        assert ("@module" in words(value)) == (self.calls["175"] != MARK)
        assert ("@swap" in words(value)) == (self.calls["167"] != MARK)

    def check_system_calls_foreign(self, value):
        assert value == "refused" and self.refused("i386 getpid", "x32 getpid")

    def check_address_families(self, value):
        for name, answer in self.uses.items():
            family = name.removeprefix("socket ")
            if family == name:
                continue
            assert answer == "EAFNOSUPPORT" or family in words(value), name
            assert answer == "ok" or family not in {"AF_UNIX", "AF_INET"} & words(value), name

    def check_new_namespaces(self, value):
        for kind in ("user", "net", "uts", "mnt", "pid", "ipc", "cgroup", "time"):
            name = "unshare user" if kind == "user" else f"unshare user, {kind}"
            assert self.refused(name) == (not {"user", kind} <= words(value)), kind

    def check_allowed(self, value, *names):
        assert self.refused(*names) == (value == "refused"), names

    def check_memory_write_execute(self, value):
        self.check_allowed(value, "mmap writable and executable", "mprotect executable", "pkey_mprotect executable",
                           "shmat executable")

    def check_realtime(self, value):
        """The kernel has a word in SCHED_FIFO too."""
        self.check_allowed(value, "sched_setattr")

    def check_set_user_id(self, value):
        self.check_allowed(value, "openat 04755", "mkdirat 02755", "mknodat 04755", "fchmodat 04755", "fchmod 02755")

    def check_personality(self, value):
        assert self.refused("personality ADDR_NO_RANDOMIZE", "personality READ_IMPLIES_EXEC") == (value != "weak")
        assert self.refused("personality PER_LINUX32") == (value == "refused")

    def check_terminal_input(self, value):
        assert value == "refused" and self.refused("ioctl TIOCSTI", "ioctl TIOCLINUX")


def check(values, checks):
    """Each value by the method of its item; those that have none are returned."""
    for item, value in values.items():
        method = getattr(checks, "check_" + item.replace("-", "_"), None)
        if method:
            method(value)
    return {item for item in values if not hasattr(checks, "check_" + item.replace("-", "_"))}


def ask_probe(torpor, what, container):
    """One site a question: the probe's answers, and what torporctl says of the site."""
    address, name = torpor.address(), f"probe-{what}"
    container = {"BindReadOnlyPaths": f"{HELPERS}:/helpers", **container}
    torpor.write_site(name, site_text(address, template=None, container=container,
                                      exec_start=f"/helpers/syscall-probe {what}"))
    torpor.wait_site(name)
    findings = torpor.torporctl_json("security", name)["findings"]
    with connect(address, timeout=60) as connection:
        text = b"".join(iter(lambda: connection.recv(65536), b"")).decode()
    return answers(text), {finding["id"]: finding["value"] for finding in findings}


@pytest.mark.parametrize("kind", CONTAINERS)
def test_says_what_is_so(torpor, kind):
    data = torpor.directory / "data"
    data.mkdir()
    data.chmod(0o777)
    (data / "environment").write_text("FROM_FILE=yes\n")
    container = {key: [text.format(data=data) for text in (value if isinstance(value, list) else [value])]
                 for key, value in CONTAINERS[kind].items()}
    address = torpor.add_site("a", container=container)
    torpor.start()
    running = Container(torpor, "a", address)
    assert running.security["running"] and running.security["name"] == "a"
    unchecked = check(running.values, running)
    uses, values = ask_probe(torpor, "uses", container)
    marked = container | {"SystemCallErrorNumber": MARK}
    calls, more = ask_probe(torpor, "calls", marked)
    assert values == more and all(values[item] == running.values[item] for item in unchecked)
    unchecked &= check(values, Calls(uses, calls, values))
    # Keys cannot be asked for from inside, and their list is masked: the kernel tells from outside.
    assert unchecked == {"keyring"}


@pytest.mark.parametrize("keys", [{}, {"Overlay": "tmpfs"}, {"Overlay": "{data}"}, {"RootImage": "{image}"}])
def test_says_what_is_so_of_roots(torpor, keys):
    root = make_root(torpor.directory / "root")
    image = torpor.directory / "root.squashfs"
    if "RootImage" in keys:
        make_image(root, image)
    container = {"RootDirectory": root} if "RootImage" not in keys else {}
    container |= {key: value.format(data=torpor.directory / "data", image=image) for key, value in keys.items()}
    address = torpor.add_site("a", template=None, exec_start=EXEC, container=container | {"StandardOutput": "inherit"})
    torpor.start()
    running = Container(torpor, "a", address)
    assert running.values["root"] == ("image" if "RootImage" in keys else "directory")
    unchecked = check(running.values, running)
    assert unchecked - {"keyring"} == {item for item in unchecked if hasattr(Calls, "check_" + item.replace("-", "_"))}


def test_session_keyring(torpor):
    """The host's own session keyring is not the container's: a program that may ask finds an empty one."""
    torpor.start()
    uses, values = ask_probe(torpor, "uses", {"SystemCallFilter": ["@known", HAZARDS]})
    assert values["keyring"] == "own" and uses["keyctl"] in ("ok", "ENOKEY", "EACCES")


def test_page(torpor):
    torpor.add_site("a")
    torpor.start()
    text = torpor.torporctl("security", "a").stdout.splitlines()
    security = torpor.torporctl_json("security", "a")
    assert not security["running"] and "decided_by" not in security
    assert text[0].split() == ["ITEM", "DESCRIPTION", "EXPOSURE"] and len(text) == len(security["findings"]) + 3
    assert text[-1] == f"-> Exposure of a: {security['exposure'] / 10:.1f} OK".replace("->", text[-1].split()[0])
    for line, finding in zip(text[1:], security["findings"]):
        part = f"{finding['exposure'] / 10:.1f}" if finding["weight"] else "-"
        assert line.split()[1] == finding["id"] and finding["description"] in line and line.split()[-1] == part


def test_overview(torpor):
    torpor.add_site("closed", container={"User": "daemon"})
    torpor.add_site("open", container={"BindPaths": "/:/host"})
    torpor.start()
    lines = [line.split() for line in torpor.torporctl("security").stdout.splitlines()]
    assert lines[0] == ["SITE", "EXPOSURE", "PREDICATE"]
    assert [(line[0], line[2]) for line in lines[1:]] == [("closed", "OK"), ("open", "UNSAFE")] and lines[2][1] == "9.5"
    brief = torpor.torporctl_json("security")
    assert [security["name"] for security in brief] == ["closed", "open"]
    assert all("findings" not in security for security in brief)


def test_threshold(torpor):
    torpor.add_site("closed")
    torpor.add_site("open", container={"BindPaths": "/:/host"})
    torpor.start()
    assert torpor.torporctl("security", "--threshold=95").returncode == 0
    result = torpor.torporctl("security", "--threshold=94", check=False)
    assert result.returncode == 1 and "open: exposure 9.5 is above the threshold 9.4" in result.stderr
    assert "closed: exposure" not in result.stderr
    assert torpor.torporctl("security", "closed", "--threshold=94").returncode == 0
    assert torpor.torporctl("--json", "security", "closed", "--threshold=0", check=False).returncode == 1
    for value in ("101", "-1", "4.5", ""):
        assert torpor.torporctl("security", f"--threshold={value}", check=False).returncode == 2
    assert torpor.torporctl("security", "nosuch", check=False).returncode == 4


def test_container_that_is_older_than_its_unit(torpor):
    """What runs counts, and is said to be old."""
    address = torpor.add_site("a")
    torpor.start()
    torpor.visit("a", address)
    torpor.write_site("a", site_text(address, container={"BindPaths": "/:/host"}))
    torpor.torporctl("reload")
    result = torpor.torporctl("security", "a")
    assert "OK" in result.stdout and "older unit" in result.stdout
    torpor.torporctl("restart", "a")
    assert torpor.torporctl_json("security", "a")["decided_by"] == "host-paths-writable"


def test_offline(torpor):
    """Without a daemon: sites, templates by file and by name, and what is wrong with a file."""
    torpor.add_site("a", container={"User": "root"})
    site, template = torpor.site_path("a"), torpor.lib / "templates/probe.template"
    assert "Exposure of" in torpor.torporctl("security", "--offline", site).stdout
    found = torpor.torporctl_json("security", "--offline", site, template, "probe")
    assert [security["name"] for security in found] == [str(site), str(template), "probe"]
    assert found[0]["exposure"] > found[1]["exposure"] == found[2]["exposure"] and not found[0]["running"]
    assert torpor.torporctl_json("security", "--offline", "probe")["name"] == "probe"
    bad = torpor.site_path("bad")
    bad.write_text("[Container]\nUser=\nNosuch=1\n")
    result = torpor.torporctl("security", "--offline", bad, site, check=False)
    assert result.returncode == 1 and f"{bad}:3: " in result.stderr and "Exposure of" in result.stdout
    for name in ("nosuch", "/etc/passwd", "../x"):
        result = torpor.torporctl("security", "--offline", name, check=False)
        assert result.returncode == 1 and name in result.stderr
    assert torpor.torporctl("security", "--offline", check=False).returncode == 2
    result = torpor.torporctl("security", "--offline", "--threshold=1", site, check=False)
    assert result.returncode == 1 and "above the threshold 0.1" in result.stderr


def test_as_a_unit_says_it_when_it_starts(torpor):
    """Online and offline agree where the host enforces all."""
    torpor.add_site("a", container={"User": "daemon", "LockPersonality": "yes"})
    torpor.start()
    online = torpor.torporctl_json("security", "a")["findings"]
    offline = torpor.torporctl_json("security", "--offline", torpor.site_path("a"))["findings"]
    for one, other in zip(online, offline):
        assert one == other or "not in force" in one["value"] or one["id"] in ("limits-in-force", "limit-open-files"), one
