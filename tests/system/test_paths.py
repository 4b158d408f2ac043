# SPDX-License-Identifier: LGPL-2.1-or-later
"""What a site is kept from in its own container: paths, and other users' processes."""
import concurrent.futures

import pytest

from harness import http_get
from rootfs import EXEC, Swapper, make_root, tree
from test_container import mounts
from test_roots import failure, read, write
from varlink import VarlinkError


@pytest.fixture
def data(torpor):
    """A folder of the host that root in a site may write to."""
    folder = torpor.directory / "data"
    for name in ("one/two/three", "other", "secret"):
        (folder / name).mkdir(parents=True)
    (folder / "secret/file").write_text("secret\n")
    (folder / "file").write_text("secret\n")
    return folder


def start(torpor, data, **container):
    address = torpor.add_site("a", container={"User": "root", "BindPaths": f"{data}:/data", **container})
    torpor.start()
    return address


def test_read_only(torpor, data):
    address = start(torpor, data, ReadOnlyPaths="/data/one /data/file -/data/nowhere", ReadWritePaths="/data/one/two")
    assert write(address, "/data/x") == write(address, "/data/one/two/x") == "ok\n"
    assert write(address, "/data/one/two/three/x") == "ok\n"
    assert write(address, "/data/one/x") == write(address, "/data/file") == "EROFS\n"
    assert (data / "one/two/x").read_text() == "x" and not (data / "one/x").exists()
    assert "nosuid" in mounts(address)["/data/one/two"][0]


def test_nested(torpor, data):
    address = start(torpor, data, ReadOnlyPaths="/data /data/one/two/three", ReadWritePaths="/data/one /tmp",
                    InaccessiblePaths="/data/one/two")
    assert write(address, "/data/x") == "EROFS\n"
    assert write(address, "/data/one/x") == write(address, "/tmp/x") == "ok\n"
    assert write(address, "/data/one/two/x") in ("EACCES\n", "EROFS\n")
    assert not (data / "one/two/x").exists()


def test_all_of_it_read_only(torpor, data):
    address = start(torpor, data, ReadOnlyPaths="/", ReadWritePaths="/data/one /usr")
    for path in ("/data/x", "/tmp/x", "/dev/shm/x", "/usr/x"):
        assert write(address, path) == "EROFS\n", path
    assert write(address, "/data/one/x") == "ok\n"


def test_nothing_is_made_writable(torpor, data):
    """What is read-only without these keys stays so."""
    address = start(torpor, data, ReadOnlyPaths="/usr", ReadWritePaths="/usr/share /proc/sys /etc")
    for path in ("/usr/share/torpor-x", "/etc/passwd", "/proc/sys/kernel/panic"):
        assert write(address, path, "0") == "EROFS\n", path


@pytest.mark.parametrize("user", ["root", "nobody"])
def test_inaccessible(torpor, data, user):
    address = start(torpor, data, User=user,
                    InaccessiblePaths="/data/secret /data/file /proc/cpuinfo /usr/share -/nowhere")
    for path in ("/data/secret/file", "/data/file", "/proc/cpuinfo", "/usr/share/doc"):
        assert read(address, path) == "EACCES\n", path
        assert write(address, path) in ("EACCES\n", "EROFS\n"), path
    assert http_get(address, "/list?path=/data/secret").lines == ["EACCES"]
    assert (data / "file").read_text() == "secret\n"


@pytest.mark.parametrize("key", ["ReadOnlyPaths", "InaccessiblePaths"])
def test_a_missing_path_is_named(torpor, data, key):
    start(torpor, data, **{key: "/data/nowhere"})
    error = failure(torpor)
    assert (error["step"], error["errno"]) == ("unit-mounts", 2)
    assert "/data/nowhere: " in error["message"]
    assert not (data / "nowhere").exists()


def test_a_missing_hold_is_passed_over(torpor, data):
    """The n-th that is held is the n-th that is put back, missing ones counted."""
    address = start(torpor, data, ReadOnlyPaths="/data", ReadWritePaths="-/data/missing /data/other -/data/absent /data/one")
    assert write(address, "/data/other/x") == write(address, "/data/one/x") == "ok\n"
    assert (data / "other/x").exists() and (data / "one/x").exists()


def test_links_in_a_hostile_root(torpor, data):
    """They lead to places in the root alone, whoever swaps them meanwhile."""
    root = make_root(torpor.directory / "root")
    (root / "secret").mkdir()
    (root / "secret.link").symlink_to(data)
    address = torpor.add_site("a", template=None, exec_start=EXEC, container={
        "RootDirectory": root, "StandardOutput": "inherit", "ReadOnlyPaths": "/tmp", "ReadWritePaths": "-/tmp/none",
        "InaccessiblePaths": "/secret /etc/os-release"})
    before = tree(data)
    torpor.start()
    assert read(address, "/etc/os-release") == "EACCES\n"
    assert write(address, "/tmp/x") == "EROFS\n"
    torpor.call("Stop", site="a")
    with Swapper((root / "secret", root / "secret.link")):
        for _ in range(50):
            try:
                torpor.call("Wake", site="a")
            except VarlinkError as error:
                assert error.parameters["step"] == "unit-mounts"
                continue
            torpor.call("Stop", site="a")
    assert tree(data) == before


@pytest.mark.parametrize("own_root", [False, True])
def test_what_lies_in_proc(torpor, data, own_root):
    """Done by the child itself, as nobody else can mount its /proc: what is bound there, and kept from the site."""
    keys = {"template": None, "exec_start": EXEC} if own_root else {}
    container = {"RootDirectory": make_root(torpor.directory / "root"), "PrivateUsers": "no"} if own_root else {}
    address = torpor.add_site("a", **keys, container={
        **container, "User": "root", "StandardOutput": "inherit", "BindPaths": f"{data}:/data",
        "BindReadOnlyPaths": f"{data}/file:/proc/meminfo -/nowhere:/proc/stat", "TemporaryFileSystem": "/proc/tty:mode=0777",
        "InaccessiblePaths": "/proc/net /proc/cpuinfo /proc/driver -/proc/nowhere", "ReadOnlyPaths": "/ -/nowhere",
        "ReadWritePaths": "/data /proc/self/task"})
    torpor.start()
    assert read(address, "/proc/meminfo") == "secret\n" and read(address, "/proc/stat").startswith("cpu")
    assert read(address, "/proc/cpuinfo") == "EACCES\n"
    for folder in ("/proc/net", "/proc/driver"):
        assert http_get(address, f"/list?path={folder}").lines == ["EACCES"], folder
    assert http_get(address, "/list?path=/proc/tty").lines == []
    assert write(address, "/proc/self/task/1/comm", "named") == "ok\n" and read(address, "/proc/self/comm") == "named\n"
    for path in ("/proc/self/comm", "/proc/sys/kernel/panic", "/proc/tty/x", "/tmp/x"):
        assert write(address, path) == "EROFS\n", path
    assert write(address, "/data/x") == "ok\n"


def test_a_missing_path_in_proc_is_named(torpor, data):
    start(torpor, data, InaccessiblePaths="/proc/nowhere")
    error = failure(torpor)
    assert (error["step"], error["errno"]) == ("unit-mounts", 2)
    assert "/proc/nowhere: " in error["message"]


@pytest.mark.parametrize("value", ["default", "noaccess", "invisible", "ptraceable"])
def test_protect_proc(torpor, value):
    address = torpor.add_site("a", container={"ProtectProc": value})
    torpor.start()
    options = mounts(address)["/proc"][2]
    assert [option for option in options if option.startswith("hidepid")] == ([] if value == "default"
                                                                             else [f"hidepid={value}"])
    assert read(address, "/proc/self/comm") == "probe-server\n"


def test_many_at_once(torpor):
    """The launcher's threads share their descriptors: what one makes a mount point with, a child of another copies."""
    files = [torpor.directory / f"file{number}" for number in range(30)]
    for file in files:
        file.write_text("x")
    sites = [f"s{number}" for number in range(12)]
    for name in sites:
        torpor.add_site(name, container={"BindReadOnlyPaths": " ".join(f"{file}:/new/{file.name}" for file in files)})
    torpor.start()

    def wake(name):
        with torpor.connection() as connection:
            for _ in range(10):
                assert connection.call("Wake", site=name)["state"] == "awake"
                connection.call("Stop", site=name)

    with concurrent.futures.ThreadPoolExecutor(len(sites)) as pool:
        list(pool.map(wake, sites))
