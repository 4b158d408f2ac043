# SPDX-License-Identifier: LGPL-2.1-or-later
"""The torpor.service of the machine: installed by meson, enabled, started by systemd at boot."""
import pathlib
import shutil
import subprocess

import cgroups
from daemon import Daemon, wait_until
from harness import TEMPLATES
from varlink import TIMEOUT

UNIT = "torpor.service"
FOLDERS = ("sites", "slices", "templates")


def systemctl(*arguments, check=True):
    """What it prints; with check=False whatever its exit code is."""
    result = subprocess.run(["systemctl", *arguments], stdin=subprocess.DEVNULL, capture_output=True, text=True,
                            timeout=TIMEOUT * 2, check=False)
    if check and result.returncode != 0:
        raise AssertionError(f"systemctl {' '.join(arguments)}: exit {result.returncode}\n"
                             f"{result.stdout}{result.stderr}")
    return result.stdout.strip()


def journal(*arguments):
    """Lines of the journal: journal("-t", "example.com")."""
    subprocess.run(["journalctl", "--sync"], check=True, timeout=TIMEOUT)
    result = subprocess.run(["journalctl", "--quiet", "--no-pager", "--output=cat", *arguments], check=False,
                            stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=TIMEOUT)
    return result.stdout.splitlines()


class Service(Daemon):
    def __init__(self):
        self.etc, self.run, self.lib = (pathlib.Path(path) for path in
                                        ("/etc/torpor", "/run/torpor", "/usr/lib/torpor"))
        self.control = self.run / "control"
        self.torporctl_path = "/usr/local/bin/torporctl"
        self.cgroup = cgroups.root() / "system.slice" / UNIT
        self.sites_cgroup = self.cgroup
        self.ip = "127.64.0.1"
        for name, text in TEMPLATES.items():
            self.write_template(name, text)

    def folders(self):
        return []  # torporctl finds the service by itself

    def show(self, *names):
        """A property of the unit; several as a list."""
        lines = systemctl("show", f"--property={','.join(names)}", UNIT).splitlines()
        found = dict(line.split("=", 1) for line in lines)
        return [found[name] for name in names] if len(names) > 1 else found[names[0]]

    @property
    def pid(self):
        return int(self.show("MainPID"))

    @property
    def running(self):
        return systemctl("is-active", UNIT, check=False) == "active"

    def log(self):
        return "\n".join(journal(f"_SYSTEMD_UNIT={UNIT}", f"_SYSTEMD_INVOCATION_ID={self.show('InvocationID')}"))

    def start(self):
        systemctl("start", UNIT)
        return self

    def restart(self):
        """By hand: systemd counts its own restarts anew."""
        systemctl("restart", UNIT)

    def stop(self):
        systemctl("stop", UNIT)

    def site_cgroups(self):
        """The names of the cgroups that it keeps; not its own, nor the one that systemd makes for a reload."""
        return [name for name in cgroups.children(self.cgroup) if name.endswith((".site", ".slice"))]

    def add_site(self, name, *listen, **keys):
        """As of all daemons, and waits until it is known."""
        address = super().add_site(name, *listen, **keys)
        self.wait_site(name)
        return address

    def file(self, site, name):
        """The text of a file of an awake site's cgroup: file("a", "memory.max")."""
        return (self.cgroup_of(site) / name).read_text().strip()

    def numbers(self, site, name):
        """The same as a dict, of a file with lines "KEY NUMBER"."""
        return {key: int(value) for key, value in (line.split() for line in self.file(site, name).splitlines())}

    def remove_files(self):
        """All units that tests have written."""
        for folder in (top / name for top in (self.etc, self.run) for name in FOLDERS):
            for path in folder.iterdir() if folder.exists() else []:
                shutil.rmtree(path) if path.is_dir() else path.unlink()

    def remove_sites(self):
        """Takes all sites away, and waits until nothing is left of them."""
        self.remove_files()
        self.call("Reload")
        wait_until(lambda: not self.sites() and not self.site_cgroups(), "no site left")
