# SPDX-License-Identifier: LGPL-2.1-or-later
"""CNI networks for tests: a torpord in a network namespace of its own, which takes the place of the host's, so that
no bridge, rule or setting of a plugin is this machine's; plugins that note what they are asked; and a look at what is
left."""
import itertools
import json
import pathlib
import subprocess

PLUGINS = pathlib.Path("/usr/lib/cni")  # Debian's containernetworking-plugins

# A plugin that notes each call, and does what the test says.
FAKE = """\
#!/bin/sh
name=${{0##*/}}
cat >"{folder}/$name.$CNI_COMMAND.json"
echo "$CNI_COMMAND $name $CNI_CONTAINERID $CNI_IFNAME $CNI_NETNS" >>"{folder}/calls"
case $CNI_COMMAND in
ADD) {add} ;;
DEL) {delete} ;;
esac
"""
RESULT = {"cniVersion": "1.0.0", "interfaces": [{"name": "eth0", "sandbox": "/x"}],
          "ips": [{"address": "192.0.2.7/24", "gateway": "192.0.2.1", "interface": 0}],
          "routes": [{"dst": "0.0.0.0/0", "gw": "192.0.2.1"}], "dns": {}}

_numbers = itertools.count()


def say(value):
    return f"echo '{json.dumps(value)}'"


class Networks:
    """Of one instance, which must not run yet: torpor.conf names its folders."""

    def __init__(self, torpor):
        self.torpor = torpor
        self.configs = torpor.directory / "net.d"
        self.plugins = torpor.directory / "plugins"
        self.addresses = torpor.directory / "addresses"  # of host-local
        for folder in (self.configs, self.plugins, self.addresses):
            folder.mkdir()
        torpor.write(torpor.etc / "torpor.conf",
                     f"[Daemon]\nNetworkConfigPath={self.configs}\nNetworkPluginPath={self.plugins}:{PLUGINS}\n")
        self.bridges = []

    def add(self, name, *plugins, version="1.0.0"):
        text = json.dumps({"cniVersion": version, "name": name, "plugins": list(plugins)})
        self.torpor.write(self.configs / f"{name}.conflist", text)

    def start(self):
        """Starts torpord. What tests it with sockets of its own does so by paths."""
        return self.torpor.start(wrapper=["unshare", "--net", "/bin/sh", "-c", 'ip link set lo up && exec "$0" "$@"'])

    def add_site(self, name, **keys):
        return self.torpor.add_site(name, str(self.torpor.directory / f"{name}.sock"), **keys)

    def host(self, *command):
        """Runs a command in the network that torpord takes for the host's; returns what it prints."""
        return self.inside(self.torpor.pid, *command)

    @staticmethod
    def inside(pid, *command):
        return subprocess.run(["nsenter", "-t", str(pid), "-n", *command], capture_output=True, text=True,
                              check=True, stdin=subprocess.DEVNULL).stdout

    def links(self):
        """The names of interfaces that are there, but for the loopback and the bridges."""
        lines = self.host("ip", "-oneline", "link").splitlines()
        return {line.split()[1].rstrip(":").split("@")[0] for line in lines} - {"lo", *self.bridges}

    def local(self, **more):
        """Address management by host-local."""
        return {"type": "host-local", "ranges": [[{"subnet": f"10.213.{next(_numbers) % 256}.0/24"}]],
                "dataDir": str(self.addresses), **more}

    def bridge(self, **more):
        name = f"bridge{next(_numbers)}"
        self.bridges.append(name)
        return {"type": "bridge", "bridge": name, "isGateway": True,
                "ipam": self.local(routes=[{"dst": "0.0.0.0/0"}]), **more}

    def fake(self, name, add=None, delete=":"):
        path = self.plugins / name
        path.write_text(FAKE.format(folder=self.plugins, add=add or say(RESULT), delete=delete))
        path.chmod(0o755)
        return {"type": name}

    def calls(self):
        """What plugins of the test's own were asked: (command, name), in order."""
        path = self.plugins / "calls"
        return [tuple(line.split()[:2]) for line in path.read_text().splitlines()] if path.exists() else []

    def containers(self, command):
        """The containers of which plugins of the test's own were asked this."""
        lines = (self.plugins / "calls").read_text().splitlines()
        return [line.split()[2] for line in lines if line.startswith(f"{command} ")]

    def request(self, name, command):
        """What a plugin has read last."""
        return json.loads((self.plugins / f"{name}.{command}.json").read_text())

    def taken(self):
        """Addresses that host-local has given out."""
        return [path for path in self.addresses.glob("*/*") if path.name[0].isdigit()]

    def left(self):
        """What containers have left behind, as text; empty when all is well."""
        found = [f"file {path}" for path in (self.torpor.run / "network").glob("*")]
        found += [f"address {path.name}" for path in self.taken()]
        if self.torpor.running:
            found += [f"interface {name}" for name in self.links()]
        found += [f"cgroup {path.name}" for path in self.torpor.sites_cgroup.glob("*.network")]
        mounts = pathlib.Path("/proc/self/mountinfo").read_text().splitlines()
        return found + [f"mount {line}" for line in mounts if str(self.torpor.directory) in line]

    def finish(self):
        """For a test that failed."""
        subprocess.run(["/bin/sh", "-c", f'umount "{self.torpor.run}"/network/*/netns 2>/dev/null'], check=False)
