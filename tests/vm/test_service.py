# SPDX-License-Identifier: LGPL-2.1-or-later
"""torpor.service under the real systemd."""
import contextlib
import os
import pathlib
import signal
import subprocess
import sys

import pytest

import cgroups
from harness import REPOSITORY, HttpConnection, connect, http_get, site_text, wait_until
from service import UNIT, journal, systemctl

ALL_CONTROLLERS = {"cpu", "cpuset", "io", "memory", "pids"}


def assert_nothing_left(torpor, pids):
    """After a stop: no process that was there, none in the unit's cgroup, no cgroup, no namespace's mount."""
    assert cgroups.processes(torpor.cgroup) == [] and torpor.site_cgroups() == []
    assert [pid for pid in pids if os.path.exists(f"/proc/{pid}")] == []
    assert "torpor" not in pathlib.Path("/proc/self/mountinfo").read_text()


def kill(torpor):
    """Ends torpord by SIGKILL, and waits until systemd has started it again."""
    restarts = int(torpor.show("NRestarts"))
    os.kill(torpor.pid, signal.SIGKILL)
    wait_until(lambda: torpor.show("ActiveState", "NRestarts") == ["active", str(restarts + 1)], "a restart")


def test_boot():
    """Nothing has failed, and torpord was started without anybody's help."""
    wait_until(lambda: not systemctl("list-jobs", "--no-legend"), "the end of the boot")
    assert systemctl("list-units", "--failed", "--no-legend", "--plain", check=False) == ""
    assert systemctl("is-enabled", UNIT) == "enabled"
    assert systemctl("is-active", UNIT) == "active"


def test_kernel():
    """What the tests here are for: one hierarchy with all controllers, AppArmor, and somewhere to swap to."""
    assert set((cgroups.root() / "cgroup.controllers").read_text().split()) >= ALL_CONTROLLERS
    assert str(cgroups.root()) == "/sys/fs/cgroup"
    assert pathlib.Path("/sys/module/apparmor/parameters/enabled").read_text() == "Y\n"
    assert len(pathlib.Path("/proc/swaps").read_text().splitlines()) == 2


def test_unit(torpor):
    """What torpor.service promises to torpord is what it gets."""
    assert torpor.show("Type", "Delegate", "OOMPolicy") == ["notify", "yes", "continue"]
    assert torpor.show("TimeoutStopUSec") == "5min" and "network-online.target" in torpor.show("Wants").split()
    host = torpor.host()
    assert host["pid"] == torpor.pid
    assert set(host["controllers"]) == ALL_CONTROLLERS and not host["controllers_missing"] and not host["warnings"]
    assert pathlib.Path(host["cgroup"]) == torpor.cgroup
    assert host["open_files_limit"] == 1048576
    assert pathlib.Path(f"/proc/{torpor.pid}/oom_score_adj").read_text() == "-900\n"
    first, answers_bind = cgroups.processes(torpor.cgroup / "torpord")
    assert first == torpor.pid
    assert f"PPid:\t{torpor.pid}\n" in pathlib.Path(f"/proc/{answers_bind}/status").read_text()
    assert set((torpor.cgroup / "cgroup.controllers").read_text().split()) >= ALL_CONTROLLERS
    assert set((torpor.cgroup / "cgroup.subtree_control").read_text().split()) >= {"cpu", "memory", "pids"}
    assert (torpor.cgroup / "pids.max").read_text() == "max\n"


def test_wake_freeze_stop(torpor):
    address = torpor.add_site("a")
    assert torpor.state("a") == "cold"
    first = torpor.visit("a", address, "/pid").text
    assert torpor.cgroup_of("a") == torpor.cgroup / "a.site"
    # Killed before torpord, and by systemd only at the end: its limits and its place are not the daemon's.
    pid = torpor.status("a")["pid"]
    assert pathlib.Path(f"/proc/{pid}/oom_score_adj").read_text() == "0\n"
    torpor.freeze("a")
    assert torpor.visit("a", address, "/pid").text == first
    torpor.torporctl("stop", "a")
    assert torpor.state("a") == "cold" and torpor.site_cgroups() == []
    assert http_get(address, "/counter").text == "1\n"


@pytest.mark.parametrize("output", ["journal", "inherit", "null", "file:/run/torpor-test-output"])
def test_frozen_stays_frozen(torpor, output):
    """A program's output is no visitor, whatever it goes to."""
    address = torpor.add_site("a", container={"StandardOutput": output})
    torpor.visit("a", address)
    with torpor.events("a") as events:
        torpor.freeze("a")
        torpor.call("GetHost")
        # Wakes of others take the loop around a few times.
        other = torpor.add_site("b")
        torpor.visit("b", other)
        assert events.transitions("a") == ["freezing", "frozen"] and torpor.state("a") == "frozen"
    assert http_get(address, "/counter").text == "2\n"


def test_reload(torpor):
    """systemctl reload goes to torpord alone, and leaves an awake site in peace."""
    address = torpor.add_site("a")
    pid, before = torpor.visit("a", address, "/pid").text, torpor.status("a")["pid"]
    other = torpor.address()
    path = torpor.run / "sites" / "b.site"
    path.parent.mkdir(exist_ok=True)
    torpor.write(path, site_text(other))
    systemctl("reload", UNIT)
    torpor.wait_site("b")
    assert http_get(other, "/counter").text == "1\n"
    assert http_get(address, "/pid").text == pid and torpor.status("a")["pid"] == before


def test_stop(torpor):
    """With sites awake, frozen, cold, and one that does not listen to SIGTERM."""
    addresses = [torpor.add_site(name) for name in ("awake", "frozen", "cold")]
    deaf = torpor.add_site("deaf", exec_start="/helpers/probe-server --ignore-term",
                           container={"TimeoutStopSec": "1s"})
    for name, address in (("awake", addresses[0]), ("frozen", addresses[1]), ("deaf", deaf)):
        torpor.visit(name, address)
    http_get(addresses[0], "/spawn?ms=600000&ignore-term=1")
    torpor.freeze("frozen")
    pids = cgroups.processes(torpor.cgroup)
    torpor.stop()
    assert_nothing_left(torpor, pids)
    assert torpor.show("Result", "ExecMainStatus", "NFileDescriptorStore") == ["success", "0", "0"]
    for address in addresses:
        with pytest.raises(ConnectionRefusedError):
            connect(address)
    torpor.start()
    assert [http_get(address, "/counter").text for address in addresses] == ["1\n"] * 3


@pytest.fixture
def short_stop(torpor):
    """systemd would wait ten seconds for torpord's end."""
    path = pathlib.Path("/run/systemd/system/torpor.service.d/short.conf")
    path.parent.mkdir(parents=True)
    path.write_text("[Service]\nTimeoutStopSec=10s\n")
    systemctl("daemon-reload")
    yield
    path.unlink()
    path.parent.rmdir()
    systemctl("daemon-reload")


def test_stop_takes_as_long_as_the_sites(torpor, short_stop):
    """However short the service's own time is: torpord says that a site needs more."""
    deaf = torpor.add_site("deaf", exec_start="/helpers/probe-server --ignore-term",
                           container={"TimeoutStopSec": "20s"})
    torpor.visit("deaf", deaf)
    torpor.stop()
    assert torpor.show("Result", "ExecMainStatus") == ["success", "0"]
    torpor.start()


def test_restart_keeps_the_run_folder(torpor):
    """What a control plane wrote is there again; so is a unix listener's file, with its owner and mode."""
    path = torpor.run / "sites" / "a.site"
    path.parent.mkdir(exist_ok=True)
    listener = torpor.run / "listen" / "a.sock"
    torpor.write(path, site_text(str(listener), socket={"SocketUser": "nobody", "SocketMode": "0640"}))
    torpor.wait_site("a")
    first = torpor.visit("a", str(listener), "/pid").text
    before = listener.stat()
    torpor.restart()
    assert torpor.visit("a", str(listener), "/pid").text == first  # the same inside; anew outside
    after = listener.stat()
    assert (after.st_uid, after.st_mode) == (before.st_uid, before.st_mode)
    assert torpor.wakes("a") == 1


@pytest.fixture
def gate(torpor, tmp_path):
    """A pipe: the service does not start before somebody writes to it."""
    pipe = tmp_path / "gate"
    os.mkfifo(pipe)
    path = pathlib.Path(f"/run/systemd/system/{UNIT}.d/gate.conf")
    path.parent.mkdir(parents=True)
    path.write_text(f"[Service]\nExecStartPre=/bin/sh -c 'read line <{pipe}'\n")
    systemctl("daemon-reload")
    yield pipe
    path.unlink()
    path.parent.rmdir()
    systemctl("daemon-reload")


def test_visitors_wait_for_a_restart(torpor, gate):
    """They connect while there is no torpord, and have their answer from the next."""
    path = str(torpor.run / "a.sock")
    addresses = [torpor.add_site("a"), torpor.add_site("b"), torpor.add_site("c", path)]
    torpor.visit("a", addresses[0])
    for _ in range(2):
        systemctl("restart", "--no-block", UNIT)
        wait_until(lambda: torpor.show("SubState", "MainPID") == ["start-pre", "0"], "nobody")
        assert torpor.show("NFileDescriptorStore") == "1"
        with contextlib.ExitStack() as stack:
            visitors = [stack.enter_context(HttpConnection(address)) for address in addresses]
            for visitor in visitors:
                visitor.send("/counter", close=True)
            gate.write_text("go\n")
            assert [visitor.receive().text for visitor in visitors] == ["1\n"] * 3
        wait_until(lambda: torpor.running, "READY=1")
        assert torpor.show("NFileDescriptorStore") == "0"


def test_killed(torpor):
    """torpord dies: systemd ends what it has left and starts it again, and every site answers."""
    address, other = torpor.add_site("a"), torpor.add_site("b")
    torpor.visit("a", address)
    torpor.visit("b", other)
    torpor.freeze("b")
    pids = cgroups.processes(torpor.cgroup)
    kill(torpor)
    assert [pid for pid in pids if os.path.exists(f"/proc/{pid}")] == []
    assert torpor.site_cgroups() == []
    assert [http_get(at, "/counter").text for at in (address, other)] == ["1\n", "1\n"]
    torpor.restart()


def test_killed_again_and_again(torpor):
    """It never stays away: with it would go all sites."""
    assert torpor.show("StartLimitIntervalUSec") == "0"
    address = torpor.add_site("a")
    for _ in range(6):  # five starts in ten seconds are systemd's limit
        kill(torpor)
    assert http_get(address, "/counter").text == "1\n"
    torpor.restart()


@pytest.fixture
def torpor_socket(torpor):
    """A socket unit that systemd holds for torpord; its address."""
    address = torpor.address()
    path = pathlib.Path("/run/systemd/system/torpor.socket")
    path.write_text(f"[Socket]\nListenStream={address}\n")
    systemctl("daemon-reload")
    torpor.stop()
    systemctl("start", "torpor.socket")
    yield address
    torpor.stop()
    systemctl("stop", "torpor.socket")
    path.unlink()
    systemctl("daemon-reload")
    torpor.start()


def test_socket_from_systemd(torpor, torpor_socket):
    """The port is open while torpord is down; who connects then starts it, and waits for the site's container. So does
    who comes between two of them."""
    torpor.write_site("a", site_text(torpor_socket))
    assert not torpor.running
    assert http_get(torpor_socket, "/counter").text == "1\n"
    assert torpor.running
    inode = http_get(torpor_socket, "/listener").fields["inode"]
    assert f"socket:[{inode}]" in torpor.descriptors().values()
    assert f"socket:[{inode}]" in [os.readlink(path) for path in pathlib.Path("/proc/1/fd").iterdir()]
    torpor.stop()
    with HttpConnection(torpor_socket) as visitor:
        visitor.send("/counter")
        systemctl("start", UNIT)
        assert visitor.receive().text == "1\n"


def test_output_in_the_journal(torpor, moment):
    """A site's lines are marked with its name; torpord's own carry their level."""
    address = torpor.add_site("a.example", container={"StandardOutput": "journal"})
    named = torpor.add_site("b", container={"StandardOutput": "journal", "SyslogIdentifier": "shop"})
    inherited = torpor.add_site("c", container={"StandardOutput": "inherit"})
    for at, text in ((address, "from-a"), (named, "from-b"), (inherited, "from-c")):
        assert http_get(at, f"/say?{text}").text == "ok\n"
    wait_until(lambda: "from-a" in journal("--since", moment, "-t", "a.example"), "the line of a")
    wait_until(lambda: "from-b" in journal("--since", moment, "-t", "shop"), "the line of b")
    wait_until(lambda: "from-c" in journal("--since", moment, "-t", "torpord"), "the line of c")
    assert not [line for line in journal("--since", moment, "-t", "torpord") if "from-a" in line or "from-b" in line]
    (torpor.etc / "sites/bad.site").write_text("[Site]\nNoSuchKey=1\n")
    wait_until(torpor.file_errors, "an error of a file")
    errors = journal("--since", moment, "-t", "torpord", "--priority=err")
    assert [line for line in errors if "bad.site:2" in line]
    assert not [line for line in errors if "from-c" in line]


@pytest.fixture
def strict_journal():
    """journald with a limit of some lines for a service, where the unit does not say otherwise. Its streams outlive
    its restart."""
    path = pathlib.Path("/run/systemd/journald.conf.d/zz-strict.conf")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("[Journal]\nRateLimitIntervalSec=1h\nRateLimitBurst=5\n")
    systemctl("restart", "systemd-journald")
    yield
    path.unlink()
    systemctl("restart", "systemd-journald")


def test_a_noisy_site_silences_nobody(torpor, strict_journal, moment):
    """journald counts the lines of all as the service's."""
    noisy, other = (torpor.add_site(name, container={"StandardOutput": "journal"}) for name in ("noisy", "other"))
    with HttpConnection(noisy) as visitor:
        for i in range(100):
            assert visitor.get(f"/say?line-{i}").text == "ok\n"
    assert http_get(other, "/say?hello").text == "ok\n"
    wait_until(lambda: journal("--since", moment, "-t", "other") == ["hello"], "the line of the other one")
    assert journal("--since", moment, "-t", "noisy") == [f"line-{i}" for i in range(100)]


def test_control_socket(torpor):
    """Of root alone, unless a group is named."""
    script = "import sys; sys.path.insert(0, sys.argv[1]); from varlink import Connection; " \
             "print(Connection('/run/torpor/control').call('GetHost')['host']['pid'])"
    command = [sys.executable, "-c", script, str(REPOSITORY / "tests/system")]
    assert int(subprocess.run(command, capture_output=True, check=True).stdout) == torpor.pid
    nobody = subprocess.run(["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", *command],
                            capture_output=True, text=True, check=False)
    assert nobody.returncode != 0 and ("PermissionError" in nobody.stderr or "PermissionDenied" in nobody.stderr)
