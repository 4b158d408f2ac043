#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Runs every test there is, in every build that has to pass them, and adds the counts up.

    all.py [STAGE...] [-k EXPRESSION] [-x]
        stages: lint gcc clang asan tsan system system-asan system-tsan vm (default: all but clang, which is what asan and
                tsan are built with, by the same warnings)
        -k, -x: for pytest, in the stages system... and vm

A test that fails is run once more by itself, when the others have ended, up to three of them in a part: machines are shared,
and some tests look at what only time tells. Both outcomes are shown, and named at the end; what fails again has failed.

The last line is "N passed, N failed, N skipped"; the exit code is 1 unless nothing failed and something ran."""
import argparse
import os
import pathlib
import subprocess
import sys
import time
import xml.etree.ElementTree

ROOT = pathlib.Path(__file__).resolve().parent.parent
SANITIZERS = {
    "ASAN_OPTIONS": "abort_on_error=1:detect_leaks=1:strict_string_checks=1:detect_stack_use_after_return=1",
    "UBSAN_OPTIONS": "halt_on_error=1:abort_on_error=1:print_stacktrace=1",
    "TSAN_OPTIONS": "halt_on_error=1:exitcode=66:second_deadlock_stack=1:suppressions="
                    f"{ROOT / 'tests' / 'system' / 'tsan.supp'}",
}
BUILDS = {
    "gcc": ("build", ["-Db_sanitize=none"], {"CC": "gcc"}),
    "clang": ("build-clang", ["-Db_sanitize=none"], {"CC": "clang"}),
    "asan": ("build-asan", ["-Db_sanitize=address,undefined", "-Db_lundef=false"], {"CC": "clang"}),
    "tsan": ("build-tsan", ["-Db_sanitize=thread", "-Db_lundef=false"], {"CC": "clang"}),
}
BY_NAME = {"clang"}  # stages that run where they are asked for alone
SOME_FAILED, NONE_CHOSEN = 1, 5  # pytest's exit codes
RETRIED_MOST = 3  # more that fail at once are no accident of a busy machine
# What the sanitizers see of the whole: the tests of the daemon itself; not the many of servers and of torporctl's
# output, which the plain build runs, nor those that count processes and pages, of which a sanitizer has its own.
SYSTEM_PLAIN = {"test_chain.py", "test_demo.py", "test_first_request.py", "test_front.py", "test_leaks.py",
                "test_security.py", "test_security_fake.py", "test_template_settings.py", "test_templates.py",
                "test_torporctl_fake.py", "test_torporctl_hostile.py", "test_torporctl_terminal.py"}


def junit_cases(path):
    return list(xml.etree.ElementTree.parse(path).iter("testcase")) if path.exists() else []


def has_failed(case):
    return case.find("failure") is not None or case.find("error") is not None


def pytest_name(case):
    """As pytest's command line takes it."""
    file = case.get("classname", "")
    return f"{file if file.endswith('.py') else file.replace('.', '/') + '.py'}::{case.get('name')}"


def failures(path):
    return {pytest_name(case) for case in junit_cases(path) if has_failed(case)}


def passed_again(path, failed):
    """Those that have failed before and did not when they ran once more."""
    return failed & {pytest_name(case) for case in junit_cases(path)} - failures(path)


class Counts:
    def __init__(self):
        self.passed = self.failed = self.skipped = 0
        self.shaky = []

    def add_junit(self, path, shaky=frozenset()):
        """Counts the cases of a JUnit file; none at all is a failure. shaky: those that have passed by themselves since."""
        cases = junit_cases(path)
        for case in cases:
            if has_failed(case) and pytest_name(case) in shaky:
                self.passed += 1
                self.shaky.append(pytest_name(case))
            elif has_failed(case):
                self.failed += 1
                print(f"FAILED: {case.get('classname') or ''} {case.get('name')}", flush=True)
            elif case.find("skipped") is not None:
                self.skipped += 1
                print(f"SKIPPED: {case.get('name')}: {case.find('skipped').get('message')}", flush=True)
            else:
                self.passed += 1
        return bool(cases)

    def step(self, name, ok):
        """One thing that has no cases of its own."""
        self.passed += ok
        self.failed += not ok
        if not ok:
            print(f"FAILED: {name}", flush=True)


def say(text):
    print(f"\n== {text} ({time.monotonic() - STARTED:.0f} s)", flush=True)


def status(command, **environment):
    return subprocess.run(command, cwd=ROOT, env={**os.environ, **SANITIZERS, **environment}, check=False,
                          stdin=subprocess.DEVNULL).returncode


def run(command, **environment):
    return status(command, **environment) == 0


def build(counts, name):
    folder, options, environment = BUILDS[name]
    if not (ROOT / folder / "build.ninja").exists() and \
            not run(["meson", "setup", folder, *options], **environment):
        counts.step(f"configure {folder}", False)
        return False
    ok = run(["ninja", "-C", folder, "--quiet"])
    counts.step(f"build {folder}", ok)
    return ok


def unit(counts, name):
    folder = BUILDS[name][0]
    if not build(counts, name):
        return
    def go(what, base):
        log = ROOT / folder / "meson-logs" / f"{base}.junit.xml"
        log.unlink(missing_ok=True)
        ok = run(["meson", "test", "-C", folder, "--no-rebuild", "--print-errorlogs", "--quiet", "--timeout-multiplier", "4",
                  "--logbase", base, *what])
        return ok, log
    before = counts.failed
    ok, log = go([], "testlog")
    failed, shaky = failures(log), set()
    if 0 < len(failed) <= RETRIED_MOST:
        print(f"once more, with nothing beside it: {' '.join(sorted(failed))}", flush=True)
        shaky = passed_again(go([name.partition(" / ")[2] for name in sorted(failed)], "again")[1], failed)
    if not counts.add_junit(log, shaky) or not ok and counts.failed == before and not shaky:
        counts.step(f"meson test in {folder}", False)


def pytest(counts, log, arguments, **environment):
    """Counts what ran; that -k left nothing to run in a part is no failure."""
    def go(where, what):
        where.unlink(missing_ok=True)
        return status(["/usr/bin/python3", "-m", "pytest", "-q", "--tb=short", "-p", "no:cacheprovider", "--durations=15",
                       f"--junitxml={where}", *what], **environment)
    before = counts.failed
    code = go(log, arguments)
    if code == NONE_CHOSEN:
        return
    failed, shaky = failures(log), set()
    if code == SOME_FAILED and 0 < len(failed) <= RETRIED_MOST:
        print(f"once more, with nothing beside it: {' '.join(sorted(failed))}", flush=True)
        again = log.with_suffix(".again.xml")
        go(again, sorted(failed))
        shaky = passed_again(again, failed)
    if not counts.add_junit(log, shaky) or code and counts.failed == before and not shaky:
        counts.step(f"pytest {' '.join(arguments)}: exit code {code}", False)


def system(counts, name, files, options):
    """Several at a time, since they wait more than they compute; then those that want the machine for themselves."""
    folder = ROOT / BUILDS[name][0]
    if not build(counts, name):
        return
    sanitized = {"TORPOR_SANITIZED": "1"} if name in ("asan", "tsan") else {}
    for part, chosen in (("together", ["-m", "not alone", "-n", str(2 * os.cpu_count())]), ("alone", ["-m", "alone"])):
        pytest(counts, folder / f"system-{part}.junit.xml", [*chosen, *options, *files], TORPOR_BUILD=str(folder),
               **sanitized)


def machine(counts, options):
    """The tests in a machine of their own: what was built, installed on Debian, with systemd and all of cgroup v2."""
    if not build(counts, "gcc"):
        return
    folder = ROOT / BUILDS["gcc"][0]
    log, first = folder / "vm.junit.xml", folder / "vm.first.xml"

    def go(what):
        log.unlink(missing_ok=True)
        return run(["/usr/bin/python3", "tests/vm/host/vm.py", "test", *what], TORPOR_BUILD=str(folder))
    ok = go(options)
    failed, shaky = failures(log), set()
    if not ok and 0 < len(failed) <= RETRIED_MOST and all(".py::test_" in name for name in failed):
        print(f"once more, in another machine: {' '.join(sorted(failed))}", flush=True)
        log.rename(first)
        go(["-k", " or ".join(sorted({name.partition("::")[2].partition("[")[0] for name in failed}))])
        shaky = passed_again(log, failed)
        first.rename(log)
    if not counts.add_junit(log, shaky) or not ok and counts.failed == 0 and not shaky:
        counts.step("tests in a machine", False)


def stages(options):
    folder = ROOT / "tests" / "system"
    sanitized = [str(path) for path in sorted(folder.glob("test_*.py")) if path.name not in SYSTEM_PLAIN]
    return {
        "lint": lambda counts: counts.step("lint", run(["tests/lint.sh"])),
        "gcc": lambda counts: unit(counts, "gcc"),
        "clang": lambda counts: unit(counts, "clang"),
        "asan": lambda counts: unit(counts, "asan"),
        "tsan": lambda counts: unit(counts, "tsan"),
        "system": lambda counts: system(counts, "gcc", [str(folder)], options),
        "system-asan": lambda counts: system(counts, "asan", sanitized, options),
        "system-tsan": lambda counts: system(counts, "tsan", sanitized, options),
        "vm": lambda counts: machine(counts, options),
    }


def main():
    parser = argparse.ArgumentParser(usage=__doc__)
    parser.add_argument("stages", nargs="*")
    parser.add_argument("-k", metavar="EXPRESSION")
    parser.add_argument("-x", action="store_true")
    arguments = parser.parse_args()
    known = stages(["-x"] * arguments.x + (["-k", arguments.k] if arguments.k else []))
    unknown = set(arguments.stages) - set(known)
    if unknown:
        print(f"no such stage: {' '.join(sorted(unknown))}; there are {' '.join(known)}", file=sys.stderr)
        return 2
    counts = Counts()
    for name in arguments.stages or [name for name in known if name not in BY_NAME]:
        say(name)
        known[name](counts)
    say("done")
    for name in counts.shaky:
        print(f"passed when it was run once more, by itself, after it had failed (both are above): {name}")
    print(f"\n{counts.passed} passed, {counts.failed} failed, {counts.skipped} skipped", flush=True)
    return 1 if counts.failed or not counts.passed else 0


if __name__ == "__main__":
    STARTED = time.monotonic()
    sys.exit(main())
