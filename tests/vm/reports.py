# SPDX-License-Identifier: LGPL-2.1-or-later
"""What a program in the machine says to who has booted it."""
import json
import os
import pathlib
import tty

ARGUMENTS = pathlib.Path(__file__).resolve().parents[2] / "arguments"


def arguments():
    """What the program was started for; the line to speak on is its only real argument."""
    return list(filter(None, ARGUMENTS.read_text().split("\0")))


class Reports:
    """A serial line: one line of JSON for each report."""

    def __init__(self, path):
        self.fd = os.open(path, os.O_WRONLY | os.O_NOCTTY)
        tty.setraw(self.fd)

    def say(self, report, **fields):
        line = json.dumps({"report": report, **fields}).encode() + b"\n"
        while line:
            line = line[os.write(self.fd, line):]
