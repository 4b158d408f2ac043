#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Boots the machine of the tests.

    vm.py test [--boot=NAME] [PYTEST-OPTION...]   runs tests/vm in it; the results go to vm.junit.xml in the build folder
    vm.py shell [--boot=NAME]                     gives a shell in it

NAME is apparmor or selinux: what the kernel has (default: one after the other; for a shell apparmor).
TORPOR_BUILD names the build folder (default: build), which has to be up to date."""
import json
import os
import pathlib
import signal
import subprocess
import sys
import time

from image import Disks, Trouble
from machine import BOOTS, Machine, Silent, shell
from results import NONE_CHOSEN, Results

REPOSITORY = pathlib.Path(__file__).resolve().parents[3]
BUILD = pathlib.Path(os.environ.get("TORPOR_BUILD", REPOSITORY / "build")).resolve()
SILENCE_S = 300  # longer than guest.py gives one test, and than a boot takes on a busy host
TOTAL_S = 1500  # of one boot
DEFAULT_BOOT = "apparmor"


def none_chosen(boot, arguments):
    """Whether the options leave nothing for a boot that has a folder of its own: it takes a minute, or many."""
    folder = REPOSITORY / "tests/vm" / boot
    if not folder.is_dir() or not arguments:
        return False
    path = os.pathsep.join(str(REPOSITORY / "tests" / name) for name in ("system", "vm"))
    collect = [sys.executable, "-m", "pytest", "-q", "--collect-only", "--import-mode=importlib", "-p", "no:cacheprovider"]
    return subprocess.run([*collect, *arguments, folder], check=False, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                          stderr=subprocess.DEVNULL, env={**os.environ, "PYTHONPATH": path}).returncode == NONE_CHOSEN


def run_boot(disks, boot, results):
    results.begin(boot)
    with Machine(disks, boot, BUILD / f"vm-console-{boot}.log") as machine:
        why = "the machine ended"
        try:
            for line in machine.reports(SILENCE_S, TOTAL_S):
                results.take(line)
                if results.done:
                    break
        except Silent as silent:
            why = str(silent)
        results.end(why, machine.console_tail())


def test(boots, arguments):
    results = Results()
    started = time.monotonic()
    try:
        with Disks(REPOSITORY, BUILD, arguments) as disks:
            print(f"the image took {time.monotonic() - started:.0f} s", flush=True)
            for boot in boots:
                if none_chosen(boot, arguments):
                    continue
                run_boot(disks, boot, results)
    except Trouble as trouble:
        results.end("the machine's disk could not be made", str(trouble))
    print(f"\n{time.monotonic() - started:.0f} s in all; the consoles' logs are {BUILD}/vm-console-*.log", flush=True)
    results.write_junit(BUILD / "vm.junit.xml")
    return 0 if results.passed else 1


def run_program(program, arguments):
    """Boots the machine for a program of the repository, in the place of the tests; yields what it reports."""
    with Disks(REPOSITORY, BUILD, arguments, program) as disks, \
            Machine(disks, DEFAULT_BOOT, BUILD / "vm-console-bench.log") as machine:
        for line in machine.reports(SILENCE_S, TOTAL_S):
            report = json.loads(line)
            if report["report"] == "done":
                return
            yield report
        raise Silent(f"the machine ended; the end of its console:\n{machine.console_tail()}")


def main():
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    what, arguments = (sys.argv + [""])[1], sys.argv[2:]
    boots = list(BOOTS)
    if arguments and (name := arguments[0].removeprefix("--boot=")) in BOOTS:
        boots, arguments = [name], arguments[1:]
    if what == "test":
        return test(boots, arguments)
    if what == "shell" and not arguments:
        try:
            with Disks(REPOSITORY, BUILD, []) as disks:
                return shell(disks, DEFAULT_BOOT if len(boots) > 1 else boots[0])
        except Trouble as trouble:
            print(trouble, file=sys.stderr)
            return 1
    print(__doc__, file=sys.stderr)
    return 2


if __name__ == "__main__":
    sys.exit(main())
