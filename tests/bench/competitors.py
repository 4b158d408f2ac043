# SPDX-License-Identifier: LGPL-2.1-or-later
"""The supervisors that are compared. Each starts the same static server on the first connection to one of its
listeners, has a loopback address of its own with the same ports, and can be made cold again."""
import os
import pathlib
import shutil
import signal
import subprocess
import tempfile
import time

import measure
from harness import HELPERS, Instance

FIRST_PORT = 20000  # below net.ipv4.ip_local_port_range, so that no client's own port is in the way
SERVER = HELPERS / "static-server"
CONTROL_CONNECTIONS = 16
FREEZE_S = 10

TEMPLATE = f"""\
[Container]
ExecStart=/helpers/{SERVER.name}
BindReadOnlyPaths={HELPERS}:/helpers
StandardOutput=null
[Hibernate]
FreezeAfterSec=infinity
StopAfterSec=infinity
"""


def loopback(number):
    """An address of this run's own."""
    pid = os.getpid()
    return f"127.{128 + number}.{pid >> 8 & 255}.{pid & 255}"


class Competitor:
    """ready_s: from exec to ready; listening_s: until all sockets were seen to listen."""
    name = ""
    freezes = False

    def __init__(self, number, sites):
        self.sites = sites
        self.ip = loopback(number)
        self.ready_s = self.listening_s = None

    def target(self, index):
        return f"{self.ip}:{FIRST_PORT + index}"

    def targets(self, indices):
        return [self.target(index) for index in indices]

    def wait_listening(self, started):
        found = measure.wait_listening(self.ip, self.sites)
        self.listening_s = time.monotonic() - started
        if found < self.sites:
            raise RuntimeError(f"{self.name}: {found} of {self.sites} sockets listen")

    def load(self):
        """What the load cost, for the results."""
        return {"sites": self.sites, "ready_s": self.ready_s, "listening_s": round(self.listening_s, 4),
                "memory": measure.memory(self.pid)}


class Torpor(Competitor):
    name = "torpor"
    freezes = True

    def __init__(self, number, sites):
        super().__init__(number, sites)
        self.instance = Instance()
        self.connections = []

    def write_files(self):
        self.instance.write_template("bench", TEMPLATE)
        folder = self.instance.etc / "sites"
        for index in range(self.sites):
            (folder / f"{self.site(index)}.site").write_text(
                f"[Site]\nTemplate=bench\n[Socket]\nListenStream={self.target(index)}\n")

    @staticmethod
    def site(index):
        return f"site{index:05}.example.com"

    def start(self):
        self.write_files()
        started = time.monotonic()
        self.instance.start()
        self.ready_s = round(time.monotonic() - started, 4)
        self.wait_listening(started)
        self.connections = [self.instance.connection() for _ in range(min(CONTROL_CONNECTIONS, self.sites))]

    @property
    def pid(self):
        return self.instance.process.pid

    def each(self, method, indices):
        """Calls a method for many sites over a few connections; returns (index, error reply) of those that
        failed."""
        errors = []
        for at in range(0, len(indices), len(self.connections)):
            used = list(zip(self.connections, indices[at:at + len(self.connections)]))
            for connection, index in used:
                connection.send(method, {"site": self.site(index)})
            for connection, index in used:
                reply = connection.receive()
                if "error" in reply:
                    errors.append((index, reply))
        return errors

    def cool(self, indices):
        if errors := self.each("Stop", indices):
            raise RuntimeError(f"stop: {errors[0]}")

    def freeze(self, indices):
        """A site that has just answered may not be frozen yet: it is asked again."""
        deadline = time.monotonic() + FREEZE_S
        while errors := self.each("Freeze", indices):
            indices = [index for index, _ in errors]
            other = any(not reply["error"].endswith(".NotPossible") for _, reply in errors)
            if other or time.monotonic() > deadline:
                raise RuntimeError(f"freeze: {errors[0]}")
            time.sleep(0.002)

    def close(self):
        for connection in self.connections:
            connection.close()
        try:
            if self.instance.running:
                self.instance.stop()
        finally:
            self.instance.destroy()


class Floor(Competitor):
    """A bare epoll loop, vfork and exec: see tests/helpers/floor.c."""
    name = "floor"
    command = (SERVER,)

    def start(self):
        started = time.monotonic()
        self.process = subprocess.Popen(
            [HELPERS / "floor", f"--address={self.ip}", f"--first-port={FIRST_PORT}", f"--count={self.sites}",
             *self.command],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        if self.process.stdout.readline() != "ready\n":
            raise RuntimeError("the floor did not start")
        self.ready_s = round(time.monotonic() - started, 4)
        self.wait_listening(started)

    @property
    def pid(self):
        return self.process.pid

    def cool(self, indices):
        ports = " ".join(str(FIRST_PORT + index) for index in indices)
        self.process.stdin.write(f"stop {ports}\n")
        self.process.stdin.flush()
        if self.process.stdout.readline() != "ok\n":
            raise RuntimeError("the floor did not stop its servers")

    def close(self):
        self.process.stdin.close()
        self.process.wait()


class Xinetd(Competitor):
    """wait = yes: the server gets the listener, as in torpor, and xinetd watches it again when that ends."""
    name = "xinetd"
    binary = shutil.which("xinetd", path="/usr/sbin:/usr/bin:/sbin:/bin")

    def start(self):
        self.directory = pathlib.Path(tempfile.mkdtemp(prefix="torpor-bench-"))
        (self.directory / "conf").write_text(
            "defaults\n{\n\tinstances = UNLIMITED\n\tper_source = UNLIMITED\n\tcps = 1000000 1\n}\n"
            + "".join(map(self.service, range(self.sites))))
        started = time.monotonic()
        with open(self.directory / "log", "wb") as log:
            self.process = subprocess.Popen([self.binary, "-f", self.directory / "conf", "-dontfork",
                                             "-pidfile", self.directory / "pid"], stdin=subprocess.DEVNULL,
                                            stdout=log, stderr=log)
        self.wait_listening(started)

    def service(self, index):
        return (f"service site{index}\n{{\n\ttype = UNLISTED\n\tsocket_type = stream\n\tprotocol = tcp\n"
                f"\twait = yes\n\tuser = root\n\tbind = {self.ip}\n\tport = {FIRST_PORT + index}\n"
                f"\tserver = {SERVER}\n\tserver_args = --stdin-listener\n}}\n")

    @property
    def pid(self):
        return self.process.pid

    def children(self):
        path = pathlib.Path(f"/proc/{self.pid}/task/{self.pid}/children")
        return [int(pid) for pid in path.read_text().split()]

    def cool(self, indices):
        for pid in self.children():
            os.kill(pid, signal.SIGTERM)
        while self.children():
            time.sleep(0.001)

    def close(self):
        children = self.children() if self.process.poll() is None else []
        self.process.terminate()
        self.process.wait()
        for pid in children:
            try:
                os.kill(pid, signal.SIGTERM)
            except ProcessLookupError:
                pass
        shutil.rmtree(self.directory)
