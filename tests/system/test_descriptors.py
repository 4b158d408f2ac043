# SPDX-License-Identifier: LGPL-2.1-or-later
"""torpord has no descriptor left: who sleeps is woken all the same, and who is to stop is stopped."""
import contextlib
import resource

from harness import HttpConnection

NONE = 4  # of those below that number, which are taken, and need be for fcntl(F_DUPFD) to fail as open(2) does


@contextlib.contextmanager
def no_descriptor(torpor):
    """Whoever has one keeps it. Nobody new can be let in at the control socket meanwhile."""
    limit = resource.prlimit(torpor.pid, resource.RLIMIT_NOFILE)
    resource.prlimit(torpor.pid, resource.RLIMIT_NOFILE, (NONE, limit[1]))
    try:
        yield
    finally:
        resource.prlimit(torpor.pid, resource.RLIMIT_NOFILE, limit)


def test_a_frozen_site_is_woken(torpor):
    """And is watched for idleness when that can be had again."""
    torpor.write(torpor.etc / "torpor.conf", "[Daemon]\nScanIntervalSec=50ms\n")
    address = torpor.add_site("a", hibernate={"FreezeAfterSec": "200ms", "StopAfterSec": "infinity"})
    torpor.start()
    with torpor.events("a") as events:
        torpor.visit("a", address)
        events.wait_event(to="frozen")
        with no_descriptor(torpor):
            with HttpConnection(address) as connection:
                assert connection.get("/counter", close=True).text == "2\n"
            assert events.wait_event(to="awake")["from"] == "frozen"
            torpor.wait_log("site a: idleness cannot be watched: .*: trying again")
        events.wait_event(to="frozen")
    assert torpor.log().count("cannot be watched") == 1


def test_a_frozen_site_is_stopped(torpor):
    """By force, as its program does not do it: the signal arrives, and after the time it is killed, with all that it has
    started."""
    address = torpor.add_site("a", exec_start="/helpers/probe-server --ignore-term", container={"TimeoutStopSec": "300ms"})
    torpor.start()
    torpor.visit("a", address, "/spawn?ms=600000&ignore-term=1")
    torpor.freeze("a")
    with torpor.connection() as control:
        assert control.call("GetStatus", site="a")["status"]["state"] == "frozen"  # it is let in before there are none
        with no_descriptor(torpor):
            assert control.call("Stop", site="a")["state"] == "cold"
    torpor.visit("a", address)


def test_an_awake_site_stays_awake(torpor):
    """It cannot be frozen, which is said; who visits it notices nothing."""
    address = torpor.add_site("a")
    torpor.start()
    torpor.visit("a", address)
    with torpor.connection() as control:
        assert control.call("GetStatus", site="a")["status"]["state"] == "awake"
        with no_descriptor(torpor), HttpConnection(address) as connection:
            control.send("Freeze", {"site": "a"})
            assert control.receive()["error"].endswith("NotPossible")
            assert connection.get("/counter").text == "2\n"
    torpor.wait_log("site a: cannot be frozen: Too many open files")
    torpor.freeze("a")
