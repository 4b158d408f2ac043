# SPDX-License-Identifier: LGPL-2.1-or-later
"""torporctl why: who woke a site, what holds it, what comes next; for each way to wake, to stay and to go down."""
import contextlib
import os
import socket
import subprocess
import sys
import threading

import pytest

from client import parse
from harness import HttpConnection, VarlinkError, connect, http_get, wait_until

NEVER = {"FreezeAfterSec": "infinity", "StopAfterSec": "infinity"}


@pytest.fixture
def quick(torpor):
    """Looks at awake sites twenty times a second."""
    torpor.write(torpor.etc / "torpor.conf", "[Daemon]\nScanIntervalSec=50ms\n")
    return torpor


def explain(torpor, site="a"):
    return torpor.call("Explain", site=site)["why"]


def wake_of(torpor, site="a"):
    """The last wake, once it is known who it was."""
    def known():
        wake = explain(torpor, site)["wake"]
        return wake if wake.get("peer_unknown") != "it is being looked up" else None
    return wait_until(known, "a look at who it was")


def kinds(why):
    return [hold["kind"] for hold in why["holds"]]


def nexts(why):
    return {entry["to"]: entry.get("in_us") for entry in why["next"]}


def wait_held(torpor, kind):
    return wait_until(lambda: (why := explain(torpor)) and kind in kinds(why) and why, f"to be held by {kind}")


# --- who woke it

def test_never_woken(torpor):
    torpor.add_site("a")
    torpor.start()
    why = explain(torpor)
    assert "wake" not in why and why["holds"] == [] and nexts(why) == {"starting": None}
    assert "has not been woken" in torpor.torporctl("why", "a").stdout


def test_a_visitor_over_tcp(torpor):
    address = torpor.add_site("a", torpor.address6())
    torpor.start()
    with HttpConnection(address) as visitor:
        visitor.get()
        wake = wake_of(torpor)
        own = "[%s]:%d" % visitor.socket.getsockname()[:2]
        assert wake["peer"] == {"text": own, "address": own} and "others" not in wake
        assert (wake["from"], wake["reason"], wake["listener"]) == ("cold", "connection", address)
        # Step by step, as long as it took in all.
        assert [step["name"] for step in wake["steps"]] == ["queued", "taken up", "cloned", "executed", "ready"]
        torpor.wait_state("a", "awake")
        assert sum(step["took_us"] for step in wake["steps"]) == wake["took_us"]
        text = torpor.torporctl("why", "a").stdout
        assert f"connection on {address} from {own}." in text and "executed" in text
        assert explain(torpor)["connections"][0]["peer"]["text"] == own


def test_a_visitor_who_has_left_again(torpor):
    """The program closes first, and the kernel remembers; a thaw is told from what was there before."""
    address = torpor.add_site("a")
    torpor.start()
    with connect(address) as visitor:
        visitor.sendall(b"GET / HTTP/1.1\r\nConnection: close\r\n\r\n")
        while visitor.recv(4096):
            pass
        assert wake_of(torpor)["peer"]["text"] == "%s:%d" % visitor.getsockname()
    with HttpConnection(address) as idle:
        idle.get()
        torpor.wait_state("a", "awake")
        wait_until(lambda: explain(torpor)["connections"][0]["idle_us"] > 200_000, "a connection that is surely older")

        def visit():
            """None: this machine took longer to tell torpord of its visitor than who is new is told from who is not."""
            torpor.freeze("a")
            with HttpConnection(address) as visitor:
                visitor.get()
                wake = wake_of(torpor)
                return wake if "peer" in wake else None, "%s:%d" % visitor.socket.getsockname()
        wake, visitor = next(told for _ in range(10) if (told := visit())[0])
        assert (wake["from"], wake["peer"]["text"]) == ("frozen", visitor)
        assert wake["took_us"] > 0 and wake["steps"] == []


def test_a_visitor_over_a_unix_socket(torpor):
    """Another user's process: its pid before the program accepts, its user by the kernel."""
    path = str(torpor.run / "a.sock")
    torpor.add_site("a", path, socket={"SocketMode": "0666"})
    torpor.start()
    torpor.directory.chmod(0o755)
    script = ("import socket, sys, os\nos.setuid(4242)\ns = socket.socket(socket.AF_UNIX)\ns.connect(sys.argv[1])\n"
              "s.sendall(b'GET / HTTP/1.1\\r\\n\\r\\n')\nprint(s.recv(100), flush=True)\nsys.stdin.read()\n")
    with subprocess.Popen([sys.executable, "-c", script, path], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as visitor:
        visitor.stdout.readline()
        wake = wake_of(torpor)
        assert wake["listener"] == path
        peer = wake["peer"]
        assert (peer["pid"], peer["uid"]) == (visitor.pid, 4242) and peer["command"].startswith("python")
        connections = explain(torpor)["connections"]
        assert [connection["peer"]["pid"] for connection in connections] == [visitor.pid]
        visitor.stdin.close()
        visitor.wait(60)


def test_data_on_an_open_connection(torpor):
    address = torpor.add_site("a")
    torpor.start()
    with HttpConnection(address) as visitor:
        visitor.get()
        torpor.wait_state("a", "awake")
        torpor.freeze("a")
        visitor.get()
        wake = wake_of(torpor)
        assert wake["reason"] == "data on an open connection"
        assert wake["peer"]["text"] == "%s:%d" % visitor.socket.getsockname()


def test_a_command(torpor):
    torpor.add_site("a")
    torpor.start()
    torpor.torporctl("wake", "a")
    wake = explain(torpor)["wake"]
    assert wake["reason"] == "command" and wake["peer"]["uid"] == 0 and wake["peer"]["command"] == "torporctl"
    assert torpor.recorded("a")[0]["detail"] == wake["peer"]["text"]


def test_keep(torpor):
    torpor.add_site("a", hibernate={"Keep": "awake"})
    torpor.start()
    torpor.wait_state("a", "awake")
    why = explain(torpor)
    assert why["wake"]["reason"] == "keep" and "peer" not in why["wake"] and "peer_unknown" not in why["wake"]
    assert "keep" in kinds(why) and nexts(why) == {}


def test_many_at_once(torpor):
    """One of them was the first; nobody can say which."""
    address = torpor.add_site("a", exec_start="/helpers/probe-server --sleep-start=300")
    torpor.start()
    with contextlib.ExitStack() as stack:
        family, target = parse(address)
        visitors = [stack.enter_context(socket.socket(family)) for _ in range(20)]
        threads = [threading.Thread(target=visitor.connect, args=(target,)) for visitor in visitors]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        wake = wake_of(torpor)
        assert wake["peer"]["text"] in ["%s:%d" % visitor.getsockname() for visitor in visitors]
        why = explain(torpor)
        assert why["waiting"] + why["open"] == 20 and len(why["connections"]) == 16


# --- what holds it, and what comes next

def test_held_by_what_it_does(quick):
    address = quick.add_site("a", hibernate={"FreezeAfterSec": "30s", "StopAfterSec": "60s"})
    quick.start()
    with HttpConnection(address) as visitor:
        visitor.get()
        why = wait_held(quick, "use")
        assert 0 < nexts(why)["freezing"] <= 30_000_000 < nexts(why)["stopping"] <= 60_000_000
        assert why["open"] == 1 and why["connections"][0]["state"] == "open" and why["connections"][0]["idle_us"] >= 0
        http_get(address, "/busy?ms=10000")
        why = wait_held(quick, "cpu")
        assert nexts(why) == {"freezing": None, "stopping": None}
        assert "IdleCPU=" in quick.torporctl("why", "a").stdout


def test_held_by_what_it_says(quick):
    address = quick.add_site("a", container={"NotifyAccess": "main"}, hibernate={"FreezeAfterSec": "30s"})
    quick.start()
    quick.visit("a", address)
    http_get(address, "/notify?TORPOR_BUSY=1")
    http_get(address, "/notify?STATUS=\x1b[31mimport")
    why = wait_held(quick, "notify")
    assert "import" in [hold["text"] for hold in why["holds"] if hold["kind"] == "notify"][0]
    assert "\x1b" not in quick.torporctl("why", "a").stdout + quick.torporctl("why", "a", "--json").stdout


def test_held_by_its_unit(quick):
    address = quick.add_site("a")
    quick.start()
    quick.visit("a", address)
    why = explain(quick)
    assert "times" in kinds(why) and nexts(why) == {}
    quick.call("Stop", site="a")
    quick.write_drop_in("a", "keep.conf", "[Hibernate]\nKeep=warm\nFreezeAfterSec=1h\n")
    quick.call("Reload")
    quick.wait_state("a", "awake")
    assert set(nexts(wait_held(quick, "use"))) == {"freezing"}
    quick.freeze("a")
    why = explain(quick)
    assert kinds(why) == ["keep"] and nexts(why) == {"awake": None}


def test_a_connection_that_nobody_accepts(quick):
    address = quick.add_site("a", exec_start="/helpers/probe-server --sleep-start=1000", hibernate={"FreezeAfterSec": "30s"})
    quick.start()
    with connect(address) as visitor:
        why = wait_held(quick, "waiting")
        assert why["connections"] == [{**why["connections"][0], "state": "waiting", "unread_bytes": 0}]
        visitor.sendall(b"GET / HTTP/1.1\r\n\r\n")


def test_frozen_and_stopped(quick):
    address = quick.add_site("a", hibernate={**NEVER, "StopAfterSec": "1h"})
    quick.start()
    quick.visit("a", address)
    quick.freeze("a")
    why = explain(quick)
    assert why["holds"] == [] and set(nexts(why)) == {"awake", "stopping"} and 0 < nexts(why)["stopping"] <= 3_600_000_000
    assert quick.torporctl("why", "a").stdout.count("Next: ") == 2
    quick.call("Stop", site="a")
    assert nexts(explain(quick)) == {"starting": None}


def test_starting_and_failed(torpor):
    torpor.write(torpor.etc / "torpor.conf", "[Daemon]\nMaxStarting=1\n")
    slow = torpor.add_site("a", exec_start="/helpers/probe-server --ready-after=2500", container={"Type": "notify"})
    other = torpor.add_site("b")
    torpor.add_site("c", exec_start="/nowhere")
    torpor.start()
    with connect(slow), connect(other):
        torpor.wait_state("b", "starting")
        why = explain(torpor)
        assert kinds(why) == ["start"] and nexts(why)["stopping"] > 0
        waiting = explain(torpor, "b")
        assert kinds(waiting) == ["queue"] and "1 of 1 in the queue" in waiting["holds"][0]["text"] and nexts(waiting) == {}
        assert "took_us" not in waiting["wake"] and wake_of(torpor, "b")["peer"]
        torpor.wait_state("b", "awake")

    def fail():
        """The back-off is a second, at first."""
        with pytest.raises(VarlinkError):
            torpor.call("Wake", site="c")
        why = explain(torpor, "c")
        return why if kinds(why) == ["failure"] else None
    why = wait_until(fail, "a look within the back-off")
    assert "/nowhere" in why["holds"][0]["text"] and 0 < nexts(why)["cold"] <= 60_000_000
    assert "took_us" not in why["wake"]


def test_stopping(torpor):
    """A client who asks while a site goes away has its answer, whatever becomes of it."""
    address = torpor.add_site("a")
    torpor.start()
    with HttpConnection(address) as slow:
        slow.send("/slow?ms=2500")
        wait_until(lambda: http_get(address, "/counter").text != "1\n", "the request")
        torpor.wait_state("a", "awake")
        with torpor.connection() as control:
            control.send("Stop", {"site": "a"})
            torpor.wait_state("a", "stopping")
            why = explain(torpor)
            assert kinds(why) == ["stop"] and "cold" in nexts(why)
            assert slow.receive().status == 200
            assert control.reply()[0]["state"] == "cold"
    with pytest.raises(VarlinkError) as error:
        explain(torpor, "nobody")
    assert error.value.name == "NoSuchSite" and os.geteuid() == 0


# --- what it has cost and saved

def test_ledger(torpor):
    address = torpor.add_site("a")
    torpor.add_site("b", exec_start="/nowhere")
    torpor.start()
    assert "ledger" not in explain(torpor)
    for _ in range(3):
        torpor.visit("a", address)
        torpor.freeze("a")
        torpor.visit("a", address)
        torpor.call("Stop", site="a")
    with pytest.raises(VarlinkError):
        torpor.call("Wake", site="b")
    ledger = explain(torpor)["ledger"]
    assert ledger["wakes"] == torpor.wakes("a") == 3 and ledger["thaws"] >= 3 and ledger["failures"] == 0
    assert 64 <= ledger["thaw"]["p50_us"] <= ledger["thaw"]["p99_us"] and ledger["wake"]["p50_us"] > 0
    assert ledger["awake_us"] > 0 and ledger["frozen_us"] > 0 and ledger["cold_us"] > 0
    assert explain(torpor, "b")["ledger"]["failures"] == 1
    assert "Since " in torpor.torporctl("why", "a").stdout and "3 wakes (half within" in torpor.torporctl("why", "a").stdout
    # It outlives torpord, and goes on.
    torpor.stop()
    lines = (torpor.state_dir / "ledger").read_text().splitlines()
    assert lines[0] == "torpor-ledger 1" and [line.split()[0] for line in lines[1:]] == ["a", "b"]
    torpor.start()
    again = explain(torpor)["ledger"]
    assert {**again, "cold_us": 0} == {**again, **{key: ledger[key] for key in ledger if key not in ("saved_byte_hours",)},
                                       "cold_us": 0}
    assert again["cold_us"] >= ledger["cold_us"] and "wake" not in explain(torpor)
    torpor.visit("a", address)
    assert explain(torpor)["ledger"]["wakes"] == 4


def test_ledger_of_a_site_that_goes_and_comes(torpor):
    address = torpor.add_site("a")
    torpor.start()
    torpor.visit("a", address)
    torpor.site_path("a").unlink()
    torpor.wait_no_site("a")
    torpor.add_site("a", address)
    torpor.wait_site("a")
    assert explain(torpor)["ledger"]["wakes"] == 1


@pytest.mark.parametrize("text", ["", "nonsense\n", "torpor-ledger 1\n", "torpor-ledger 1\na 1 2 3\n\0\n../x 1\n" + "b" * 100000])
def test_a_broken_ledger(torpor, text):
    torpor.add_site("a")
    torpor.state_dir.mkdir(exist_ok=True)
    (torpor.state_dir / "ledger").write_text(text)
    torpor.start()
    assert "ledger" not in explain(torpor)
    assert ("ledger" in torpor.log()) == (text != "torpor-ledger 1\n")
    torpor.call("Wake", site="a")
    torpor.stop()
    assert (torpor.state_dir / "ledger").read_text().startswith("torpor-ledger 1\na ")


def test_simulate(quick):
    """Two uses, 1.5 s apart: whatever sleeps sooner than that would have woken once more."""
    address = quick.add_site("a", hibernate={"FreezeAfterSec": "1h", "StopAfterSec": "2h"})
    quick.add_site("never")
    quick.start()
    assert "nothing has been recorded" in quick.torporctl("simulate", "StopAfterSec=1s").stderr
    with HttpConnection(address) as visitor:
        visitor.get()
        wait_until(lambda: explain(quick)["connections"][0]["idle_us"] > 1_500_000, "a pause")
        visitor.get()
        wait_until(lambda: (status := quick.status("a")).get("idle_us", 10**9) < 1_000_000, "a look")
    simulation, = quick.torporctl_json("simulate", "a", "FreezeAfterSec=100ms", "StopAfterSec=1s")
    assert simulation["site"] == "a" and simulation["now"]["wakes"] == 0 and simulation["now"]["thaws"] == 0
    assert simulation["then"]["wakes"] >= 0.99 and simulation["then"]["waited_us"] > 0
    assert simulation["then"]["memory_byte_hours"] < simulation["now"]["memory_byte_hours"] or simulation["now"]["memory_byte_hours"] == 0
    only = quick.torporctl_json("simulate", "a", "FreezeAfterSec=200ms")[0]["then"]
    assert only["wakes"] == 0 and only["thaws"] >= 0.99 and only["frozen_us"] > 500_000
    lines = quick.torporctl("simulate", "FreezeAfterSec=200ms").stdout.splitlines()
    assert lines[0].split()[:4] == ["SITE", "SEEN", "MEMORY/D", "THEN"] and [line.split()[0] for line in lines[1:]] == ["a", "all"]
    for wrong in (["Nonsense=1"], ["StopAfterSec=soon"], ["a"], ["nobody", "StopAfterSec=1s"]):
        assert quick.torporctl("simulate", *wrong, check=False).returncode > 0
