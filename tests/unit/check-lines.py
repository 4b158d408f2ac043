#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Counts the lines of sources, comments and empty ones included.

    check-lines.py AT-MOST FILE...

What happens between clone3(2) and execve(2) happens as root, in memory that is shared with the daemon: it is to be
read in one sitting."""
import sys


def main():
    at_most, files = int(sys.argv[1]), sys.argv[2:]
    total = 0
    for file in files:
        with open(file, encoding="utf-8") as lines:
            total += sum(1 for _ in lines)
    print(f"{total} lines in {len(files)} files, at most {at_most}")
    return 0 if 0 < total <= at_most else 1


if __name__ == "__main__":
    sys.exit(main())
