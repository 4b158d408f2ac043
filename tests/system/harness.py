# SPDX-License-Identifier: LGPL-2.1-or-later
"""Runs a torpord of the test's own: temporary folders, its own cgroup, its own loopback addresses."""
import itertools
import json
import os
import pathlib
import re
import select
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time

import cgroups
from client import HttpConnection, Response, connect, http_get  # noqa: F401  (for the tests)
from varlink import TIMEOUT, Connection, Events, VarlinkError  # noqa: F401

REPOSITORY = pathlib.Path(__file__).resolve().parents[2]
BUILD = pathlib.Path(os.environ.get("TORPOR_BUILD", REPOSITORY / "build"))
TORPORD = BUILD / "daemon/core/torpord"
TORPORCTL = BUILD / "daemon/ctl/torporctl"
HELPERS = BUILD / "tests/helpers"
SANITIZED = os.environ.get("TORPOR_SANITIZED") == "1"
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
# Below net.ipv4.ip_local_port_range; each once, since connections of an earlier test may linger on its ports.
_ports = itertools.cycle(range(10000, 32000))


def wait_until(predicate, what="the condition", timeout=TIMEOUT):
    """For what no event tells: looks again and again until predicate() is true, and returns it."""
    deadline = time.monotonic() + timeout
    while not (value := predicate()):
        if time.monotonic() > deadline:
            raise AssertionError(f"{what}: not in {timeout} s")
        time.sleep(0.01)
    return value


def site_text(*listen, template="probe", exec_start=None, **sections):
    """A unit file. listen: addresses of stream listeners; sections: container={"User": "root"}, a list as value
    for a key that is assigned several times."""
    lines = ["[Site]"]
    if template:
        lines.append(f"Template={template}")
    keys = {name.capitalize(): dict(values) for name, values in sections.items()}
    lines += _assignments(keys.pop("Site", {}))
    lines += ["[Socket]"] + [f"ListenStream={address}" for address in listen]
    lines += _assignments(keys.pop("Socket", {}))
    if exec_start:
        keys.setdefault("Container", {})["ExecStart"] = ["", exec_start]
    for name, values in keys.items():
        lines += [f"[{name}]"] + _assignments(values)
    return "\n".join(lines) + "\n"


def _assignments(values):
    return [f"{key}={value}" for key, listed in values.items()
            for value in (listed if isinstance(listed, list) else [listed])]


class Instance:
    """One torpord. Made stopped, so that a test can write files first; start() waits for READY."""

    def __init__(self):
        self.number = next(_numbers)
        self.directory = pathlib.Path(tempfile.mkdtemp(prefix="torpor-test-"))
        self.directory.chmod(0o755)
        self.etc, self.run, self.lib = (self.directory / name for name in ("etc", "run", "lib"))
        for folder in (self.etc / "sites", self.etc / "templates", self.run / "sites", self.lib / "sites"):
            folder.mkdir(parents=True)
        self._copy_templates()
        self.log_path = self.directory / "log"
        self.control = self.run / "control"
        self.process = None
        self.cgroup = cgroups.root() / f"torpor-test-{os.getpid()}-{self.number}"
        self.sites_cgroup = self.cgroup / "sites"
        self.daemon_cgroup = self.cgroup / "daemon"
        for path in (self.cgroup, self.sites_cgroup, self.daemon_cgroup):
            path.mkdir()
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

    # Files.

    def address(self):
        """A TCP address that nobody else uses: the loopback address is this process's own."""
        return f"{self.ip}:{next(_ports)}"

    def address6(self):
        """There is one IPv6 loopback address, so the port has to be free."""
        while True:
            port = 10000 + (next(_ports) + os.getpid()) % 22000
            with socket.socket(socket.AF_INET6) as sock:
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                try:
                    sock.bind(("::1", port))
                    return f"[::1]:{port}"
                except OSError:
                    continue

    def site_path(self, name):
        return self.etc / "sites" / f"{name}.site"

    def write(self, path, text):
        """Replaces a file at once, as an editor or a control plane does."""
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = path.with_name(f".{path.name}.new")
        temporary.write_bytes(text if isinstance(text, bytes) else text.encode())
        temporary.rename(path)

    def write_site(self, name, text):
        self.write(self.site_path(name), text)

    def write_template(self, name, text):
        self.write(self.etc / "templates" / f"{name}.template", text)

    def write_drop_in(self, name, file, text):
        self.write(self.etc / "sites" / f"{name}.site.d" / file, text)

    def add_site(self, name, *listen, **keys):
        """Writes a site that runs the probe server; returns its address."""
        listen = listen or (self.address(),)
        self.write_site(name, site_text(*listen, **keys))
        return listen[0]

    # The daemon.

    def command(self, binary=TORPORD):
        return [str(binary), f"--etc={self.etc}", f"--run={self.run}", f"--lib={self.lib}"]

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

    def wait_log(self, pattern, timeout=TIMEOUT):
        return wait_until(lambda: re.search(pattern, self.log()), f"{pattern!r} in the log", timeout)

    # Control.

    def connection(self, timeout=TIMEOUT):
        return Connection(self.control, timeout)

    def call(self, method, **parameters):
        with self.connection() as connection:
            return connection.call(method, **parameters)

    def status(self, site):
        return self.call("GetStatus", site=site)["status"]

    def state(self, site):
        return self.status(site)["state"]

    def host(self):
        return self.call("GetHost")["host"]

    def sites(self, **parameters):
        """List, as a dict by name. A box without sites answers once, without one."""
        with self.connection() as connection:
            replies = [reply.get("site") for reply in connection.stream("List", **parameters)]
        return {site["name"]: site for site in replies if site}

    def events(self, site=None):
        return Events(self.control, site)

    def wait_event(self, timeout=TIMEOUT, **fields):
        with self.events() as events:
            return events.wait_event(timeout, **fields)

    def wait_state(self, site, *states, timeout=TIMEOUT):
        """Subscribes first and looks then, so that no change falls between."""
        with self.events() as events:
            state = self.state(site)
            if state in states:
                return state
            return events.wait(lambda event: event["site"] == site and event["to"] in states, timeout)["to"]

    def visit(self, site, address, path="/"):
        """Asks, and waits until the site is awake in the daemon's books too: the answer may be quicker."""
        response = http_get(address, path)
        self.wait_state(site, "awake")
        return response

    def freeze(self, site):
        """Freezes an awake site. One that has just answered may not be frozen yet: it is asked again."""
        def frozen():
            try:
                return self.call("Freeze", site=site)["state"] == "frozen"
            except VarlinkError as error:
                if error.name != "NotPossible" or error.parameters["state"] != "awake":
                    raise
                return False
        wait_until(frozen, f"{site} to freeze")

    def wait_site(self, name):
        """Waits until the daemon knows a site; returns its status."""
        def known():
            try:
                return self.status(name)
            except VarlinkError as error:
                if error.name != "NoSuchSite":
                    raise
                return None
        return wait_until(known, f"a site {name}")

    def wait_no_site(self, name):
        wait_until(lambda: name not in self.sites(), f"no site {name}")

    def file_errors(self):
        return self.host()["file_errors"]

    def torporctl(self, *arguments, check=True, **options):
        """Runs torporctl on this instance; returns the finished process, text in stdout and stderr."""
        command, *rest = arguments
        folders = self.command(TORPORCTL)[1:]
        options = {"timeout": TIMEOUT, "text": True, "capture_output": True, "stdin": subprocess.DEVNULL,
                   **options}
        result = subprocess.run([str(TORPORCTL), *folders, command, *map(str, rest)], check=False, **options)
        if check and result.returncode != 0:
            raise AssertionError(f"torporctl {arguments}: exit {result.returncode}\n"
                                 f"{result.stdout}{result.stderr}")
        return result

    def torporctl_json(self, *arguments):
        return json.loads(self.torporctl("--json", *arguments).stdout)

    # What the kernel says.

    def cgroup_of(self, site):
        """The directory of a site's cgroup; None while it has no container."""
        path = self.status(site).get("cgroup")
        if not path:
            return None
        whole = pathlib.Path(path)
        return whole if whole.is_dir() else cgroups.root() / path.lstrip("/")

    def processes(self, site):
        path = self.cgroup_of(site)
        return cgroups.processes(path) if path and path.is_dir() else []

    def descriptors(self):
        """What the daemon has open: number -> link."""
        links = {}
        for entry in os.scandir(f"/proc/{self.process.pid}/fd"):
            try:
                links[int(entry.name)] = os.readlink(entry.path)
            except FileNotFoundError:
                pass
        return links

    # The end.

    def terminate(self, timeout=TIMEOUT):
        """SIGTERM; returns the exit code."""
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
        """Ends the daemon and checks that it ends well and leaves nothing behind."""
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
