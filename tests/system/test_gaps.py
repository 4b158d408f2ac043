# SPDX-License-Identifier: LGPL-2.1-or-later
"""A visitor comes between any two steps of freezing, paging out, stopping and waking, and has an answer. Each gap is
held open until the visitor is in it."""
import contextlib
import socket
import threading
import time

import pytest

import cgroups
import tasks
from fuse import StalledFile
from gaps import Gaps
from harness import TEMPLATES, TORPORD, HttpConnection, VarlinkError, connect, wait_until

KINDS = ["tcp", "unix"]
VISITORS = ["a new connection", "an open connection"]
FREEZE = ["freezing", "freeze-asked", "frozen", "held", "asleep"]
PAGE = ["paging", "page-out-begins", "page-out-ends", "paged"]
STOP = ["stopping", "signalling", "signal-queued", "signalled", "ended"]
THAW = ["waking", "let-go", "thawed", "awake"]
START = ["starting", "launching", "launched"]


@pytest.fixture
def gaps(torpor):
    if b"TORPOR_STRETCH" not in TORPORD.read_bytes():
        pytest.skip("torpord was built without the option stretch")
    made = Gaps(torpor.directory / "gaps")
    yield made
    made.close()
    assert not made.trouble


@contextlib.contextmanager
def site(torpor, gaps, kind, **keys):
    """A site that is awake: a function that makes a connection to it, which has had an answer."""
    address = torpor.address() if kind == "tcp" else str(torpor.run / "a.sock")
    torpor.add_site("a", address, **keys)
    torpor.start(environment={"TORPOR_STRETCH": gaps.path})
    with contextlib.ExitStack() as stack:
        yield lambda: stack.enter_context(HttpConnection(address))


def visit_in(gaps, gap, connect, opened):
    """Has a visitor come in the gap; returns what receives the answer."""
    visitors = [opened] if opened else []

    def visit():
        if not visitors:
            visitors.append(connect())
        visitors[0].send("/counter")
    gaps.doing[gap] = visit

    def receive():
        wait_until(lambda: gap not in gaps.doing and visitors, f"the gap {gap}")
        answer = visitors[0].receive()
        assert answer.status == 200
        return answer.text
    return receive


def opened_by(connect, visitor):
    """A connection that is open before, where the visitor has one."""
    if visitor == "a new connection":
        return None
    connection = connect()
    connection.get()
    return connection


def send_down(torpor, gaps, gap, method):
    """Until it has come to the gap: what has just answered, or been thawed, may not be frozen yet."""
    def reached():
        with contextlib.suppress(VarlinkError):  # a visitor has won
            torpor.call(method, site="a")
        return gap not in gaps.doing
    wait_until(reached, f"the gap {gap}")


def rest(torpor):
    """Awake, and no answer is owed any more."""
    torpor.call("Wake", site="a")
    torpor.freeze("a")
    torpor.call("Wake", site="a")


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("visitor", VISITORS)
def test_freeze(torpor, gaps, kind, visitor):
    """The visitor wins: the container is the same one."""
    with site(torpor, gaps, kind) as connect:
        torpor.call("Wake", site="a")
        opened = opened_by(connect, visitor)
        for gap in FREEZE:
            rest(torpor)
            receive = visit_in(gaps, gap, connect, opened)
            send_down(torpor, gaps, gap, "Freeze")
            receive()
        assert torpor.wakes("a") == 1


@pytest.mark.alone  # the swap is the whole machine's
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("visitor", VISITORS)
def test_page_out(torpor, gaps, kind, visitor):
    from swap import swap  # pylint: disable=import-outside-toplevel
    with swap(64) as there, site(torpor, gaps, kind) as connect:
        if not there:
            pytest.skip("this kernel has no zram to make a swap of")
        torpor.call("Wake", site="a")
        opened = opened_by(connect, visitor)
        for gap in PAGE:
            rest(torpor)
            torpor.freeze("a")
            receive = visit_in(gaps, gap, connect, opened)
            send_down(torpor, gaps, gap, "PageOut")
            receive()
            torpor.wait_state("a", "awake")
        assert torpor.wakes("a") == 1
        torpor.call("Stop", site="a")


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("rung", ["awake", "frozen"])
def test_stop(torpor, gaps, kind, rung):
    """The answer is the old container's or the next one's."""
    with site(torpor, gaps, kind) as connect:
        torpor.call("Wake", site="a")
        for gap in STOP:
            rest(torpor)
            if rung == "frozen":
                torpor.freeze("a")
            receive = visit_in(gaps, gap, connect, None)
            send_down(torpor, gaps, gap, "Stop")
            receive()


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("visitor", VISITORS)
def test_thaw(torpor, gaps, kind, visitor):
    """One wakes it, another comes while it does."""
    with site(torpor, gaps, kind) as connect:
        torpor.call("Wake", site="a")
        opened = opened_by(connect, visitor)
        for gap in THAW:
            rest(torpor)
            torpor.freeze("a")
            receive = visit_in(gaps, gap, connect, opened)
            assert connect().get("/counter").status == 200
            receive()
        assert torpor.wakes("a") == 1


@pytest.mark.parametrize("kind", KINDS)
def test_start(torpor, gaps, kind):
    """One start for all who come meanwhile."""
    with site(torpor, gaps, kind) as connect:
        for number, gap in enumerate(START, 1):
            receive = visit_in(gaps, gap, connect, None)
            assert connect().get("/counter").status == 200
            receive()
            torpor.wait_state("a", "awake")
            assert torpor.wakes("a") == number
            torpor.call("Stop", site="a")


def test_a_freeze_that_does_not_finish_is_undone(torpor, tmp_path):
    """T16: a site waits for a file system that does not answer. A neighbour freezes as ever, and who comes
    meanwhile wins at once."""
    tmp_path.chmod(0o755)
    stack = contextlib.ExitStack()
    with stack, StalledFile(tmp_path) as file:
        address = torpor.add_site("a", container={"BindReadOnlyPaths": f"{tmp_path}:/stalled"})
        neighbour = torpor.add_site("b")
        torpor.start()
        torpor.visit("a", address)
        torpor.visit("b", neighbour)
        first = stack.enter_context(HttpConnection(address))
        first.send("/read?path=/stalled/file")
        file.wait_reader()
        with torpor.connection() as control, torpor.events("a") as events:
            control.send("Freeze", {"site": "a"})
            events.wait_event(to="freezing")
            torpor.freeze("b")
            undone = events.wait_event(to="awake")
            assert undone["reason"] == "not frozen in time"
            assert "error" in control.receive()
            control.send("Freeze", {"site": "a"})
            events.wait_event(to="freezing")
            second = stack.enter_context(HttpConnection(address))
            second.send("/counter")
            assert events.wait_event(to="awake")["reason"] == "connection"  # and not that its time was over
            assert "error" in control.receive()
        file.release()
        assert first.receive().status == 200 and second.receive().status == 200
        assert torpor.wakes("a") == 1


def test_a_unit_goes_while_another_one_is_applied(torpor, gaps, tmp_path):
    """The edit of one waits for its start to be over, and frees what the next one was refused for, whose file has just gone.
    Memory that has been given back holds nothing that could be used again."""
    with StalledFile(tmp_path) as file:
        slow = {"EnvironmentFile": str(file.path)}
        taken, other = torpor.add_site("a", container=slow), torpor.add_site("b")
        torpor.start(environment={"TORPOR_STRETCH": gaps.path,
                                  "GLIBC_TUNABLES": "glibc.malloc.tcache_count=0:glibc.malloc.perturb=165"})
        with torpor.connection() as control:
            control.send("Wake", {"site": "a"})
            file.wait_reader()
            torpor.add_site("b", other, taken)
            wait_until(torpor.file_errors, "the clash")
            torpor.add_site("a", taken, container=slow, site={"Description": "two"})
            torpor.add_site("marker")  # its event comes after all of the above
            torpor.wait_site("marker")
            assert torpor.status("a")["state"] == "starting"
            gaps.doing["launched"] = torpor.site_path("b").unlink
            file.release()
            assert "error" in control.receive()  # what the file holds is no environment
        torpor.wait_no_site("b")
        wait_until(lambda: torpor.status("a")["description"] == "two", "the edit")


def test_a_sandbox_is_made_at_the_usual_priority(torpor, gaps):
    """The next one, ahead: whoever makes it holds locks of the whole kernel, and others wait until he is given a processor.
    He has waited for one before. Starts go on meanwhile."""
    address, other = torpor.add_site("a"), torpor.add_site("b")
    over, seen = threading.Event(), []

    def look():
        """The thread that is in the gap, where it waits for the answer on a socket."""
        seen.append(wait_until(lambda: [task for task in tasks.tasks(torpor.pid).values() if not task.gone and
                                        task.name == "launcher" and any("unix_stream" in name for name in task.stack)],
                               "the thread that prepares"))
        assert over.wait(60)
    gaps.doing["preparing"] = look
    torpor.start(environment={"TORPOR_STRETCH": gaps.path})
    try:
        torpor.visit("a", address)
        (thread,), = wait_until(lambda: seen, "the gap")
        assert (thread.policy, thread.nice) == (tasks.SCHED_OTHER, tasks.tasks(torpor.pid)[torpor.pid].nice)
        assert torpor.visit("b", other, "/counter").text == "1\n"
    finally:
        over.set()


MANY = 48  # three times as many as are put to sleep at once


def scans(torpor):
    """How often the thread that looks for idle sites has waited for its next look."""
    return sum(task.switches for task in tasks.tasks(torpor.pid).values() if not task.gone and task.name == "reaper")


def test_many_who_fall_asleep_keep_nobody_waiting(torpor, gaps):
    """All are found idle while the first of them is put to sleep; who comes to another site then is let in before the
    last of them is."""
    torpor.write(torpor.etc / "torpor.conf", "[Daemon]\nScanIntervalSec=50ms\n")
    torpor.write_template("many", TEMPLATES["static"])
    names = [f"many{number}" for number in range(MANY)]
    for name in names:
        torpor.add_site(name, template="many")
    address = torpor.add_site("a")
    torpor.start(environment={"TORPOR_STRETCH": gaps.path})
    for name in names:
        torpor.call("Wake", site=name)
    with contextlib.ExitStack() as stack:
        visitors = []

        def come():
            first = scans(torpor)
            wait_until(lambda: scans(torpor) >= first + 20, "scans")  # a second: all have been idle for longer
            visitors.append(stack.enter_context(HttpConnection(address)))
            visitors[0].send("/")
        gaps.doing["freezing"] = come
        torpor.write_template("many", TEMPLATES["static"].replace("FreezeAfterSec=infinity", "FreezeAfterSec=200ms"))
        wait_until(lambda: gaps.reached.count("freezing") >= MANY, "all to fall asleep")
        assert visitors[0].receive().status == 200
    last_start = len(gaps.reached) - 1 - gaps.reached[::-1].index("starting")
    assert "freezing" in gaps.reached[last_start:]


MESSAGES = 100  # more than are read before a freeze counts
# A network namespace of its own, of which it is a setting how many may wait in a socket.
LONG_QUEUES = ["unshare", "--net", "sh", "-c", 'echo 512 > /proc/sys/net/unix/max_dgram_qlen && exec "$@"', "sh"]


def test_what_a_program_said_before_a_freeze_is_heard_after_it(torpor, gaps):
    """That it is busy; others had said so much before that it was not read in time."""
    address = str(torpor.run / "a.sock")
    torpor.add_site("a", address, container={"NotifyAccess": "all"})
    torpor.start(environment={"TORPOR_STRETCH": gaps.path}, wrapper=LONG_QUEUES)
    with HttpConnection(address) as connection, torpor.events("a") as events, torpor.connection() as control:
        connection.get()
        torpor.wait_state("a", "awake")
        pid, cgroup = torpor.status("a")["pid"], torpor.cgroup_of("a")

        def speak():
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as other:
                for _ in range(MESSAGES):
                    other.sendto(b"STATUS=x", str(torpor.run / "notify"))
            assert connection.get("/notify?TORPOR_BUSY=1").text == "ok\n"
            wait_until(lambda: tasks.tasks(pid)[pid].at_rest, "rest")
        gaps.doing["freezing"] = speak
        gaps.doing["freeze-asked"] = lambda: wait_until(lambda: cgroups.is_frozen(cgroup), "a frozen cgroup")
        control.send("Freeze", {"site": "a"})
        assert events.wait_event(from_="frozen", to="awake")["reason"] == "it says that it is busy"


def test_looks_at_who_waits_leave_time_for_others(torpor, gaps):
    """One that takes long, as the host has many connections, is followed by ten times as long without one."""
    address = torpor.add_site("a", socket={"DeferAcceptSec": "30s"})
    torpor.start(environment={"TORPOR_STRETCH": gaps.path})
    looks = []

    def look():
        begun = time.monotonic()
        time.sleep(0.2 if not looks else 0)
        looks.append((begun, time.monotonic()))
        gaps.doing["looking"] = look
    gaps.doing["looking"] = look
    for number in range(1, 3):
        connect(address).close()
        wait_until(lambda n=number: torpor.status("a").get("probes", {}).get("hung_up") == n, "a visitor who has hung up")
    (begun, ended), (again, _) = looks[:2]
    assert again - ended >= 9 * (ended - begun)
