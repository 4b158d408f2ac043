# SPDX-License-Identifier: LGPL-2.1-or-later
"""In the machine: runs the tests and reports each by a line of JSON on a serial line, for host/results.py.

    guest.py TTY"""
import contextlib
import io
import json
import os
import pathlib
import signal
import sys
import tty

import pytest

FOLDER = pathlib.Path(__file__).resolve().parent
TEST_S = 180  # how long one test may take, on a host that has other things to do
TEXT_BYTES = 60000


class Reporter:
    """A plugin of pytest."""

    def __init__(self, path):
        self.fd = os.open(path, os.O_WRONLY | os.O_NOCTTY)
        tty.setraw(self.fd)
        self.outcome, self.texts = "passed", []

    def say(self, report, **fields):
        line = json.dumps({"report": report, **fields}).encode() + b"\n"
        while line:
            line = line[os.write(self.fd, line):]

    def pytest_collection_finish(self, session):
        self.say("collected", tests=[self.name(item.nodeid) for item in session.items])

    def pytest_collectreport(self, report):
        if report.failed:
            self.say("finished", test=self.name(report.nodeid), outcome="failed", text=report.longreprtext[-TEXT_BYTES:])

    @pytest.hookimpl(hookwrapper=True)
    def pytest_runtest_protocol(self):
        signal.signal(signal.SIGALRM, self._late)
        signal.alarm(TEST_S)
        yield
        signal.alarm(0)

    def _late(self, *_):
        pytest.fail(f"still running after {TEST_S} s")

    def pytest_runtest_logstart(self, nodeid):
        self.outcome, self.texts = "passed", []
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
        return f"tests/vm/{nodeid}"


def main():
    reporter = Reporter(sys.argv[1])
    reporter.say("booted")
    arguments = (FOLDER.parents[1] / "arguments").read_text().split("\0")
    os.environ["TORPOR_BUILD"] = str(FOLDER.parents[1] / "build")
    output = io.StringIO()
    with contextlib.redirect_stdout(output), contextlib.redirect_stderr(output):
        code = pytest.main(["-q", "--tb=short", "-p", "no:cacheprovider", f"--rootdir={FOLDER}",
                            *filter(None, arguments), str(FOLDER)], plugins=[reporter])
    reporter.say("done", code=int(code), text=output.getvalue()[-TEXT_BYTES:])


if __name__ == "__main__":
    main()
