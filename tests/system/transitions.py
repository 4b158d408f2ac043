# SPDX-License-Identifier: LGPL-2.1-or-later
"""Whether what torpord says has happened can have happened, by its own table of states, and whether all that it says
agrees: what it remembers, what it counts, and why."""
import functools
import pathlib
import subprocess

import cgroups

JOURNAL_ENTRIES = 1024  # of daemon/core/journal.h: whoever has that many may have lost some
ASLEEP = {"frozen", "paging", "paged"}
TRIES = 20  # to find the sites of a test at rest
HELD = {"starting", "awake", "paging", "stopping", "failed"}  # there is always something to say of why

# The events of the table that a reason stands for.
REASONS = {
    "connection": {"connection"},
    "data on an open connection": {"connection"},
    "a request is being answered": {"connection"},
    "a connection is open": {"connection"},
    "it says that it is busy": {"wake"},
    "freeze failed": {"wake"},
    "connections cannot be held": {"wake"},
    "keep": {"wake"},
    "schedule": {"wake"},
    "wanted again": {"wake"},
    "command": {"wake", "freeze", "page out", "stop"},
    "started": {"ready"},
    "ready": {"ready"},
    "failed": {"failed"},
    "start failed": {"failed", "exited"},
    "network failed": {"failed", "exited"},
    "exited": {"exited", "failed"},
    "died": {"exited", "failed"},
    "frozen": {"frozen"},
    "stays in memory": {"frozen"},
    "paged out": {"paged"},
    "idle": {"freeze", "page out", "stop", "timeout"},
    "memory is short": {"freeze", "page out", "timeout"},
    "too many are awake": {"freeze"},
    "no swap left": {"timeout"},
    "stop": {"stop", "exited"},
    "torpord stops": {"stop"},
    "removed": {"stop"},
    "listeners changed": {"stop"},
    "not started in time": {"timeout"},
    "not frozen in time": {"timeout"},
    "back-off over": {"timeout"},
    "timeout": {"timeout"},
}


def cells(line):
    return [cell.strip() for cell in line.strip("|").split("|")]


@functools.cache
def table(torpord):
    """{state: {event: the state that it leads to}}, as torpord --states prints it; not the events that change nothing."""
    text = subprocess.run([str(torpord), "--states"], check=True, text=True, capture_output=True).stdout
    head, _, *rows = [cells(line) for line in text.splitlines()]
    return {row[0].strip("*"): {event: cell for event, cell in zip(head[1:], row[1:]) if cell and not cell.startswith("(")}
            for row in rows}


@functools.cache
def reachable(torpord, state):
    """The states that a site can come to from one, by however many steps."""
    allowed, found, new = table(torpord), set(), {state}
    while new:
        new = set().union(*(allowed[at].values() for at in new)) - found
        found |= new
    return found


def check(torpord, events):
    """Each is a step of the table, for a reason that leads there, from where the site's last one has led; the first is
    from cold, where they are all there."""
    allowed, at = table(torpord), {}
    whole = len(events) < JOURNAL_ENTRIES
    for event in events:
        site, before, after = event["site"], event["from"], event["to"]
        assert after in allowed[before].values(), f"no such step: {event}"
        assert event["reason"] in REASONS, f"no such reason (transitions.py has them all): {event}"
        assert after in {allowed[before].get(cause) for cause in REASONS[event["reason"]]}, f"it does not lead there: {event}"
        assert at.get(site, before if not whole else "cold") == before, f"{site} was {at.get(site, 'cold')}: {event}"
        assert (after == "awake") == ("took_us" in event), f"a way to awake, and no other, takes its time: {event}"
        at[site] = after


def is_wake(event):
    return event["to"] == "starting" or (event["to"] == "awake" and event["from"] in ASLEEP)


def count(events):
    """How often a site has been started and thawed."""
    ups = [event["from"] for event in events if event["to"] == "awake"]
    return ups.count("starting"), sum(state in ASLEEP for state in ups)


def check_wake(wake, events):
    """It is the last of a site's events that wakes, and took as long as the event that it ended with says."""
    last = max(i for i, event in enumerate(events) if is_wake(event))
    assert (wake["from"], wake["reason"]) == (events[last]["from"], events[last]["reason"]), (wake, events)
    assert wake["time_us"] <= events[last]["time_us"], (wake, events)
    ends = [event for event in events[last:last + 2] if event["to"] == "awake"]
    took = ends[0]["took_us"] if ends else None
    assert wake.get("took_us") == took, (wake, events)
    if took:
        assert sum(step["took_us"] for step in wake["steps"]) <= took + len(wake["steps"]), (wake, events)


def is_frozen(status):
    """What the kernel says of a site's container; None: it has none."""
    if "cgroup" not in status:
        return None
    path = pathlib.Path(status["cgroup"])
    try:
        return cgroups.is_frozen(path if path.is_dir() else cgroups.root() / status["cgroup"].lstrip("/"))
    except FileNotFoundError:
        return None


def check_why(torpord, why, events, whole, frozen):
    """What torpord says of a site agrees with what it says has happened to it. whole: these are all of its events;
    frozen: is_frozen() of it."""
    status, last = why["status"], events[-1]
    state = status["state"]
    if state == "cold" and status["since_us"] != last["time_us"]:
        return  # it has gone, and has come again
    assert (state, status["since_us"]) == (last["to"], last["time_us"]), (status, events)
    starts, thaws = count(events)
    if whole:
        assert status["wakes"] <= starts and status["thaws"] <= thaws, f"there were more than {events}: {status}"
    if any(is_wake(event) for event in events):
        check_wake(why["wake"], events)
    assert why["holds"] or state not in HELD, f"nothing holds it: {why}"
    assert {entry["to"] for entry in why["next"]} <= reachable(torpord, state), f"what comes next cannot come: {why}"
    if state in ASLEEP or state == "awake":
        assert frozen == (state in ASLEEP), f"the kernel says otherwise ({frozen}): {status}"
    elif state == "cold":
        assert "cgroup" not in status, f"a container that is none: {status}"


def check_books(torpord, torpor):
    """All of the above for a running daemon. A site to which something happens meanwhile is asked again, and left out when
    that has no end."""
    events = torpor.recorded()
    for _ in range(TRIES):
        check(torpord, events)
        wakes, whys = torpor.host()["wakes"], torpor.explain(dict.fromkeys(event["site"] for event in events))
        frozen = {site: is_frozen(why["status"]) for site, why in whys.items()}
        before, events = events, torpor.recorded()
        if before != events:
            continue
        whole = len(events) < JOURNAL_ENTRIES
        assert wakes == count(events)[0] or not whole, f"{wakes} wakes, but {events}"
        for site, why in whys.items():
            check_why(torpord, why, [event for event in events if event["site"] == site], whole, frozen[site])
        return
