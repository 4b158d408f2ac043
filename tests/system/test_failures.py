# SPDX-License-Identifier: LGPL-2.1-or-later
"""What is wrong is said once and clearly, the port stays open, and nothing else stops working."""
import contextlib
import os
import pathlib
import re
import signal
import socket
import time

import pytest

from harness import HELPERS, SANITIZED, HttpConnection, VarlinkError, connect, http_get, site_text, wait_until


def send_request(address, path="/"):
    """A visitor who waits."""
    sock = connect(address)
    sock.sendall(f"GET {path} HTTP/1.1\r\nConnection: close\r\n\r\n".encode())
    return sock


def read_answer(sock):
    data = b""
    while chunk := sock.recv(65536):
        data += chunk
    return data


def failure_of(torpor, site):
    """What status says of it while it waits for its next start, whichever that is: the back-off is 1 s, 2 s, 4 s ..."""
    def waits():
        status = torpor.status(site)
        return status["state"] == "failed" and status["failure"]
    failure = wait_until(waits, f"{site} to wait")
    assert 0 < failure["retry_in_us"] <= 1e6 * 2 ** (failure["restarts"] - 1)
    return failure


def test_missing_program_heals_when_it_is_there(torpor):
    """The visitor who came too early gets an answer after all."""
    address = torpor.add_site("a", exec_start="/helpers/not-there")
    good = torpor.add_site("b")
    torpor.start()
    with torpor.events("a") as events, send_request(address) as sock:
        events.wait_event(to="failed")
        failure = failure_of(torpor, "a")
        assert (failure["step"], failure["errno"]) == ("exec", 2)
        assert "No such file or directory" in failure["message"]
        torpor.wait_log(r"site a: failed at step exec: .*No such file or directory")
        connect(address).close()
        assert http_get(good).status == 200
        torpor.add_site("a", address)
        assert read_answer(sock).endswith(b"hello\n")
    torpor.wait_state("a", "awake")
    torpor.wait_state("b", "awake")


def test_wake_of_a_missing_program_says_why(torpor):
    torpor.add_site("a", exec_start="/helpers/not-there")
    torpor.start()
    with pytest.raises(VarlinkError) as error:
        torpor.call("Wake", site="a")
    assert error.value.name == "StartFailed"
    assert (error.value.parameters["step"], error.value.parameters["errno"]) == ("exec", 2)


@pytest.mark.parametrize("container,step", [
    ({"BindPaths": "@MISSING@:/data"}, "mount-sources"),
    ({"WorkingDirectory": "@MISSING@"}, "working-directory"),
    ({"EnvironmentFile": "@MISSING@"}, "environment-file"),
    ({"StandardOutput": "append:@MISSING@/log"}, "output"),
    ({"ExecStart": ["", "/etc/passwd"]}, "exec")])
def test_failed_step_is_named(torpor, container, step):
    missing = torpor.directory / "missing"
    torpor.write_site("a", site_text(torpor.address(), container=container).replace("@MISSING@", str(missing)))
    torpor.start()
    with pytest.raises(VarlinkError) as error:
        torpor.call("Wake", site="a")
    assert not missing.exists()
    assert error.value.parameters["step"] == step
    assert error.value.parameters["errno"] in (2, 13)
    assert torpor.status("a")["failure"]["step"] == step
    assert torpor.processes("a") == []


def test_exit_at_once_backs_off(torpor):
    """1 s, then 2 s; all the while the port is open and status says what is the matter."""
    address = torpor.add_site("a", exec_start="/helpers/probe-server --exit=3")
    torpor.start()
    with torpor.events("a") as events, send_request(address):
        for pause in (1, 2):
            failed = events.wait_event(to="failed")
            with connect(address):
                pass
            again = events.wait_event(to="starting")
            assert again["time_us"] - failed["time_us"] >= pause * 0.95e6
        events.wait_event(to="failed")
    failure = failure_of(torpor, "a")
    assert failure["restarts"] >= 3 and "status 3" in failure["message"]


def test_wake_by_command_does_not_wait_for_the_back_off(torpor):
    torpor.write_site("a", site_text(torpor.address(), exec_start="/helpers/probe-server --exit=3"))
    torpor.start()
    with torpor.events("a") as events:
        for _ in range(3):
            try:
                torpor.call("Wake", site="a")
            except VarlinkError as error:
                assert error.name == "StartFailed"
            events.wait_event(to="failed")
        assert torpor.call("Stop", site="a")["state"] == "cold"
    assert torpor.status("a").get("failure") is None


def test_crash_of_a_running_program(torpor):
    address = torpor.add_site("a")
    torpor.start()
    torpor.visit("a", address)
    with torpor.events("a") as events:
        os.kill(torpor.status("a")["pid"], signal.SIGKILL)
        events.wait_event(from_="awake")
        wait_until(lambda: torpor.status("a").get("failure"), "a failure")
        assert "killed" in torpor.status("a")["failure"]["message"].lower()
        assert http_get(address, "/counter").text == "1\n"


def test_clean_exit_is_no_failure(torpor):
    address = torpor.add_site("a")
    torpor.start()
    torpor.visit("a", address)
    with torpor.events("a") as events, send_request(address, "/exit?code=0"):
        events.wait_event(to="cold")
    assert torpor.status("a").get("failure") is None
    assert http_get(address, "/counter").text == "1\n"


def test_start_that_never_gets_ready(torpor):
    torpor.add_site("a", exec_start="/helpers/probe-server --sleep-start=600000",
                    container={"Type": "notify", "TimeoutStartSec": "400ms", "TimeoutStopSec": "200ms"})
    torpor.start()
    with pytest.raises(VarlinkError) as error:
        torpor.call("Wake", site="a")
    assert error.value.name == "StartFailed"
    assert "TimeoutStartSec" in torpor.status("a")["failure"]["message"]
    assert torpor.processes("a") == []


def test_visitor_of_a_start_that_never_gets_ready(torpor):
    """Nobody is turned away: the port stays open, and the next start that succeeds serves who has waited."""
    fifo = torpor.directory / "fifo"
    os.mkfifo(fifo, 0o644)
    address = torpor.add_site("a", exec_start="/bin/sh -c 'test -p /fifo && exec sleep 600; exec /helpers/probe-server --ready'",
                              container={"Type": "notify", "NotifyAccess": "all", "TimeoutStartSec": "400ms",
                                         "TimeoutStopSec": "200ms", "BindReadOnlyPaths": f"-{fifo}:/fifo"})
    torpor.start()
    with HttpConnection(address) as visitor, HttpConnection(address) as another:
        visitor.send("/counter", close=True)
        failure = wait_until(lambda: torpor.status("a").get("failure"), "a failure")
        assert failure["message"] == "did not start within TimeoutStartSec="
        another.send("/counter", close=True)
        fifo.unlink()
        assert {visitor.receive().text, another.receive().text} == {"1\n", "2\n"}


def test_port_taken_by_another_program(torpor):
    address, good = torpor.address(), torpor.add_site("b")
    host, _, port = address.rpartition(":")
    torpor.add_site("a", address)
    with socket.socket() as other:
        other.bind((host, int(port)))
        other.listen()
        torpor.start()
        error, = torpor.file_errors()
        assert error["file"] == str(torpor.site_path("a"))
        assert address in error["message"] and "in use" in error["message"]
        torpor.wait_log(rf"site a: .*{re.escape(address)}")
        assert http_get(good).status == 200
        assert "a" not in torpor.sites()
    torpor.call("Reload")
    assert torpor.file_errors() == []
    assert http_get(address).status == 200


@pytest.mark.parametrize("reuse", ["no", "yes"])
def test_listener_claimed_twice(torpor, reuse):
    """T20: the later one is refused, even where the kernel would let them share; when the first goes, it is its turn."""
    address = torpor.add_site("a", socket={"ReusePort": reuse})
    torpor.add_site("b", torpor.address(), address, socket={"ReusePort": reuse})
    torpor.start()
    error, = torpor.file_errors()
    assert error["file"] == str(torpor.site_path("b"))
    assert address in error["message"] and "site a" in error["message"]
    assert set(torpor.sites()) == {"a"}
    torpor.site_path("a").unlink()
    torpor.wait_site("b")
    wait_until(lambda: torpor.status("b")["state"] == "cold", "the other's turn")
    assert http_get(address).status == 200
    assert torpor.file_errors() == []


GOOD = b"[Site]\nTemplate=probe\n[Socket]\nListenStream=@ADDRESS@\n"
# name: text (or what makes the file), the line of the error (None: any), a word of the message
BAD = {
    "unknown-key": (GOOD + b"Frobnicate=yes\n", 5, "Frobnicate"),
    "unknown-section": (GOOD + b"[Strange]\nKey=1\n", None, "Strange"),
    "key-of-another-section": (GOOD + b"ExecStart=/bin/true\n", 5, "ExecStart"),
    "no-section": (b"Template=probe\n" + GOOD, 1, "section"),
    "no-equals": (GOOD + b"just words\n", 5, "just words"),
    "half-section": (GOOD + b"[Container\n", 5, "Container"),
    "bad-number": (GOOD + b"Backlog=many\n", 5, "Backlog"),
    "bad-mode": (GOOD + b"SocketMode=9999\n", 5, "SocketMode"),
    "bad-boolean": (GOOD + b"KeepAlive=perhaps\n", 5, "KeepAlive"),
    "bad-port": (GOOD + b"ListenStream=127.0.0.1:99999\n", 5, "99999"),
    "bad-address": (GOOD + b"ListenStream=300.1.1.1:80\n", 5, "300.1.1.1"),
    "bad-path": (GOOD + b"ListenStream=/run/../etc/x\n", 5, "/run"),
    "bad-time": (GOOD + b"[Hibernate]\nFreezeAfterSec=soon\n", 6, "FreezeAfterSec"),
    "bad-size": (GOOD + b"[Resources]\nMemoryMax=1Q\n", 6, "MemoryMax"),
    "bad-percent": (GOOD + b"[Resources]\nCPUQuota=-5%\n", 6, "CPUQuota"),
    "bad-capability": (GOOD + b"[Container]\nCapabilityBoundingSet=CAP_FLY\n", 6, "CAP_FLY"),
    "bad-specifier": (GOOD + b"[Container]\nEnvironment=A=%!\n", 6, "%!"),
    "bad-choice": (GOOD + b"[Hibernate]\nKeep=hot\n", 6, "Keep"),
    "bad-quotes": (GOOD + b"[Container]\nEnvironment=\"A=1\n", 6, "Environment"),
    "unknown-user": (GOOD + b"[Container]\nUser=nobody-of-that-name\n", None, "nobody-of-that-name"),
    "missing-template": (b"[Site]\nTemplate=missing\n[Socket]\nListenStream=@ADDRESS@\n", 2, "missing"),
    "template-loop": (b"[Site]\nTemplate=loop1\n[Socket]\nListenStream=@ADDRESS@\n", None, "loop"),
    "template-with-slash": (b"[Site]\nTemplate=../sites/x\n[Socket]\nListenStream=@ADDRESS@\n", 2, "Template"),
    "no-listener": (b"[Site]\nTemplate=probe\n", None, "Listen"),
    "no-program": (b"[Site]\n[Socket]\nListenStream=@ADDRESS@\n", None, "ExecStart"),
    "nul-byte": (GOOD + b"[Site]\nDescription=a\0b\n", 6, "NUL"),
    "control-byte": (GOOD + b"[Site]\nDescription=a\x1b[31mb\n", 6, "0x1b"),
    "long-line": (GOOD + b"[Site]\nDescription=" + b"x" * 65536 + b"\n", 6, "line"),
    "long-section": (GOOD + b"[" + b"S" * 300 + b"]\nKey=1\n", None, "SSS"),
    "large-file": (GOOD + b"# filler\n" * 200000, None, "larger"),
    "not-utf8": (GOOD + b"[Site]\nDescription=\xff\xfe\n", 6, "UTF-8"),
    "a-folder": ("mkdir", None, "folder"),
    "a-pipe": ("mkfifo", None, "regular"),
    "link-loop": ("loop", None, "symbolic links"),
}


def write_bad(torpor, name, text):
    path = torpor.site_path(name)
    if text == "mkdir":
        path.mkdir()
    elif text == "mkfifo":
        os.mkfifo(path)
    elif text == "loop":
        path.symlink_to(path)
    else:
        path.write_bytes(text.replace(b"@ADDRESS@", torpor.address().encode()))


def check_bad(torpor):
    """Every bad unit is in status and in the log, and refused whole; the good one answers."""
    errors = {pathlib.Path(error["file"]).name: error for error in torpor.file_errors()}
    for name, (_, line, word) in BAD.items():
        file = f"{name}.site"
        if name == "template-loop":
            file = "loop1.template" if "loop1.template" in errors else "loop2.template"
        error = errors.pop(file, None)
        assert error, f"{name}: no error; the others: {list(errors)}"
        assert line is None or error["line"] == line, (name, error)
        assert word in error["message"], (name, error)
        status = torpor.status(name)
        assert status["file_errors"] == [error], name
        assert status["state"] == "refused", name
        place = f"{error['file']}:{error['line']}" if error["line"] else error["file"]
        assert re.search(rf"site {name}: {re.escape(place)}: ", torpor.log()), name
    assert errors == {}
    shown = torpor.torporctl("status").stdout
    for name, (_, _, word) in BAD.items():
        assert f"{name}.site" in shown or name == "template-loop", name
        assert word in shown, name
    assert "\x1b" not in torpor.log() and "\0" not in torpor.log()


def prepare_bad(torpor):
    good = torpor.add_site("good")
    for name, other in (("loop1", "loop2"), ("loop2", "loop1")):
        torpor.write_template(name, f"[Site]\nTemplate={other}\n")
    return good


def test_bad_units_at_the_start(torpor):
    """T20: each is refused whole, with its line, and nothing else stops working."""
    good = prepare_bad(torpor)
    for name, (text, _, _) in BAD.items():
        write_bad(torpor, name, text)
    torpor.start()
    assert set(torpor.sites()) == {"good"}
    check_bad(torpor)
    assert http_get(good).status == 200


def test_bad_units_while_running(torpor):
    good = prepare_bad(torpor)
    torpor.start()
    assert torpor.visit("good", good).status == 200
    pid = torpor.status("good")["pid"]
    for name, (text, _, _) in BAD.items():
        write_bad(torpor, name, text)
    wait_until(lambda: len(torpor.file_errors()) == len(BAD), "all errors")
    check_bad(torpor)
    assert (torpor.state("good"), torpor.status("good")["pid"]) == ("awake", pid)
    assert http_get(good).status == 200


@pytest.mark.parametrize("name", ["x" * 201, "a b", "a\x1b[31mb", "a\nb", "-", "é", "a%b", "a\\b"], ids=ascii)
@pytest.mark.parametrize("when", ["before", "after"])
def test_bad_names(torpor, name, when):
    """T20: files whose names are none of sites."""
    good = torpor.add_site("good")
    if when == "after":
        torpor.start()
    torpor.write(torpor.site_path(name), site_text(torpor.address()))
    if when == "before":
        torpor.start()
    error, = wait_until(torpor.file_errors, "an error")
    assert "name" in error["message"].lower(), error
    torpor.wait_log("name")
    assert "\x1b" not in torpor.log()
    for arguments in (["status"], ["list"], ["status", "--json"]):
        shown = torpor.torporctl(*arguments)
        assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f]", shown.stdout + shown.stderr), shown
    assert set(torpor.sites()) == {"good"}
    assert http_get(good).status == 200


@pytest.mark.parametrize("name", ["..", ".", ".hidden"])
def test_hidden_files_are_no_units(torpor, name):
    good = torpor.add_site("good")
    torpor.write(torpor.site_path(name), site_text(torpor.address()))
    torpor.start()
    assert set(torpor.sites()) == {"good"}
    assert torpor.call("Reload")["file_errors"] == []
    assert http_get(good).status == 200


@pytest.mark.parametrize("name", ["..", ".", "a/b", "../sites/a", "", "/etc/passwd", "a\0b", "a\x1b[31m"],
                         ids=ascii)
def test_bad_names_on_the_control_socket(torpor, name):
    """T20: nor are they when a client says them."""
    torpor.add_site("a")
    torpor.start()
    for method in ("GetStatus", "Wake", "Stop", "Freeze", "Cat", "Plan"):
        with pytest.raises((VarlinkError, EOFError)):
            torpor.call(method, site=name)
    assert set(torpor.sites()) == {"a"}


def test_long_name_is_fine_up_to_the_limit(torpor):
    name = "x" * 196 + ".com"
    address = torpor.add_site(name)
    torpor.start()
    assert torpor.visit(name, address).status == 200
    torpor.freeze(name)


def test_twins_of_49_bytes_stay_two(torpor):
    """T20: two names that are alike for longer than some readers of such files look."""
    names = ["x" * 60 + suffix for suffix in (".one", ".two")]
    addresses = [torpor.add_site(name) for name in names]
    torpor.start()
    for name, address in zip(names, addresses):
        assert http_get(address, "/env").fields["LISTEN_FDNAMES"] == name
    assert set(torpor.sites()) == set(names)


def test_bad_edit_keeps_the_last_good_unit(torpor):
    address = torpor.add_site("a", site={"Description": "first"})
    torpor.start()
    torpor.visit("a", address)
    pid = torpor.status("a")["pid"]
    torpor.add_site("a", address, site={"Description": "second"}, socket={"Backlog": "many"})
    error, = wait_until(lambda: torpor.status("a")["file_errors"], "the error")
    assert "Backlog" in error["message"]
    status = torpor.status("a")
    assert (status["state"], status["pid"], status["description"]) == ("awake", pid, "first")
    assert http_get(address, "/counter").text == "2\n"
    assert "Backlog" in torpor.sites()["a"]["error"]
    torpor.call("Stop", site="a")
    assert http_get(address).status == 200
    torpor.add_site("a", address, site={"Description": "third"})
    wait_until(lambda: torpor.status("a")["description"] == "third", "the repair")
    assert torpor.status("a")["file_errors"] == torpor.file_errors() == []


def test_bad_file_that_goes_is_forgotten(torpor):
    torpor.start()
    torpor.write_site("a", "[Site]\nNonsense=1\n")
    wait_until(torpor.file_errors, "the error")
    torpor.site_path("a").unlink()
    wait_until(lambda: not torpor.file_errors(), "its end")


def test_template_of_refused_units_is_repaired(torpor):
    address = torpor.address()
    torpor.write_site("a", site_text(address, template="later"))
    torpor.start()
    assert len(torpor.file_errors()) == 1
    torpor.write_template("later", "[Site]\nTemplate=probe\n")
    torpor.wait_site("a")
    wait_until(lambda: not torpor.file_errors(), "the repair")
    assert http_get(address).status == 200


def test_second_daemon_on_the_same_folders(new_instance):
    first, second = new_instance(), new_instance()
    address = first.add_site("a")
    first.start()
    second.etc, second.run, second.lib = first.etc, first.run, first.lib
    second.start(wait=False)
    assert second.process.wait(60) not in (0, None)
    assert second.log().strip()
    assert http_get(address).status == 200
    assert first.host()["pid"] == first.process.pid


@pytest.mark.parametrize("arguments", [["--nonsense"], ["extra"]])
def test_bad_arguments(torpor, arguments):
    torpor.start(*arguments, wait=False)
    assert torpor.process.wait(60) > 0
    assert torpor.log().strip()


def test_cgroup_that_is_none(torpor):
    """It is refused, and no folder is left where it was looked for."""
    path = torpor.directory / "not" / "there"
    torpor.start(f"--cgroup={path}", wait=False)
    assert torpor.process.wait(60) > 0
    assert str(path) in torpor.log()
    assert not path.parent.exists()


def test_bad_daemon_configuration(torpor):
    """Refused like any file: at the start that is the end, with file and line."""
    torpor.write(torpor.etc / "torpor.conf", "[Daemon]\nMaxStarting=2\nNonsense=1\n")
    torpor.start(wait=False)
    assert torpor.process.wait(60) > 0
    assert re.search(r"torpor\.conf:3: .*Nonsense", torpor.log())


def test_client_that_goes_while_it_waits(torpor):
    torpor.add_site("a", exec_start="/helpers/probe-server --ready-after=500", container={"Type": "notify"})
    torpor.start()
    connection = torpor.connection()
    with torpor.events("a") as events:
        connection.send("Wake", {"site": "a"})
        events.wait_event(to="starting")
        connection.close()
        events.wait_event(to="awake")


@pytest.mark.parametrize("data", [b"\0", b"{}\0", b"[1]\0", b"nonsense\0", b'{"method": 7}\0', b"\xff\xfe\0",
                                  b'{"method": "io.torpor.Wake", "parameters": {"site": 5}}\0',
                                  b'{"method": "io.torpor.Nothing"}\0', b'{"method": "io.torpor.List"}\0',
                                  b"{" * 100000 + b"\0", b"x" * (4 << 20)], ids=lambda data: repr(data[:20]))
def test_nonsense_on_the_control_socket(torpor, data):
    """An error or an end, never a crash, and others go on."""
    address = torpor.add_site("a")
    torpor.start()
    with socket.socket(socket.AF_UNIX) as sock:
        sock.settimeout(60)
        sock.connect(str(torpor.control))
        try:
            sock.sendall(data)
            reply = sock.recv(65536)
        except (BrokenPipeError, ConnectionResetError):
            reply = b""
        assert reply == b"" or b'"error"' in reply
    assert torpor.host()["sites"] == 1
    assert http_get(address).status == 200


def test_half_an_answer_is_enough_for_nobody(torpor):
    """A client that never reads does not hold the others up."""
    for number in range(200):
        torpor.add_site(f"site{number:03}")
    torpor.start()
    with socket.socket(socket.AF_UNIX) as sock:
        sock.connect(str(torpor.control))
        sock.setblocking(False)
        try:
            while True:
                sock.send(b'{"method": "io.torpor.List", "more": true}\0')
        except (BlockingIOError, BrokenPipeError, ConnectionResetError):
            pass
        assert len(torpor.sites()) == 200


def test_keep_alive_visitor_of_a_program_that_dies(torpor):
    address = torpor.add_site("a")
    torpor.start()
    with HttpConnection(address) as connection:
        connection.get()
        torpor.wait_state("a", "awake")
        os.kill(torpor.status("a")["pid"], signal.SIGKILL)
        with pytest.raises(ConnectionResetError):
            connection.get()
    assert http_get(address).status == 200


class SilentJournal:
    """A journal that accepts nothing holds whoever connects to it, for ever."""

    def __init__(self, torpor):
        self.folder = torpor.directory / "journal"
        self.folder.mkdir()
        self.sockets = [socket.socket(socket.AF_UNIX)]
        self.sockets[0].bind(str(self.folder / "stdout"))
        self.sockets[0].listen(0)
        with pytest.raises(BlockingIOError):
            while True:
                self.sockets.append(socket.socket(socket.AF_UNIX))
                self.sockets[-1].setblocking(False)
                self.sockets[-1].connect(str(self.folder / "stdout"))
        torpor.write(torpor.etc / "torpor.conf", "[Daemon]\nMaxStarting=2\n")

    def start(self, torpor, **options):
        torpor.start(wrapper=["unshare", "--mount", "sh", "-ec",
                              "mount -t tmpfs tmpfs /run; mkdir -p /run/systemd/journal; "
                              f"mount --bind {self.folder} /run/systemd/journal; exec \"$@\"", "sh"], **options)

    def answer(self):
        """It ends, and with it everybody's wait."""
        for sock in self.sockets:
            sock.close()


def test_starts_that_are_held_hold_nobody_else(torpor):
    """More of them than there are threads."""
    journal = SilentJournal(torpor)
    held = [f"held{number}" for number in range(6)]
    for name in held:
        torpor.add_site(name, container={"StandardOutput": "journal", "TimeoutStartSec": "300ms"})
    address = torpor.add_site("other", container={"StandardOutput": "null"})
    journal.start(torpor)
    with contextlib.ExitStack() as stack:
        for name in held:
            connection = stack.enter_context(torpor.connection())
            connection.send("Wake", {"site": name})
        for name in held:
            wait_until(lambda name=name: (torpor.status(name).get("failure") or {}).get("step") == "start", name)
        assert http_get(address, "/pid").text == "1\n"
        # It answers again: they are let go, and end as what they are, starts that took too long.
        journal.answer()
        for name in held:
            wait_until(lambda name=name: torpor.status(name)["state"] in ("failed", "cold"), name)


def test_start_while_a_launcher_thread_is_made(torpor):
    """One that is to replace a thread which is held, and takes its time: who made it starts a site meanwhile."""
    journal = SilentJournal(torpor)
    torpor.add_site("held", container={"StandardOutput": "journal"})
    address = torpor.add_site("other", container={"StandardOutput": "null"})
    # Its library cannot come before a sanitizer's.
    journal.start(torpor, environment={} if SANITIZED else {"LD_PRELOAD": str(HELPERS / "slow-unshare.so")})
    torpor.visit("other", address)  # the first start of all makes what the others share
    torpor.call("Stop", site="other")
    with torpor.connection() as connection:
        connection.send("Wake", {"site": "held"})
        torpor.wait_state("held", "starting")
        assert http_get(address, "/pid").text == "1\n"
        assert "failed at step" not in torpor.log() and "cannot be entered" not in torpor.log()
        journal.answer()
