# SPDX-License-Identifier: LGPL-2.1-or-later
"""What a program can do to torpord, and to other sites, by its calls to bind(2): nothing.

The program is tests/helpers/hostile-binder.c, which does what its arguments say and answers with what came of it."""
import contextlib
import os
import pathlib
import platform
import signal
import time

import pytest

from client import http_get
from fuse import StalledFile
from harness import wait_until

ROUNDS = 200
PROCESS_VM_READV = {"x86_64": "310", "aarch64": "270"}[platform.machine()]


class Hostile:
    """A site whose program does these steps before it serves."""

    def __init__(self, torpor, *steps, name="hostile", **container):
        self.torpor, self.name = torpor, name
        self.address = torpor.address()
        torpor.add_site(name, self.address, exec_start=f"/helpers/hostile-binder {self.address} {' '.join(steps)}",
                        container={"Handover": "bind", "StandardError": "inherit", **container})
        if not torpor.running:
            torpor.start()
        torpor.wait_site(name)

    def get(self):
        return http_get(self.address).fields

    def stop(self):
        self.torpor.call("Stop", site=self.name)


class Neighbour:
    """A site whose program binds as well, and is to be served whatever the others do."""

    def __init__(self, torpor):
        self.site = Hostile(torpor, name="neighbour")

    def check(self):
        assert not self.site.get()  # nothing to report
        self.site.stop()


def test_arguments(torpor):
    results = Hostile(torpor, "arguments").get()
    # The kernel takes the lower half of a register for an int, and so does who answers in its stead.
    beyond = {name: results.pop(name) for name in list(results) if name.endswith("beyond-int")}
    assert beyond == {"length-beyond-int": "listener", "descriptor-beyond-int": "listener"}
    assert results == {
        **dict.fromkeys(("null", "unmapped", "kernel", "last", "across", "unreadable"), "EFAULT"),
        **dict.fromkeys(("length-0", "length-1", "length-2", "length-129", "length-negative", "length-4GiB"), "EINVAL"),
        **dict.fromkeys(("descriptor-negative", "descriptor-large", "descriptor-closed"), "EBADF"),
        "descriptor-file": "ENOTSOCK", "family": "EAFNOSUPPORT"}


def test_descriptor_closed_meanwhile(torpor):
    assert Hostile(torpor, "close").get() == {"close": "2000"}


def test_address_changed_meanwhile(torpor):
    """Each bind is of the one address or of the other."""
    results = Hostile(torpor, "change").get()
    assert results["change-wrong"] == "0", results
    assert int(results["change-listener"]) + int(results["change-own"]) == 2000
    assert int(results["change-listener"]) > 0


@pytest.mark.alone
def test_a_thousand_threads_at_once(torpor):
    assert Hostile(torpor, "threads=1000").get() == {"threads": "1000"}


def test_thread_that_outlives_the_first(torpor):
    assert Hostile(torpor, "orphan", "threads=10").get() == {"threads": "10"}


def test_frozen_in_a_loop(torpor):
    """It goes on where it was."""
    site = Hostile(torpor, "loop=2")
    neighbour = Neighbour(torpor)
    torpor.call("Wake", site="hostile")
    torpor.wait_log("hostile-binder: loops")
    for _ in range(20):
        torpor.freeze("hostile")
        neighbour.check()
        torpor.call("Wake", site="hostile")
    assert int(site.get()["loop"]) > 0


def wait_bind(torpor, site):
    wait_until(lambda: torpor.status(site)["listeners"][0].get("taken"), "a bind")


@pytest.mark.parametrize("stop", [{"TimeoutStopSec": "1ms"}, {"KillSignal": "SIGKILL"}])
def test_killed_in_the_midst(torpor, stop):
    """Many processes, none of which ends by itself, are killed at whatever point of an exchange each is."""
    site = Hostile(torpor, "storm=16", **stop)
    neighbour = Neighbour(torpor)
    pid = torpor.pid
    for _ in range(ROUNDS // 2):
        torpor.call("Wake", site="hostile")
        wait_bind(torpor, "hostile")
        site.stop()
    neighbour.check()
    assert torpor.pid == pid and torpor.running
    wait_until(lambda: not notified(torpor), "torpord to let go of the containers")


def notified(torpor):
    """Containers whose calls it answers."""
    return [link for link in links(interceptor(torpor)) if "seccomp notify" in link]


def links(pid):
    for fd in pathlib.Path(f"/proc/{pid}/fd").iterdir():
        with contextlib.suppress(FileNotFoundError):
            yield str(fd.readlink())


def interceptor(torpor):
    """The process that answers, a child of torpord."""
    children = pathlib.Path(f"/proc/{torpor.pid}/task/{torpor.pid}/children").read_text().split()
    found, = [pid for pid in children if pathlib.Path(f"/proc/{pid}/comm").read_text() == "interceptor\n"]
    return int(found)


def tasks(torpor):
    """Its threads."""
    return list(pathlib.Path(f"/proc/{interceptor(torpor)}/task").iterdir())


def cpu_ns(torpor):
    return sum(int((task / "schedstat").read_text().split()[0]) for task in tasks(torpor))


@pytest.mark.timing
@pytest.mark.parametrize("steps", [["storm=1"], ["storm=16"], ["crowd=100", "storm=1"]])
def test_endless_loop_has_a_small_share(torpor, steps):
    """However often it asks, and whatever work a question makes: 50 ms at once, then 10 % of a CPU."""
    Hostile(torpor, *steps, TimeoutStopSec="1ms")
    neighbour = Neighbour(torpor)
    torpor.call("Wake", site="hostile")
    wait_bind(torpor, "hostile")
    before, start = cpu_ns(torpor), time.monotonic()
    for _ in range(50):
        neighbour.check()
        time.sleep(0.02)
    passed = time.monotonic() - start
    assert cpu_ns(torpor) - before < 50e6 + 0.1 * passed * 1e9 + 50 * 1e6  # and a ms each time for the neighbour


@pytest.fixture
def stalled(tmp_path):
    tmp_path.chmod(0o755)
    for folder in tmp_path.parents:
        if folder.stat().st_uid == 0 and len(folder.parts) > 2:
            folder.chmod(0o755)
    with StalledFile(tmp_path) as file:
        yield file


def held(torpor):
    """Threads that wait for what a container's memory holds."""
    calls = [(task / "syscall").read_text().split()[0] for task in tasks(torpor)]
    return calls.count(PROCESS_VM_READV)


def test_memory_that_never_comes(torpor, stalled):
    """A mapped file of a file server that has died holds one thread, however often the site is started."""
    site = Hostile(torpor, f"mapped={stalled.path}", BindReadOnlyPaths=str(stalled.directory), TimeoutStopSec="1ms")
    neighbour = Neighbour(torpor)
    for wakes in range(1, 4):
        torpor.call("Wake", site="hostile")
        wait_until(lambda: torpor.log().count("hostile-binder: binds to what") == wakes, "the call")
        stalled.wait_reader()
        for _ in range(20):
            neighbour.check()
        assert held(torpor) == 1
        site.stop()


def test_torpord_ends_nevertheless(torpor, stalled):
    """What cannot be ended is left behind, and said; it goes when the file server does."""
    Hostile(torpor, f"mapped={stalled.path}", BindReadOnlyPaths=str(stalled.directory), TimeoutStopSec="1ms")
    torpor.call("Wake", site="hostile")
    stalled.wait_reader()
    assert torpor.terminate() == 0
    assert "a container's call to bind(2) still waits for what its memory is backed by: process left behind" in torpor.log()
    stalled.release()
    wait_until(lambda: not torpor.leftovers(), "nothing to be left")


def test_memory_that_comes_late(torpor, stalled):
    """Then the program goes on with its own bind, and the next."""
    site = Hostile(torpor, f"mapped={stalled.path}", BindReadOnlyPaths=str(stalled.directory))
    torpor.call("Wake", site="hostile")
    stalled.wait_reader()
    stalled.release()
    assert site.get() == {"mapped": "own"}  # no family, no port: the kernel takes that for any


def test_death_of_the_interceptor(torpor):
    """It is not torpord that dies of it, but torpord does not go on without: whoever started it starts it again."""
    site = Hostile(torpor)
    site.get()
    os.kill(interceptor(torpor), signal.SIGKILL)
    assert torpor.process.wait(60) == 1
    assert "the process that answers bind(2) has died" in torpor.log()
    assert not torpor.leftovers()
