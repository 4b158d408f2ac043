# SPDX-License-Identifier: LGPL-2.1-or-later
"""Many sites that wake at once: who comes when. That a program which runs, but lets nobody in yet, holds others back is
in tests/unit/test-opening.c: nothing here depends on a time."""
import contextlib
import ctypes
import errno
import os
import signal
import struct

import pytest

from harness import connect, http_get, wait_until


class Gates:
    """Programs that wait in the midst of their start until they are told to go on."""

    def __init__(self, torpor):
        self.torpor = torpor
        self.folder = torpor.directory / "gates"
        self.folder.mkdir(mode=0o755)
        self.addresses = {}

    def add_site(self, name, more="", container=None, **keys):
        """more: what its shell does before it waits; container: keys of that section. Returns its address."""
        gate = self.folder / name
        os.mkfifo(gate)
        gate.chmod(0o644)
        self.addresses[name] = self.torpor.add_site(
            name, exec_start=f"/bin/sh -c '{more} read line </gates/{name}; exec /helpers/probe-server --ready'",
            container={"Type": "notify", "BindReadOnlyPaths": f"{self.folder}:/gates", **(container or {})}, **keys)
        return self.addresses[name]

    def open(self, name):
        """A descriptor that lets it go on; None: it does not wait at its gate."""
        try:
            return os.open(self.folder / name, os.O_WRONLY | os.O_NONBLOCK)
        except OSError as error:
            assert error.errno == errno.ENXIO
            return None

    def let_next(self):
        """Waits for one that has begun to start, lets it go on, and says which it was."""
        return self.let(self.addresses)

    def let(self, names):
        """The same for one of these."""
        found = []

        def look():
            found.extend((name, gate) for name in names if (gate := self.open(name)) is not None)
            return found
        wait_until(look, "a start")
        assert len(found) == 1, "one start at a time"
        (name, gate), = found
        os.write(gate, b"go\n")
        os.close(gate)
        self.torpor.wait_state(name, "awake")
        return name


TURN_LONGEST_NS = 100_000_000  # sched_attr of sched_setattr(2): "sched_runtime" of who is not SCHED_DEADLINE
CALLS = {"x86_64": 315, "aarch64": 275}  # sched_getattr(2)


def turn_ns(thread):
    """How long its turns are, as the kernel says it; 0: it does not."""
    text = ctypes.create_string_buffer(48)
    if ctypes.CDLL(None, use_errno=True).syscall(CALLS[os.uname().machine], thread, text, len(text), 0):
        raise OSError(ctypes.get_errno(), "sched_getattr")
    return struct.unpack("=IIQiIQQQ", text)[5]


def turns(torpor, site):
    """Of all threads of all its processes."""
    return {turn_ns(int(thread)) for pid in torpor.processes(site) for thread in os.listdir(f"/proc/{pid}/task")}


@pytest.mark.skipif(turn_ns(0) == 0, reason="turns can be set since Linux 6.12")
def test_who_starts_in_a_storm_has_long_turns(torpor):
    """Until he lets his visitors in; all of his processes, and with Nice= as the unit says. Who starts alone has usual
    ones."""
    torpor.write(torpor.etc / "torpor.conf", "[Daemon]\nMaxStarting=3\n")
    gates = Gates(torpor)
    alone, beside = gates.add_site("alone"), gates.add_site("beside", more="sleep infinity &", container={"Nice": "3"})
    simple = torpor.add_site("simple")
    torpor.start()
    with connect(alone):
        torpor.wait_state("alone", "starting")
        wait_until(lambda: torpor.processes("alone"), "a process")
        with connect(beside):
            wait_until(lambda: len(torpor.processes("beside")) == 2, "its processes")
            assert turns(torpor, "beside") == {TURN_LONGEST_NS}
            assert turns(torpor, "alone") == {turn_ns(0)}
            assert {os.getpriority(os.PRIO_PROCESS, pid) for pid in torpor.processes("beside")} == {3}
            gates.let(("beside",))
            assert turns(torpor, "beside") == {turn_ns(0)}, "who is ready has usual ones"
            assert {os.getpriority(os.PRIO_PROCESS, pid) for pid in torpor.processes("beside")} == {3}
            assert http_get(simple).status == 200
            wait_until(lambda: turns(torpor, "simple") == {turn_ns(0)}, "usual turns of who has let a visitor in")
        gates.let(("alone",))


def test_slices_take_turns(torpor):
    """Whose many sites wake at once does not stand before another's one."""
    torpor.write(torpor.etc / "torpor.conf", "[Daemon]\nMaxStarting=1\n")
    gates = Gates(torpor)
    for number in range(4):
        gates.add_site(f"many{number}", site={"Slice": f"many-{number}"})
    gates.add_site("one", site={"Slice": "one"})
    gates.add_site("none")
    gates.add_site("first", hibernate={"Priority": "1"}, site={"Slice": "many"})
    torpor.start()
    with contextlib.ExitStack() as stack:
        for name, address in gates.addresses.items():
            stack.enter_context(connect(address))
            torpor.wait_state(name, "starting")
        order = [gates.let_next() for _ in gates.addresses]
    assert order == ["many0", "first", "many1", "one", "none", "many2", "many3"]


def test_who_is_never_ready(torpor):
    """Its time is over, and it does not go: what is next does not wait for that."""
    torpor.write(torpor.etc / "torpor.conf", "[Daemon]\nMaxStarting=1\n")
    never = torpor.add_site("never", exec_start="/helpers/probe-server --ignore-term",
                            container={"Type": "notify", "TimeoutStartSec": "2s", "TimeoutStopSec": "infinity"})
    other = torpor.add_site("other")
    torpor.start()
    with torpor.events("never") as events, connect(never):
        events.wait_event(to="stopping")
        assert http_get(other).status == 200
        for pid in torpor.processes("never"):
            os.kill(pid, signal.SIGKILL)
        events.wait_event(to="failed")


@pytest.mark.parametrize("does", ["read line </gates/never", "while :; do :; done"], ids=["sleeps", "computes"])
def test_who_never_lets_anybody_in(torpor, does):
    """It holds nobody up for longer than a moment, nor is it held to be anything but awake."""
    torpor.write(torpor.etc / "torpor.conf", "[Daemon]\nMaxStarting=1\n")
    folder = torpor.directory / "gates"
    folder.mkdir(mode=0o755)
    os.mkfifo(folder / "never")
    (folder / "never").chmod(0o644)
    never = [torpor.add_site(f"never{number}", exec_start=f"/bin/sh -c '{does}'",
                             container={"BindReadOnlyPaths": f"{folder}:/gates"}) for number in range(2)]
    other = torpor.add_site("other")
    torpor.start()
    with contextlib.ExitStack() as stack:
        for number, address in enumerate(never):
            stack.enter_context(connect(address))
            torpor.wait_state(f"never{number}", "awake")
        assert http_get(other).status == 200
        assert torpor.state("never0") == torpor.state("never1") == "awake"
