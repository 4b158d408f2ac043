# SPDX-License-Identifier: LGPL-2.1-or-later
"""What a program can do to torpord, and to other sites, by its calls to bind(2): nothing.

The program is tests/helpers/hostile-binder.c, which does what its arguments say and answers with what came of it."""
import pathlib
import time

import pytest

from client import http_get
from harness import wait_until

ROUNDS = 200


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
    wait_until(lambda: len(notified(torpor)) == 0, "torpord to let go of the containers")


def notified(torpor):
    """Containers whose calls it answers."""
    links = set()
    for task in tasks(torpor):
        for fd in pathlib.Path(task, "fd").iterdir():
            try:
                links.add(str(fd.readlink()) + fd.name)
            except FileNotFoundError:
                pass
    return {link for link in links if "seccomp notify" in link}


def tasks(torpor):
    """torpord's threads that answer."""
    return [task for task in pathlib.Path(f"/proc/{torpor.pid}/task").iterdir()
            if (task / "comm").read_text() == "interceptor\n"]


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
