# SPDX-License-Identifier: LGPL-2.1-or-later
"""torporctl, run beside a fake daemon or on a terminal of its own: what its tests have in common."""
import fcntl
import json
import os
import pty
import re
import select
import struct
import subprocess
import termios
import threading
import time

import pytest

from fake_torpord import FakeTorpord
from harness import TORPORCTL

OK, FAILED, USAGE, SITE_FAILED, NO_SITE, DENIED, UNREACHABLE = range(7)
HOSTILE = "\x1b[31mred\x07\x9b2J\u202eevil\x7f\ttab\nline"

# What a daemon says of a site that lets nobody in, and in answer to Explain.
NEGLECTED = {
    "step": "handover", "errno": 0, "restarts": 0,
    "message": "its program never took its listener 0.0.0.0:8080: nobody was let in for 1min 30s (TimeoutStartSec=), "
               "3 waiting; the program listens on 0.0.0.0:9000 instead: say BindPort=9000"}
WHY = {
    "wake": {"time_us": 1, "from": "cold", "reason": "connection", "listener": "0.0.0.0:8080", "took_us": 12_345, "others": 2,
             "peer": {"text": "10.0.0.1:54321", "address": "10.0.0.1:54321"},
             "steps": [{"name": "queued", "took_us": 20}, {"name": "executed", "took_us": 1_300}]},
    "holds": [{"kind": "data", "text": "bytes moved on a connection, 2.0s ago"}],
    "connections": [{"listener": "0.0.0.0:8080", "peer": {"text": "10.0.0.1:54321"}, "state": "open", "unread_bytes": 0,
                     "unsent_bytes": 1700, "idle_us": 2_000_000}],
    "open": 1, "waiting": 0,
    "ledger": {"since_us": 1, "wakes": 12, "thaws": 3, "failures": 0, "awake_us": 5_000_000, "frozen_us": 60_000_000, "paged_us": 0,
               "cold_us": 7_200_000_000, "saved_byte_hours": 2_254_857_830,
               "wake": {"p50_us": 3_100, "p90_us": 5_000, "p99_us": 9_000}},
    "next": [{"to": "freezing", "in_us": 25_000_000, "when": "if nothing happens (FreezeAfterSec=)"},
             {"to": "stopping", "when": "some time"}]}


@pytest.fixture
def fake(tmp_path):
    fake = FakeTorpord(tmp_path)
    yield fake
    fake.close()


@pytest.fixture
def box(fake):
    """A daemon with some sites."""
    fake.add("b.example", "awake", connections=4, memory_bytes=69206016, wakes=12, template="php")
    fake.add("a.example", "cold")
    fake.add("c.example", "frozen", wakes=1)
    fake.add("d.example", "failed", error="failed at step exec: No such file or directory")
    return fake


def environment(**changes):
    plain = {key: value for key, value in os.environ.items()
             if key not in ("LANG", "LC_ALL", "LC_CTYPE", "NO_COLOR", "COLUMNS", "LINES")}
    return {**plain, "LC_ALL": "C.UTF-8", "TZ": "UTC", "TERM": "xterm", **changes}


def printable(text):
    """No byte that a terminal would act on."""
    return not re.search(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069]", text)


class Result:
    def __init__(self, process):
        self.code, self.out, self.err = process.returncode, process.stdout.decode(), process.stderr.decode()
        assert self.code >= 0, (self.code, self.err)
        assert "Sanitizer" not in self.err and "runtime error" not in self.err, self.err

    @property
    def json(self):
        assert re.fullmatch(r"[ -~\n]*", self.out)
        return json.loads(self.out)

    @property
    def lines(self):
        return self.out.splitlines()


def run(run_dir, *arguments, env=None, **options):
    run_dir = getattr(run_dir, "directory", run_dir)
    result = Result(subprocess.run([TORPORCTL, f"--run={run_dir}", *arguments], stdout=subprocess.PIPE,
                                   stderr=subprocess.PIPE, timeout=120, env=env or environment(), **options))
    if "--color=always" not in arguments:
        assert printable(result.out) and printable(result.err), (result.out, result.err)
    return result


def start(run_dir, *arguments, **options):
    return subprocess.Popen([TORPORCTL, f"--run={run_dir.directory}", *arguments], stdout=subprocess.PIPE,
                            stderr=subprocess.PIPE, env=environment(), **options)


def event(site, **fields):
    return {"event": {"time_us": 1763755200_042_000, "site": site, "from": "cold", "to": "awake",
                      "reason": "a connection", **fields}}


def monitor(*events):
    """Sends these, and keeps the stream open until the test ends."""
    done = threading.Event()

    def answer(parameters):
        yield {}
        yield from (dict(e) for e in events)
        done.wait(120)

    answer.done = done
    return answer


class Terminal:
    """torporctl with a terminal of its own."""

    def __init__(self, fake, *arguments, columns=80, rows=12, **env):
        self.master, slave = pty.openpty()
        self.resize(columns, rows)
        self.before = termios.tcgetattr(slave)
        self.slave = slave
        self.process = subprocess.Popen([TORPORCTL, f"--run={fake.directory}", *arguments], stdin=slave, stdout=slave,
                                        stderr=slave, env=environment(**env), start_new_session=True,
                                        preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0))
        self.text = ""

    def resize(self, columns, rows):
        fcntl.ioctl(self.master, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def read_until(self, pattern):
        """Waits for it; returns what came up to it."""
        deadline = time.monotonic() + 60
        while not (found := re.search(pattern, self.text)):
            left = deadline - time.monotonic()
            if left <= 0 or not select.select([self.master], [], [], left)[0]:
                self.process.kill()
                raise AssertionError(f"no {pattern} in {self.text[-5000:]!a}")
            self.text += os.read(self.master, 65536).decode(errors="replace")
        before, self.text = self.text[:found.end()], self.text[found.end():]
        return before

    def press(self, keys):
        os.write(self.master, keys.encode())

    def wait(self):
        """The exit code, once it has ended; self.text is all that was left to read."""
        code = self.process.wait(60)
        while select.select([self.master], [], [], 0)[0]:
            self.text += os.read(self.master, 65536).decode(errors="replace")
        self.after = termios.tcgetattr(self.slave)
        os.close(self.slave)
        os.close(self.master)
        return code
