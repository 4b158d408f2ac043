# SPDX-License-Identifier: LGPL-2.1-or-later
"""What a program finds in its container, and what it does not."""
import os
import pathlib
import socket
import subprocess

import pytest

import cgroups
from harness import http_get, wait_until

SYSCALLS = {"ptrace": 101, "bpf": 321, "keyctl": 250, "add_key": 248, "perf_event_open": 298,
            "io_uring_setup": 425, "userfaultfd": 323, "mount": 165, "umount2": 166,
            "setns": 308, "pivot_root": 155, "kexec_load": 246, "init_module": 175, "open_by_handle_at": 304,
            "reboot": 169, "swapon": 167, "process_vm_readv": 310, "fsopen": 430,
            "move_mount": 429, "clone3": 435}
CLONE_NEWUSER = 0x10000000


def status_fields(address):
    lines = http_get(address, "/status").lines
    return {name: value.strip() for name, _, value in (line.partition(":") for line in lines)}


def mounts(address):
    """Mount point -> (mount options, file system, super options), the last one of each point."""
    found = {}
    for line in http_get(address, "/mounts").lines:
        fields, _, rest = line.partition(" - ")
        fields, rest = fields.split(), rest.split()
        found[fields[4]] = (fields[5].split(","), rest[0], rest[2].split(","))
    return found


@pytest.fixture
def probe(torpor):
    """The address of a running probe with the given [Container] keys."""
    def start(name="a", **container):
        address = torpor.add_site(name, container=container)
        if not torpor.running:
            torpor.start()
        torpor.wait_site(name)
        return address
    return start


def test_namespaces(probe):
    address = probe()
    inside = dict(line.split() for line in http_get(address, "/ns").lines)
    for name in ("mnt", "pid", "ipc", "uts", "cgroup", "net"):
        assert inside[name] != os.readlink(f"/proc/self/ns/{name}"), name


def test_network_of_the_host(probe):
    address = probe(PrivateNetwork="no")
    inside = dict(line.split() for line in http_get(address, "/ns").lines)
    assert inside["net"] == os.readlink("/proc/self/ns/net")


def test_network_is_loopback_alone(torpor, probe):
    address, shared = probe(), probe("b", PrivateNetwork="no")
    interfaces = [line.split(":")[0].strip() for line in http_get(address, "/net").lines[2:]]
    assert interfaces == ["lo"]
    with socket.socket() as listener:
        listener.bind((torpor.ip, 0))
        listener.listen()
        host = f"{torpor.ip}:{listener.getsockname()[1]}"
        assert http_get(shared, f"/connect?address={host}").text in ("ok\n", "EINPROGRESS\n")
        listener.settimeout(60)
        listener.accept()[0].close()
        assert http_get(address, f"/connect?address={host}").text in ("ECONNREFUSED\n", "EINPROGRESS\n")
        assert http_get(address, "/connect?address=192.0.2.1:80").text == "ENETUNREACH\n"
        listener.settimeout(0.2)
        with pytest.raises(TimeoutError):
            listener.accept()


def test_descriptors(probe):
    """T24: none but those that were meant."""
    address = probe(StandardOutput="null")
    links = dict(line.split(" ", 1) for line in http_get(address, "/fds").lines)
    assert links.pop("0") == links.pop("1") == links.pop("2") == "/dev/null"
    assert links.pop("3").startswith("socket:")
    # The server's own: its event descriptor, epoll, and this connection.
    assert sorted(link.split("[")[0] for link in links.values()) == ["anon_inode:", "anon_inode:", "socket:"]


def test_no_capabilities(probe):
    fields = status_fields(probe())
    for name in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"):
        assert int(fields[name], 16) == 0, name


def test_no_capabilities_as_root(probe):
    fields = status_fields(probe(User="root"))
    for name in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"):
        assert int(fields[name], 16) == 0, name


def test_named_capabilities(probe):
    fields = status_fields(probe(CapabilityBoundingSet="CAP_NET_BIND_SERVICE CAP_CHOWN",
                                 AmbientCapabilities="CAP_NET_BIND_SERVICE"))
    assert int(fields["CapBnd"], 16) == 1 << 10 | 1
    for name in ("CapInh", "CapPrm", "CapEff", "CapAmb"):
        assert int(fields[name], 16) == 1 << 10, name


def test_seccomp_and_no_new_privileges(probe):
    fields = status_fields(probe())
    assert (fields["Seccomp"], fields["NoNewPrivs"]) == ("2", "1")


@pytest.mark.parametrize("user", ["nobody", "root"])
def test_refused_calls(probe, user):
    address = probe(User=user)
    for name, number in SYSCALLS.items():
        text = http_get(address, f"/try?nr={number}&a=0&b=0&c=0&d=0&e=0").text
        assert text in ("EPERM\n", "ENOSYS\n"), (name, text)
    for number in (56, 272):  # clone, unshare
        assert http_get(address, f"/try?nr={number}&a={CLONE_NEWUSER}").text == "EPERM\n", number
    for call in ("mount", "chroot", "sethostname"):
        assert http_get(address, f"/try?call={call}").text in ("EPERM\n", "ENOSYS\n"), call
    assert http_get(address, "/counter").status == 200


def test_socket_families(probe):
    address = probe(User="root")
    stream, raw = int(socket.SOCK_STREAM), int(socket.SOCK_RAW)
    for family in (socket.AF_INET, socket.AF_INET6, socket.AF_UNIX):
        assert http_get(address, f"/try?call=socket&family={int(family)}&type={stream}").text == "ok\n", family
    for family in (socket.AF_PACKET, socket.AF_VSOCK, 38):  # 38: AF_ALG
        text = http_get(address, f"/try?call=socket&family={int(family)}&type={raw}").text
        assert text in ("EPERM\n", "EAFNOSUPPORT\n", "EACCES\n"), (family, text)


def test_user_and_groups(probe):
    fields = http_get(probe(), "/ids").fields
    assert {fields[name] for name in ("uid", "euid", "gid", "egid")} == {"65534"}
    assert fields["groups"] in ("", "65534")


@pytest.mark.parametrize("container,uid,gid", [
    ({"User": "daemon"}, "1", "1"), ({"User": "12345", "Group": "23456"}, "12345", "23456"),
    ({"User": "daemon", "Group": "nogroup"}, "1", "65534")])
def test_chosen_user(probe, container, uid, gid):
    address = probe(**container)
    fields = http_get(address, "/ids").fields
    assert (fields["uid"], fields["gid"]) == (uid, gid)
    assert fields["groups"] in ("", gid)
    assert http_get(address, "/try?call=setuid&uid=0").text == "EPERM\n"


def test_process_is_the_first_of_its_own(probe):
    fields = http_get(probe(), "/ids").fields
    assert (fields["pid"], fields["ppid"], fields["sid"], fields["pgid"]) == ("1", "0", "1", "1")


def test_processes_of_others_are_not_seen(torpor, probe):
    address, other = probe(), probe("b")
    torpor.visit("b", other)
    torpor.visit("a", address)
    pids = [name for name in http_get(address, "/list?path=/proc").lines if name.isdigit()]
    assert pids == ["1"]
    assert torpor.processes("a") != torpor.processes("b")


def test_root_is_read_only(probe):
    """T24: nothing of the host can be written to."""
    address = probe(User="root")
    table = mounts(address)
    assert "ro" in table["/"][0]
    for path in ("/x", "/usr/x", "/etc/x", "/usr/bin/env", "/etc/passwd", "/dev/x", "/proc/sys/kernel/hostname",
                 "/helpers/x", "/var/x", "/run/x"):
        text = http_get(address, f"/write?path={path}").text
        assert text in ("EROFS\n", "EACCES\n", "EPERM\n"), (path, text)
    assert http_get(address, "/write?path=/usr/x").text == "EROFS\n"


def test_root_shows_the_host_s_programs_and_little_else(probe):
    address = probe()
    top = set(http_get(address, "/list?path=/").lines)
    assert {"usr", "etc", "proc", "dev", "tmp", "bin", "lib"} <= top
    assert not {"home", "root", "srv", "boot", "mnt", "media"} & top
    assert "shadow" not in http_get(address, "/list?path=/etc").lines
    assert http_get(address, "/stat?path=/usr/bin/env").status == 200
    assert http_get(address, "/read?path=/proc/1/environ").text.count("LISTEN_FDS") == 1


def test_no_mount_point_of_the_host_is_left(torpor, probe):
    """No way back to the host's root, and nothing that a later mount on the host would reach."""
    address = probe()
    text = http_get(address, "/mounts").text
    assert "shared:" not in text
    assert str(torpor.cgroup) not in text and "cgroup" not in text


@pytest.fixture
def shared_folder(torpor):
    """A folder of the host whose mounts are shared with their copies, as all of them are under systemd."""
    path = torpor.directory / "shared"
    path.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "torpor-test", path], check=True)
    subprocess.run(["mount", "--make-shared", path], check=True)
    (path / "below").mkdir()
    yield path
    subprocess.run(["umount", "--recursive", path], check=True)


@pytest.mark.parametrize("how", ["rbind", "norbind"])
def test_mounts_of_the_host_stay_outside(probe, shared_folder, how):
    """What is mounted later in a folder that the unit binds."""
    address = probe(BindPaths=f"{shared_folder}:/shared:{how}")
    assert http_get(address, "/list?path=/shared").lines == ["below"]
    assert "shared:" not in http_get(address, "/mounts").text
    subprocess.run(["mount", "-t", "tmpfs", "torpor-test", shared_folder / "below"], check=True)
    (shared_folder / "below" / "file").touch()
    assert http_get(address, "/list?path=/shared/below").lines == []


def test_mounts_are_nosuid(probe):
    for point, (options, kind, _) in mounts(probe()).items():
        assert "nosuid" in options, (point, kind)
        # The null device masks files of /proc.
        assert "nodev" in options or point.startswith(("/dev", "/proc/")), (point, kind)


def test_mounts_of_the_host_are_read_only(probe):
    """T24: as their options say."""
    table = mounts(probe(User="root"))
    found = {point: options for point, (options, _, _) in table.items() if point.startswith(("/usr", "/etc", "/lib"))}
    assert "/usr" in found
    for point, options in found.items():
        assert "ro" in options, point


def test_private_tmp(torpor, probe):
    address, other = probe(), probe("b")
    name = f"torpor-{os.getpid()}"
    marker = pathlib.Path("/tmp") / f"{name}-host"
    marker.write_text("host")
    try:
        assert http_get(address, f"/write?path=/tmp/{name}").text == "ok\n"
        assert http_get(address, "/list?path=/tmp").lines == [name]
        assert http_get(other, "/list?path=/tmp").lines == []
        assert not (marker.parent / name).exists()
        assert http_get(address, f"/write?path=/var/tmp/{name}2").text == "ok\n"
        torpor.call("Stop", site="a")
        assert http_get(address, "/list?path=/tmp").lines == []
    finally:
        marker.unlink()


def test_devices(probe):
    address = probe()
    names = set(http_get(address, "/list?path=/dev").lines)
    assert {"null", "zero", "full", "random", "urandom"} <= names
    assert not names & {"mem", "kmsg", "vda", "sda", "kvm", "fuse", "loop0"}
    assert http_get(address, "/stat?path=/dev/null").fields["rdev"] == "103"


MASKED = ("acpi", "asound", "interrupts", "kcore", "keys", "latency_stats", "sched_debug", "scsi", "timer_list",
          "timer_stats")


def bare(address):
    """What of MASKED the host has, and a site does not have covered, whether there is something in it or not."""
    covered = mounts(address)
    return [name for name in MASKED if pathlib.Path("/proc", name).exists() and f"/proc/{name}" not in covered]


def test_proc_is_masked(probe):
    address = probe(User="root")
    assert bare(address) == []
    for name in ("kcore", "keys", "timer_list"):
        if not pathlib.Path("/proc", name).exists():
            continue
        read = http_get(address, f"/read?path=/proc/{name}")
        assert read.status != 200 or read.body == b"", name
    for name in ("sysrq-trigger", "sys/kernel/panic"):
        assert http_get(address, f"/write?path=/proc/{name}&text=0").text != "ok\n", name


def test_cgroup(torpor, probe):
    address = probe()
    assert torpor.visit("a", address, "/cgroup").lines[-1] == "0::/"
    path = torpor.cgroup_of("a")
    assert path.is_relative_to(torpor.sites_cgroup)
    assert cgroups.processes(path) == [torpor.status("a")["pid"]]


def test_environment_is_only_what_was_meant(torpor):
    (torpor.directory / "env").write_text('FROM_FILE=yes\nQUOTED="a b"\n# comment\n')
    address = torpor.add_site("a", container={"Environment": ["ONE=1 'TWO=2 3'", "ONE=later"],
                                              "EnvironmentFile": [f"{torpor.directory}/env", "-/nowhere"]})
    torpor.start(environment={"SECRET": "of the daemon"})
    variables = http_get(address, "/env").fields
    assert (variables["ONE"], variables["TWO"]) == ("later", "2 3")
    assert (variables["FROM_FILE"], variables["QUOTED"]) == ("yes", "a b")
    assert set(variables) <= {"ONE", "TWO", "FROM_FILE", "QUOTED", "PATH", "LISTEN_FDS", "LISTEN_PID",
                              "LISTEN_FDNAMES", "HOME", "USER", "LOGNAME", "SHELL", "LANG"}


def test_specifiers(torpor):
    address = torpor.add_site("shop.example.com", container={"Environment": "NAME=%i PERCENT=%%"})
    torpor.start()
    variables = http_get(address, "/env").fields
    assert (variables["NAME"], variables["PERCENT"]) == ("shop.example.com", "%")


def test_settings_of_the_process(probe):
    address = probe(WorkingDirectory="/usr/bin", UMask="0027", Nice="5", LimitNOFILE="123:456", LimitCORE="0",
                    OOMScoreAdjust="321")
    fields = http_get(address, "/host").fields
    assert (fields["cwd"], fields["umask"], fields["nice"]) == ("/usr/bin", "0027", "5")
    limits = {line[:26].strip(): line[26:].split()[:2] for line in http_get(address, "/limits").lines}
    assert limits["Max open files"] == ["123", "456"]
    assert limits["Max core file size"] == ["0", "0"]
    assert http_get(address, "/read?path=/proc/self/oom_score_adj").text == "321\n"


def test_host_name_is_not_shared(probe):
    """What it is may be chosen; that it is the container's own is what counts."""
    inside = dict(line.split() for line in http_get(probe(), "/ns").lines)
    assert inside["uts"] != os.readlink("/proc/self/ns/uts")
    assert http_get(probe("b"), "/host").fields["hostname"]


def test_bind_mounts(torpor):
    writable, readable = torpor.directory / "rw", torpor.directory / "ro"
    for path in (writable, readable):
        path.mkdir()
        path.chmod(0o777)
        (path / "file").write_text("from the host")
    address = torpor.add_site("a", container={
        "BindPaths": f"{writable}:/data", "BindReadOnlyPaths": [f"{readable}", "-/nowhere/at/all"],
        "TemporaryFileSystem": "/scratch:size=64k,mode=1777"})
    torpor.start()
    assert http_get(address, "/read?path=/data/file").text == "from the host"
    assert http_get(address, "/write?path=/data/new&text=from+the+site").text == "ok\n"
    assert (writable / "new").read_text() == "from+the+site"
    assert http_get(address, f"/read?path={readable}/file").text == "from the host"
    assert http_get(address, f"/write?path={readable}/new").text == "EROFS\n"
    assert http_get(address, "/write?path=/scratch/x").text == "ok\n"
    assert "size=64k" in mounts(address)["/scratch"][2]


def test_output_to_files(torpor):
    files = {kind: torpor.directory / kind for kind in ("file", "append", "truncate")}
    addresses = {}
    for kind, path in files.items():
        path.write_text("old old old\n")
        addresses[kind] = torpor.add_site(kind, container={"StandardOutput": f"{kind}:{path}"},
                                          exec_start="/helpers/probe-server --say=started")
    torpor.start()
    for address in addresses.values():
        http_get(address)
    wait_until(lambda: all("started\n" in path.read_text() for path in files.values()), "the output")
    assert files["append"].read_text() == "old old old\nstarted\n"
    assert files["truncate"].read_text() == "started\n"
    assert files["file"].read_text().startswith("started\n")


def test_inherited_output(torpor):
    address = torpor.add_site("a", exec_start="/helpers/probe-server --say=seen-in-the-log")
    torpor.start()
    http_get(address)
    torpor.wait_log("seen-in-the-log")


def test_sites_cannot_signal_each_other(torpor, probe):
    address, other = probe(), probe("b")
    torpor.visit("b", other)
    pid = torpor.status("b")["pid"]
    assert http_get(address, f"/signal?pid={pid}&number=9").text == "ESRCH\n"
    assert http_get(other, "/counter").text == "2\n"

