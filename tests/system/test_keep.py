# SPDX-License-Identifier: LGPL-2.1-or-later
"""Whether a site is started again once it is cold: by Keep=, by a command that came meanwhile, by nobody."""
import os
import signal

import pytest

from harness import wait_until

STUBBORN = "/helpers/probe-server --ignore-term"
AWAKE = {"Keep": "awake"}


def describe(torpor, text):
    wait_until(lambda: torpor.status("a")["description"] == text, f"a to be {text!r}")


def end(torpor):
    """Of one that does not stop by itself."""
    for pid in torpor.processes("a"):
        os.kill(pid, signal.SIGKILL)


@pytest.mark.parametrize("state", ["awake", "frozen"])
def test_other_listeners(torpor, state):
    torpor.add_site("a", hibernate={"Keep": "warm"})
    torpor.start()
    torpor.wait_state("a", "awake")
    if state == "frozen":
        torpor.freeze("a")
    with torpor.events("a") as events:
        torpor.add_site("a", hibernate={"Keep": "warm"})
        events.wait_event(to="cold")
        events.wait_event(to="awake")


@pytest.mark.parametrize("keep", ["awake", "no"])
def test_other_listeners_while_it_starts(torpor, keep):
    """Whoever has asked for it has it: Keep=, or a command."""
    gate = torpor.directory / "gate"
    gate.mkdir(mode=0o755)
    os.mkfifo(gate / "a")
    (gate / "a").chmod(0o644)
    keys = {"exec_start": "/bin/sh -c 'read line </gate/a; exec /helpers/probe-server --ready'",
            "container": {"Type": "notify", "BindReadOnlyPaths": f"{gate}:/gate"}, "hibernate": {"Keep": keep}}
    torpor.add_site("a", **keys)
    with torpor.start().connection() as control, torpor.events("a") as events:
        control.send("Wake", {"site": "a"})
        torpor.wait_state("a", "starting")
        torpor.add_site("a", **keys)
        events.wait_event(to="cold")
        events.wait_event(to="starting")
        with open(gate / "a", "wb") as writer:
            writer.write(b"go\n")
        events.wait_event(to="awake")
        assert control.reply()[0]["state"] == "awake"


def test_restart_while_the_unit_changes(torpor):
    torpor.add_site("a", exec_start=STUBBORN)
    torpor.start()
    torpor.call("Wake", site="a")
    with torpor.connection() as control:
        control.send("Restart", {"site": "a"})
        torpor.wait_state("a", "stopping")
        torpor.add_site("a", site={"Description": "two"})
        describe(torpor, "two")
        end(torpor)
        assert control.reply()[0]["state"] == "awake"


def test_removed_and_added_again(torpor):
    """And by somebody who has stopped it before: it is another one."""
    address = torpor.add_site("a", exec_start=STUBBORN, hibernate=AWAKE)
    torpor.start()
    torpor.wait_state("a", "awake")
    with torpor.connection() as control, torpor.events("a") as events:
        control.send("Stop", {"site": "a"})
        events.wait_event(to="stopping")
        torpor.site_path("a").unlink()
        torpor.add_site("marker")  # its event comes after that
        torpor.wait_site("marker")
        torpor.add_site("a", address, hibernate=AWAKE, site={"Description": "two"})
        describe(torpor, "two")
        end(torpor)
        events.wait_event(to="awake")


@pytest.mark.parametrize("helper", ["probe-server", "not-there"], ids=["awake", "failed"])
def test_stopped_by_a_command(torpor, helper):
    """It stays so, whatever else of its unit changes, until that says anew that it is kept."""
    address = torpor.add_site("a", exec_start=f"/helpers/{helper}", hibernate=AWAKE)
    torpor.start()
    torpor.wait_state("a", "awake" if helper == "probe-server" else "failed")
    assert torpor.call("Stop", site="a")["state"] == "cold"
    assert torpor.state("a") == "cold"
    torpor.add_site("a", address, hibernate=AWAKE, site={"Description": "two"})
    describe(torpor, "two")
    assert torpor.state("a") == "cold"
    torpor.torporctl("set", "a", "Keep=warm")
    torpor.wait_state("a", "awake")
