# SPDX-License-Identifier: LGPL-2.1-or-later
"""A program that does not take its listeners, or late: nothing is closed, and what is wrong is said for as long as it
is wrong, with what to do about it."""
import contextlib
import fcntl
import os
import pty
import socket
import struct
import subprocess
import termios

import pytest

from client import connect, http_get
from harness import SANITIZED, HttpConnection, site_text, wait_until

PATIENCE_S = 4 if SANITIZED else 1  # it bounds the start, too, which takes a sanitizer long on a busy machine
SLEEPS = "/bin/sleep infinity"


@pytest.fixture(autouse=True)
def quick_scans(torpor):
    torpor.write(torpor.etc / "torpor.conf", "[Daemon]\nScanIntervalSec=50ms\n")


def binder(*steps):
    return "/helpers/binder " + " ".join(steps)


def add_site(torpor, exec_start, *listen, **container):
    """TimeoutStartSec= is how long a visitor waits before torpor says so."""
    container.setdefault("TimeoutStartSec", f"{PATIENCE_S}s")
    return torpor.add_site("a", *listen, exec_start=exec_start, container=container)


def send_request(address):
    """A visitor who waits."""
    connection = HttpConnection(address)
    connection.send("/", close=True)
    return connection


def wait_complaint(torpor):
    """What status says; the log says the same."""
    failure = wait_until(lambda: torpor.status("a").get("failure"), "a failure")
    assert failure["step"] == "handover" and failure["errno"] == failure["restarts"] == 0
    assert f"site a: {failure['message']}\n" in torpor.log()
    return failure["message"]


def wait_withdrawn(torpor):
    torpor.wait_log("site a: its program sees to its listeners now")
    assert "failure" not in torpor.status("a")


def wait_scans(torpor, n):
    first = torpor.host()["scans"]
    wait_until(lambda: torpor.host()["scans"] >= first + n, f"{n} scans")


def assert_open(connection):
    """Neither answered nor closed."""
    connection.socket.setblocking(False)
    with pytest.raises(BlockingIOError):
        connection.socket.recv(1)
    connection.socket.setblocking(True)


ADVICE = {
    "auto": "it was offered by LISTEN_FDS=, and the program has not bound it: if it binds another port, say which by "
            "BindPort=",
    "bind": "the program has not bound it: if it binds another port, say which by BindPort=",
    "listen-fds": "it was offered by LISTEN_FDS= alone; a program that binds by itself needs Handover=auto",
    "stdin": "it was offered as standard input; a program that binds by itself needs Handover=auto",
}


@pytest.mark.parametrize("handover", ADVICE)
def test_never_taken(torpor, handover):
    address = add_site(torpor, SLEEPS, Handover=handover)
    torpor.start()
    with send_request(address) as visitor:
        message = wait_complaint(torpor)
        assert message == (f"its program never took its listener {address}: nobody was let in for {PATIENCE_S}.0s "
                           f"(TimeoutStartSec=), 1 waiting; {ADVICE[handover]}")
        wait_scans(torpor, 5)
        # It is said once, nothing is closed, and who comes now waits as well.
        assert torpor.log().count("never took") == 1
        with send_request(address) as another:
            wait_until(lambda: torpor.status("a")["waiting"] == 2, "two that wait")
            status = torpor.status("a")
            assert (status["state"], status["wakes"], status["handover"]) == ("awake", 1, handover)
            assert all("taken" not in listener for listener in status["listeners"])
            assert_open(visitor)
            assert_open(another)
    assert "Failure: its program never took its listener" in torpor.torporctl("status", "a").stdout


def run_on_terminal(command, columns):
    """The lines that it prints."""
    master, slave = pty.openpty()
    fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
    with subprocess.Popen(command, stdin=slave, stdout=slave, stderr=slave) as process, open(master, "rb", 0) as output:
        os.close(slave)
        data = b""
        with contextlib.suppress(OSError):  # how a terminal ends
            while more := output.read(65536):
                data += more
        assert process.wait() == 0, data
    return data.decode().split("\r\n")


def test_on_a_terminal(torpor):
    address = add_site(torpor, SLEEPS, Handover="bind")
    torpor.start()
    with send_request(address):
        wait_complaint(torpor)
        lines = run_on_terminal([torpor.torporctl_path, *torpor.folders(), "--color=never", "status", "a"], columns=80)
    # Folders of a test are long, and paths are not cut.
    assert max(len(line) for line in lines if "/" not in line) <= 80
    at = next(i for i, line in enumerate(lines) if "Failure:" in line)
    assert lines[at].startswith(f"     Failure: its program never took its listener {torpor.ip}:")
    assert " ".join(line.strip() for line in lines[at:]).startswith(
        f"Failure: its program never took its listener {address}: nobody was let in for {PATIENCE_S}.0s (TimeoutStartSec=), "
        "1 waiting; the program has not bound it: if it binds another port, say which by BindPort=; ")


@pytest.mark.parametrize("handover", ["auto", "bind"])
@pytest.mark.parametrize("listen,bind,advice", [
    ("tcp", "0.0.0.0:9000", "BindPort=9000"),
    ("tcp", "[::]:9000", "BindPort=9000"),
    ("unix", "127.0.0.1:9000", "BindPort=9000"),
    ("unix", "/tmp/own.sock", "BindAddress=/tmp/own.sock"),
    ("unix", "@own", "BindAddress=@own")])
def test_another_address(torpor, handover, listen, bind, advice):
    """What the program listens on instead is said; with that in the unit the very visitor is served."""
    address = torpor.address() if listen == "tcp" else str(torpor.run / "a.sock")
    family = "inet6" if bind[0] == "[" else "unix" if bind[0] in "/@" else "inet"
    exec_start = binder(f"socket={family},stream", f"bind={bind}", "listen=5", "serve")
    add_site(torpor, exec_start, address, Handover=handover)
    torpor.start()
    with send_request(address) as visitor:
        message = wait_complaint(torpor)
        assert message.startswith(f"its program never took its listener {address}: nobody was let in for {PATIENCE_S}.0s ")
        assert message.endswith(f", 1 waiting; the program listens on {bind} instead: say {advice}")
        key, _, value = advice.partition("=")
        add_site(torpor, exec_start, address, Handover=handover, **{key: value})
        wait_until(lambda: torpor.status("a")["restart_needed"], "the new unit")
        torpor.call("Restart", site="a")
        assert visitor.receive().status == 200
        wait_withdrawn(torpor)
        assert torpor.status("a")["listeners"][0]["taken"] == "bound"


def test_own_socket_beside_a_port_is_not_meant(torpor):
    """Many programs have one, and it says nothing about the port."""
    address = add_site(torpor, binder("socket=unix,stream", "bind=/tmp/own.sock", "listen=5", "socket=inet,stream",
                                      "bind=127.0.0.1:9000", "listen=5", "serve"))
    torpor.start()
    with send_request(address):
        assert wait_complaint(torpor).endswith("the program listens on 127.0.0.1:9000 instead: say BindPort=9000")


@pytest.fixture
def folder(torpor):
    """Where a test lets a program go on."""
    path = torpor.directory / "folder"
    path.mkdir()
    return path


@pytest.mark.parametrize("handover,steps,taken", [
    ("bind", ["socket=inet,stream", "bind={address}", "listen=5"], "bound"),
    ("auto", ["socket=inet,stream", "bind={address}", "listen=5"], "bound"),
    ("auto", ["inherit", "listen=5"], "listened"),
    ("auto", ["inherit"], None),
    ("listen-fds", ["inherit"], None)])
def test_late(torpor, folder, handover, steps, taken):
    """It takes longer than TimeoutStartSec=, and serves who has been waiting; nothing is wrong any more then."""
    address = torpor.address()
    add_site(torpor, binder(f"await={folder}/go", *[step.format(address=address) for step in steps], "serve"), address,
             Handover=handover, BindReadOnlyPaths=str(folder))
    torpor.start()
    with send_request(address) as visitor, send_request(address) as another:
        assert "2 waiting" in wait_complaint(torpor)
        (folder / "go").touch()
        assert visitor.receive().status == another.receive().status == 200
        wait_withdrawn(torpor)
    status = torpor.status("a")
    assert (status["state"], status["wakes"]) == ("awake", 1)
    assert status["listeners"][0].get("taken") == taken
    text = torpor.torporctl("status", "a").stdout
    assert "Failure:" not in text and f"Handover: {handover}\n" in text
    assert {"bound": ", bound by its program)", "listened": ", in use by its program)", None: " (stream)"}[taken] in text


def test_visitors_who_leave_do_not_make_it_well(torpor):
    """Nor do they look like ones who were let in."""
    address = add_site(torpor, SLEEPS)
    torpor.start()
    with send_request(address) as visitor:
        wait_complaint(torpor)
        visitor.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    wait_until(lambda: torpor.status("a")["waiting"] == 0, "the visitor to be gone")
    wait_scans(torpor, 5)
    assert "never took" in torpor.status("a")["failure"]["message"]


def test_visitor_long_after_the_start(torpor):
    """Its time counts from its coming, not from the start."""
    address = add_site(torpor, SLEEPS, TimeoutStartSec=f"{300 * PATIENCE_S}ms")
    torpor.start()
    torpor.call("Wake", site="a")
    torpor.wait_state("a", "awake")
    wait_scans(torpor, 10 * PATIENCE_S)
    assert "failure" not in torpor.status("a")
    with send_request(address):
        assert f"nobody was let in for {'1.2s' if SANITIZED else '300.0ms'}" in wait_complaint(torpor)


def test_one_of_two_listeners(torpor):
    """The other is served meanwhile, which does not hide it."""
    served, never = torpor.address(), torpor.address()
    add_site(torpor, binder("socket=inet,stream", f"bind={served}", "listen=5", "socket=inet,stream", "bind=0.0.0.0:9000",
                            "listen=5", "serve"), served, never)
    torpor.start()
    with HttpConnection(served) as open_connection, send_request(never):
        open_connection.socket.sendall(b"GET")
        message = wait_complaint(torpor)
        assert message.startswith(f"its program never took its listener {never}: ")
        assert message.endswith(f"; the program listens on 0.0.0.0:9000 instead: say BindPort={never} 9000")
        assert [listener.get("taken") for listener in torpor.status("a")["listeners"]] == ["bound", None]


def test_taken_but_not_served(torpor):
    address = torpor.address()
    add_site(torpor, binder("socket=inet,stream", f"bind={address}", "listen=5", "await=/never"), address)
    torpor.start()
    with send_request(address):
        assert wait_complaint(torpor) == (f"its program has taken its listener {address}, but let nobody in for {PATIENCE_S}.0s "
                                          "(TimeoutStartSec=), 1 waiting")
        assert torpor.status("a")["listeners"][0]["taken"] == "bound"


def test_datagrams(torpor):
    address = torpor.address()
    torpor.write_site("a", site_text(exec_start=SLEEPS, socket={"ListenDatagram": address},
                                     container={"TimeoutStartSec": f"{PATIENCE_S}s"}))
    torpor.start()
    with connect(address, socket.SOCK_DGRAM) as sock:
        sock.send(b"hello")
        assert f"never took its listener {address}: " in wait_complaint(torpor)


def test_patience_without_end(torpor):
    """TimeoutStartSec=infinity: whoever sets that does not want to be told."""
    address = add_site(torpor, SLEEPS, TimeoutStartSec="infinity")
    torpor.start()
    with send_request(address):
        wait_until(lambda: torpor.status("a").get("waiting") == 1, "one that waits")
        wait_scans(torpor, 10)
        assert "failure" not in torpor.status("a")


# The other ways round.

def test_port_below_1024(torpor):
    """A program without any capability serves it, at a port of its own."""
    address = f"{torpor.ip}:443"
    add_site(torpor, binder("socket=inet,stream", "bind=0.0.0.0:8443", "listen=5", "serve"), address, BindPort="8443")
    torpor.start()
    assert '"name":"%s"' % address in http_get(address).text
    wait_until(lambda: torpor.status("a")["listeners"] == [
        {"address": address, "type": "stream", "fd_name": "a", "taken": "bound"}], "its bind")


def test_few_open_files(torpor):
    """Where the host lets torpord open few files, programs bind all the same."""
    address = torpor.address()
    add_site(torpor, binder("socket=inet,stream", "epoll", f"bind={address}", "listen=5", "serve-epoll"), address)
    torpor.start(wrapper=["prlimit", "--nofile=1024:1024"])
    assert http_get(address).status == 200
    assert torpor.host()["open_files_limit"] == 1024
