# SPDX-License-Identifier: LGPL-2.1-or-later
"""Sites with roots of their own: what they find there, and what a hostile root cannot do."""
import os
import pathlib

import pytest

import rootfs
from harness import SANITIZED, http_get, wait_until
from rootfs import EXEC, Swapper, make_root, mount_table, tree
from test_container import bare, mounts
from varlink import VarlinkError

OWN = ("dev", "proc", "run", "tmp")


@pytest.fixture
def root(torpor):
    return make_root(torpor.directory / "root")


@pytest.fixture
def add(torpor, root):
    """Adds a site with the root; returns its address."""
    def add_site(name="a", **container):
        container = {"RootDirectory": root, "StandardOutput": "inherit", **container}
        return torpor.add_site(name, template=None, exec_start=EXEC, container=container)
    return add_site


def failure(torpor, name="a"):
    with pytest.raises(VarlinkError) as error:
        torpor.call("Wake", site=name)
    assert error.value.name == "StartFailed"
    return error.value.parameters


def read(address, path):
    return http_get(address, f"/read?path={path}").text


def write(address, path, text="x"):
    return http_get(address, f"/write?path={path}&text={text}").text


def test_the_root_and_nothing_of_the_host(torpor, root, add):
    address = add()
    torpor.start()
    assert set(http_get(address, "/list?path=/").lines) == {path.name for path in root.iterdir()}
    assert read(address, "/etc/os-release") == "ID=tiny\n"
    assert http_get(address, "/list?path=/etc").lines == ["os-release"]
    table = mounts(address)
    assert set(table) == {"/", "/dev", "/dev/pts", "/dev/shm", "/proc", "/run", "/tmp"} | {
        path for path in table if path.startswith("/proc/")}
    assert "ro" in table["/"][0] and "shared:" not in http_get(address, "/mounts").text
    for point, (options, _, _) in table.items():
        assert "nosuid" in options, point
        assert "nodev" in options or point.startswith(("/dev", "/proc/")), point


def test_the_root_is_read_only(torpor, root, add):
    address = add(User="root")
    before = tree(root)
    torpor.start()
    for path in ("/x", "/etc/x", "/bin/probe-server", "/dev/x", "/data/x"):
        assert write(address, path) in ("EROFS\n", "ETXTBSY\n"), path
    assert write(address, "/tmp/x") == write(address, "/run/x") == "ok\n"
    torpor.call("Stop", site="a")
    assert tree(root) == before


def test_proc_is_masked(torpor, add):
    address = add(User="root", PrivateUsers="no")
    torpor.start()
    assert bare(address) == []
    for name in ("keys", "timer_list"):
        if pathlib.Path("/proc", name).exists():
            reply = http_get(address, f"/read?path=/proc/{name}")
            assert reply.status != 200 or reply.body == b"", name
    assert write(address, "/proc/sys/kernel/panic", "0") == "EROFS\n"
    assert [name for name in http_get(address, "/list?path=/proc").lines if name.isdigit()] == ["1"]


def test_binds_and_tmpfs(torpor, root, add):
    host = torpor.directory / "host"
    host.mkdir()
    (host / "file").write_text("from the host")
    (root / "link").symlink_to("/data")
    address = add(BindReadOnlyPaths=f"{host}:/link", TemporaryFileSystem="/etc:size=64k,mode=1777 /tmp:mode=1777")
    torpor.start()
    assert read(address, "/data/file") == "from the host"
    assert write(address, "/etc/x") == write(address, "/tmp/x") == "ok\n"
    assert list((root / "data").iterdir()) == []


@pytest.mark.parametrize("name", OWN)
def test_a_missing_mount_point_is_named(torpor, add, root, name):
    (root / name).rmdir()
    add()
    torpor.start()
    error = failure(torpor)
    assert (error["step"], error["errno"]) == ("unit-mounts", 2)
    assert f"/{name}: " in error["message"] and "Overlay=" in error["message"]
    assert not (root / name).exists()


def test_a_missing_bind_target_is_named(torpor, add, root):
    add(BindPaths="/usr:/usr")
    torpor.start()
    assert "/usr: " in failure(torpor)["message"]
    assert not (root / "usr").exists()


def test_a_missing_root_is_named(torpor, add):
    add(RootDirectory=torpor.directory / "nowhere")
    torpor.start()
    error = failure(torpor)
    assert (error["step"], error["errno"]) == ("root", 2)
    assert f"{torpor.directory}/nowhere" in error["message"]


def test_overlay_in_memory(torpor, add, root):
    for name in OWN:
        (root / name).rmdir()
    address = add(User="root", Overlay="tmpfs", BindReadOnlyPaths="/usr/share:/usr/share")
    before = tree(root)
    torpor.start()
    assert write(address, "/x") == write(address, "/etc/os-release", "ID=changed") == "ok\n"
    assert read(address, "/etc/os-release") == "ID=changed"
    assert "nosuid" in mounts(address)["/"][0] and mounts(address)["/"][1] == "overlay"
    assert "doc" in http_get(address, "/list?path=/usr/share").lines
    torpor.call("Stop", site="a")
    assert http_get(address, "/read?path=/x").status == 404
    assert read(address, "/etc/os-release") == "ID=tiny\n"
    torpor.call("Stop", site="a")
    assert tree(root) == before


def test_overlay_that_is_kept(torpor, add, root):
    folder = torpor.directory / "overlays"
    addresses = {name: add(name, User="daemon", Overlay=f"{folder}/%i") for name in ("a", "b")}
    before = tree(root)
    torpor.start()
    assert write(addresses["a"], "/x", "of-a") == "ok\n"
    assert write(addresses["b"], "/x", "of-b") == "ok\n"
    assert write(addresses["a"], "/etc/x") == "EACCES\n"
    torpor.call("Stop", site="a")
    assert read(addresses["a"], "/x") == "of-a"
    assert (folder / "a/upper/x").read_text() == "of-a"
    assert (folder / "a/upper").stat().st_uid == 1 and (folder / "a").stat().st_uid == 0
    for name in addresses:
        torpor.call("Stop", site=name)
    assert tree(root) == before


@pytest.mark.parametrize("spoil,error", [
    (lambda folder: folder.chmod(0o777), 1), (lambda folder: os.chown(folder, 1, 1), 1),
    (lambda folder: (folder / "upper").symlink_to("/etc"), 20), (lambda folder: (folder / "upper").write_text(""), 20)])
def test_overlay_in_a_folder_that_is_not_torpor_s(torpor, add, spoil, error):
    folder = torpor.directory / "overlay"
    folder.mkdir()
    spoil(folder)
    add(Overlay=folder)
    before = tree(folder)
    torpor.start()
    reply = failure(torpor)
    assert (reply["step"], reply["errno"]) == ("root", error)
    assert str(folder) in reply["message"]
    assert tree(folder) == before


# T25: a hostile root.

@pytest.fixture
def victim(torpor):
    """A folder of the host that links lead to."""
    folder = torpor.directory / "victim"
    folder.mkdir()
    (folder / "resolv.conf").write_text("host\n")
    (folder / "null").write_text("host\n")
    for name in OWN:
        (folder / name).mkdir()
    return folder


def links_to(victim, root):
    return {
        "absolute": victim,
        "relative": pathlib.Path("../../../../../../../../..") / victim.relative_to("/"),
        "by proc": pathlib.Path("/proc/self/root") / victim.relative_to("/"),
        "by cwd": pathlib.Path("/proc/self/cwd/.."),
        "to a mount": pathlib.Path("/dev/shm"),
        "in the root": pathlib.Path("data"),
        "up": root.parent,
    }


@pytest.mark.parametrize("name", OWN)
@pytest.mark.parametrize("overlay", ["none", "tmpfs"])
@pytest.mark.parametrize("kind", ["absolute", "relative", "by proc", "by cwd", "to a mount", "in the root", "up"])
def test_mount_points_that_are_links_are_refused(torpor, add, root, victim, name, overlay, kind):
    """T25: what is the container's own goes where it is said to, or nowhere."""
    (root / name).rmdir()
    (root / name).symlink_to(links_to(victim, root)[kind])
    add(Overlay=overlay)
    before = tree(root), tree(victim), mount_table(torpor.directory)
    torpor.start()
    error = failure(torpor)
    assert (error["step"], error["errno"]) == ("unit-mounts", 40)
    assert f"/{name}: " in error["message"] and "folder" in error["message"]
    assert (tree(root), tree(victim), mount_table(torpor.directory)) == before


@pytest.mark.parametrize("overlay", ["none", "tmpfs"])
@pytest.mark.parametrize("kind", ["absolute", "relative", "by proc", "by cwd", "to a mount", "up"])
def test_binds_onto_links_stay_inside(torpor, add, root, victim, overlay, kind):
    """T25: wherever they lead: not to the host. With what is bound being a file and a folder."""
    link = links_to(victim, root)[kind]
    source = torpor.directory / "source"
    source.mkdir()
    (source / "file").write_text("bound")
    (root / "etc/resolv.conf").symlink_to(link / "resolv.conf")
    (root / "data").rmdir()
    (root / "data").symlink_to(link)
    add("a", Overlay=overlay, BindReadOnlyPaths=f"{source}/file:/etc/resolv.conf")
    add("b", Overlay=overlay, BindPaths=f"{source}:/data")
    add("c", Overlay=overlay, BindPaths=f"{source}:/data/new/folder")
    add("d", Overlay=overlay, TemporaryFileSystem="/data:mode=1777")
    before = tree(root), tree(victim), tree(source), mount_table(torpor.directory)
    torpor.start()
    for name in "abcd":
        try:
            torpor.call("Wake", site=name)
        except VarlinkError as error:
            assert error.parameters["step"] == "unit-mounts"
    assert (tree(root), tree(victim), tree(source), mount_table(torpor.directory)) == before


def test_names_swapped_meanwhile(torpor, add, root, victim):
    """T25: each name of the root flickers between the folder and a link to the host, while the site starts again and
    again: it starts with everything in its place, or not at all."""
    source = torpor.directory / "source"
    source.mkdir()
    pairs = []
    for name in (*OWN, "data"):
        link = root / f"{name}.link"
        link.symlink_to(victim / name if name in OWN else victim)
        pairs.append((root / name, link))
    address = add(User="root", OOMScoreAdjust="7", BindPaths=f"{source}:/data")
    before = tree(victim), mount_table(torpor.directory)
    torpor.start()
    started = 0
    with Swapper(*pairs) as swapper:
        for _ in range(200):
            try:
                torpor.call("Wake", site="a")
            except VarlinkError as error:
                assert error.parameters["step"] == "unit-mounts", error.parameters
                assert error.parameters["errno"] in (2, 20, 40), error.parameters
                continue
            started += 1
            assert write(address, "/x") == "EROFS\n" and read(address, "/etc/os-release") == "ID=tiny\n"
            torpor.call("Stop", site="a")
    assert swapper.swaps > 100
    assert (tree(victim), mount_table(torpor.directory)) == before
    print(f"{started} of 200 started, {swapper.swaps} swaps")


@pytest.mark.alone
@pytest.mark.skipif(SANITIZED, reason="a thousand starts, of which a sanitizer sees nothing that a few do not show")
def test_nothing_is_left_of_a_thousand_starts(torpor, add, root):
    """T18: of sites with roots of their own, the kernel's mounts included."""
    image = rootfs.make_image(root, torpor.directory / "image.squashfs")
    sites = {"a": {"Overlay": "tmpfs"}, "b": {}, "c": {"RootDirectory": "", "RootImage": image, "Overlay": "tmpfs"}}
    for name, keys in sites.items():
        add(name, **keys)
    torpor.start()

    def descriptors():
        """Of the thread that has the most: launcher threads share a table."""
        return max(len(os.listdir(f"/proc/{torpor.pid}/task/{task}/fd"))
                   for task in os.listdir(f"/proc/{torpor.pid}/task"))

    def cycle(number):
        for _ in range(number):
            for name in sites:
                torpor.call("Wake", site=name)
                torpor.call("Stop", site=name)

    cycle(20)
    table = mount_table(torpor.directory)
    # Sandboxes made ahead come and go: a few dozen, where a leak of one a start would be a thousand.
    before, mounts_before = descriptors(), rootfs.mounts_in_kernel()
    cycle(340)
    wait_until(lambda: descriptors() <= before + 200, f"{before} descriptors again")
    wait_until(lambda: rootfs.mounts_in_kernel() <= mounts_before + 2000, f"{mounts_before} mounts again")
    assert mount_table(torpor.directory) == table
    assert not any(torpor.processes(name) for name in sites)
    assert len([path for path in rootfs.loop_devices() if str(torpor.directory) in path]) == 1
    torpor.stop()
    wait_until(lambda: not any(str(torpor.directory) in path for path in rootfs.loop_devices()), "no loop device")
