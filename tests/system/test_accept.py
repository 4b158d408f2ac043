# SPDX-License-Identifier: LGPL-2.1-or-later
"""AcceptWhenReady=: connections wait in their listener while the program starts and stops, though it asks for them."""
import concurrent.futures
import contextlib
import os
import pathlib
import platform
import signal
import time

import pytest

from harness import HttpConnection, http_get, wait_until

STARTING = {"Type": "notify", "NotifyAccess": "all"}


@pytest.fixture(params=["tcp", "unix"])
def listen(request, torpor):
    return torpor.address() if request.param == "tcp" else str(torpor.run / "a.sock")


def add_site(torpor, listen, exec_start="", **container):
    return torpor.add_site("a", listen, exec_start=f"/helpers/probe-server {exec_start}", container=container)


@pytest.mark.parametrize("handover", ["auto", "listen-fds"])
def test_none_before_it_is_ready(torpor, listen, handover):
    address = add_site(torpor, listen, "--ready-by-child=300", AcceptWhenReady="yes", Handover=handover, **STARTING)
    torpor.start()
    assert http_get(address).status == 200
    assert torpor.state("a") == "awake"


def test_without_it_they_are_served_at_once(torpor, listen):
    """So that the test before this one can fail."""
    address = add_site(torpor, listen, "--ready-by-child=600000", **STARTING)
    torpor.start()
    assert http_get(address).status == 200
    assert torpor.state("a") == "starting"


@pytest.mark.parametrize("gated", [True, False])
def test_none_when_it_is_to_stop(torpor, listen, gated):
    """A drain waits for the slow request. Who comes meanwhile is the next container's."""
    address = add_site(torpor, listen, KillSignal="SIGKILL", DrainSec="60s", AcceptWhenReady="yes" if gated else "no")
    torpor.start()
    with HttpConnection(address) as slow, torpor.events("a") as events:
        slow.send("/slow?ms=700", close=True)
        wait_until(lambda: http_get(address, "/counter").text != "1\n", "the request")
        torpor.wait_state("a", "awake")
        with torpor.connection() as control:
            control.send("Stop", {"site": "a"})
            events.wait_event(to="stopping")
            text = http_get(address, "/counter").text
            assert (text == "1\n") == gated
            assert slow.receive().text == "slow\n"
    assert torpor.wakes("a") == (2 if gated else 1)


# Programs that the helper is not like.

COMMON = """\
import os, select, signal, socket, sys, threading, time

def say(*words):
    print("program:", *words, flush=True)

def notify(text):
    socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM).sendto(text, os.environ["NOTIFY_SOCKET"])

def ready():
    notify(b"READY=1")

def serve(connection):
    connection.recv(4096)
    connection.sendall(b"HTTP/1.1 200 OK\\r\\nContent-Length: 3\\r\\n\\r\\nown")
    connection.close()

listener = socket.socket(fileno=3)
"""
SERVE = """
while True:
    serve(listener.accept()[0])
"""


def add_program(torpor, listen, text, **container):
    (torpor.directory / "own.py").write_text(COMMON + text)
    return torpor.add_site("a", listen, exec_start="/usr/bin/python3 /own.py", container={
        "AcceptWhenReady": "yes", "BindReadOnlyPaths": f"{torpor.directory}/own.py:/own.py", **STARTING, **container})


def said(torpor):
    return [line.partition("program: ")[2] for line in torpor.log().splitlines() if "program: " in line]


ACCEPT = {"x86_64": ("43", "288"), "aarch64": ("202", "242")}[platform.machine()]


def accepting(pid):
    """How many of its threads are in accept(2)."""
    calls = [(task / "syscall").read_text().split()[0] for task in pathlib.Path(f"/proc/{pid}/task").iterdir()]
    return sum(call in ACCEPT for call in calls)


@contextlib.contextmanager
def stopped(pid):
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


def test_other_sockets_are_not_meant(torpor, listen):
    """What the program takes from itself before it is ready is its own affair."""
    add_program(torpor, listen, """
own = socket.create_server(("127.0.0.1", 9000))
socket.create_connection(("127.0.0.1", 9000))
own.accept()
ready()
""" + SERVE)
    torpor.start()
    assert http_get(listen).text == "own"


def test_who_waits_in_it_waits_until_it_is_ready(torpor, listen):
    """Though torpord hears late that it is."""
    fifo = torpor.directory / "go"
    os.mkfifo(fifo, 0o644)
    add_program(torpor, listen, "open('/go').read()\nready()" + SERVE,
                BindReadOnlyPaths=f"{fifo}:/go {torpor.directory}/own.py:/own.py")
    torpor.start()
    with HttpConnection(listen) as visitor:
        visitor.send("/", close=True)
        go = open(fifo, "w", encoding="ascii")
        pid = wait_until(lambda: torpor.status("a").get("pid"), "its process")
        with stopped(torpor.pid):
            go.close()
            wait_until(lambda: accepting(pid), "its accept(2)")
            time.sleep(0.3)  # so that it has to make it again
        assert visitor.receive().text == "own"
    assert torpor.wakes("a") == 1


def test_many_threads_wait_in_it(torpor, listen):
    add_program(torpor, listen, """
def work():
    while True:
        serve(listener.accept()[0])
for _ in range(40):
    threading.Thread(target=work).start()
time.sleep(0.3)
ready()
""")
    torpor.start()
    with concurrent.futures.ThreadPoolExecutor(40) as pool:
        assert {response.text for response in pool.map(lambda _: http_get(listen), range(200))} == {"own"}
    assert torpor.wakes("a") == 1


def test_one_that_has_polled_is_not_held(torpor, listen):
    """It may have other things to do before it is ready."""
    add_program(torpor, listen, """
import ctypes
accept = ctypes.CDLL(None, use_errno=True).accept
start = time.monotonic()
while time.monotonic() < start + 0.3:
    select.select([listener], [], [])
    if accept(3, None, None) < 0:
        say(os.strerror(ctypes.get_errno()))
ready()
""" + SERVE)
    torpor.start()
    assert http_get(listen).text == "own"
    assert set(said(torpor)) == {"Interrupted system call"} and len(said(torpor)) > 3


def test_signal_ends_the_waiting(torpor, listen):
    """One whose handler goes on after it, too; and one that is to stop stops."""
    add_program(torpor, listen, """
def on_term(*_):
    say("told")
    sys.exit()
signal.signal(signal.SIGTERM, on_term)
signal.signal(signal.SIGALRM, lambda *_: say("alarm"))
signal.alarm(1)
""" + SERVE)
    torpor.start()
    with HttpConnection(listen) as visitor:
        visitor.send("/", close=True)
        wait_until(lambda: "alarm" in said(torpor), "the alarm")
        pid = torpor.status("a")["pid"]
        wait_until(lambda: accepting(pid), "its accept(2)")
        torpor.call("Stop", site="a")
        assert said(torpor)[:2] == ["alarm", "told"]
    assert "was killed" not in torpor.log()


def test_one_that_waits_in_it_when_it_is_to_stop(torpor, listen):
    """It takes nobody any more, and hears the signal."""
    add_program(torpor, listen, """
def on_term(*_):
    say("told")
    sys.exit()
signal.signal(signal.SIGTERM, on_term)
ready()
while True:
    connection = listener.accept()[0]
    say("takes one")
    serve(connection)
""", DrainSec="60s")
    torpor.start()
    with HttpConnection(listen) as slow, torpor.events("a") as events:
        wait_until(lambda: said(torpor) == ["takes one"], "the connection")
        torpor.wait_state("a", "awake")
        with torpor.connection() as control:
            control.send("Stop", {"site": "a"})
            events.wait_event(to="stopping")
            slow.send("/", close=True)
            assert slow.receive().text == "own"
            assert http_get(listen).text == "own"
    assert said(torpor) == ["takes one", "told", "takes one"]
    assert torpor.wakes("a") == 2


def test_ready_counts_before_the_accept_after_it(torpor, listen):
    """Though both are there before torpord has looked, and nobody has to wait for it."""
    add_program(torpor, listen, """
for _ in range(100):
    notify(b"STATUS=on its way")
ready()
try:
    serve(listener.accept()[0])
except BlockingIOError:
    say("refused")
    time.sleep(0.1)
    serve(listener.accept()[0])
while True:
    time.sleep(1)
""", NonBlocking="yes")
    torpor.start()
    # It is waited for a tenth of a second: other things that the machine has to do are not to take that from it.
    os.setpriority(os.PRIO_PROCESS, torpor.pid, -20)
    for _ in range(10):
        assert http_get(listen).text == "own"
        torpor.wait_state("a", "awake")
        torpor.call("Stop", site="a")
    assert said(torpor).count("refused") < 3  # a machine may stand still for once


def test_one_that_is_told_only_of_changes(torpor, listen):
    """An epoll with EPOLLET says once that somebody is there; who was told then that there is nobody is told again."""
    add_program(torpor, listen, """
epoll = select.epoll()
epoll.register(listener, select.EPOLLIN | select.EPOLLET)
epoll.poll()
try:
    listener.accept()
except BlockingIOError:
    say("refused")
ready()
while True:
    epoll.poll()
    try:
        while True:
            serve(listener.accept()[0])
    except BlockingIOError:
        pass
""", NonBlocking="yes")
    torpor.start()
    for _ in range(3):
        assert http_get(listen).text == "own"
        assert said(torpor) == ["refused"]


def test_a_freeze_leaves_the_gate_open(torpor, listen):
    address = add_site(torpor, listen, AcceptWhenReady="yes")
    torpor.start()
    for number in range(1, 5):
        assert torpor.visit("a", address, "/counter").text == f"{number}\n"
        torpor.freeze("a")
