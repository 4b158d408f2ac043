# SPDX-License-Identifier: LGPL-2.1-or-later
"""Sites on images of the Open Container Initiative: layers, what an image says of its program, and what hostile
images cannot do."""
import json
import os
import stat
import subprocess
import tarfile
from pathlib import Path

import pytest

from harness import http_get, wait_until
from oci import ARCHITECTURE, BASE, CONFIG, LAYER, Layout, digest_of, entry, folder, link, make_bundle, tar
from rootfs import make_root, tree
from test_container import mounts
from test_roots import failure, read, write

LAYERS = ".layers"


@pytest.fixture
def layout(torpor):
    return Layout(torpor.directory / "image")


def add(torpor, image, name="a", **container):
    container = {"RootOCI": image, "StandardOutput": "inherit", **container}
    return torpor.add_site(name, template=None, container=container)


def wait_in_force(torpor):
    wait_until(lambda: not torpor.file_errors(), "no unit that is not in force")


def start(torpor):
    """Starts torpord, and waits until all units are in force."""
    torpor.start()
    wait_in_force(torpor)


def refusal(torpor):
    """What the one unit that is not in force is refused for, for good."""
    def found():
        errors = torpor.file_errors()
        return errors and "still to be unpacked" not in errors[0]["message"] and errors[0]["message"]
    return wait_until(found, "a refused unit")


def unpacked(torpor):
    path = torpor.state_dir / LAYERS
    return sorted(path.iterdir()) if path.exists() else []


def environment(address):
    return dict(line.split("=", 1) for line in http_get(address, "/env").lines)


def command(address):
    return read(address, "/proc/self/cmdline").rstrip("\0").split("\0")


def ids(address):
    return http_get(address, "/ids").text.split("\n")[0:4:2]


@pytest.mark.parametrize("compression", ["", "+gzip", "+zstd"])
def test_an_image_is_the_root(torpor, layout, compression):
    layout.add(layout.manifest([layout.layer(BASE, compression), layout.layer([entry("second", "2\n")], compression)]))
    address = add(torpor, layout.path, User="root")
    start(torpor)
    assert read(address, "/etc/os-release") == "ID=tiny\n" and read(address, "/second") == "2\n"
    assert set(http_get(address, "/list?path=/").lines) == {"bin", "dev", "etc", "proc", "run", "second", "sys", "tmp"}
    assert write(address, "/x") == write(address, "/etc/x") == "EROFS\n"
    assert write(address, "/tmp/x") == "ok\n"
    options, kind, _ = mounts(address)["/"]
    assert kind == "overlay" and {"ro", "nosuid", "nodev"} <= set(options)


def test_a_writable_overlay(torpor, layout):
    layout.add(layout.manifest([BASE, [entry("second", "2\n")]]))
    kept = torpor.directory / "kept"
    addresses = {"a": add(torpor, layout.path, "a", User="root", Overlay="tmpfs"),
                 "b": add(torpor, layout.path, "b", User="root", Overlay=kept)}
    start(torpor)
    for name, address in addresses.items():
        assert write(address, "/second", name) == write(address, "/new", name) == "ok\n"
        torpor.call("Stop", site=name)
    assert read(addresses["a"], "/second") == "2\n"
    assert read(addresses["b"], "/second").startswith("b") and read(addresses["b"], "/new") == "b"


def test_whiteouts(torpor, layout):
    lower = [folder("kept"), entry("kept/a"), entry("kept/b"), folder("opaque"), entry("opaque/old"), folder("gone"),
             entry("gone/x"), entry("file"), folder("again"), entry("again/old"), folder("twice"), entry("twice/old")]
    upper = [entry("kept/.wh.a"), entry("opaque/.wh..wh..opq"), entry("opaque/new"), entry(".wh.gone"), entry(".wh.file"),
             entry(".wh.again"), folder("again"), entry("again/new"), folder("twice"), entry(".wh.twice"),
             entry(".wh..wh.plnk"), entry("opaque/deep/er/.wh.nothing")]
    layout.add(layout.manifest([BASE, lower, upper]))
    address = add(torpor, layout.path, WorkingDirectory="/kept")
    start(torpor)
    names = {path: set(http_get(address, f"/list?path=/{path}").lines) for path in
             ("", "kept", "opaque", "again", "twice")}
    assert names["kept"] == {"b"} and names["opaque"] == {"new", "deep"} and names["again"] == {"new"}
    assert names["twice"] == set() and read(address, "/opaque/deep/er/nothing") == "ENOENT\n"
    assert not {"gone", "file"} & names[""] and not any(".wh." in name for name in names[""])


def test_a_layer_twice(torpor, layout):
    base, empty = layout.layer(BASE), layout.layer([])
    layout.add(layout.manifest([empty, base, empty, [entry("etc/os-release", "ID=hidden\n")], base, empty]))
    address = add(torpor, layout.path)
    start(torpor)
    assert read(address, "/etc/os-release") == "ID=tiny\n" and len(unpacked(torpor)) == 3


def test_as_many_layers_as_there_can_be(torpor, layout):
    layers = [layout.layer([entry(f"file-{n}", str(n))]) for n in range(126)]
    layout.add(layout.manifest([BASE, *layers]))
    address = add(torpor, layout.path, Overlay="tmpfs", User="root")
    start(torpor)
    assert read(address, "/file-0") == "0" and read(address, "/file-125") == "125" and write(address, "/x") == "ok\n"


def test_owners_modes_and_links(torpor, layout):
    files = [entry("mine", "x", uid=1000, gid=1001, mode=0o640), entry("setuid", "x", mode=0o4755),
             folder("sticky", mode=0o1777, uid=5), link("relative", "etc/os-release"), link("absolute", "/etc/os-release"),
             link("outside", "../../../../etc/os-release"), entry("hard", "mine", type=tarfile.LNKTYPE),
             entry("n\u00e4me \u2603", "snow"), entry("long" * 40 + "/" + "name" * 40, "deep"),
             entry("pipe", type=tarfile.FIFOTYPE)]
    layout.add(layout.manifest([BASE, files]))
    address = add(torpor, layout.path, User="root")
    start(torpor)
    def about(path):
        return dict(line.split("=") for line in http_get(address, f"/stat?path=/{path}").lines)
    assert (about("mine")["uid"], about("mine")["gid"], about("mine")["mode"]) == ("1000", "1001", "100640")
    assert about("setuid")["mode"] == "104755" and about("hard")["uid"] == "1000"
    assert about("sticky")["mode"] == "41777" and about("pipe")["mode"].startswith("10")
    for name in ("relative", "absolute", "outside"):
        assert read(address, f"/{name}") == "ID=tiny\n"
    assert read(address, "/n%C3%A4me%20%E2%98%83") == "snow" or "n\u00e4me \u2603" in http_get(address, "/list?path=/").lines
    assert read(address, "/" + "long" * 40 + "/" + "name" * 40) == "deep"
    # Nobody on the host gets at it.
    assert stat.S_IMODE((torpor.state_dir / LAYERS).stat().st_mode) == 0o700


def test_layers_are_unpacked_once(torpor, layout):
    base, own = layout.layer(BASE), layout.layer([entry("own", "1\n")])
    layout.add(layout.manifest([base]), "one").add(layout.manifest([base, own]), "two")
    other = Layout(torpor.directory / "other")
    other.add(other.manifest([other.layer(BASE), [entry("other", "1\n")]]))
    addresses = [add(torpor, f"{layout.path}:one", "a"), add(torpor, f"{layout.path}:two", "b"),
                 add(torpor, other.path, "c"), add(torpor, other.path, "d")]
    start(torpor)
    assert len(unpacked(torpor)) == 3
    inodes = set()
    for name, address in zip("abcd", addresses):
        torpor.visit(name, address)
        status = os.stat(f"/proc/{torpor.status(name)['pid']}/root/bin/probe-server")
        inodes.add(status.st_ino)
    assert len(inodes) == 1, "one file of the disk, whichever image it is in"
    before = {path: path.stat().st_mtime_ns for path in unpacked(torpor)}
    torpor.stop()
    start(torpor)
    assert {path: path.stat().st_mtime_ns for path in unpacked(torpor)} == before
    assert http_get(addresses[0]).status == 200


def test_layers_that_nobody_has_are_removed(torpor, layout):
    base, own = layout.layer(BASE), layout.layer([entry("own", "1\n")])
    layout.add(layout.manifest([base]), "one").add(layout.manifest([base, own]), "two")
    address = add(torpor, f"{layout.path}:one", "a")
    add(torpor, f"{layout.path}:two", "b")
    start(torpor)
    torpor.site_path("b").unlink()
    wait_until(lambda: [path.name for path in unpacked(torpor)] == [digest_of(base)], "one layer")
    assert http_get(address).status == 200
    torpor.stop()
    torpor.site_path("a").unlink()
    torpor.start()
    wait_until(lambda: not unpacked(torpor), "no layer")


def test_what_a_crash_left_is_removed(torpor, layout):
    layout.add(layout.manifest([BASE]))
    add(torpor, layout.path)
    for name in ("new.abcdef/deep", "old." + "0" * 64):
        (torpor.state_dir / LAYERS / name).mkdir(parents=True)
    (torpor.state_dir / LAYERS / "new.abcdef/deep/link").symlink_to("/etc")
    start(torpor)
    wait_until(lambda: len(unpacked(torpor)) == 1, "one layer")
    assert os.path.exists("/etc/passwd")


def test_another_image_in_the_place_of_the_first(torpor, layout):
    layout.add(layout.manifest([BASE, [entry("version", "1\n")]]))
    address = add(torpor, layout.path)
    start(torpor)
    assert read(address, "/version") == "1\n"
    layout.replace(layout.manifest([BASE, [entry("version", "2\n")]]))
    torpor.torporctl("reload", check=False)  # 1, as the unit waits for its image
    wait_in_force(torpor)
    assert read(address, "/version") == "1\n"
    torpor.call("Stop", site="a")
    assert read(address, "/version") == "2\n"
    torpor.call("Stop", site="a")
    wait_until(lambda: len(unpacked(torpor)) == 2, "two layers")


# What an image says of its program.

WEB = {"Entrypoint": ["/bin/probe-server", "--say=entry"], "Cmd": ["--say=cmd", "--say=more"], "User": "web", "WorkingDir": "/etc",
       "Env": ["PATH=/bin:/nowhere", "COLOR=red", "SIZE=5", "LISTEN_PID=77"]}


def test_defaults_of_the_image(torpor, layout):
    layout.add(layout.manifest([BASE], WEB))
    address = add(torpor, layout.path)
    start(torpor)
    assert command(address) == ["/bin/probe-server", "--say=entry", "--say=cmd", "--say=more"]
    assert ids(address) == ["uid=1234", "gid=4321"]
    assert "cwd=/etc" in http_get(address, "/host").lines
    variables = environment(address)
    assert variables["PATH"] == "/bin:/nowhere" and variables["COLOR"] == "red" and variables["HOME"] == "/srv/web"
    assert variables["LISTEN_PID"] == "1" and variables["LISTEN_FDS"] == "1"


@pytest.mark.parametrize("keys,expected", [
    ({"ExecStart": "/bin/probe-server --say=x"}, ["/bin/probe-server", "--say=x"]),
    ({"ExecStart": "probe-server", "Parameters": "--say=p --say=q"}, ["probe-server", "--say=p", "--say=q"]),
    ({"Parameters": ["--say=p", '"--say=q r"']}, ["/bin/probe-server", "--say=entry", "--say=p", "--say=q r"]),
    ({"Parameters": ["--say=p", ""]}, ["/bin/probe-server", "--say=entry", "--say=cmd", "--say=more"])])
def test_commands_of_the_unit(torpor, layout, keys, expected):
    layout.add(layout.manifest([BASE], WEB))
    address = add(torpor, layout.path, **keys)
    start(torpor)
    assert command(address) == expected


@pytest.mark.parametrize("keys,expected", [
    ({"User": "root"}, ["uid=0", "gid=0"]), ({"User": "web", "Group": "staff"}, ["uid=1234", "gid=77"]),
    ({"User": "55"}, ["uid=55", "gid=55"]), ({"User": "1234"}, ["uid=1234", "gid=4321"]),
    ({"Group": "99"}, ["uid=1234", "gid=99"])])
def test_users_of_the_unit_are_the_image_s(torpor, layout, keys, expected):
    layout.add(layout.manifest([BASE], WEB))
    address = add(torpor, layout.path, **keys)
    start(torpor)
    assert ids(address) == expected


@pytest.mark.parametrize("user,expected", [
    ("", ["uid=65534", "gid=65534"]), ("root", ["uid=65534", "gid=65534"]), ("0:0", ["uid=65534", "gid=65534"]),
    ("web:staff", ["uid=1234", "gid=77"]), ("7", ["uid=7", "gid=7"]), ("7:8", ["uid=7", "gid=8"])])
def test_users_of_the_image(torpor, layout, user, expected):
    """None makes itself root."""
    layout.add(layout.manifest([BASE], {**WEB, "User": user}))
    address = add(torpor, layout.path)
    start(torpor)
    assert ids(address) == expected


ACCOUNTS = [entry("etc/passwd", "root:x:0:0::/:\napp:x:0:0::/:\n1000:x:0:0::/:\nme:x:2000:0::/home/me:\nzero:x:00:5::/:\n"),
            entry("etc/group", "root:x:0:\nstaff:x:0:\n77:x:0:\n")]


def add_by_user(torpor, layout, cases):
    """A site for each case, on an image for each that an image may want to run as; the addresses."""
    addresses = []
    for number, (keys, image_user, _) in enumerate(cases):
        layout.add(layout.manifest([BASE, ACCOUNTS], {**CONFIG, "User": image_user}), f"image{number}")
        addresses.append(add(torpor, f"{layout.path}:image{number}", f"s{number}", **keys))
    return addresses


def test_the_image_makes_nobody_root(torpor, layout):
    """A number is that number; group 0 of the site's own users is no power over the host."""
    cases = [({"User": "1000"}, "", ("1000", "1000")), ({}, "1000", ("1000", "1000")),
             ({"User": "01000", "Group": "77"}, "", ("1000", "77")), ({}, "1000:77", ("1000", "77")),
             ({}, "app", ("65534", "65534")), ({}, "zero", ("65534", "65534")),
             ({}, "me", ("2000", "0")), ({"User": "2000"}, "", ("2000", "0")),
             ({"User": "root"}, "", ("0", "0")), ({"User": "0"}, "", ("0", "0")),
             ({"User": "me", "PrivateUsers": "no", "Group": "root"}, "", ("2000", "0")),
             ({"User": "root", "PrivateUsers": "no"}, "", ("0", "0"))]
    addresses = add_by_user(torpor, layout, cases)
    start(torpor)
    for (*case, (uid, gid)), address in zip(cases, addresses):
        assert ids(address) == [f"uid={uid}", f"gid={gid}"], case


def test_a_user_that_the_image_makes_root_is_refused(torpor, layout):
    cases = [({"User": "app"}, "", "User=app is root"), ({"User": "zero"}, "", "User=zero is root"),
             ({"User": "app", "Group": "9"}, "", "User=app is root"),
             ({"User": "me", "PrivateUsers": "no"}, "", "group 0"), ({"PrivateUsers": "no"}, "me", "group 0"),
             ({"PrivateUsers": "no"}, "7:staff", "group 0"),
             ({"User": "7", "Group": "staff", "PrivateUsers": "no"}, "", "group 0"), ({}, "99999999999", "99999999999")]
    add_by_user(torpor, layout, cases)
    torpor.start()
    wait_until(lambda: not any("still to be unpacked" in error["message"] for error in torpor.file_errors()), "units read")
    messages = {Path(error["file"]).stem: error["message"] for error in torpor.file_errors()}
    assert len(messages) == len(cases)
    for number, (*case, expected) in enumerate(cases):
        assert expected in messages[f"s{number}"], case


def test_a_user_of_the_image_leaves_no_set_user_id(torpor, layout):
    """Its number is somebody's on the host."""
    layout.add(layout.manifest([[*BASE, folder("data")]], {**CONFIG, "User": "1000"}))
    bind = torpor.directory / "bind"
    bind.mkdir()
    bind.chmod(0o777)
    address = add(torpor, layout.path, BindPaths=f"{bind}:/data")
    start(torpor)
    assert write(address, "/data/x") == "ok\n"
    assert http_get(address, "/try?call=chmod&path=/data/x&mode=4755").text == "EPERM\n"
    assert http_get(address, "/try?call=chmod&path=/data/x&mode=0755").text == "ok\n"
    status = (bind / "x").stat()
    assert (status.st_uid, stat.S_IMODE(status.st_mode)) == (1000, 0o755)


def test_the_uppermost_passwd_counts(torpor, layout):
    layout.add(layout.manifest([BASE, [entry("etc/passwd", "web:x:1500:1500::/:\n")], [entry("x")]], WEB))
    address = add(torpor, layout.path)
    start(torpor)
    assert ids(address) == ["uid=1500", "gid=1500"]


@pytest.mark.parametrize("upper", [[entry("etc/.wh.passwd")], [entry("etc/.wh..wh..opq")], [entry(".wh.etc")],
                                   [folder("etc"), link("etc/passwd", "/x")]])
def test_a_user_that_the_image_has_not(torpor, layout, upper):
    layout.add(layout.manifest([BASE, upper], WEB))
    add(torpor, layout.path)
    torpor.start()
    assert "web" in refusal(torpor)


def test_variables_of_the_unit(torpor, layout):
    layout.add(layout.manifest([BASE], WEB))
    address = add(torpor, layout.path, Environment="COLOR=blue WEIGHT=9", WorkingDirectory="/bin")
    start(torpor)
    variables = environment(address)
    assert (variables["COLOR"], variables["SIZE"], variables["WEIGHT"]) == ("blue", "5", "9")
    assert "cwd=/bin" in http_get(address, "/host").lines


def test_the_program_is_looked_for_in_the_image_s_path(torpor, layout):
    layout.add(layout.manifest([BASE, [folder("own"), entry("own/x")]], {
        "Cmd": ["probe-server"], "Env": ["PATH=relative:/nowhere:/bin"]}))
    address = add(torpor, layout.path)
    start(torpor)
    assert command(address) == ["probe-server"]


def test_no_program_at_all(torpor, layout):
    layout.add(layout.manifest([BASE], {}))
    add(torpor, layout.path)
    torpor.start()
    assert "ExecStart=" in refusal(torpor)


# Which image.

def test_names_and_machines(torpor, layout):
    one, two = layout.manifest([BASE, [entry("n", "1\n")]]), layout.manifest([BASE, [entry("n", "2\n")]])
    foreign = layout.manifest([BASE], architecture="mips")
    nested = {**foreign, "platform": {"os": "linux", "architecture": "mips"}}, \
        {**two, "platform": {"os": "linux", "architecture": ARCHITECTURE}}
    layout.add(one, "one").add(layout.index(*nested), "many")
    addresses = add(torpor, f"{layout.path}:one", "a"), add(torpor, f"{layout.path}:many", "b")
    start(torpor)
    assert [read(address, "/n") for address in addresses] == ["1\n", "2\n"]


@pytest.mark.parametrize("name,expected", [("", "one, two"), (":three", "one, two"), (":two", "mips")])
def test_no_image_for_this_unit(torpor, layout, name, expected):
    layout.add(layout.manifest([BASE]), "one").add(layout.manifest([BASE], architecture="mips"), "two")
    add(torpor, f"{layout.path}{name}")
    torpor.start()
    message = refusal(torpor)
    assert expected in message and "RootOCI=" in message


# Bundles.

def test_a_bundle(torpor):
    root = make_root(torpor.directory / "root")
    (root / "etc/passwd").write_text("web:x:1234:4321::/srv/web:\n")
    bundle = make_bundle(torpor.directory / "bundle", root, {
        "args": ["/bin/probe-server", "--say=x"], "cwd": "/etc", "env": ["COLOR=red"], "user": {"uid": 1234, "gid": 9}})
    before = tree(bundle)
    address, other = add(torpor, bundle), add(torpor, bundle, "b", Overlay="tmpfs", User="web", Parameters="--say=y")
    start(torpor)
    assert read(address, "/etc/os-release") == "ID=tiny\n" and write(address, "/x") == "EROFS\n"
    assert ids(address) == ["uid=1234", "gid=9"] and command(address) == ["/bin/probe-server", "--say=x"]
    assert environment(address)["COLOR"] == "red" and "cwd=/etc" in http_get(address, "/host").lines
    assert write(other, "/tmp/x") == "ok\n" and ids(other) == ["uid=1234", "gid=4321"]
    assert command(other) == ["/bin/probe-server", "--say=x", "--say=y"]
    assert tree(bundle) == before and not unpacked(torpor)


@pytest.mark.parametrize("path", ["/", "..", "a/../../x", "", "../root"])
def test_a_bundle_s_root_lies_in_it(torpor, path):
    bundle = make_bundle(torpor.directory / "bundle", make_root(torpor.directory / "root"), root={"path": path})
    add(torpor, bundle)
    torpor.start()
    assert "folder in the bundle" in refusal(torpor)


@pytest.mark.parametrize("to", ["/", "..", "/etc"])
def test_a_bundle_s_root_is_no_link(torpor, to):
    bundle = make_bundle(torpor.directory / "bundle", make_root(torpor.directory / "root"))
    (bundle / "rootfs").rename(bundle / "real")
    (bundle / "rootfs").symlink_to(to)
    add(torpor, bundle)
    start(torpor)
    error = failure(torpor)
    assert error["step"] == "root" and str(bundle) in error["message"]


# Damaged and hostile images.

def spoil_blob(layout, descriptor, change):
    path = layout.blobs / digest_of(descriptor)
    path.write_bytes(change(path.read_bytes()))


@pytest.mark.parametrize("change", [lambda data: data + b"x", lambda data: data[:-1],
                                    lambda data: data[:9] + b"!" + data[10:]])
@pytest.mark.parametrize("what", ["manifest", "layer"])
def test_a_blob_that_is_not_what_its_digest_says(torpor, layout, what, change):
    layer = layout.layer(BASE, "")
    manifest = layout.manifest([layer])
    layout.add(manifest)
    chosen = {"manifest": manifest, "layer": layer}[what]
    original = (layout.blobs / digest_of(chosen)).read_bytes()
    spoil_blob(layout, chosen, change)
    address = add(torpor, layout.path)
    torpor.start()
    message = refusal(torpor)
    assert str(layout.path) in message and digest_of(chosen) in message
    assert not unpacked(torpor)
    # Mended, it is taken.
    (layout.blobs / digest_of(chosen)).write_bytes(original)
    torpor.torporctl("reload", check=False)  # 1, as the unit waits for its image
    wait_in_force(torpor)
    assert http_get(address).status == 200


HOSTILE = {
    "up": [entry("../x")], "up inside": [entry("a/../../x")], "absolute": [entry("/x")], "up folder": [folder("..")],
    "device": [entry("null", type=tarfile.CHRTYPE, devmajor=1, devminor=3)],
    "disk": [entry("sda", type=tarfile.BLKTYPE, devmajor=8)],
    "whiteout by device": [entry("w", type=tarfile.CHRTYPE, devmajor=0, devminor=0)],
    "through a link": [link("out", "/"), entry("out/x", "x")],
    "through a relative link": [link("out", "../../.."), entry("out/x", "x")],
    "through two links": [folder("d"), link("d/out", "../.."), link("o", "d/out"), entry("o/x", "x")],
    "hard link out": [entry("x", "../../etc/passwd", type=tarfile.LNKTYPE)],
    "hard link absolute": [entry("x", "/etc/passwd", type=tarfile.LNKTYPE)],
    "hard link to nothing": [entry("x", "nothing", type=tarfile.LNKTYPE)],
    "hard link through a link": [link("out", "/etc"), entry("x", "out/passwd", type=tarfile.LNKTYPE)],
    "whiteout out": [entry(".wh..")], "whiteout of up": [entry(".wh...")], "whiteout of nothing": [entry(".wh.")],
    "in a whiteout": [entry(".wh.a/b")], "whiteout through a link": [link("out", "/etc"), entry("out/.wh.passwd")],
    "opaque through a link": [link("out", "/etc"), entry("out/.wh..wh..opq")],
    "long name": [entry("a" * 256)], "owner": [entry("a", uid=2 ** 32 - 1)],
}


@pytest.mark.parametrize("kind", HOSTILE)
def test_hostile_layers_are_refused(torpor, layout, kind):
    layer = layout.layer(HOSTILE[kind])
    layout.add(layout.manifest([BASE, layer]))
    add(torpor, layout.path)
    passwd = os.stat("/etc/passwd")
    torpor.start()
    message = refusal(torpor)
    assert digest_of(layer) in message and "killed" not in message and "digest says" not in message, message
    wait_until(lambda: not unpacked(torpor), "nothing left of it")
    assert os.stat("/etc/passwd") == passwd and not os.path.exists("/x")
    assert "x" not in os.listdir(torpor.state_dir) and "x" not in os.listdir(torpor.directory)


def test_attributes_of_an_archive_are_dropped(torpor, layout):
    """No layer redirects overlayfs, or brings capabilities."""
    info, content = entry("etc/os-release", "ID=other\n")
    info.pax_headers = {"SCHILY.xattr.trusted.overlay.redirect": "/secret", "SCHILY.xattr.user.x": "y",
                        "SCHILY.xattr.security.capability": "\x01\x00\x00\x02\xff\xff\xff\xff"}
    layer = layout.layer([(info, content)])
    layout.add(layout.manifest([BASE, layer]))
    address = add(torpor, layout.path)
    start(torpor)
    assert read(address, "/etc/os-release") == "ID=other\n"
    assert os.listxattr(torpor.state_dir / LAYERS / digest_of(layer) / "etc/os-release") == []


def test_a_layer_that_holds_more_than_it_should(torpor, layout):
    """Of 200 GiB, said in a few bytes, nothing is written but what the archive really has."""
    info, _ = entry("huge")
    info.size = 200 << 30
    layer = layout.layer(info.tobuf() + bytes(10240))
    layout.add(layout.manifest([BASE, layer]))
    add(torpor, layout.path)
    torpor.start()
    assert digest_of(layer) in refusal(torpor)


@pytest.mark.parametrize("data", [b"", b"no archive at all\n" * 100, bytes(5)])
def test_a_layer_that_is_no_archive(torpor, layout, data):
    layer = layout.blob(data, LAYER)
    layout.add(layout.manifest([BASE, layer]))
    add(torpor, layout.path)
    torpor.start()
    assert digest_of(layer) in refusal(torpor)


def test_a_blob_that_is_a_link_out_of_the_image(torpor, layout):
    layer = layout.layer(BASE)
    path = layout.blobs / digest_of(layer)
    layout.add(layout.manifest([layer]))
    path.rename(torpor.directory / "elsewhere")
    path.symlink_to(torpor.directory / "elsewhere")
    add(torpor, layout.path)
    torpor.start()
    assert digest_of(layer) in refusal(torpor)


def test_the_good_image_stays_in_force(torpor, layout):
    layout.add(layout.manifest([BASE]))
    address = add(torpor, layout.path)
    start(torpor)
    layout.replace(layout.manifest([BASE, HOSTILE["device"]]))
    torpor.torporctl("reload", check=False)  # 1, as the unit waits for its image
    assert "a device" in refusal(torpor)
    assert http_get(address).status == 200


def test_stopping_while_it_unpacks(torpor, layout):
    layers = [layout.layer([entry("big", bytes(32 << 20) + bytes([n])), *BASE], "") for n in range(4)]
    layout.add(layout.manifest(layers))
    add(torpor, layout.path)
    torpor.start()
    torpor.wait_log("unpacking")
    torpor.stop()
    start(torpor)


def test_two_torpords_with_one_state_dir(torpor, new_instance, layout):
    layout.add(layout.manifest([BASE]))
    add(torpor, layout.path)
    start(torpor)
    other = new_instance()
    add(other, layout.path)
    other.start(f"--state={torpor.state_dir}")
    assert "another torpord" in refusal(other) and "--state=" in refusal(other)


def test_verify(torpor, layout):
    layout.add(layout.manifest([BASE], WEB))
    add(torpor, layout.path)
    torpor.torporctl("verify", torpor.site_path("a"))
    assert not unpacked(torpor)
    (layout.path / "index.json").write_text("{}")
    result = torpor.torporctl("verify", torpor.site_path("a"), check=False)
    assert result.returncode == 1 and "index.json" in result.stderr


def test_the_plan_shows_the_image(torpor, layout):
    layer = layout.layer(BASE)
    layout.add(layout.manifest([layer], WEB))
    add(torpor, layout.path)
    start(torpor)
    text = torpor.torporctl("plan", "a").stdout
    for line in (f"root: oci: {layout.path}", f"root: layer: {digest_of(layer)}", "user: 1234", "execute: /bin/probe-server",
                 "environment: COLOR=red", "working-directory: /etc"):
        assert line in text, line
