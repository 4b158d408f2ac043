# SPDX-License-Identifier: LGPL-2.1-or-later
"""A torpord of the demo's own: temporary folders, its sites, its control group; and nothing left at the end."""
import ctypes
import os
import pathlib
import pwd
import select
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time

REPOSITORY = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(REPOSITORY / "tests" / "system"))

import cgroups  # noqa: E402
import front  # noqa: E402
from varlink import Connection, Events, VarlinkError  # noqa: E402

BUILD = (REPOSITORY / os.environ.get("TORPOR_BUILD", "build")).resolve()
TORPORD = BUILD / "daemon/core/torpord"
TORPORCTL = BUILD / "daemon/ctl/torporctl"
WWW = pathlib.Path(__file__).resolve().parent / "www"
TEMPLATES = ("static", "gunicorn", "node", "php")
SHARED_FILES = {"static": "static.conf", "node": "node-stop.js", "php": "php-fpm.conf"}  # of /usr/share/torpor
PROGRAMS = {"nginx": "nginx-light", "gunicorn": "gunicorn", "node": "nodejs", "php-fpm*": "php-fpm"}
START_SECONDS = 30
STOP_SECONDS = 40  # more than any site's TimeoutStopSec=
PR_SET_PDEATHSIG = 1


class Trouble(Exception):
    """What a person can read and do something about."""


def check_machine():
    """Says what is missing before anything is made."""
    if os.geteuid() != 0:
        raise Trouble("the demo makes containers: run it as root")
    for program in (TORPORD, TORPORCTL):
        if not program.exists():
            raise Trouble(f"{program} is not there: ./run demo builds it")
    missing = [package for program, package in PROGRAMS.items()
               if not any(list(pathlib.Path(folder).glob(program)) for folder in ("/usr/sbin", "/usr/bin"))]
    if missing:
        raise Trouble(f"packages are missing, ./run demo installs them: {' '.join(missing)}")
    try:
        pwd.getpwnam("www-data")
    except KeyError:
        raise Trouble("there is no user www-data, whom Debian's web servers run as") from None
    try:
        cgroups.root()
    except RuntimeError as error:
        raise Trouble(str(error)) from error


def take_port(preferred=8080):
    """A free port of 127.0.0.1, and the socket that keeps other demos from it until it is closed: torpord binds the port
    only later. It is a name, which ends with the process."""
    for port in (*range(preferred, preferred + 20), 0):
        with socket.socket() as sock:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            claim = socket.socket(socket.AF_UNIX)
            try:
                sock.bind(("127.0.0.1", port))
                port = sock.getsockname()[1]
                claim.bind(f"\0torpor-demo-{port}")
                return port, claim
            except OSError:
                claim.close()
    raise Trouble("no TCP port of 127.0.0.1 is free")


def end_with_parent():
    """In the child: it is asked to end when the demo is killed without a chance to clean up."""
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)


class Box:
    def __init__(self):
        root = cgroups.root()
        self.port, self.port_claim = take_port()
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="torpor-demo-", dir="/tmp"))
        self.folder.chmod(0o755)
        self.etc, self.run, self.lib, self.www = (self.folder / name for name in ("etc", "run", "lib", "www"))
        self.cgroup = root / self.folder.name
        self.log_path = self.folder / "torpord.log"
        self.process = None

    # Files.

    def write(self, path, text):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)

    def write_shipped(self):
        """What a package would have installed, in this box's folders."""
        shutil.copytree(REPOSITORY / "templates", self.lib / "templates")
        for template in TEMPLATES:
            lines = ["[Container]", "StandardOutput=inherit", "TimeoutStopSec=5s"]
            if template in SHARED_FILES:
                lines += [f"Environment=TORPOR_CONF=/share/{SHARED_FILES[template]}",
                          f"BindReadOnlyPaths={self.lib}/templates:/share"]
            self.write(self.lib / "templates" / f"{template}.template.d" / "not-installed.conf",
                       "\n".join(lines) + "\n")

    def write_site(self, name, template, **hibernate):
        """A site as an operator would write it. Its folder is elsewhere than in /srv/www, which is not ours."""
        self.write(self.etc / "sites" / f"{name}.site",
                   f"[Site]\nTemplate={template}\n\n"
                   f"[Container]\nBindReadOnlyPaths={self.www}/{name}:/srv/www/%i\n\n"
                   "[Hibernate]\n" + "".join(f"{key}={value}\n" for key, value in hibernate.items()))

    def write_front(self, php_sites):
        conf, site = front.files(f"127.0.0.1:{self.port}", self.run, self.folder / "front", self.www, php_sites)
        self.write(self.folder / "front" / "nginx.conf", conf)
        self.write(self.etc / "sites" / "front.site", site)

    def make_readable(self):
        """For www-data, whatever the umask."""
        for directory, _, files in os.walk(self.folder):
            os.chmod(directory, 0o755)
            for file in files:
                os.chmod(pathlib.Path(directory, file), 0o644)

    # The daemon.

    def start(self):
        """Starts torpord; returns the seconds until it was ready."""
        self.make_readable()
        notify_path = self.folder / "notify"
        notify = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        notify.bind(str(notify_path))
        environment = {key: value for key, value in os.environ.items() if not key.startswith("LISTEN_")}
        environment["NOTIFY_SOCKET"] = str(notify_path)
        started = time.monotonic()
        with open(self.log_path, "ab") as log:
            self.process = subprocess.Popen(
                [str(TORPORD), f"--etc={self.etc}", f"--run={self.run}", f"--lib={self.lib}",
                 f"--state={self.folder}/state", f"--cgroup={self.cgroup}"],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd="/", env=environment,
                start_new_session=True, preexec_fn=end_with_parent)
        pidfd = os.pidfd_open(self.process.pid)
        try:
            while True:
                readable, _, _ = select.select([notify, pidfd], [], [], START_SECONDS)
                if notify in readable:
                    if b"READY=1" in notify.recv(65536).split(b"\n"):
                        return time.monotonic() - started
                elif readable:
                    raise Trouble(f"torpord ended with exit code {self.process.wait()}")
                else:
                    raise Trouble(f"torpord is not ready after {START_SECONDS} s")
        finally:
            os.close(pidfd)
            notify.close()

    def call(self, method, **parameters):
        with Connection(self.run / "control") as connection:
            try:
                return connection.call(method, **parameters)
            except VarlinkError as error:
                raise Trouble(f"torpord answered {method} with {error}") from error

    def host(self):
        return self.call("GetHost")["host"]

    def states(self):
        """Name -> state, of all sites."""
        with Connection(self.run / "control") as connection:
            return {reply["site"]["name"]: reply["site"]["state"] for reply in connection.stream("List")}

    def events(self):
        return Events(self.run / "control")

    def wait_all(self, events, sites, states, timeout):
        """Until each of the sites is in one of the states; those that are not yet tell by an event."""
        now = self.states()
        awaited = {site for site in sites if now[site] not in states}
        while awaited:
            try:
                event = events.wait(lambda event: event["site"] in awaited and event["to"] in states, timeout)
            except AssertionError:
                one = sorted(awaited)[0]
                raise Trouble(f"{len(awaited)} of {len(sites)} sites are not {' or '.join(states)} after {timeout} s; "
                              f"of one of them torporctl says:\n{self.torporctl('why', one)}") from None
            awaited.discard(event["site"])

    def torporctl(self, *arguments):
        """Its output, as a terminal would show it."""
        color = "always" if sys.stdout.isatty() and not os.environ.get("NO_COLOR") else "never"
        result = subprocess.run([str(TORPORCTL), f"--run={self.run}", f"--color={color}", *arguments], check=False,
                                stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60)
        if result.returncode != 0:
            raise Trouble(f"torporctl {' '.join(arguments)}: exit code {result.returncode}\n{result.stderr}")
        return result.stdout

    def log_end(self, lines=15):
        if not self.log_path.exists():
            return ""
        return "".join(self.log_path.read_text(errors="replace").splitlines(keepends=True)[-lines:])

    # What the kernel says.

    def memory_bytes(self, site):
        """Memory that the site's processes take in proportion to who else shares it (PSS)."""
        return sum(pss_bytes(pid) for pid in cgroups.processes(self.cgroup / f"{site}.site"))

    def torpord_bytes(self):
        return pss_bytes(self.process.pid)

    def torpord_cpu_us(self):
        """CPU time that all threads of torpord have had so far."""
        return sum(int(path.read_text().split()[0]) for path in
                   pathlib.Path(f"/proc/{self.process.pid}/task").glob("*/schedstat")) // 1000

    def site_cpu_us(self, site):
        text = (self.cgroup / f"{site}.site" / "cpu.stat").read_text()
        return int(dict(line.split() for line in text.splitlines())["usage_usec"])

    # The end.

    def close(self):
        """Stops everything and removes it, whatever state it is in; returns what would not go, as text."""
        left = []
        if self.process:
            if self.process.poll() is None:
                self.process.terminate()
            try:
                code = self.process.wait(STOP_SECONDS)
                if code != 0:
                    left.append(f"torpord ended with exit code {code}")
            except subprocess.TimeoutExpired:
                left.append(f"torpord did not stop in {STOP_SECONDS} s and was killed")
                self.process.kill()
                self.process.wait()
        left += [f"process {pid} was killed" for pid in cgroups.processes(self.cgroup)]
        log = self.log_end()
        cgroups.destroy(self.cgroup)
        mounts = pathlib.Path("/proc/self/mountinfo").read_text()
        left += [f"mount {line}" for line in mounts.splitlines() if str(self.folder) in line]
        shutil.rmtree(self.folder, ignore_errors=True)
        left += [str(path) for path in (self.folder, self.cgroup) if path.exists()]
        return "\n".join([*left, log]) if left else ""


def pss_bytes(pid):
    try:
        for line in pathlib.Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                return int(line.split()[1]) * 1024
    except (FileNotFoundError, ProcessLookupError):
        pass
    return 0
