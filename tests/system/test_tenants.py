# SPDX-License-Identifier: LGPL-2.1-or-later
"""What a program is given in its container, as a probe sees it from inside, and what of a neighbour it can get at.
golden/NAME.txt holds the answers; run with GOLDEN_UPDATE=1 to write them anew. T24, T26 and T28 of the table in
tests/SECURITY.md."""
import os
import socket
import subprocess

import pytest

from client import connect
from harness import HELPERS, REPOSITORY, VarlinkError, http_get, site_text
from rootfs import make_root
from test_syscalls import HAZARDS, answers, check_golden

PROBE = "/helpers/container-probe"
FACTS = {"StandardOutput": "null", "LimitNOFILE": "1024"}  # else torpord's own limit of open files, the machine's
# What torpord may have been started with and no site may be given: descriptors of the host's root and of a file that
# only root may read, groups, capabilities to inherit, signals that are ignored, a working directory, limits, a umask.
CARELESS = ["/bin/sh", "-c", "trap '' HUP USR1 PIPE; umask 0; ulimit -c unlimited; cd /root && exec 7</ 9</etc/shadow && "
            "exec setpriv --groups=4,5,6 --inh-caps=+chown,+net_raw,+sys_chroot nice -n -3 \"$0\" \"$@\""]


def receive(address):
    with connect(address, timeout=60) as connection:
        return b"".join(iter(lambda: connection.recv(65536), b"")).decode()


@pytest.fixture
def probe(torpor):
    """Starts sites with the probe; returns what it says."""
    def ask(what, name="a", program=PROBE, **container):
        address = torpor.address()
        container = {"BindReadOnlyPaths": f"{HELPERS}:/helpers", **container}
        torpor.write_site(name, site_text(address, template=None, container=container, exec_start=f"{program} {what}"))
        if not torpor.running:
            torpor.start(wrapper=CARELESS, environment={"SECRET": "of the daemon"})
        torpor.wait_site(name)
        return receive(address)
    return ask


@pytest.mark.parametrize("name,container", [
    ("default", {}),
    ("root", {"User": "root"}),
    ("capabilities", {"User": "daemon", "CapabilityBoundingSet": "CAP_NET_BIND_SERVICE CAP_CHOWN",
                      "AmbientCapabilities": "CAP_NET_BIND_SERVICE", "LimitNOFILE": "100:200", "LimitCORE": "300", "Nice": "4"}),
])
def test_facts(probe, name, container):
    """T24, T26: descriptors, working directory, root, program; the capability sets, no_new_privs, groups, session,
    signals, limits and environment: those that were meant, whatever torpord was started with."""
    check_golden(f"facts-{name}", probe("facts", **{**FACTS, **container}))


@pytest.mark.parametrize("handover", ["auto", "listen-fds"])
def test_a_path_of_the_tenant_s_names_no_descriptor_of_the_daemon_s(torpor, handover):
    """T24, T25: a working directory, or a program, in /proc/self/fd, as an image or a link may say: nothing is open there but
    what the program is given."""
    numbers = range(3, 64)
    for number in numbers:
        for name, program, folder in ((f"folder{number}", "/bin/true", f"/proc/self/fd/{number}"),
                                      (f"program{number}", f"/proc/self/fd/{number}/self/exe", "/")):
            container = {"Handover": handover, "StandardOutput": "null", "WorkingDirectory": folder}
            torpor.write_site(name, site_text(torpor.address(), template=None, exec_start=program, container=container))
    torpor.start()
    for number in numbers:
        for name, step in ((f"folder{number}", "working-directory"), (f"program{number}", "exec")):
            with pytest.raises(VarlinkError):
                torpor.call("Wake", site=name)
            assert torpor.status(name)["failure"]["step"] == step, name


def test_descriptors_under_way_of_one_site_are_no_other_s_concern(torpor):
    """T28: the kernel counts them by user, whose processes may be those of several sites."""
    torpor.add_site("flood", exec_start="/usr/bin/python3 /apps/descriptors-in-flight.py 300", template=None,
                    container={"Type": "notify", "BindReadOnlyPaths": f"{REPOSITORY}/tests/apps:/apps", "User": "daemon"})
    other = torpor.add_site("other", container={"LimitNOFILE": "64", "User": "daemon"})
    torpor.start()
    torpor.call("Wake", site="flood")
    assert torpor.state("flood") == "awake"
    assert http_get(other, "/counter").text == "1\n"


@pytest.mark.parametrize("overlay", ["none", "tmpfs"])
def test_facts_in_a_root_of_its_own(torpor, probe, overlay):
    """T24, T26: the same, and its root is the one that ".." ends at."""
    root = make_root(torpor.directory / "root")
    (root / "helpers").mkdir()
    check_golden("facts-own-root", probe("facts", **FACTS, RootDirectory=root, Overlay=overlay))


def test_session_keyring(torpor, probe):
    """T26: each has one of its own, as who may ask finds."""
    loosened = {"SystemCallFilter": ["@known", HAZARDS]}
    numbers = [probe("keyring", name, **loosened) for name in ("a", "b")]
    own = subprocess.run([HELPERS / "container-probe", "keyring"], check=True, text=True, capture_output=True).stdout
    assert all(int(number) > 0 for number in numbers) and len({*numbers, own}) == 3


def free_port():
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return str(sock.getsockname()[1])


def find(text):
    """Without the first line's marker of who asks."""
    return "".join(f"{name}: {answer}\n" for name, answer in answers(text).items())


@pytest.fixture
def neighbour(torpor, probe):
    """The first process of a site that leaves things about, and where: (name, port, pid)."""
    def start(**container):
        name, port = f"torpor-test-{os.getpid()}", free_port()
        assert "left: " in probe(f"leave {name} {port}", "b", **container)
        torpor.wait_state("b", "awake")
        return name, port, torpor.status("b")["pid"]
    return start


@pytest.mark.parametrize("user", ["nobody", "root"])
def test_neighbour(probe, neighbour, user):
    """T28: site A reads, signals, traces, connects to site B, which is of the same user."""
    name, port, pid = neighbour(User=user)
    check_golden("neighbour", find(probe(f"find {name} {port} {pid}", "a", User=user)))


def test_neighbour_without_the_filter(probe, neighbour):
    """T28: the namespaces alone keep it away, too."""
    name, port, pid = neighbour()
    found = probe(f"find {name} {port} {pid}", "a", SystemCallFilter=["@known", HAZARDS])
    check_golden("neighbour-unfiltered", find(found))


def test_neighbour_outside():
    """T28: without containers the same probe gets at all of it."""
    user = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"]
    name, port = f"torpor-test-{os.getpid()}", free_port()
    with subprocess.Popen([*user, HELPERS / "container-probe", "leave", name, port], stdout=subprocess.PIPE,
                          text=True) as process:
        try:
            assert process.stdout.readline().startswith("left: ")
            found = subprocess.run([*user, HELPERS / "container-probe", "find", name, port, str(process.pid)], check=True,
                                   text=True, capture_output=True).stdout
        finally:
            process.terminate()
    assert {name: answer for name, answer in answers(found).items() if answer != "ok"} == {}


def test_processes_of_the_host(torpor):
    """T24: no process, no mount and no control group of the host's is to be seen."""
    address = torpor.add_site("a")
    torpor.start()
    listed = [name for name in http_get(address, "/list?path=/proc").lines if name.isdigit()]
    assert listed == ["1"]
    assert "cgroup" not in http_get(address, "/mounts").text
