# SPDX-License-Identifier: LGPL-2.1-or-later
"""What became of each test, from the lines that guest.py writes."""
import json
import time
import xml.etree.ElementTree

NONE_CHOSEN = 5  # pytest's exit code


class Results:
    def __init__(self):
        self.cases = {}  # name: (outcome, text)
        self.seconds = {}
        self.begin("machine")

    def begin(self, boot):
        """What is taken from now on comes of a boot of that name."""
        self.boot = f"tests/vm/boot::{boot}"  # a case of its own: a machine that does not come up has failed it
        self.expected = []
        self.running, self.since = None, 0.0
        self.done = False

    def add(self, name, outcome, text=""):
        self.cases[name] = (outcome, text)
        if outcome == "failed":
            print(f"\n---- {name}\n{text}", flush=True)
        else:
            print("s" if outcome == "skipped" else ".", end="", flush=True)

    def take(self, line):
        """One line of the machine's."""
        try:
            report = json.loads(line)
        except ValueError:
            print(f"\nnot a report: {line!r}", flush=True)
            return
        getattr(self, f"_{report.pop('report')}")(**report)

    def _booted(self):
        self.add(self.boot, "passed")

    def _collected(self, tests):
        self.expected = tests

    def _started(self, test):
        self.running, self.since = test, time.monotonic()

    def _finished(self, test, outcome, text):
        if self.running:
            self.seconds[test] = time.monotonic() - self.since
        self.running = None
        self.add(test, outcome, text)

    def _done(self, code, text):
        self.done = True
        if code not in (0, 1, NONE_CHOSEN):  # of another boot's tests some may be chosen
            self.add("tests/vm::pytest", "failed", f"pytest ended with {code}:\n{text}")

    def end(self, why, console):
        """Nothing more will come. Unless the tests said that they are done, what did not run has failed."""
        if self.done:
            return
        text = f"{why}; the end of its console:\n{console}"
        culprit = self.running or (self.boot if self.boot not in self.cases else "tests/vm::machine")
        self.add(culprit, "failed", text)
        for test in self.expected:
            if test not in self.cases:
                self.add(test, "failed", f"did not run: {why}, in {culprit}")

    @property
    def passed(self):
        """Whether tests ran, and none failed."""
        ran = [name for name in self.cases if not name.startswith("tests/vm/boot::")]
        return bool(ran) and all(outcome != "failed" for outcome, _ in self.cases.values())

    def write_junit(self, path):
        suite = xml.etree.ElementTree.Element("testsuite", name="vm", tests=str(len(self.cases)))
        for name, (outcome, text) in self.cases.items():
            file, _, test = name.partition("::")
            case = xml.etree.ElementTree.SubElement(suite, "testcase", classname=file, name=test,
                                                time=f"{self.seconds.get(name, 0):.1f}")
            if outcome == "failed":
                xml.etree.ElementTree.SubElement(case, "failure", message="failed").text = printable(text)
            elif outcome == "skipped":
                xml.etree.ElementTree.SubElement(case, "skipped", message=printable(text))
        xml.etree.ElementTree.ElementTree(suite).write(path, encoding="utf-8", xml_declaration=True)


def printable(text):
    """Without what XML cannot hold: colours and other control characters."""
    return "".join(c if c >= " " or c in "\n\t" else "?" for c in text)
