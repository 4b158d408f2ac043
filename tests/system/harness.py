# SPDX-License-Identifier: LGPL-2.1-or-later
"""Runs a torpord of the test's own: temporary folders, its own cgroup, its own loopback addresses."""
import itertools
import os
import pathlib
import select
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time

import cgroups
import transitions
from client import HttpConnection, Response, connect, http_get  # noqa: F401  (for the tests)
from daemon import Daemon, site_text, wait_until  # noqa: F401
from tasks import SANITIZED  # noqa: F401
from varlink import TIMEOUT, VarlinkError  # noqa: F401

REPOSITORY = pathlib.Path(__file__).resolve().parents[2]
BUILD = pathlib.Path(os.environ.get("TORPOR_BUILD", REPOSITORY / "build"))
TORPORD = BUILD / "daemon/core/torpord"
TORPORCTL = BUILD / "daemon/ctl/torporctl"
HELPERS = BUILD / "tests/helpers"
SUPPRESSIONS = pathlib.Path(__file__).with_name("tsan.supp")

# The sites of the tests build on these. Nothing hibernates by itself unless a test says so.
TEMPLATES = {
    name: f"""\
[Container]
ExecStart=/helpers/{name}-server
BindReadOnlyPaths={HELPERS}:/helpers
StandardOutput=inherit
[Hibernate]
FreezeAfterSec=infinity
StopAfterSec=infinity
""" for name in ("probe", "static")}

ENTER = 'echo $$ > "$0/cgroup.procs" && exec "$@"'
# The sockets that systemd would pass: moved to 3 and up, with the pid that exec keeps.
ENTER_WITH_SOCKETS = """\
import os, sys
cgroup, names, fds, argv = sys.argv[1], sys.argv[2], [int(fd) for fd in sys.argv[3].split(",")], sys.argv[4:]
open(cgroup + "/cgroup.procs", "w").write(str(os.getpid()))
high = [os.dup2(fd, 500 + i) for i, fd in enumerate(fds)]
for i, fd in enumerate(high):
    os.dup2(fd, 3 + i)
    os.close(fd)
os.closerange(3 + len(fds), 500)
os.environ.update(LISTEN_FDS=str(len(fds)), LISTEN_PID=str(os.getpid()), LISTEN_FDNAMES=names)
os.execv(argv[0], argv)
"""

_numbers = itertools.count()


class Instance(Daemon):
    """One torpord. Made stopped, so that a test can write files first; start() waits for READY."""

    def __init__(self):
        self.number = next(_numbers)
        self.directory = pathlib.Path(tempfile.mkdtemp(prefix="torpor-test-"))
        self.directory.chmod(0o755)
        self.etc, self.run, self.lib, self.state_dir = (self.directory / name for name in ("etc", "run", "lib", "state"))
        for folder in (self.etc / "sites", self.etc / "templates", self.run / "sites", self.lib / "sites"):
            folder.mkdir(parents=True)
        self._copy_templates()
        self.log_path = self.directory / "log"
        self.control = self.run / "control"
        self.torporctl_path = TORPORCTL
        self.process = None
        self.cgroup = cgroups.root() / f"torpor-test-{os.getpid()}-{self.number}"
        self.sites_cgroup = self.cgroup / "sites"
        self.daemon_cgroup = self.cgroup / "daemon"
        for path in (self.cgroup, self.sites_cgroup, self.daemon_cgroup):
            path.mkdir()
        cgroups.enable_controllers(self.cgroup)
        pid = os.getpid()
        self.ip = f"127.{64 + (pid >> 16) % 64}.{pid >> 8 & 255}.{pid & 255}"

    def _copy_templates(self):
        """The shipped templates, for Template=php; then those of the tests."""
        target = self.lib / "templates"
        target.mkdir()
        for path in (REPOSITORY / "templates").glob("*.template"):
            shutil.copy(path, target)
        for name, text in TEMPLATES.items():
            (target / f"{name}.template").write_text(text)

    # The daemon.

    @property
    def pid(self):
        return self.process.pid

    def command(self):
        return [str(TORPORD), *self.folders(), f"--state={self.state_dir}"]

    def start(self, *arguments, sockets=(), socket_names=(), environment=None, wrapper=(), wait=True):
        """Starts torpord in its own cgroup; sockets are passed to it as systemd would."""
        notify = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        path = self.directory / "notify"
        path.unlink(missing_ok=True)
        notify.bind(str(path))
        command = [*wrapper, *self.command(), f"--cgroup={self.sites_cgroup}", *arguments]
        if sockets:
            numbers = ",".join(str(sock.fileno()) for sock in sockets)
            command = [sys.executable, "-c", ENTER_WITH_SOCKETS, str(self.daemon_cgroup),
                       ":".join(socket_names), numbers, *command]
        else:
            command = ["/bin/sh", "-c", ENTER, str(self.daemon_cgroup), *command]
        with open(self.log_path, "ab") as log:
            self.started = time.monotonic()
            self.process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd="/",
                pass_fds=[sock.fileno() for sock in sockets], env=self._environment(path, environment))
        self.notify = notify
        if wait:
            self.wait_ready()
        return self

    def _environment(self, notify_path, more):
        environment = {key: value for key, value in os.environ.items() if not key.startswith("LISTEN_")}
        environment["NOTIFY_SOCKET"] = str(notify_path)
        environment.setdefault("ASAN_OPTIONS", "exitcode=99:detect_leaks=1")
        environment.setdefault("UBSAN_OPTIONS", "halt_on_error=1:print_stacktrace=1")
        environment.setdefault("TSAN_OPTIONS", f"exitcode=66:suppressions={SUPPRESSIONS}")
        environment.update(more or {})
        return environment

    def wait_ready(self, timeout=TIMEOUT):
        """Waits for READY=1; returns the seconds since the start."""
        deadline = time.monotonic() + timeout
        process_fd = os.pidfd_open(self.process.pid)
        try:
            while True:
                left = deadline - time.monotonic()
                readable, _, _ = select.select([self.notify, process_fd], [], [], max(left, 0))
                if self.notify in readable:
                    if b"READY=1" in self.notify.recv(65536).split(b"\n"):
                        return time.monotonic() - self.started
                elif readable:
                    raise AssertionError(f"torpord ended before READY: {self.process.wait()}\n{self.log()}")
                elif left <= 0:
                    raise AssertionError(f"torpord is not READY in {timeout} s\n{self.log()}")
        finally:
            os.close(process_fd)

    def log(self):
        return self.log_path.read_text(errors="replace") if self.log_path.exists() else ""

    # The end.

    def terminate(self, timeout=TIMEOUT):
        """Checks that what the daemon says of all that has happened agrees; then SIGTERM. Returns the exit code."""
        transitions.check_books(TORPORD, self)
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(timeout)

    def leftovers(self):
        """Processes, cgroups and mounts that outlived the daemon, as text; empty when all is well."""
        found = [f"process {pid}" for pid in cgroups.processes(self.cgroup)]
        found += [f"cgroup {name}" for name in cgroups.children(self.sites_cgroup)]
        mounts = pathlib.Path("/proc/self/mountinfo").read_text().splitlines()
        found += [f"mount {line}" for line in mounts if str(self.directory) in line]
        return found

    def stop(self):
        """Ends it, and checks that it ends well and leaves nothing behind."""
        code = self.terminate()
        assert code == 0, f"torpord: exit {code}\n{self.log()}"
        if SANITIZED:  # a sanitizer's symbolizer, the daemon's own child, ends a moment after it
            wait_until(lambda: not cgroups.processes(self.cgroup), "an empty cgroup")
        left = self.leftovers()
        assert not left, f"left over: {left}\n{self.log()}"

    @property
    def running(self):
        return self.process is not None and self.process.poll() is None

    def destroy(self):
        """Removes everything, whatever state it is in."""
        if self.running:
            self.process.kill()
        cgroups.destroy(self.cgroup)
        if self.process:
            self.process.wait()
            self.notify.close()
        shutil.rmtree(self.directory, ignore_errors=True)
