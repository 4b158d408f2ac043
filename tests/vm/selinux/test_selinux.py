# SPDX-License-Identifier: LGPL-2.1-or-later
"""Labels where there is SELinux, which enforces policy.conf: a context holds what it forbids, in every kind of
container."""
import errno
import os
import pathlib

import pytest

from harness import http_get
from rootfs import EXEC, make_root
from varlink import VarlinkError

HOST, SITE, CLOSED = (f"system_u:system_r:{name}_t" for name in ("host", "site", "closed"))
FORBIDDEN = "system_u:object_r:forbidden_t"


@pytest.fixture
def files(tmp_path):
    """Two files that anybody may read and write, for all that their modes say; one of them labelled."""
    folder = tmp_path / "files"
    folder.mkdir()
    for name in ("allowed", "forbidden"):
        (folder / name).write_text("text\n")
        (folder / name).chmod(0o666)
    os.setxattr(folder / "forbidden", "security.selinux", FORBIDDEN.encode() + b"\0")
    return folder


@pytest.fixture
def add(torpor, tmp_path, files):
    """Adds a site with the files at /files; returns its address."""
    def add_site(name, own_root=False, **container):
        container = {"BindPaths": f"{files}:/files", **container}
        if not own_root:
            return torpor.add_site(name, container=container)
        root = make_root(tmp_path / f"root-{name}")
        (root / "files").mkdir()
        return torpor.add_site(name, template=None, exec_start=EXEC, container={
            "RootDirectory": root, "StandardOutput": "journal", **container})
    return add_site


def label(torpor, name):
    """The label of a site's one process, as the host sees it."""
    pid, = torpor.processes(name)
    return pathlib.Path(f"/proc/{pid}/attr/current").read_text().strip("\0\n")


def test_selinux_is_in_force(torpor):
    """What the rest of this file stands on."""
    assert pathlib.Path("/sys/fs/selinux/enforce").read_text() == "1"
    assert "selinux" in pathlib.Path("/sys/kernel/security/lsm").read_text().split(",")
    assert pathlib.Path(f"/proc/{torpor.pid}/attr/current").read_text().strip("\0\n") == HOST


@pytest.mark.parametrize("own_root", [False, True])
def test_a_context_holds(torpor, add, own_root):
    """T26: the site runs in the context, which forbids what nothing else does."""
    confined, free = add("confined", own_root, SELinuxContext=SITE), add("free", own_root)
    torpor.visit("confined", confined)
    torpor.visit("free", free)
    assert (label(torpor, "confined"), label(torpor, "free")) == (SITE, HOST)
    assert http_get(confined, "/read?path=/proc/self/attr/current").text.strip("\0\n") == SITE
    for how in ("r", "w"):
        assert http_get(confined, f"/open?path=/files/allowed&how={how}").text == "ok\n"
        assert http_get(confined, f"/open?path=/files/forbidden&how={how}").text == "EACCES\n"
        assert http_get(free, f"/open?path=/files/forbidden&how={how}").text == "ok\n"


def refused(torpor, name):
    """Why a site does not start."""
    with pytest.raises(VarlinkError) as error:
        torpor.call("Wake", site=name)
    assert torpor.processes(name) == []
    return error.value.parameters


def line_of(torpor, name, key):
    """Where a unit says something: FILE:LINE."""
    path = torpor.site_path(name)
    number, = [at for at, line in enumerate(path.read_text().splitlines(), 1) if line.startswith(f"{key}=")]
    return f"{path}:{number}"


@pytest.mark.parametrize("own_root", [False, True])
def test_a_context_that_the_policy_does_not_know(torpor, add, own_root):
    """T26: no start without the label that the unit names."""
    context = "system_u:system_r:nosuch_t"
    add("a", own_root, SELinuxContext=context)
    failure = refused(torpor, "a")
    assert (failure["step"], failure["errno"]) == ("label", errno.EINVAL)
    assert f"{context}: " in failure["message"] and line_of(torpor, "a", "SELinuxContext") in failure["message"]


def test_a_context_that_may_not_be_entered(torpor, add):
    """T26: the policy knows it, and takes it; only the program's start shows that it lets nobody in who may gain no
    privileges."""
    add("a", SELinuxContext=CLOSED)
    failure = refused(torpor, "a")
    assert (failure["step"], failure["errno"]) == ("exec", errno.EPERM)
    assert CLOSED in failure["message"] and line_of(torpor, "a", "SELinuxContext") in failure["message"]


def test_a_context_that_need_not_be_known(torpor, add):
    address = add("a", SELinuxContext="-system_u:system_r:nosuch_t")
    torpor.visit("a", address)
    assert label(torpor, "a") == HOST


def test_a_profile_on_a_host_without_apparmor(torpor, add):
    """T26: the other module's label is no less of a promise."""
    add("a", AppArmorProfile="torpor-nosuch")
    failure = refused(torpor, "a")
    assert (failure["step"], failure["errno"]) == ("label", errno.EINVAL)
    assert "torpor-nosuch: " in failure["message"] and line_of(torpor, "a", "AppArmorProfile") in failure["message"]
