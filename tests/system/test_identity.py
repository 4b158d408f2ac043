# SPDX-License-Identifier: LGPL-2.1-or-later
"""Who a container is: its users inside and on the host, its capabilities, groups and keyring."""
import os
import pathlib
import subprocess
import sys

import pytest

from harness import http_get
from rootfs import EXEC, make_image, make_root
from test_container import mounts, status_fields
from test_roots import failure, read, write
from varlink import VarlinkError

RANGE = 65536
FIRST, LAST = 1073741824, 2147352575  # UserIds=
CAPABILITY_SETS = ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb")
NOBODY = 65534
KERNEL = tuple(map(int, os.uname().release.split(".")[:2]))


@pytest.fixture
def root(torpor):
    return make_root(torpor.directory / "root")


@pytest.fixture
def add(torpor, root):
    """Adds a site with the root; returns its address."""
    def add_site(name="a", resources=None, **container):
        container = {"RootDirectory": root, "StandardOutput": "inherit", **container}
        return torpor.add_site(name, template=None, exec_start=EXEC, container=container)
    return add_site


def ids(address):
    return dict(line.split("=") for line in http_get(address, "/ids").lines)


def owner(address, path):
    fields = dict(line.split("=") for line in http_get(address, f"/stat?path={path}").lines)
    return int(fields["uid"]), int(fields["gid"])


def process(torpor, name="a"):
    """The one process of a site, as the host sees it."""
    pid, = torpor.processes(name)
    return pid


def on_host(torpor, name="a"):
    """Real, effective, saved and file-system user and group."""
    lines = pathlib.Path(f"/proc/{process(torpor, name)}/status").read_text().splitlines()
    fields = {line.split(":")[0]: line.split(":")[1].split() for line in lines}
    return {int(field) for field in fields["Uid"]}, {int(field) for field in fields["Gid"]}, fields["Groups"]


def record(torpor):
    """Site -> (first id, how many, places)."""
    lines = (torpor.state_dir / "ids").read_text().splitlines()
    words = [line.split(" ") for line in lines if not line.startswith("#")]
    return {(site, int(count)): (int(first), places) for first, count, site, *places in words}


def remove(torpor, name):
    (torpor.etc / f"sites/{name}.site").unlink()
    torpor.call("Reload")
    torpor.wait_no_site(name)


def first_of(torpor, name="a"):
    return record(torpor)[name, RANGE][0]


def test_uid_maps(torpor, add):
    addresses = {name: add(name, User="1", Group="2") for name in ("a", "b")}
    torpor.start()
    firsts = {}
    for name, address in addresses.items():
        torpor.visit(name, address)
        first = firsts[name] = first_of(torpor, name)
        assert FIRST + RANGE <= first <= LAST + 1 - RANGE and first % RANGE == 0
        pid = process(torpor, name)
        for file in ("uid_map", "gid_map"):
            assert pathlib.Path(f"/proc/{pid}/{file}").read_text().split() == ["0", str(first), str(RANGE)]
            assert read(address, f"/proc/self/{file}").split()[2] == str(RANGE)
        assert on_host(torpor, name) == ({first + 1}, {first + 2}, [])
        status = torpor.status(name)
        assert [status[key] for key in ("uid", "gid", "first_uid")] == [first + 1, first + 2, first]
        assert f"User: {first + 1}, group {first + 2} (its own users begin with {first})\n" in \
            torpor.torporctl("status", name).stdout
        inside = ids(address)
        assert (inside["uid"], inside["euid"], inside["gid"], inside["groups"]) == ("1", "1", "2", "")
        assert os.readlink(f"/proc/{pid}/ns/user") != os.readlink("/proc/self/ns/user")
    assert abs(firsts["a"] - firsts["b"]) >= RANGE


def test_namespaces_are_not_its_own(torpor, add):
    """Its user namespace owns nothing: whatever capability it had would be good for its own files alone."""
    address = add(User="root", CapabilityBoundingSet="CAP_SYS_ADMIN CAP_NET_ADMIN CAP_SYS_CHROOT",
                  AmbientCapabilities="CAP_SYS_ADMIN CAP_NET_ADMIN CAP_SYS_CHROOT",
                  SystemCallFilter="@container @mount sethostname")
    torpor.start()
    assert int(status_fields(address)["CapEff"], 16) != 0
    for call in ("mount", "sethostname"):
        assert http_get(address, f"/try?call={call}").text == "EPERM\n", call


# In the place of who started torpord: other groups, and a session keyring that would be inherited.
LEAKY = """\
import ctypes, os, sys
os.setgroups([4, 24])
ctypes.CDLL(None).syscall(250, 1, None)
os.execv(sys.argv[1], sys.argv[1:])
"""


@pytest.mark.parametrize("own_root", [False, True])
def test_capabilities_groups_and_keyring(torpor, add, own_root):
    users = {"a": {"User": "root"}, "b": {}, "c": {"User": "root", "CapabilityBoundingSet": "CAP_CHOWN CAP_SYS_ADMIN"}}
    addresses = {}
    for name, keys in users.items():
        keys = {"SystemCallFilter": "@container keyctl", **keys}
        addresses[name] = add(name, **keys) if own_root else torpor.add_site(name, container=keys)
    torpor.start(wrapper=[sys.executable, "-c", LEAKY])
    keyrings = set()
    for name, address in addresses.items():
        fields = status_fields(address)
        sets = {int(fields[name], 16) for name in CAPABILITY_SETS if name != "CapBnd"}
        assert sets == {0} and int(fields["CapBnd"], 16) == (1 << 21 | 1 if name == "c" else 0)
        assert (fields["Groups"], fields["NoNewPrivs"]) == ("", "1")
        assert ids(address)["groups"] == ""
        keyrings.add(ids(address)["keyring"])
    assert len(keyrings) == 3 and not any(keyring.startswith("-") for keyring in keyrings)


def test_files_of_the_root_keep_their_owners(torpor, root, add):
    os.chown(root / "etc/os-release", 1, 2)
    address = add()
    torpor.start()
    assert owner(address, "/") == owner(address, "/bin/probe-server") == (0, 0)
    assert owner(address, "/etc/os-release") == (1, 2)
    for path in ("/run", "/tmp", "/dev/shm"):
        assert owner(address, path) == (0, 0), path
    assert owner(address, "/proc/self") == (NOBODY, NOBODY)
    assert (root / "etc/os-release").stat().st_uid == 1


@pytest.mark.parametrize("kind", ["squashfs", "erofs"])
def test_files_of_an_image(torpor, root, add, kind):
    """One mount for both, each in its own range; on older kernels a squashfs is as it is, and nobody's."""
    mapped = kind != "squashfs" or KERNEL >= (6, 2)
    os.chown(root / "etc/os-release", 1, 2)
    (root / "etc/secret").write_text("of root")
    (root / "etc/secret").chmod(0o600)
    image = make_image(root, torpor.directory / f"image.{kind}")
    addresses = {name: add(name, User=user, RootDirectory="", RootImage=image, Overlay="tmpfs")
                 for name, user in (("a", "root"), ("b", "1"))}
    torpor.start()
    for address in addresses.values():
        assert owner(address, "/bin/probe-server") == ((0, 0) if mapped else (NOBODY, NOBODY))
        assert owner(address, "/etc/os-release") == ((1, 2) if mapped else (NOBODY, NOBODY))
        assert read(address, "/etc/os-release") == "ID=tiny\n"
    assert (http_get(addresses["a"], "/read?path=/etc/secret").text == "of root") == mapped
    assert http_get(addresses["b"], "/read?path=/etc/secret").status == 404
    assert write(addresses["a"], "/etc/os-release") == "EACCES\n"
    assert write(addresses["b"], "/etc/os-release", "changed") == ("ok\n" if mapped else "EACCES\n")
    assert owner(addresses["b"], "/etc/os-release") == ((1, 2) if mapped else (NOBODY, NOBODY))


def test_files_that_it_writes(torpor, add):
    """They belong to the same number on disk as inside, in a bind and in an overlay; what the site could not write to
    before it cannot."""
    bind, overlay = torpor.directory / "bind", torpor.directory / "overlay"
    bind.mkdir()
    os.chown(bind, 1, 2)
    (bind / "of-root").write_text("")
    address = add(User="1", Group="2", BindPaths=f"{bind}:/data", Overlay=overlay)
    torpor.start()
    assert write(address, "/data/x") == write(address, "/x") == write(address, "/tmp/x") == "ok\n"
    for path in ("/data/x", "/x", "/tmp/x"):
        assert owner(address, path) == (1, 2), path
    assert owner(address, "/data/of-root") == (0, 0)
    assert write(address, "/data/of-root") == "EACCES\n"
    for file in (bind / "x", overlay / "upper/x"):
        assert (file.stat().st_uid, file.stat().st_gid) == (1, 2)
    assert record(torpor)["a", RANGE][1] == []


@pytest.fixture
def unmapped(tmp_path):
    """A folder of a file system that cannot be id-mapped."""
    folder = tmp_path / "unmapped"
    folder.mkdir()
    subprocess.run(["mount", "-t", "ramfs", "ramfs", folder], check=True)
    yield folder
    subprocess.run(["umount", folder], check=True)


def test_files_that_it_writes_where_owners_cannot_be_mapped(torpor, add, unmapped):
    """They belong to its range, which nobody else gets while they may be there."""
    (torpor.etc / "torpor.conf").write_text(f"[Daemon]\nUserIds={FIRST}-{FIRST + 2 * RANGE - 1}\n")
    bind = unmapped / "with space"
    bind.mkdir()
    bind.chmod(0o777)
    address = add(User="1", Group="2", BindPaths=f'"{bind}:/data"')
    torpor.start()
    assert write(address, "/data/x") == "ok\n" and owner(address, "/data/x") == (1, 2)
    assert owner(address, "/data") == (NOBODY, NOBODY)
    first = first_of(torpor)
    assert ((bind / "x").stat().st_uid, (bind / "x").stat().st_gid) == (first + 1, first + 2)
    assert record(torpor)["a", RANGE][1] == [f"{unmapped}/with%20space"]
    torpor.wait_log(f"site a: {bind} cannot be id-mapped")
    remove(torpor, "a")
    add("b")
    torpor.wait_site("b")
    assert failure(torpor, "b")["errno"] == 28
    (bind / "x").unlink()
    bind.rmdir()
    torpor.call("Wake", site="b")
    assert first_of(torpor, "b") == first


def test_a_root_with_something_below_that_cannot_be_mapped(torpor, tmp_path):
    """The rest is."""
    root = make_root(tmp_path / "root")
    subprocess.run(["mount", "-t", "ramfs", "ramfs", root / "data"], check=True)
    try:
        address = torpor.add_site("a", template=None, exec_start=EXEC,
                                  container={"RootDirectory": root, "StandardOutput": "inherit"})
        torpor.start()
        assert owner(address, "/etc") == (0, 0) and owner(address, "/data") == (NOBODY, NOBODY)
    finally:
        subprocess.run(["umount", root / "data"], check=True)


def test_an_overlay_where_owners_cannot_be_mapped(torpor, root, unmapped):
    """Over a root that cannot be, nothing of what is kept is: what is copied up keeps its owner."""
    lower = make_root(unmapped / "root")
    os.chown(lower / "data", 1, 1)
    (lower / "data").chmod(0o777)
    overlay = torpor.directory / "overlay"
    address = torpor.add_site("a", template=None, exec_start=EXEC, container={
        "RootDirectory": lower, "Overlay": overlay, "User": "1", "StandardOutput": "inherit"})
    torpor.start()
    assert write(address, "/data/x") == "ok\n" and owner(address, "/data") == (NOBODY, NOBODY)
    assert (overlay / "upper/data/x").stat().st_uid == first_of(torpor) + 1
    assert record(torpor)["a", RANGE][1] == [str(overlay)]


def test_root_inside_is_nobody_outside(torpor, add):
    """Not the owner of files of the host that are not bound to be written, nor of others than its own there."""
    bind = torpor.directory / "bind"
    bind.mkdir()
    (bind / "of-other").write_text("")
    (bind / "of-other").chmod(0o600)
    os.chown(bind / "of-other", 7, 7)
    (bind / "beyond").write_text("")
    os.chown(bind / "beyond", 100000, 100000)
    address = add(User="root", BindPaths=f"{bind}:/data")
    torpor.start()
    assert write(address, "/data/x") == "ok\n" and (bind / "x").stat().st_uid == 0
    assert http_get(address, "/read?path=/data/of-other").status == 404
    assert owner(address, "/data/beyond") == (NOBODY, NOBODY)
    assert http_get(address, "/try?call=chown&path=/data/of-other").text == "EPERM\n"


@pytest.mark.parametrize("keys", [{"User": "root"}, {"User": "1"}, {"User": "1", "CapabilityBoundingSet": "CAP_CHOWN"}])
def test_no_file_for_the_host_to_run_as_another(torpor, add, keys):
    """Who is somebody inside has somebody's files on disk: none of them may get the set-user-ID bit."""
    bind = torpor.directory / "bind"
    bind.mkdir()
    bind.chmod(0o777)
    address = add(BindPaths=f"{bind}:/data", Overlay=torpor.directory / "overlay", **keys)
    torpor.start()
    for path in ("/data/x", "/x"):
        assert write(address, path) == "ok\n"
        for mode in ("4755", "2755"):
            assert http_get(address, f"/try?call=chmod&path={path}&mode={mode}").text == "EPERM\n"
        assert http_get(address, f"/try?call=chmod&path={path}&mode=0755").text == "ok\n"
    assert (bind / "x").stat().st_mode & 0o7777 == 0o755


@pytest.mark.parametrize("mode", [None, 0o755])
def test_an_overlay_is_closed_to_others(torpor, root, add, mode):
    """What is copied up keeps its owner and its set-user-ID bit."""
    (root / "data/su").write_text("")
    (root / "data/su").chmod(0o4777)
    overlay = torpor.directory / "overlay"
    if mode:
        overlay.mkdir()
        overlay.chmod(mode)
    address = add(Overlay=overlay, User="1")
    torpor.start()
    assert http_get(address, "/open?path=/data/su&how=w").text == "ok\n"
    assert (overlay / "upper/data/su").stat().st_mode & 0o7777 == 0o4777, "it is there"
    assert overlay.stat().st_mode & 0o7777 == 0o700


def test_set_user_id_does_nothing(torpor, root, add):
    (root / "bin/probe-server").chmod(0o6755)
    address = add(User="1", Group="1")
    torpor.start()
    inside = ids(address)
    assert (inside["uid"], inside["euid"], inside["gid"], inside["egid"]) == ("1", "1", "1", "1")


def test_tmpfs_owners(torpor, add):
    """And of the folder in which a program makes the socket that it is to be given."""
    address = add(User="1", Group="2", TemporaryFileSystem="/etc:mode=1777 /data")
    torpor.start()
    assert owner(address, "/data") == owner(address, "/etc") == (0, 0)
    assert write(address, "/etc/x") == "ok\n" and write(address, "/data/x") == "EACCES\n"
    assert owner(address, "/etc/x") == (1, 2)


def test_says_that_it_is_ready(torpor, root):
    """By torpord's socket, which is a file of the host."""
    address = torpor.add_site("a", template=None, exec_start=f"{EXEC} --ready",
                              container={"RootDirectory": root, "Type": "notify", "StandardOutput": "inherit"})
    torpor.start()
    torpor.visit("a", address)
    assert torpor.status("a")["status_text"] == "probing"


def test_devices(torpor, add):
    address = add(User="1")
    torpor.start()
    for name in ("null", "zero", "urandom"):
        assert http_get(address, f"/open?path=/dev/{name}&how=rw").text == "ok\n", name


def test_ranges_are_kept(torpor, add):
    """Over a restart of torpord, and while the unit is gone."""
    addresses = {name: add(name) for name in ("a", "b")}
    torpor.start()
    for name, address in addresses.items():
        torpor.visit(name, address)
    before = record(torpor)
    torpor.stop()
    addresses["c"] = add("c")
    torpor.start()
    for name, address in reversed(addresses.items()):
        torpor.visit(name, address)
    after = record(torpor)
    assert len(after) == 3 and before.items() <= after.items()
    remove(torpor, "b")
    address = add("b")
    torpor.wait_site("b")
    torpor.visit("b", address)
    assert record(torpor) == after


def test_a_range_is_another_s_when_nothing_is_left(torpor, add):
    """Two ranges for three sites."""
    (torpor.etc / "torpor.conf").write_text(f"[Daemon]\nUserIds={FIRST}-{FIRST + 3 * RANGE - 1}\n")
    addresses = {name: add(name) for name in ("a", "b", "c")}
    torpor.start()
    for name in ("a", "b"):
        torpor.visit(name, addresses[name])
    assert sorted(first for first, _ in record(torpor).values()) == [FIRST + RANGE, FIRST + 2 * RANGE]
    error = failure(torpor, "c")
    assert (error["step"], error["errno"]) == ("ids", 28)
    assert "UserIds=" in error["message"]
    freed = first_of(torpor, "a")
    remove(torpor, "a")
    torpor.call("Wake", site="c")
    assert first_of(torpor, "c") == freed and set(record(torpor)) == {("b", RANGE), ("c", RANGE)}


def test_a_record_that_cannot_be_read(torpor, add):
    add()
    torpor.state_dir.mkdir()
    (torpor.state_dir / "ids").write_text("# ours\n1073807360 65536 a\n1073807360 sixteen b\n")
    torpor.start(wait=False)
    assert torpor.process.wait(60) == 1
    assert f"{torpor.state_dir}/ids:3: " in torpor.log()


def test_a_record_that_cannot_be_written(torpor, add):
    add()
    (torpor.state_dir / "ids.new").mkdir(parents=True)
    torpor.start()
    error = failure(torpor)
    assert (error["step"], error["errno"]) == ("ids", 21)
    assert f"{torpor.state_dir}/ids: " in error["message"]
    (torpor.state_dir / "ids.new").rmdir()
    torpor.call("Wake", site="a")


def test_users_beyond_the_range_are_refused(torpor, add):
    add(User="65536")
    torpor.start()
    assert "0 to 65535" in torpor.log()


def test_without(torpor, add):
    address = add(PrivateUsers="no", User="1")
    torpor.start()
    torpor.visit("a", address)
    assert on_host(torpor)[0] == {1} and "User: 1, group 1\n" in torpor.torporctl("status", "a").stdout
    assert os.readlink(f"/proc/{process(torpor)}/ns/user") == os.readlink("/proc/self/ns/user")
    assert not (torpor.state_dir / "ids").exists()


def test_with_the_host_s_view(torpor):
    """The host's files are nobody's there, and can be read."""
    bind = torpor.directory / "bind"
    bind.mkdir()
    os.chown(bind, 1, 1)
    address = torpor.add_site("a", container={"PrivateUsers": "yes", "User": "1", "BindPaths": f"{bind}:/data"})
    torpor.start()
    torpor.visit("a", address)
    assert on_host(torpor)[0] == {first_of(torpor) + 1}
    assert owner(address, "/usr") == (NOBODY, NOBODY)
    assert write(address, "/data/x") == write(address, "/tmp/x") == "ok\n"
    assert (bind / "x").stat().st_uid == 1
    assert http_get(address, "/try?call=chmod&path=/data/x&mode=4755").text == "EPERM\n"
    assert "/usr" in mounts(address)


def test_dynamic_user(torpor):
    bind = torpor.directory / "bind 1%"
    bind.mkdir()
    bind.chmod(0o777)
    path = str(bind).replace("%", "%%")
    addresses = {name: torpor.add_site(name, container={"DynamicUser": "yes", "BindPaths": f'"{path}:/data"'})
                 for name in ("a", "b")}
    torpor.start()
    found = set()
    for name, address in addresses.items():
        torpor.visit(name, address)
        (uid, ), (gid, ), groups = on_host(torpor, name)
        assert uid == gid and groups == [] and FIRST <= uid < FIRST + RANGE
        assert (ids(address)["uid"], ids(address)["gid"]) == (str(uid), str(gid))
        assert write(address, f"/data/{name}") == "ok\n" and (bind / name).stat().st_uid == uid
        assert http_get(address, f"/try?call=chmod&path=/data/{name}&mode=4755").text == "EPERM\n"
        assert record(torpor)[name, 1] == (uid, [str(bind).replace("%", "%25").replace(" ", "%20")])
        found.add(uid)
    assert len(found) == 2


def test_dynamic_user_in_a_root_of_its_own(torpor, add):
    address = add(DynamicUser="yes", Overlay="tmpfs")
    torpor.start()
    torpor.visit("a", address)
    assert ids(address)["uid"] == ids(address)["gid"] == "61184"
    assert on_host(torpor)[0] == {first_of(torpor) + 61184}
    assert write(address, "/x") == "ok\n" and owner(address, "/x") == (61184, 61184)


def test_dynamic_user_and_a_user_are_refused(torpor):
    torpor.add_site("a", container={"DynamicUser": "yes", "User": "daemon"})
    torpor.start()
    assert "DynamicUser=yes and User= are both set" in torpor.log()
    with pytest.raises(VarlinkError):
        torpor.call("Wake", site="a")


# Labels.

LABELS = ("AppArmorProfile", "SELinuxContext")


@pytest.mark.parametrize("key", LABELS)
@pytest.mark.parametrize("own_root", [False, True])
def test_a_label_that_cannot_be_set(torpor, add, key, own_root):
    """T26: whether the host has no such module, or the module no such label: no start."""
    container = {key: "torpor-nosuch"}
    if own_root:
        add("a", **container)
    else:
        torpor.add_site("a", container=container)
    torpor.start()
    error = failure(torpor)
    assert (error["step"], error["errno"]) in (("label", 2), ("label", 22))
    path = torpor.site_path("a")
    line = path.read_text().splitlines().index(f"{key}=torpor-nosuch") + 1
    assert "torpor-nosuch: " in error["message"] and f"({key}= in {path}:{line}: this host has no " in error["message"]
    assert torpor.processes("a") == []


@pytest.mark.parametrize("key", LABELS)
def test_a_label_that_need_not_be_set(torpor, key):
    address = torpor.add_site("a", container={key: "-torpor-nosuch"})
    torpor.start()
    torpor.visit("a", address)
    text = torpor.torporctl("plan", "a").stdout
    assert f"label: {'AppArmor' if key == 'AppArmorProfile' else 'SELinux'} optional: torpor-nosuch\n" in text


@pytest.mark.parametrize("value", ["-", "a\tb", "a" * 1025])
def test_bad_labels_are_refused(torpor, value):
    torpor.add_site("a", container={"AppArmorProfile": value})
    torpor.start()
    assert "expected a name of 1 to 1024 bytes" in torpor.log()
