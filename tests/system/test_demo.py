# SPDX-License-Identifier: LGPL-2.1-or-later
"""The demo, as ./run demo runs it: what it says, and that nothing is left of it."""
import os
import pathlib
import re
import signal
import subprocess
import sys

import pytest

import cgroups
from harness import BUILD, REPOSITORY, TIMEOUT, http_get, wait_until

DEMO = REPOSITORY / "tests/demo/demo.py"
sys.path.append(str(DEMO.parent))
from box import take_port  # noqa: E402


class Running:
    """A demo, whose output is read line by line."""

    def __init__(self, *arguments):
        self.process = subprocess.Popen(
            ["/usr/bin/python3", DEMO, *arguments], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=subprocess.PIPE, text=True, cwd="/", env={**os.environ, "TORPOR_BUILD": str(BUILD)})
        self.lines = []

    def read_until(self, pattern):
        for line in self.process.stdout:
            self.lines.append(line.rstrip("\n"))
            if re.search(pattern, line):
                return
        raise AssertionError(f"no line {pattern!r}: exit {self.process.wait(TIMEOUT)}\n{self.text}\n"
                             f"{self.process.stderr.read()}")

    @property
    def text(self):
        return "\n".join(self.lines)

    def torpord(self):
        """The pid of its torpord, and its folder."""
        for entry in pathlib.Path("/proc").iterdir():
            if entry.name.isdigit():
                try:
                    command = (entry / "cmdline").read_text().split("\0")
                    parent = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
                except OSError:
                    continue
                run = [word for word in command if word.startswith("--run=/tmp/torpor-demo-")]
                if parent == self.process.pid and run:
                    return int(entry.name), pathlib.Path(run[0].partition("=")[2]).parent
        raise AssertionError("the demo has no torpord")

    def end(self):
        """Its exit code; the rest of its output is taken up."""
        out, self.errors = self.process.communicate(timeout=TIMEOUT)
        self.lines += out.splitlines()
        return self.process.returncode


@pytest.fixture
def demo():
    started = []

    def start(*arguments):
        started.append(Running(*arguments))
        return started[-1]

    yield start
    for running in started:
        if running.process.poll() is None:
            running.process.terminate()
            running.process.communicate(timeout=TIMEOUT)


def assert_nothing_left(folder):
    assert not folder.exists()
    assert not (cgroups.root() / folder.name).exists()
    assert folder.name not in pathlib.Path("/proc/self/mountinfo").read_text()
    for path in pathlib.Path("/proc").glob("[0-9]*/cmdline"):
        try:
            assert folder.name not in path.read_text()
        except OSError:
            pass


def test_demos_at_once_have_ports_of_their_own():
    """Though neither torpord has bound one yet."""
    ports = [take_port(), take_port()]
    assert ports[0][0] != ports[1][0]
    for _, claim in ports:
        claim.close()


def test_the_whole_and_stay(demo):
    running = demo("--stay")
    running.read_until("It goes on until Ctrl-C")
    _, folder = running.torpord()
    port = int(re.search(r"listen 127.0.0.1:(\d+)", (folder / "front/nginx.conf").read_text()).group(1))
    running.read_until("as soon as it is saved")

    assert re.search(r"listens on 1,005 sockets after [\d.]+ m?s", running.text)
    for site, version in (("php", "PHP 8"), ("node", "Node.js v"), ("python", "Python 3")):
        said = [int(number) for number in
                re.findall(rf"^{site}\.localhost .* {re.escape(version)}\S*, visitor (\d)$", running.text, re.M)]
        assert said == [1, 3, 1], f"{site}: {said}\n{running.text}"
    assert re.search(r"^static\.localhost .*A file, served by nginx", running.text, re.M)
    # All that were visited; on a busy machine the first may sleep again by then.
    assert 1 <= int(re.search(r"Awake are (\d+) of 1,004 sites \(", running.text)[1]) <= 34
    assert 1 <= int(re.search(r"(\d+) sites?: \1 awake", running.text)[1]) <= 35
    assert "All 34 were, " in running.text
    assert "All 31 are." in running.text
    assert "python.localhost: cold after" in running.text
    assert "45 visits, and every one was answered." in running.text
    assert max(map(len, running.lines)) <= 80 or str(BUILD) in max(running.lines, key=len), running.text
    assert "\033" not in running.text

    # nginx takes the name from the line that asks as well as from Host.
    assert http_get(f"127.0.0.1:{port}", "http://node.localhost/").text.endswith(", visitor 2\n")
    assert http_get(f"127.0.0.1:{port}", "http://nobody.localhost/").status == 502

    running.process.send_signal(signal.SIGINT)
    assert running.end() == 0, running.errors
    assert "All is stopped and removed" in running.text
    assert running.errors == ""
    assert_nothing_left(folder)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_interrupted(demo, number):
    running = demo()
    running.read_until("^static.localhost")
    _, folder = running.torpord()
    running.process.send_signal(number)
    assert running.end() == 130
    assert running.errors == ""
    assert "every one was answered" not in running.text
    assert_nothing_left(folder)


def test_torpord_dies(demo):
    """The reason, the end of the log, and what torpord could not stop any more is gone as well."""
    running = demo()
    running.read_until("^static.localhost")
    pid, folder = running.torpord()
    os.kill(pid, signal.SIGKILL)
    assert running.end() == 1
    assert "The demo failed: " in running.errors
    assert "The end of torpord's log:" in running.errors
    assert "sites listening on" in running.errors
    assert_nothing_left(folder)


def test_demo_is_killed(demo):
    """Without a chance to clean up: at least nothing goes on running."""
    running = demo()
    running.read_until("^static.localhost")
    pid, folder = running.torpord()
    cgroup = cgroups.root() / folder.name
    running.process.kill()
    running.end()
    try:
        wait_until(lambda: not pathlib.Path(f"/proc/{pid}").exists(), "the end of torpord")
        assert not cgroups.processes(cgroup)
    finally:
        cgroups.destroy(cgroup)
        subprocess.run(["rm", "-rf", folder], check=True)
