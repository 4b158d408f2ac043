#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Checks that the state machine in the README is the one that the daemon has, word for word.

    check-readme.py TORPORD README

The table stands between the lines <!-- states --> and <!-- /states -->; torpord --states prints it."""
import difflib
import pathlib
import subprocess
import sys

BEGIN, END = "<!-- states -->", "<!-- /states -->"


def main():
    torpord, readme = sys.argv[1], pathlib.Path(sys.argv[2])
    printed = subprocess.run([torpord, "--states"], check=True, capture_output=True, text=True).stdout
    lines = readme.read_text().splitlines() if readme.exists() else []
    if lines.count(BEGIN) != 1 or lines.count(END) != 1 or lines.index(BEGIN) > lines.index(END):
        print(f"{readme}: expected the table of torpord --states between one line {BEGIN} and one {END}")
        return 1
    written = [line for line in lines[lines.index(BEGIN) + 1:lines.index(END)] if line.strip()]
    difference = list(difflib.unified_diff(written, printed.splitlines(), "README.md", "torpord --states", lineterm=""))
    print("\n".join(difference) or f"{len(written)} lines alike")
    return 1 if difference or not written else 0


if __name__ == "__main__":
    sys.exit(main())
