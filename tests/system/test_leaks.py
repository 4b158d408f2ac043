# SPDX-License-Identifier: LGPL-2.1-or-later
"""T18: starts and stops leave nothing. `./run bench leaks` does it ten thousand times, and looks at the kernel, too."""
import pytest

from harness import SANITIZED
from leaks import Sites, assert_nothing_left, settled

STARTS = 60 if SANITIZED else 240


def test_starts_and_stops(torpor):
    """T18: of sites with roots of every kind, and of starts that fail: no process, control group, mount, namespace,
    loop device or descriptor is left."""
    sites = Sites(torpor)
    sites.start()
    for _ in range(3):
        sites.round()
    before = settled(torpor)
    starts = 0
    while starts < STARTS:
        starts += sites.round()
    assert_nothing_left(torpor, before)
    torpor.stop()
    assert not any(path.is_dir() for path in torpor.sites_cgroup.glob("*"))


@pytest.mark.parametrize("name", ["no-program", "no-target", "no-label"])
def test_starts_that_fail(torpor, name):
    """T18: neither does a start that fails, at whatever step."""
    sites = Sites(torpor)
    sites.addresses = {name: sites.addresses[name]}
    sites.start()
    sites.round()
    before = settled(torpor)
    assert (before["processes"], before["control groups"]) == (1, 0)  # the one that answers bind(2)
    for _ in range(10):
        sites.round()
    assert_nothing_left(torpor, before)
