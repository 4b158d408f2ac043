# SPDX-License-Identifier: LGPL-2.1-or-later
"""torpor.service under the real systemd."""
from harness import http_get, wait_until
from service import UNIT, systemctl


def test_boot():
    """Nothing has failed, and torpord was started without anybody's help."""
    wait_until(lambda: not systemctl("list-jobs", "--no-legend"), "the end of the boot")
    assert systemctl("list-units", "--failed", "--no-legend", "--plain", check=False) == ""
    assert systemctl("is-enabled", UNIT) == "enabled"
    assert systemctl("is-active", UNIT) == "active"


def test_wake_freeze_stop(torpor):
    address = torpor.add_site("a")
    assert torpor.state("a") == "cold"
    first = torpor.visit("a", address, "/pid").text
    torpor.freeze("a")
    assert torpor.visit("a", address, "/pid").text == first
    torpor.torporctl("stop", "a")
    assert torpor.state("a") == "cold" and torpor.site_cgroups() == []
    assert http_get(address, "/counter").text == "1\n"
