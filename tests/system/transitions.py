# SPDX-License-Identifier: LGPL-2.1-or-later
"""Whether what torpord says has happened can have happened: by its own table of states."""
import functools
import subprocess


@functools.cache
def table(torpord):
    """{from: {to, ...}}, as torpord --states prints it."""
    lines = subprocess.run([str(torpord), "--states"], check=True, text=True, capture_output=True).stdout.splitlines()
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[2:]]
    return {row[0].strip("*"): {cell for cell in row[1:] if cell and not cell.startswith("(")} for row in rows}


def check(torpord, events):
    """Each is a step of the table, with a reason, from where the site's last one has led."""
    allowed, at = table(torpord), {}
    for event in events:
        site, before, after = event["site"], event["from"], event["to"]
        assert after in allowed[before], f"no such step: {event}"
        assert event["reason"], f"no reason: {event}"
        assert at.get(site, before) == before, f"{site} was {at[site]}: {event}"
        assert after == "awake" or "took_us" not in event, f"only a wake takes its time: {event}"
        at[site] = after
