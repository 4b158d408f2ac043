# SPDX-License-Identifier: LGPL-2.1-or-later
"""Labels where there is AppArmor: a profile holds what it forbids, in every kind of container."""
import subprocess

import pytest

from harness import http_get
from rootfs import EXEC, make_root
from varlink import VarlinkError

NAME = "torpor-test-profile"
PROFILE = f"""\
profile {NAME} flags=(attach_disconnected) {{
  file,
  network,
  unix,
  signal,
  deny /**/forbidden rw,
  deny /**/os-release r,
}}
"""


def parser(action, path):
    subprocess.run(["apparmor_parser", action, path], check=True)


@pytest.fixture
def profile(tmp_path):
    path = tmp_path / "profile"
    path.write_text(PROFILE)
    parser("--replace", path)
    yield path
    parser("--remove", path)


@pytest.fixture
def add(torpor, tmp_path):
    """Adds a site; returns its address."""
    def add_site(name, own_root=False, **container):
        if not own_root:
            return torpor.add_site(name, container={"User": "root", **container})
        root = make_root(tmp_path / f"root-{name}")
        return torpor.add_site(name, template=None, exec_start=EXEC, container={
            "RootDirectory": root, "Overlay": "tmpfs", "User": "root", "StandardOutput": "journal", **container})
    return add_site


def label(address):
    return http_get(address, "/read?path=/proc/self/attr/current").text.strip()


def write(address, path):
    return http_get(address, f"/write?path={path}&text=x").text


@pytest.mark.parametrize("own_root", [False, True])
def test_a_profile_holds(torpor, add, profile, own_root):
    confined, free = add("confined", own_root, AppArmorProfile=NAME), add("free", own_root)
    torpor.visit("confined", confined)
    torpor.visit("free", free)
    assert label(confined) == f"{NAME} (enforce)" and label(free) == "unconfined"
    assert write(confined, "/tmp/allowed") == write(free, "/tmp/allowed") == "ok\n"
    assert write(confined, "/tmp/forbidden") == "EACCES\n" and write(free, "/tmp/forbidden") == "ok\n"
    assert http_get(confined, "/read?path=/etc/os-release").text == "EACCES\n"
    assert http_get(free, "/read?path=/etc/os-release").text.startswith(("ID=", "PRETTY_NAME="))


def test_a_profile_that_is_not_loaded(torpor, add, profile):
    address = add("a", AppArmorProfile=NAME)
    parser("--remove", profile)
    with pytest.raises(VarlinkError) as error:
        torpor.call("Wake", site="a")
    parser("--replace", profile)
    assert error.value.parameters["step"] == "label"
    assert f"{NAME}: " in error.value.parameters["message"] and "apparmor_parser" in error.value.parameters["message"]
    torpor.visit("a", address)
    assert label(address) == f"{NAME} (enforce)"


def test_a_profile_that_need_not_be_loaded(torpor, add):
    address = add("a", AppArmorProfile=f"-{NAME}")
    torpor.visit("a", address)
    assert label(address) == "unconfined"
