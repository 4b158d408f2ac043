# SPDX-License-Identifier: LGPL-2.1-or-later
"""Sites that are woken and hibernated by the clock on the wall. Times are a few seconds ahead; what calendars mean is tested
in tests/unit."""
import datetime
import time

import pytest

from harness import connect, http_get

NEVER = {"FreezeAfterSec": "infinity", "StopAfterSec": "infinity"}


@pytest.fixture
def quick(torpor):
    torpor.write(torpor.etc / "torpor.conf", "[Daemon]\nScanIntervalSec=50ms\n")
    return torpor


AHEAD = 3  # seconds, in which torpord gets to know of a site, whatever else the machine has to do


def at(seconds):
    """A calendar for the first whole second at least so far ahead, and that second."""
    when = int(time.time() + seconds) + 1
    return datetime.datetime.fromtimestamp(when, datetime.timezone.utc).strftime("%Y-%m-%d %H:%M:%S UTC"), when


def test_wakes_and_hibernates_as_usual(quick):
    quick.start()
    with quick.events() as events:
        calendar, when = at(AHEAD)
        quick.add_site("a", hibernate={"WakeOnCalendar": [calendar, "2099-01-01"], "StopAfterSec": "200ms"})
        assert quick.wait_site("a")["schedule"]["next_wake_us"] == when * 1000000
        assert events.wait_event(to="awake")["time_us"] / 1e6 >= when
        assert events.wait_event(to="cold")["reason"]
    status = quick.status("a")
    assert status["last_wake_by"] == "schedule"
    assert "2099" in quick.torporctl("status", "a").stdout


def test_hours(quick):
    """Woken ahead, kept as long as they last, whatever the times of idleness, and no longer."""
    quick.start()
    with quick.events() as events:
        calendar, when = at(AHEAD + 1)
        quick.add_site("a", hibernate={"WakeOnCalendar": calendar, "WakeAheadSec": "1s", "KeepAwakeSec": "1s",
                                       "FreezeAfterSec": "100ms", "StopAfterSec": "300ms"})
        assert quick.wait_site("a")["schedule"]["next_wake_us"] == (when - 1) * 1000000
        assert events.wait_event(to="awake")["time_us"] / 1e6 >= when - 1
        over = events.wait_event(from_="awake")
        assert over["time_us"] / 1e6 >= when + 1
        events.wait_event(to="cold")


def test_a_start_within_the_hours(quick):
    """And a program that ends within them comes back."""
    address = quick.add_site("a", hibernate={"WakeOnCalendar": "*-*-* 00:00", "KeepAwakeSec": "2d",
                                             "FreezeAfterSec": "100ms", "StopAfterSec": "200ms"})
    quick.start()
    quick.wait_state("a", "awake")
    with quick.events("a") as events:
        with connect(address) as sock:
            sock.sendall(b"GET /exit?code=0 HTTP/1.1\r\n\r\n")
            events.wait_event(to="awake")
    time.sleep(0.4)
    assert quick.state("a") == "awake"


@pytest.mark.parametrize("state, keep, end", [("awake", "no", "cold"), ("frozen", "no", "cold"),
                                              ("awake", "warm", "frozen")])
def test_hibernates_at_a_time(quick, state, keep, end):
    quick.start()
    with quick.events() as events:
        calendar, when = at(AHEAD)
        address = quick.add_site("a", hibernate={**NEVER, "Keep": keep, "HibernateOnCalendar": calendar})
        quick.wait_site("a")
        quick.visit("a", address)
        if state == "frozen":
            quick.freeze("a")
            events.wait_event(to="frozen")
        over = events.wait_event(to=end)
        # One that runs has to be idle for five seconds.
        assert over["time_us"] / 1e6 - when >= (5 if state == "awake" else 0)
    assert http_get(address).status == 200


def test_an_edit_brings_the_hours(quick):
    quick.add_site("a")
    quick.start()
    quick.torporctl("set", "a", "WakeOnCalendar=*:0/1", "KeepAwakeSec=1h")
    quick.wait_state("a", "awake")
    quick.call("Freeze", site="a")
    quick.torporctl("set", "a", "KeepAwakeSec=2h")
    quick.wait_state("a", "awake")
    quick.torporctl("set", "a", "WakeOnCalendar=", "KeepAwakeSec=")
    assert "schedule" not in quick.status("a")


def test_a_clock_that_is_set(quick):
    """To the time that it shows anyway, which the kernel tells all the same: what is to come is counted anew."""
    quick.start()
    with quick.events() as events:
        calendar, when = at(AHEAD)
        quick.add_site("a", hibernate={**NEVER, "WakeOnCalendar": calendar})
        quick.wait_site("a")
        time.clock_settime(time.CLOCK_REALTIME, time.clock_gettime(time.CLOCK_REALTIME))
        quick.wait_log("the clock was set")
        assert events.wait_event(to="awake")["time_us"] / 1e6 >= when


def test_keep_awake_thaws(quick):
    address = quick.add_site("a")
    quick.start()
    quick.visit("a", address)
    quick.freeze("a")
    quick.torporctl("set", "a", "Keep=awake")
    quick.wait_state("a", "awake")


def test_what_contradicts_is_refused(torpor):
    torpor.add_site("a", hibernate={"Keep": "awake", "HibernateOnCalendar": "22:00"})
    torpor.start()
    error, = torpor.file_errors()
    assert "HibernateOnCalendar" in error["message"] and error["line"] == 7
