# SPDX-License-Identifier: LGPL-2.1-or-later
"""What torpord tells the service manager while it stops: how long its sites may take."""
import os
import re
import select
import signal

import pytest

from harness import REPOSITORY, TIMEOUT, HttpConnection, http_get, wait_until

DEAF = "/helpers/probe-server --ignore-term"
MARGIN = 60  # more than what torpord adds for itself


def next_message(torpor):
    torpor.notify.settimeout(TIMEOUT)
    return torpor.notify.recv(65536).decode()


def seconds(message):
    name, _, value = message.partition("=")
    assert name == "EXTEND_TIMEOUT_USEC", message
    return int(value) / 1e6


def start(torpor, *sites):
    """With sites that do not heed SIGTERM, awake; returns their addresses."""
    addresses = [torpor.add_site(f"site{i}", exec_start=DEAF, container={"NotifyAccess": "all", **keys})
                 for i, keys in enumerate(sites)]
    torpor.start()
    for i, address in enumerate(addresses):
        torpor.visit(f"site{i}", address)
    return addresses


def stop(torpor):
    torpor.process.send_signal(signal.SIGTERM)
    assert next_message(torpor) == "STOPPING=1"


def end(torpor):
    """Of all sites, at last, and so of torpord."""
    for site in torpor.sites():
        os.kill(torpor.status(site)["pid"], signal.SIGKILL)
    assert torpor.process.wait(TIMEOUT) == 0
    assert torpor.leftovers() == []


@pytest.mark.parametrize("keys, least", [
    ({"TimeoutStopSec": "20min"}, 1200), ({"TimeoutStopSec": "20min", "DrainSec": "10min"}, 1800)])
def test_the_slowest_site(torpor, keys, least):
    """While it serves somebody, as without that its DrainSec= may be over before anything is said."""
    address = start(torpor, {"TimeoutStopSec": "1min"}, keys, {"TimeoutStopSec": "2min"})[1]
    with HttpConnection(address) as visitor:
        counts = [int(http_get(address, "/counter").text)]

        def taken():
            counts.append(int(http_get(address, "/counter").text))
            return counts[-1] > counts[-2] + 1
        visitor.send("/slow?ms=600000")
        wait_until(taken, "the request")
        stop(torpor)
        assert least <= seconds(next_message(torpor)) < least + MARGIN
        end(torpor)


def test_a_site_without_a_limit(torpor):
    """The service manager passes over infinity: a long time is said."""
    start(torpor, {"TimeoutStopSec": "infinity"})
    stop(torpor)
    assert 1e9 < seconds(next_message(torpor)) < 1e10
    end(torpor)


def test_a_site_that_was_stopping_already(torpor):
    start(torpor, {"TimeoutStopSec": "20min"})
    with torpor.connection() as control, torpor.events("site0") as events:
        control.send("Stop", {"site": "site0"})
        events.wait_event(to="stopping")
        stop(torpor)
        assert 1000 <= seconds(next_message(torpor)) < 1200 + MARGIN
    end(torpor)


def test_a_program_that_asks_for_more(torpor):
    """As soon as it has been asked to end; and not for ever."""
    address, = start(torpor, {"TimeoutStopSec": "1min"})
    stop(torpor)
    assert 60 <= seconds(next_message(torpor)) < 60 + MARGIN

    def told(us):
        assert http_get(address, f"/notify?EXTEND_TIMEOUT_USEC={us}").text == "ok\n"
        readable, _, _ = select.select([torpor.notify], [], [], 0.1)
        return seconds(next_message(torpor)) if readable else None
    assert 300 <= wait_until(lambda: told(300_000_000), "the time asked for") < 300 + MARGIN
    assert 500 <= wait_until(lambda: told(600_000_000), "the time asked for") < 600 + MARGIN
    end(torpor)


def test_what_ships_fits():
    """The unit's own time is as long as any shipped template may take, were no message to arrive."""
    def span(text, key, default):
        number, unit = (re.findall(rf"^{key}=(\d+)(s|min)$", text, re.M) or [default])[0]
        return int(number) * {"s": 1, "min": 60}[unit]
    unit = (REPOSITORY / "units/torpor.service.in").read_text()
    for path in (REPOSITORY / "templates").glob("*.template"):
        text = path.read_text()
        needed = span(text, "DrainSec", ("0", "s")) + span(text, "TimeoutStopSec", ("30", "s"))
        assert needed < span(unit, "TimeoutStopSec", ("90", "s")), path


def test_nothing_to_wait_for(torpor):
    address = torpor.add_site("a")
    torpor.start()
    torpor.visit("a", address)
    torpor.call("Stop", site="a")
    stop(torpor)
    assert torpor.process.wait(TIMEOUT) == 0
    torpor.notify.setblocking(False)
    with pytest.raises(BlockingIOError):
        torpor.notify.recv(65536)
