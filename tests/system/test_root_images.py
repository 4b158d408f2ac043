# SPDX-License-Identifier: LGPL-2.1-or-later
"""Sites on images: one mount for all of them, and nothing left of it when nobody has it."""
import os
import pathlib
import shutil

import pytest

from harness import SANITIZED, http_get, wait_until
from pagecache import drop, read_whole, resident_pages
from rootfs import EXEC, loop_devices, make_image, make_root
from test_roots import failure, read, write
from varlink import VarlinkError

KINDS = ("squashfs", "erofs")


@pytest.fixture
def root(torpor):
    return make_root(torpor.directory / "root")


@pytest.fixture(params=KINDS)
def image(request, torpor, root):
    return make_image(root, torpor.directory / f"image.{request.param}")


def add(torpor, image, name="a", **container):
    container = {"RootImage": image, "StandardOutput": "inherit", **container}
    return torpor.add_site(name, template=None, exec_start=EXEC, container=container)


def loops_of(image):
    """Its loop devices. The file may have been replaced: "(deleted)" stands behind the name then."""
    return [path for path in loop_devices() if path.startswith(str(image))]


def root_mount(torpor, name):
    """Device number, type and source of a site's root, as the kernel says."""
    torpor.wait_state(name, "awake")
    lines = pathlib.Path(f"/proc/{torpor.status(name)['pid']}/mountinfo").read_text().splitlines()
    fields, rest = next((line.split(), line.partition(" - ")[2].split()) for line in lines if line.split()[4] == "/")
    return fields[2], *rest[:2]


def test_the_image_is_the_root(torpor, image):
    address = add(torpor, image, User="root")
    torpor.start()
    assert read(address, "/etc/os-release") == "ID=tiny\n"
    assert write(address, "/x") == write(address, "/etc/x") == "EROFS\n"
    assert write(address, "/tmp/x") == "ok\n"
    number, kind, _ = root_mount(torpor, "a")
    assert kind == image.suffix[1:]
    torpor.stop()
    wait_until(lambda: not loops_of(image), "no loop device")


def test_overlay_on_an_image(torpor, image):
    folder = torpor.directory / "kept"
    addresses = {"memory": add(torpor, image, "memory", User="root", Overlay="tmpfs"),
                 "kept": add(torpor, image, "kept", User="root", Overlay=folder)}
    torpor.start()
    for name, address in addresses.items():
        assert write(address, "/etc/os-release", name) == "ok\n"
        torpor.call("Stop", site=name)
    assert read(addresses["memory"], "/etc/os-release") == "ID=tiny\n"
    assert read(addresses["kept"], "/etc/os-release") == "keptiny\n"


def test_sites_share_a_mount(torpor, image):
    names = ("a", "b", "c")
    os.link(image, image.with_name("other-name"))
    for name in names:
        add(torpor, image if name != "c" else image.with_name("other-name"), name)
    torpor.start()
    for name in names:
        torpor.call("Wake", site=name)
    assert len({root_mount(torpor, name) for name in names}) == 1
    assert len(loops_of(image.parent)) <= 1


def test_a_loop_device_is_given_back(torpor, root):
    image = make_image(root, torpor.directory / "image.squashfs")
    address = add(torpor, image)
    add(torpor, image, "b")
    torpor.start()
    torpor.visit("a", address)
    torpor.call("Stop", site="a")
    assert len(loops_of(image)) == 1
    torpor.site_path("b").unlink()
    torpor.wait_no_site("b")
    torpor.visit("a", address)
    assert len(loops_of(image)) == 1
    # A container keeps its own, whoever forgets it.
    pid = torpor.status("a")["pid"]
    number = root_mount(torpor, "a")
    torpor.site_path("a").unlink()
    torpor.wait_no_site("a")
    wait_until(lambda: not loops_of(image), f"no loop device (pid {pid} on {number})")


def test_an_image_that_is_replaced(torpor, root, image):
    address = add(torpor, image)
    torpor.start()
    assert read(address, "/etc/os-release") == "ID=tiny\n"
    (root / "etc/os-release").write_text("ID=second\n")
    new = make_image(root, image.with_stem("new"))
    new.rename(image)
    assert read(address, "/etc/os-release") == "ID=tiny\n"
    torpor.call("Stop", site="a")
    assert read(address, "/etc/os-release") == "ID=second\n"
    wait_until(lambda: len(loops_of(image)) <= 1, "one loop device at most")


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("spoil,error", [
    (lambda path: path.write_text("no image\n" * 1000), 124), (lambda path: path.write_text(""), 124),
    (lambda path: path.mkdir(), 21), (os.mkfifo, 124), (lambda path: None, 2)])
def test_what_is_no_image_is_refused(torpor, kind, spoil, error):
    path = torpor.directory / f"image.{kind}"
    spoil(path)
    add(torpor, path)
    torpor.start()
    reply = failure(torpor)
    assert (reply["step"], reply["errno"]) == ("root", error)
    assert str(path) in reply["message"]
    assert ("squashfs" in reply["message"].split(str(path))[-1]) == (error == 124)


def test_a_broken_image_is_refused_and_leaves_nothing(torpor, image):
    content = image.read_bytes()
    image.write_bytes(content[:2048] if image.suffix == ".erofs" else content[:96])
    add(torpor, image)
    torpor.start()
    for _ in range(20):
        with pytest.raises(VarlinkError) as error:
            torpor.call("Wake", site="a")
        assert error.value.parameters["step"] in ("root", "unit-mounts", "exec")
    torpor.stop()
    wait_until(lambda: not loops_of(image), "no loop device")


def test_missing_mount_points_in_an_image(torpor, root):
    shutil.rmtree(root / "proc")
    image = make_image(root, torpor.directory / "image.erofs")
    add(torpor, image)
    address = add(torpor, image, "b", Overlay="tmpfs")
    torpor.start()
    assert "/proc: " in failure(torpor)["message"]
    assert read(address, "/proc/self/comm") == "probe-server\n"


@pytest.mark.parametrize("overlay", ["none", "tmpfs"])
def test_one_copy_in_memory(torpor, root, image, overlay):
    """A page that one site has read is there for all of them, and gone for all of them: by mincore(2), page by page.
    Of a file that a program has mapped, too."""
    (root / "data/file").write_bytes(os.urandom(300 * 4096))
    image.unlink()
    image = make_image(root, image)
    names = [f"site-{number}" for number in range(100)]
    addresses = {name: add(torpor, image, name, Overlay=overlay) for name in names}
    torpor.start()
    for name, address in addresses.items():
        torpor.visit(name, address)
    files = [f"/proc/{torpor.status(name)['pid']}/root/data/file" for name in names]
    for reader in (files[0], files[50]):
        drop(reader)
        assert {resident_pages(path) for path in files} == {(0, 300)}
        read_whole(reader)
        assert {resident_pages(path) for path in files} == {(300, 300)}
    programs = {resident_pages(path.replace("data/file", "bin/probe-server")) for path in files}
    assert len(programs) == 1 and min(programs)[0] > 0


@pytest.mark.skipif(SANITIZED, reason="a thousand containers at once, of which a sanitizer sees nothing new")
def test_a_thousand_sites_on_one_image(torpor, image):
    """One file, one superblock, one loop device at most: disk and page cache are paid for once."""
    names = [f"site-{number}" for number in range(1000)]
    addresses = {name: add(torpor, image, name) for name in names}
    torpor.start()
    for address in addresses.values():
        assert http_get(address).status == 200
    roots = {root_mount(torpor, name) for name in names}
    assert len(roots) == 1, roots
    assert len(loops_of(image)) <= 1
    torpor.stop()
    wait_until(lambda: not loops_of(image), "no loop device")
