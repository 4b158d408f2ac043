# SPDX-License-Identifier: LGPL-2.1-or-later
"""In the machine: runs the tests.

    guest.py TTY                   reports each by a line of JSON on a serial line, for host/results.py; the options
                                   are in a file
    guest.py PYTEST-OPTION...      for people"""
import contextlib
import io
import os
import pathlib
import signal
import sys
import time

import pytest

import reports

TESTS = pathlib.Path(__file__).resolve().parents[1]
# Those of tests/system that have more to see here: another kernel, and all of cgroup v2.
SYSTEM = ["test_activation.py", "test_container.py", "test_identity.py", "test_resources.py", "test_slices.py",
          "test_syscalls.py", "test_paths.py", "test_tenants.py"]
TEST_S = 180     # how long one test may take, on a host that has other things to do
TEARDOWN_S = 60  # and what it has at least to clean up; together less than the silence that host/vm.py suffers
TEXT_BYTES = 60000


class Reporter:
    """A plugin of pytest."""

    def __init__(self, say):
        self.say = say
        self.outcome, self.texts = "passed", []

    def pytest_collection_finish(self, session):
        self.say("collected", tests=[self.name(item.nodeid) for item in session.items])

    def pytest_collectreport(self, report):
        if report.failed:
            self.say("finished", test=self.name(report.nodeid), outcome="failed", text=report.longreprtext[-TEXT_BYTES:])

    # The alarm is for what pytest catches as the test's own failure; anywhere else it would end pytest.

    @pytest.hookimpl(hookwrapper=True)
    def pytest_runtest_setup(self):
        yield from self._bounded(0)

    @pytest.hookimpl(hookwrapper=True)
    def pytest_runtest_call(self):
        yield from self._bounded(0)

    @pytest.hookimpl(hookwrapper=True)
    def pytest_runtest_teardown(self):
        yield from self._bounded(TEARDOWN_S)

    def _bounded(self, least_s):
        signal.signal(signal.SIGALRM, self._late)
        signal.setitimer(signal.ITIMER_REAL, max(self.deadline - time.monotonic(), least_s, 0.001))
        yield
        signal.setitimer(signal.ITIMER_REAL, 0)

    def _late(self, *_):
        pytest.fail(f"still running after {TEST_S} s")

    def pytest_runtest_logstart(self, nodeid):
        self.outcome, self.texts = "passed", []
        self.deadline = time.monotonic() + TEST_S
        self.say("started", test=self.name(nodeid))

    def pytest_runtest_logreport(self, report):
        if report.failed:
            self.outcome = "failed"
            self.texts.append(f"{report.when}: {report.longreprtext}")
            self.texts += [f"-- {title}\n{text}" for title, text in report.sections]
        elif report.skipped and self.outcome == "passed":
            self.outcome = "skipped"
            self.texts.append(report.longrepr[2] if isinstance(report.longrepr, tuple) else report.longreprtext)

    def pytest_runtest_logfinish(self, nodeid):
        self.say("finished", test=self.name(nodeid), outcome=self.outcome, text="\n".join(self.texts)[:TEXT_BYTES])

    @staticmethod
    def name(nodeid):
        return f"tests/{nodeid}"


def chosen():
    """The tests of this boot; see BOOTS in host/machine.py."""
    selinux = TESTS / "vm/selinux"
    if "torpor.boot=selinux" in pathlib.Path("/proc/cmdline").read_text().split():
        return [str(selinux)]
    return [f"--ignore={selinux}", str(TESTS / "vm"), *[str(TESTS / "system" / name) for name in SYSTEM]]


def run(arguments, plugins):
    """pytest's exit code."""
    os.environ["TORPOR_BUILD"] = str(TESTS.parent / "build")
    sys.path += [str(TESTS / "system"), str(TESTS / "vm")]  # importlib: a file's name may be in both
    return int(pytest.main(["--import-mode=importlib", "-p", "no:cacheprovider", f"--rootdir={TESTS}", *arguments, *chosen()],
                           plugins))


def main():
    if not sys.argv[1].startswith("/dev/"):
        sys.exit(run(sys.argv[1:], []))
    reporter = Reporter(reports.Reports(sys.argv[1]).say)
    reporter.say("booted")
    output = io.StringIO()
    with contextlib.redirect_stdout(output), contextlib.redirect_stderr(output):
        code = run(["-q", "--tb=short", *reports.arguments()], [reporter])
    reporter.say("done", code=code, text=output.getvalue()[-TEXT_BYTES:])


if __name__ == "__main__":
    main()
