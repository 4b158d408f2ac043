#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Compares what a library asks of others with an allow-list.

    check-symbols.py [--finds=NAME,...] NM LIBRARY

The code between clone3(2) and execve(2) shares its memory with a process that has threads, whose locks nobody would
give back: raw system calls only, no malloc, no stdio, no setuid(3). With --finds, the library has to be found guilty
of exactly these: the test of the test."""
import subprocess
import sys

# What the code may call.
ALLOWED = {"syscall", "__errno_location"}
# What a compiler puts in by itself.
COMPILER = {"memcpy", "memset", "memmove", "memcmp", "_GLOBAL_OFFSET_TABLE_"}


def symbols(nm, library, *options):
    """Names that nm prints; a line of an archive's member ends in ':'."""
    output = subprocess.run([nm, *options, library], check=True, capture_output=True, text=True).stdout
    return {line.split()[-1] for line in output.splitlines() if line and not line.endswith(":")}


def main():
    expected = set()
    arguments = sys.argv[1:]
    if arguments[0].startswith("--finds="):
        expected = set(arguments.pop(0).removeprefix("--finds=").split(","))
    nm, library = arguments
    defined = symbols(nm, library, "--defined-only", "--extern-only")
    foreign = symbols(nm, library, "--undefined-only") - defined
    if not defined or not foreign:
        print(f"nm found no symbols in {library}", file=sys.stderr)
        return 1
    found = foreign - ALLOWED - COMPILER
    if found != expected:
        print(f"{library} calls {', '.join(sorted(found)) or 'nothing'} of what no child of clone3 may; expected:"
              f" {', '.join(sorted(expected)) or 'nothing'}", file=sys.stderr)
        return 1
    print(f"{library}: {len(foreign)} symbols of others: {', '.join(sorted(foreign))}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
