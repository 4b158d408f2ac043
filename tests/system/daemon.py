# SPDX-License-Identifier: LGPL-2.1-or-later
"""A torpord as its user sees it: its files, its control socket and what the kernel says of it. Who starts it, and
how it ends, is said by those that build on this: harness.Instance, a test's own; vm/service.py, the installed one."""
import contextlib
import itertools
import json
import os
import pathlib
import re
import socket
import subprocess
import time

import cgroups
from client import http_get
from tasks import SANITIZED
from varlink import TIMEOUT, Connection, Events, VarlinkError

ASKED_AT_ONCE = 32  # of the 128 clients that torpord has at a time

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
    for a key that is assigned several times. Without a template it does not hibernate by itself either, unless it says so:
    those of the tests see to that."""
    lines = ["[Site]"]
    if template:
        lines.append(f"Template={template}")
    keys = {name.capitalize(): dict(values) for name, values in sections.items()}
    lines += _assignments(keys.pop("Site", {}))
    lines += ["[Socket]"] + [f"ListenStream={address}" for address in listen]
    lines += _assignments(keys.pop("Socket", {}))
    if not template:
        keys.setdefault("Hibernate", {"FreezeAfterSec": "infinity", "StopAfterSec": "infinity"})
    if exec_start:
        keys.setdefault("Container", {})["ExecStart"] = ["", exec_start]
    for name, values in keys.items():
        lines += [f"[{name}]"] + _assignments(values)
    return "\n".join(lines) + "\n"


def _assignments(values):
    return [f"{key}={value}" for key, listed in values.items()
            for value in (listed if isinstance(listed, list) else [listed])]


class Daemon:
    """Set by who builds on it: etc, run, lib (pathlib.Path, its folders), control (its socket), ip (a loopback
    address of its own), torporctl_path."""

    @property
    def pid(self):
        """Of its main process."""
        raise NotImplementedError

    def folders(self):
        """The options that name its folders."""
        return [f"--etc={self.etc}", f"--run={self.run}", f"--lib={self.lib}"]

    def log(self):
        """What it has logged so far."""
        raise NotImplementedError

    def wait_log(self, pattern, timeout=TIMEOUT):
        return wait_until(lambda: re.search(pattern, self.log()), f"{pattern!r} in the log", timeout)

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

    def wakes(self, site):
        """How often it has been started, with the present start: its answer may be quicker than torpord's note of that."""
        wait_until(lambda: self.state(site) != "starting", f"{site} to have started")
        return self.status(site)["wakes"]

    def host(self):
        return self.call("GetHost")["host"]

    def sites(self, **parameters):
        """List, as a dict by name. A box without sites answers once, without one."""
        with self.connection() as connection:
            replies = [reply.get("site") for reply in connection.stream("List", **parameters)]
        return {site["name"]: site for site in replies if site}

    def events(self, site=None):
        return Events(self.control, site)

    def recorded(self, site=None, count=1024):
        """The last changes of state that the daemon remembers, oldest first."""
        parameters = {"site": site} if site else {}
        with self.connection() as connection:
            replies = list(connection.stream("Monitor", recorded=count, follow=False, **parameters))
        return [reply["event"] for reply in replies if "event" in reply]

    def explain(self, sites):
        """{site: what Explain says of it}, of those that are there: asked together, so that one look answers all."""
        whys, sites = {}, list(sites)
        while sites:
            part, sites = sites[:ASKED_AT_ONCE], sites[ASKED_AT_ONCE:]
            with contextlib.ExitStack() as stack:
                asked = {site: stack.enter_context(self.connection()) for site in part}
                for site, connection in asked.items():
                    connection.send("Explain", {"site": site})
                for site, connection in asked.items():
                    try:
                        whys[site] = connection.reply()[0]["why"]
                    except VarlinkError as error:
                        if error.name != "NoSuchSite":
                            raise
        return whys

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
        options = {"timeout": TIMEOUT, "text": True, "capture_output": True, "stdin": subprocess.DEVNULL,
                   **options}
        result = subprocess.run([str(self.torporctl_path), *self.folders(), command, *map(str, rest)], check=False, **options)
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
        """What the daemon has open: number -> link. Without pipes where it was built with a sanitizer, which has two to its
        symbolizer from the first time that it looks a name up."""
        links = {}
        for entry in os.scandir(f"/proc/{self.pid}/fd"):
            with contextlib.suppress(FileNotFoundError):
                link = os.readlink(entry.path)
                if not (SANITIZED and link.startswith("pipe:")):
                    links[int(entry.name)] = link
        return links
