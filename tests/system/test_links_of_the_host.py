# SPDX-License-Identifier: LGPL-2.1-or-later
"""T25: host paths of a unit that lead through a folder of the tenant's, who makes a link of a name in it between two
starts: nothing is opened, made or read that is not the tenant's own."""
import os

import pytest

from harness import VarlinkError, http_get

TENANT = 65534
SECRET = "SECRET=of another\n"


@pytest.fixture
def folders(torpor):
    """data/ is the tenant's; host/ is root's, with a file."""
    data, host = (torpor.directory / name for name in ("data", "host"))
    for folder in (torpor.directory, data, host):
        folder.mkdir(exist_ok=True)
        folder.chmod(0o755)
    os.chown(data, TENANT, TENANT)
    (host / "secrets").write_text(SECRET)
    return data, host


def plant(link, target, owner=TENANT):
    link.unlink(missing_ok=True)
    link.symlink_to(target)
    os.chown(link, owner, owner, follow_symlinks=False)


UNITS = {
    "output": lambda data: {"StandardOutput": f"append:{data}/logs/out"},
    "environment-file": lambda data: {"EnvironmentFile": f"-{data}/logs/secrets"},
    "mount-sources": lambda data: {"BindPaths": f"{data}/logs:/mnt"},
    "root": lambda data: {"RootDirectory": f"{data}/logs"},
}


@pytest.mark.parametrize("step", UNITS)
def test_a_link_of_the_tenant_s(torpor, folders, step):
    data, host = folders
    torpor.add_site("a", container=UNITS[step](data))
    plant(data / "logs", host)
    torpor.start()
    with pytest.raises(VarlinkError):
        torpor.call("Wake", site="a")
    failure = torpor.status("a")["failure"]
    assert failure["step"] == step and "a link on the way that is not root's" in failure["message"]
    assert sorted(path.name for path in host.iterdir()) == ["secrets"]


@pytest.mark.parametrize("step", [step for step in UNITS if step != "root"])
@pytest.mark.parametrize("owner", [0, TENANT])
def test_a_link_to_what_is_the_owner_s(torpor, folders, step, owner):
    """As operators make them, and as tenants do for releases of their own."""
    data, host = folders
    target = host if owner == 0 else data / "releases"
    if owner:
        target.mkdir()
        (target / "secrets").write_text("OWN=1\n")
        for path in (target, target / "secrets"):
            os.chown(path, owner, owner)
    plant(data / "logs", target, owner)
    address = torpor.add_site("a", container=UNITS[step](data))
    torpor.start()
    assert http_get(address, "/counter").text == "1\n"
    assert (step == "output") == (target / "out").exists()
