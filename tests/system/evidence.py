# SPDX-License-Identifier: LGPL-2.1-or-later
"""What there is to see of a torpord whose test has failed, as long as it runs."""
import os
import pathlib

import tasks
from varlink import Connection

LOOK_S = 5  # for an answer of the control socket, which may be what has failed
MOST = 200  # events, and containers


def log(instance):
    return (instance.log() or getattr(instance, "last_log", ""))[-100000:]


def events(instance):
    """What has happened last, by torpord's own record: times are those since it was started."""
    with Connection(instance.control, LOOK_S) as connection:
        recorded = [reply["event"] for reply in connection.stream("Monitor", recorded=MOST, follow=False) if "event" in reply]
    begun = min((event["time_us"] for event in recorded), default=0)
    return "\n".join(f"{(event['time_us'] - begun) / 1e6:9.4f} {event['site']}: {event['from']} -> {event['to']} "
                     f"({event['reason']})" for event in recorded)


def threads(instance):
    """Of torpord, and of the process beside it."""
    children = pathlib.Path(f"/proc/{instance.pid}/task/{instance.pid}/children").read_text().split()
    return "\n".join(f"process {pid}\n{tasks.describe(pid)}" for pid in [instance.pid, *children])


def containers(instance):
    """Each control group, whether it is frozen, and what its processes do."""
    found = []
    for directory, _, _ in os.walk(instance.sites_cgroup):
        path = pathlib.Path(directory)
        if path == instance.sites_cgroup:
            continue
        state = (path / "cgroup.events").read_text().replace("\n", " ")
        pids = [int(pid) for pid in (path / "cgroup.procs").read_text().split()]
        found += [f"{path.name}: {state}", *(tasks.describe(pid) for pid in pids)]
    return "\n".join(found[:MOST])


def sections(instance):
    """(title, text) of everything that can be had; what cannot says why."""
    found = [(f"log of torpord {instance.number}", log(instance))]
    for what in (events, threads, containers) if instance.running else ():
        try:
            text = what(instance)
        except Exception as error:  # whatever it is: the failure that is being told of matters more
            text = f"not to be had: {error!r}"
        found.append((f"{what.__name__} of torpord {instance.number}", text))
    return found
