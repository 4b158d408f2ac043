# SPDX-License-Identifier: LGPL-2.1-or-later
"""What torpord remembers of what has happened, and says as it happens: each step with its reason."""
import os

import pytest

import transitions
from client import connect
from harness import TORPORD, HttpConnection, VarlinkError, http_get


def steps(events):
    return [(event["from"], event["to"], event["reason"]) for event in events]


def test_each_step_has_its_reason(torpor):
    address = torpor.add_site("a")
    torpor.start()
    torpor.visit("a", address)
    torpor.freeze("a")
    torpor.visit("a", address)
    torpor.call("Stop", site="a")
    events = torpor.recorded("a")
    # A freeze may have been undone by what the answer left behind, and begun again.
    assert steps(events)[:2] == [("cold", "starting", "connection"), ("starting", "awake", "started")]
    assert steps(events)[-4:] == [("freezing", "frozen", "frozen"), ("frozen", "awake", "connection"),
                                  ("awake", "stopping", "command"), ("stopping", "cold", "exited")]
    assert events[0]["detail"] == address and events[-3]["detail"] == address
    assert f"pid {os.getpid()} " in events[-2]["detail"] and "uid 0" in events[-2]["detail"]
    assert "exited with status 0" in events[-1]["detail"]
    assert events[1]["took_us"] > 0 and events[-3]["took_us"] > 0


def test_who_sent_data_to_a_frozen_site(torpor):
    address, path = torpor.address(), str(torpor.run / "a.sock")
    torpor.add_site("a", address, path)
    torpor.start()
    for target in (address, path):
        with HttpConnection(target) as connection:
            connection.get()
            torpor.wait_state("a", "awake")
            torpor.freeze("a")
            connection.get()
            event = torpor.recorded("a")[-1]
            assert (event["to"], event["reason"]) == ("awake", "data on an open connection")
            if target == address:
                assert event["detail"] == "%s:%d" % connection.socket.getsockname()
            else:
                assert f"pid {os.getpid()} " in event["detail"] and event["detail"].endswith("uid 0")


def test_failures_say_how(torpor):
    address = torpor.add_site("a", exec_start="/nowhere")
    other = torpor.add_site("b")
    torpor.start()
    with torpor.events() as events, connect(address), connect(other) as sock:
        failed = events.wait_event(site="a", to="failed")
        assert failed["reason"] == "start failed" and "/nowhere" in failed["detail"]
        assert events.wait_event(site="a", to="cold")["reason"] == "back-off over"
        sock.sendall(b"GET /exit?code=3 HTTP/1.1\r\n\r\n")
        died = events.wait(lambda event: event["site"] == "b" and event["from"] == "awake")
        assert died["reason"] == "died" and "status 3" in died["detail"]


def test_recorded_events(torpor):
    addresses = [torpor.add_site(name) for name in ("a", "b")]
    torpor.start()
    assert torpor.recorded() == []
    for address, name in zip(addresses, ("a", "b")):
        torpor.visit(name, address)
    assert [event["site"] for event in torpor.recorded()] == ["a", "a", "b", "b"]
    assert [event["site"] for event in torpor.recorded("b")] == ["b", "b"]
    assert steps(torpor.recorded(count=1)) == [("starting", "awake", "started")]
    assert torpor.recorded(count=0) == []
    with torpor.connection() as connection:
        stream = connection.stream("Monitor", recorded=1, site="a")
        assert next(stream) == {} and next(stream)["event"]["to"] == "awake"
        torpor.call("Stop", site="a")
        assert next(stream)["event"]["to"] == "stopping"
    for wrong in (-1, "3", 1.5):
        with torpor.connection() as connection, pytest.raises(VarlinkError) as error:
            next(connection.stream("Monitor", recorded=wrong))
        assert error.value.name == "InvalidParameter"


def test_torporctl_events(torpor):
    address = torpor.add_site("a")
    torpor.start()
    http_get(address)
    torpor.wait_state("a", "awake")
    lines = torpor.torporctl("events").stdout.splitlines()
    assert len(lines) == 2 and lines[0].endswith(f"connection: {address}")
    assert len(torpor.torporctl("events", "a", "--json").stdout.splitlines()) == 2
    assert torpor.torporctl("events", "b*").stdout == ""


def test_a_reader_that_is_slow_is_dropped(torpor):
    """It costs the daemon what is queued for it at most, and nobody else waits for it."""
    torpor.add_site("a")
    torpor.start()
    torpor.call("Wake", site="a")
    with torpor.connection() as slow, pytest.raises((BrokenPipeError, ConnectionResetError)):
        for _ in range(100000):
            slow.send("Monitor", {"recorded": 1024, "follow": False}, more=True)
            assert torpor.process.poll() is None
    assert torpor.host()["sites"] == 1


def test_the_table_of_states_is_what_is_checked():
    good = {"site": "a", "from": "cold", "to": "starting", "reason": "connection"}
    up = {"site": "a", "from": "starting", "to": "awake", "reason": "started", "took_us": 1}
    transitions.check(TORPORD, [good, up])
    for wrong in ({"to": "frozen"}, {"reason": ""}, {"reason": "started"}, {"took_us": 5}):
        with pytest.raises(AssertionError):
            transitions.check(TORPORD, [{**good, **wrong}])
    for wrong in ([up], [good, {**up, "reason": "connection"}], [good, {key: up[key] for key in up if key != "took_us"}]):
        with pytest.raises(AssertionError):
            transitions.check(TORPORD, wrong)
    with pytest.raises(AssertionError):
        transitions.check(TORPORD, [good, good])
