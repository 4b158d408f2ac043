# SPDX-License-Identifier: LGPL-2.1-or-later
"""torporctl on a terminal: widths, colours, top."""
import json
import os
import signal
import termios
import threading

import pytest

from fake_torpord import Raw, now_us
from torporctl import HOSTILE, NEGLECTED, OK, Terminal, box, fake, printable, start  # noqa: F401


@pytest.mark.parametrize("columns", [20, 40, 80, 200])
def test_list_fits_the_terminal(fake, columns):
    for i in range(20):
        fake.add(f"shop-{i:04}.customers-of-a-long-name.example.com", "awake", connections=1203, memory_bytes=2**31,
                 wakes=i, template="php", error="failed at step exec: No such file or directory")
    terminal = Terminal(fake, "list", columns=columns, NO_COLOR="1")
    text = terminal.read_until(r"20 sites:\s+20\s+awake") + terminal.text
    assert terminal.wait() == OK
    lines = [line.rstrip("\r") for line in text.split("\n")]
    assert max(map(len, lines)) <= columns and printable(text.replace("\r\n", "\n"))
    assert lines[1].split()[0].startswith("shop-") and ("…" in lines[1]) == (columns < 200)


def test_failure_fits_the_terminal(box):
    box.statuses["b.example"]["failure"] = {**NEGLECTED, "time_us": now_us() - 600_000_000}
    terminal = Terminal(box, "status", "b.example", columns=80, NO_COLOR="1")
    text = terminal.read_until(r"(?s)Failure: .*?ago\r\n") + terminal.text
    assert terminal.wait() == OK
    assert text.replace("\r\n", "\n").endswith("""\
     Failure: its program never took its listener 0.0.0.0:8080: nobody was let
              in for 1min 30s (TimeoutStartSec=), 3 waiting; the program listens
              on 0.0.0.0:9000 instead: say BindPort=9000; 10min 0s ago
"""), text


def test_colours_of_a_terminal(box):
    for arguments, env, coloured in (((), {}, True), ((), {"NO_COLOR": "1"}, False), ((), {"TERM": "dumb"}, False),
                                     (("--color=never",), {}, False), (("--color=always",), {"NO_COLOR": "1"}, True)):
        terminal = Terminal(box, "list", *arguments, **env)
        text = terminal.read_until(r"4 sites[^\n]*\n")
        assert terminal.wait() == OK
        assert ("\x1b[32mawake" in text) == coloured, (arguments, env)


def test_other_locales(box):
    box.sites["a.example"]["error"] = "é" * 10
    terminal = Terminal(box, "list", LC_ALL="C", columns=30)
    assert terminal.wait() == OK
    terminal = Terminal(box, "status", "a.example", LC_ALL="C")
    text = terminal.read_until("a.example")
    assert "●" not in text and terminal.wait() == OK


ENTER, LEAVE = r"\x1b\[\?1049h", r"\x1b\[\?1049l"


def start_top(box, **options):
    terminal = Terminal(box, "top", **options)
    terminal.read_until(ENTER)
    terminal.read_until("q: quit")
    return terminal


def test_top_quits(box):
    terminal = start_top(box)
    terminal.press("q")
    terminal.read_until(LEAVE)
    assert terminal.wait() == OK and terminal.after == terminal.before


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGQUIT])
def test_top_gives_the_terminal_back(box, number):
    terminal = start_top(box)
    terminal.process.send_signal(number)
    terminal.read_until(LEAVE)
    assert terminal.wait() == -number and terminal.after == terminal.before


def test_top_refreshes_and_resizes(box):
    terminal = start_top(box)
    box.sites["a.example"].update(state="awake", connections=777)
    terminal.read_until(r"a.example[^\n]*777")
    box.add("new.example", "starting")
    terminal.read_until(r"new.example +\S+starting")
    terminal.resize(30, 12)
    terminal.read_until(r"SITE +STATE +MEMORY\x1b")
    terminal.press("q")
    assert terminal.wait() == OK


def test_top_stops_and_continues(box):
    terminal = start_top(box)
    terminal.press("\x1a")
    terminal.read_until(LEAVE)
    assert os.waitid(os.P_PID, terminal.process.pid, os.WSTOPPED | os.WNOWAIT).si_status == signal.SIGSTOP
    terminal.process.send_signal(signal.SIGCONT)
    terminal.read_until(ENTER)
    terminal.read_until("q: quit")
    terminal.press("q")
    assert terminal.wait() == OK and terminal.after == terminal.before


def test_top_continues_after_a_stop_by_others(box):
    """Nobody tells it that it is to be stopped: the shell sets the terminal as it was before, and top sets it anew."""
    terminal = start_top(box)
    terminal.process.send_signal(signal.SIGSTOP)
    os.waitid(os.P_PID, terminal.process.pid, os.WSTOPPED | os.WNOWAIT)
    termios.tcsetattr(terminal.slave, termios.TCSANOW, terminal.before)
    terminal.process.send_signal(signal.SIGCONT)
    terminal.read_until(ENTER)
    terminal.read_until("q: quit")
    terminal.press("q")
    terminal.read_until(LEAVE)
    assert terminal.wait() == OK and terminal.after == terminal.before


def test_top_outlives_the_daemon(box):
    terminal = start_top(box)

    def hang_up(parameters):
        raise Raw(b"")

    box.on["GetHost"] = hang_up
    terminal.read_until("closed the connection")
    del box.on["GetHost"]
    terminal.read_until("q: quit")
    terminal.press("q")
    assert terminal.wait() == OK


def test_top_quits_while_the_daemon_hangs(box):
    terminal = start_top(box)
    released = threading.Event()
    asked = len(box.asked("GetHost"))
    box.on["GetHost"] = lambda parameters: released.wait(120) and {}
    box.wait_for_calls("GetHost", asked + 1)
    terminal.press("q")
    assert terminal.wait() == OK
    released.set()


def test_top_shows_no_escapes(box):
    box.host = {"version": HOSTILE}
    box.sites["a.example"].update(state=HOSTILE, name=HOSTILE)
    terminal = start_top(box, columns=200)
    terminal.press("q")
    text = terminal.read_until(LEAVE)
    assert terminal.wait() == OK
    assert "\x07" not in text and "\x9b" not in text and "\u202e" not in text and "\x1b[31mred" not in text


def test_top_as_json_lines(box):
    process = start(box, "top", "--json")
    for _ in range(2):
        sample = json.loads(process.stdout.readline())
        assert sample["host"]["version"] == "0.1" and [s["name"] for s in sample["sites"]] == sorted(box.sites)
    process.kill()
    process.wait(60)
