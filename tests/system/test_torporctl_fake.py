# SPDX-License-Identifier: LGPL-2.1-or-later
"""torporctl against a fake daemon: every command, --json, exit codes."""
import json
import os
import pathlib
import re
import signal
import socket
import subprocess
import tempfile
import threading

import pytest

from fake_torpord import Error, FakeTorpord, now_us, status, summary
from harness import BUILD, TORPORCTL
from torporctl import (  # noqa: F401
    DENIED, FAILED, HOSTILE, NEGLECTED, NO_SITE, OK, Result, SITE_FAILED, UNREACHABLE, USAGE, WHY, box, environment, event,
    fake, monitor, run, start)

# --- list

def test_list_is_sorted_and_counted(box):
    result = run(box, "list")
    assert result.code == OK and result.err == ""
    assert result.lines[0].split() == ["SITE", "STATE", "SINCE", "CONN", "MEMORY", "WAKES", "TEMPLATE", "ERROR"]
    assert [line.split()[:2] for line in result.lines[1:5]] == [
        ["a.example", "cold"], ["b.example", "awake"], ["c.example", "frozen"], ["d.example", "failed"]]
    assert re.match(r"b.example +awake +3min \d+s ago +4 +66.0M +12 +php +-$", result.lines[2])
    assert "failed at step exec" in result.lines[4]
    assert result.lines[-1] == "4 sites: 1 awake, 1 frozen, 1 cold, 1 failed"


def test_list_of_a_state(box):
    assert run(box, "list", "--state=awake").lines[-1] == "1 site: 1 awake"
    assert run(box, "--state", "awake,cold", "list").lines[-1] == "2 sites: 1 awake, 1 cold"
    assert box.asked("List") == [{"state": "awake"}, {"state": "awake"}, {"state": "cold"}]
    result = run(box, "list", "--state=asleep")
    assert result.code == USAGE and "there is no state asleep" in result.err and "frozen" in result.err


def test_list_of_a_slice(box):
    box.sites["b.example"]["slice"] = "shop-b"
    assert "SLICE" in run(box, "list").lines[0] and "shop-b" in run(box, "list").out
    box.calls.clear()
    run(box, "list", "--slice=shop.slice", "--state=awake,cold")
    run(box, "list", "--slice", "shop")
    assert box.asked("List") == [{"state": "awake", "slice": "shop"}, {"state": "cold", "slice": "shop"}, {"slice": "shop"}]
    for arguments in (["list", "--slice=a/b"], ["list", "--slice="], ["wake", "--slice=shop", "b.example"]):
        assert run(box, *arguments).code == USAGE


def test_set(box):
    box.on["Set"] = lambda parameters: {"file": "/run/torpor/x.conf", "limits_not_in_force": []}
    result = run(box, "set", "a.example", "MemoryMax=1G", "AllowedCPUs=")
    assert (result.code, result.out, result.err) == (OK, "a.example: set in /run/torpor/x.conf\n", "")
    assert run(box, "set", "--persist", "--slice=shop.slice", "CPUWeight=5").out.startswith("shop: set in ")
    assert run(box, "--json", "set", "a.example", "A=1").json == {"file": "/run/torpor/x.conf", "limits_not_in_force": []}
    assert box.asked("Set") == [
        {"site": "a.example", "settings": ["MemoryMax=1G", "AllowedCPUs="], "persist": False},
        {"slice": "shop", "settings": ["CPUWeight=5"], "persist": True},
        {"site": "a.example", "settings": ["A=1"], "persist": False}]
    box.on["Set"] = lambda parameters: {"file": HOSTILE, "limits_not_in_force": ["IOWeight= (no io)", HOSTILE]}
    result = run(box, "set", "a.example", "IOWeight=5")
    assert result.code == OK and "not in force: IOWeight= (no io), " in result.err
    assert "\x1b" not in result.out + result.err


def test_set_refused(box):
    def refuse(name, **parameters):
        def answer(_):
            raise Error(name, **parameters)
        box.on["Set"] = answer
        return run(box, "set", "a.example", "MemoryMax=1Q")

    result = refuse("SettingRefused", file="/run/x.conf", line=4, message="MemoryMax=1Q: expected a size")
    assert (result.code, result.out) == (FAILED, "")
    assert "nothing was changed: /run/x.conf:4: MemoryMax=1Q: expected a size" in result.err
    result = refuse("NoSuchSlice", slice="shop")
    assert result.code == NO_SITE and "there is no slice shop" in result.err
    result = refuse("SettingRefused")
    assert result.code == FAILED and "nothing was changed" in result.err
    box.calls.clear()
    for arguments in (["set"], ["set", "a.example"], ["set", "a.example", "b"], ["set", "--slice=s"],
                      ["set", "--slice=s", "x"], ["list", "--persist"]):
        assert run(box, *arguments).code == USAGE
    assert run(box, "set", "*", "A=1").code == NO_SITE
    assert box.calls == []


def test_list_of_nothing(fake):
    result = run(fake, "list")
    assert result.code == OK and result.lines[-1] == "0 sites"
    assert run(fake, "list", "--json").json == []
    assert run(fake, "list", "--names").out == ""


def test_list_patterns_and_names(box):
    assert run(box, "list", "--names").lines == ["a.example", "b.example", "c.example", "d.example"]
    assert run(box, "list", "--names", "[ab]*", "d.example").lines == ["a.example", "b.example", "d.example"]
    assert run(box, "list", "x*").code == NO_SITE


def test_list_json_is_what_the_daemon_said(box):
    assert run(box, "list", "--json").json == sorted(box.sites.values(), key=lambda site: site["name"])


def test_list_of_many(fake):
    for i in range(5000):
        fake.sites[f"site-{i:05}"] = summary(f"site-{i:05}", "awake" if i % 50 == 0 else "cold")
    result = run(fake, "list")
    assert result.lines[-1] == "5000 sites: 100 awake, 4900 cold"
    assert [line.split()[0] for line in result.lines[1:5001]] == sorted(fake.sites)


def test_what_is_not_a_terminal_is_never_cut(fake):
    name = "n" * 200
    fake.add(name, error="e" * 500)
    assert name in run(fake, "list", env=environment(COLUMNS="40")).out
    assert "e" * 500 in run(fake, "list").out
    assert "\x1b" not in run(fake, "list").out


def test_colours(box):
    assert "\x1b[32mawake\x1b[0m" in run(box, "list", "--color=always", env=environment(NO_COLOR="1")).out
    assert "\x1b[31mfailed\x1b[0m" in run(box, "list", "--color=always").out
    assert "\x1b[34mfrozen\x1b[0m" in run(box, "list", "--color=always").out
    assert "\x1b" not in run(box, "list", "--color=auto").out


# --- status, why

def test_status_of_the_box(box):
    box.host = {"warnings": ["cannot raise RLIMIT_NOFILE"], "controllers_missing": ["io"],
                "file_errors": [{"file": "/etc/torpor/sites/x.site", "line": 3, "message": "Prot= is not a key"}]}
    result = run(box, "status")
    assert result.code == OK
    for text in ("torpor 0.1", "Sites: 4: 1 awake, 1 frozen, 1 cold, 1 failed", "0 of at most 4",
                 "1200 of at most 524288", "missing: io", "Warnings: cannot raise RLIMIT_NOFILE",
                 "Not in force: /etc/torpor/sites/x.site:3: Prot= is not a key"):
        assert text in result.out
    assert run(box, "status", "--json").json["open_files_limit"] == 524288


def test_status_of_a_site(box):
    box.statuses["b.example"] = status(
        "b.example", description="The shop", templates=["php", "base"], pid=4711, cgroup="/torpor/b.example",
        listeners=[{"address": "0.0.0.0:8080", "type": "stream", "fd_name": "http"},
                   {"address": "/run/b.sock", "type": "stream", "fd_name": "b.example"},
                   {"address": "[::]:81", "type": "stream", "fd_name": "b.example", "taken": "bound"},
                   {"address": "[::]:82", "type": "stream", "fd_name": "b.example", "taken": "listened"}],
        handover="bind", limits={"MemoryMax": "256M"}, limits_not_in_force=["MemoryMax"], slice="shop-b",
        slices=[{"name": "shop-b", "description": "shop-b", "limits": {}, "limits_not_in_force": [], "file_errors": []},
                {"name": "shop", "description": "Shops", "limits": {"memory.max": "1073741824", "cpu.weight": "80"},
                 "limits_not_in_force": ["IOWeight= (no io)"],
                 "file_errors": [{"file": "/etc/torpor/slices/shop.slice", "line": 3, "message": "no"}]}], connections=4, waiting=1, cpu=0.034,
        cpu_usage_us=1_234_567, memory_bytes=69206016, wakes=12, thaws=30, last_wake_us=now_us() - 61_000_000,
        last_wake_took_us=12_345, last_wake_by="a connection to 0.0.0.0:8080", idle_us=12_000_000,
        freezes_in_us=18_000_000, stops_in_us=588_000_000, restart_needed=True, status_text="idle: 2",
        file_errors=[{"file": "/etc/torpor/sites/b.example.site", "line": 12, "message": "MemoryMax=1Q: no size"}])
    result = run(box, "status", "b.example")
    assert result.code == OK
    for text in ("● b.example - The shop\n", "File: /etc/torpor/sites/b.example.site (templates: php, base)\n",
                 "State: awake since ", "; 3min 2", 'Status: "idle: 2"\n', "Handover: bind\n",
                 "Listeners: 0.0.0.0:8080 (stream, named http)\n", " /run/b.sock (stream)\n",
                 " [::]:81 (stream, bound by its program)\n", " [::]:82 (stream, in use by its program)\n", "Main PID: 4711\n", "CGroup: /torpor/b.example\n", "Memory: 66.0M\n",
                 "CPU: 1.2s, 3.4% now\n", "Connections: 4, 1 waiting to be accepted\n", "Wakes: 12, thaws: 30\n",
                 "1min 1s ago, took 12.3ms, by a connection to 0.0.0.0:8080\n", "Idle: for 12.0s\n",
                 "Hibernates: frozen in 18.0s, stopped in 9min 48s\n", "Limits: MemoryMax=256M\n",
                 "Not in force: MemoryMax\n", "Slice: shop-b (no limits of its own)\n",
                 " shop: memory.max=1073741824, cpu.weight=80\n", "Not in force: IOWeight= (no io)\n",
                 "Refused: /etc/torpor/slices/shop.slice:3: no\n", "torporctl restart b.example\n",
                 "Refused: /etc/torpor/sites/b.example.site:12: MemoryMax=1Q: no size\n", "last good unit"):
        assert text in result.out
    assert run(box, "status", "b.example", "--json").json == box.statuses["b.example"]


def test_status_of_a_failed_site(box):
    box.statuses["d.example"]["failure"] = {
        "time_us": now_us() - 10_000_000, "step": "exec", "errno": 2, "message": "No such file or directory",
        "restarts": 3, "retry_in_us": 4_000_000}
    result = run(box, "status", "d.example")
    assert result.code == SITE_FAILED
    assert re.search(r"Failure: failed at step exec: No such file or directory; 10\.\ds ago; 3 restarts; retry in 4.0s",
                     result.out)
    assert run(box, "status", "a.example", "d.example").code == SITE_FAILED


def test_status_of_a_site_that_lets_nobody_in(box):
    """It is no step of a start, and nothing was started again."""
    box.statuses["b.example"]["failure"] = {**NEGLECTED, "time_us": now_us() - 10_000_000}
    result = run(box, "status", "b.example")
    assert result.code == OK
    assert re.search(r"^ +Failure: its program never took its .* say BindPort=9000; 10\.\ds ago$", result.out, re.MULTILINE)
    assert "\nLast failure: its program never took its listener" in run(box, "why", "b.example").out


def test_status_of_several(box):
    result = run(box, "status", "c.example", "a*", "c.example")
    assert result.code == OK and [line for line in result.lines if line.startswith("●")] == ["● c.example", "● a.example"]
    assert [s["name"] for s in run(box, "status", "--json", "*").json] == sorted(box.sites)
    result = run(box, "status", "--json", "a.example", "nobody.example")
    assert result.code == NO_SITE and result.json[0]["name"] == "a.example"
    assert result.json[1] == {"site": "nobody.example", "error": "io.torpor.NoSuchSite",
                              "parameters": {"site": "nobody.example"}}


def test_no_such_site(box):
    for command in ("status", "why", "wake", "freeze", "stop", "restart", "cat", "plan"):
        result = run(box, command, "nobody.example")
        assert (result.code, result.out) == (NO_SITE, ""), command
        assert "there is no site nobody.example" in result.err
        assert run(box, command, "a/b").code == NO_SITE
        assert run(box, command, b"\xff\x1b[2J").code == NO_SITE
    for command in ("status", "wake"):
        result = run(box, command, "x*", "a.example")
        assert result.code == NO_SITE and "no site matches x*" in result.err and "a.example" in result.out


def test_why(box):
    box.whys["b.example"] = {**WHY, "wake": {**WHY["wake"], "time_us": now_us() - 61_000_000}}
    result = run(box, "why", "b.example")
    assert result.code == OK
    assert re.search(r"^b.example is awake since \w+ [-0-9]+ [0-9:]+ UTC \(3min \d+s ago\)\.$", result.out, re.M)
    assert re.search(r"^Last woken 1min 1s ago \(.*\): connection on 0.0.0.0:8080 from 10.0.0.1:54321, or one of 2 others that "
                     r"came at once.$", result.out, re.M)
    assert "That took 12.3ms: queued 20us, executed 1.3ms.\n" in result.out
    assert "What holds it awake:\n● bytes moved on a connection, 2.0s ago\n" in result.out
    assert "It has 1 open connection, and 0 wait to be accepted:\n" in result.out
    assert re.search(r"^10.0.0.1:54321 +0.0.0.0:8080 +open +0B +1.7K +2.0s$", result.out, re.M)
    assert "Next: freezing in 25.0s, if nothing happens (FreezeAfterSec=).\nNext: stopping, some time.\n" in result.out
    assert re.search(r"^Since .* 1970-01-01 .*: 12 wakes \(half within 3.1ms, 99 of 100 within 9.0ms\), 3 thaws, 0 failures; awake "
                     r"5.0s, frozen 1min 0s, cold 2h 0min; 2.1G-hours of memory saved.$", result.out, re.M), result.out
    assert run(box, "why", "--json", "b.example").json == box.answer_Explain({"site": "b.example"})["why"]
    box.whys["b.example"]["wake"].update({"from": "frozen", "peer_unknown": "it had gone", "steps": []})
    del box.whys["b.example"]["wake"]["peer"]
    box.whys["b.example"].update(holds=[], connections=None)
    result = run(box, "why", "b.example")
    assert "Last thawed 1min" in result.out and "from somebody unknown (it had gone), or one of" in result.out
    assert "Nothing holds it awake.\n" in result.out and "connections could not be looked at" in result.out
    assert "a connection to 0.0.0.0:8080 wakes it" in run(box, "why", "a.example").out


# --- changes

@pytest.mark.parametrize("command, state", [("wake", "awake"), ("freeze", "frozen"), ("stop", "cold"),
                                            ("restart", "awake")])
def test_change(box, command, state):
    result = run(box, command, "a.example", "[bc]*")
    assert result.code == OK
    assert sorted(result.lines) == [f"{name}: {state} after 12.3ms" for name in ("a.example", "b.example", "c.example")]
    assert sorted(call["site"] for call in box.asked(command.title())) == ["a.example", "b.example", "c.example"]
    assert run(box, command, "a.example", "--json").json == {"site": "a.example", "state": state, "took_us": 12_345}
    assert [r["site"] for r in run(box, command, "c.example", "a.*", "--json").json] == ["c.example", "a.example"]


def test_change_that_fails(box):
    def wake(parameters):
        if parameters["site"] == "d.example":
            raise Error("StartFailed", site="d.example", step="mount-proc", errno=13, message="Permission denied")
        if parameters["site"] == "c.example":
            raise Error("NotPossible", site="c.example", state="frozen", reason="it is disabled (Enabled=no)")
        return {"state": "awake", "took_us": 5}

    box.on["Wake"] = wake
    result = run(box, "wake", "*")
    assert result.code == FAILED and sorted(result.lines) == ["a.example: awake after 5us", "b.example: awake after 5us"]
    assert "site d.example: failed at step mount-proc: Permission denied" in result.err
    assert "site c.example: not possible while it is frozen: it is disabled (Enabled=no)" in result.err
    assert run(box, "wake", "a.example", "d.example", "c.example").code == FAILED
    failed = run(box, "wake", "d.example", "--json")
    assert failed.code == FAILED and failed.json["parameters"]["step"] == "mount-proc"


def test_highest_exit_code_wins(box):
    def stop(parameters):
        if parameters["site"] == "b.example":
            raise Error("PermissionDenied")
        return {"state": "cold", "took_us": 0}

    box.on["Stop"] = stop
    result = run(box, "stop", "nobody/", "b.example", "a.example")
    assert result.code == DENIED and result.lines == ["a.example: cold"]
    assert "only root may change things" in result.err


def test_changes_run_side_by_side(fake):
    """16 at a time: the barrier lets nobody pass before as many wait."""
    barrier = threading.Barrier(16)
    for i in range(32):
        fake.add(f"site-{i}")

    def wake(parameters):
        barrier.wait(60)
        return {"state": "awake", "took_us": 1}

    fake.on["Wake"] = wake
    result = run(fake, "wake", "*")
    assert result.code == OK and len(result.lines) == 32


def test_timeout(box):
    answered = threading.Event()
    box.on["Wake"] = box.on["GetStatus"] = lambda parameters: answered.wait(120) and {}
    for arguments in (("wake", "a.example", "b.example"), ("status", "a.example")):
        result = run(box, "--timeout=1", *arguments)
        assert result.code == UNREACHABLE and "did not answer in time" in result.err
    answered.set()


def test_busy(box):
    def busy(parameters):
        raise Error("Busy", reason="64 calls wait")

    box.on["GetHost"] = busy
    result = run(box, "status")
    assert result.code == FAILED and "try again: 64 calls wait" in result.err


def test_another_version(box):
    box.on["GetHost"] = box.unknown
    result = run(box, "status")
    assert result.code == FAILED and "another version" in result.err


# --- reload, cat, plan, verify, version, help

def test_reload(box):
    result = run(box, "reload")
    assert (result.code, result.out) == (OK, "4 loaded, 2 changed, 1 removed\n")
    box.host["file_errors"] = [{"file": "/etc/torpor/sites/x.site", "line": 3, "message": "no"},
                               {"file": "/etc/torpor/sites/y.site", "line": 0, "message": "unreadable"}]
    result = run(box, "reload")
    assert result.code == FAILED
    assert result.err == ("not in force: /etc/torpor/sites/x.site:3: no\n"
                          "not in force: /etc/torpor/sites/y.site: unreadable\n")
    assert run(box, "reload", "--json").json["file_errors"][0]["line"] == 3


def test_cat_and_plan(box):
    assert run(box, "cat", "a.example").out == ("# /etc/torpor/sites/a.example.site\n"
                                                "# /usr/lib/torpor/templates/php.template\n"
                                                "[Site]\nTemplate=php\n")
    assert run(box, "cat", "--all", "a.example").out.endswith("Enabled=yes\n")
    assert box.asked("Cat") == [{"site": "a.example"}, {"site": "a.example", "all": True}]
    assert run(box, "cat", "--json", "a.example").json["text"].startswith("[Site]")
    assert run(box, "plan", "a.example").out == "mount tmpfs /\n\texec /usr/sbin/php-fpm\n"
    assert "tmpfs" in run(box, "plan", "--json", "a.example").json["text"]


def test_verify_runs_torpord(tmp_path):
    """Beside torporctl, in ../core, in $PATH."""
    script = '#!/bin/sh\nprintf "%s\\n" "$0" "$@"\nexit 1\n'
    tree = tmp_path / "daemon"
    for folder in ("ctl", "core", "path"):
        (tree / folder).mkdir(parents=True)
    binary = tree / "ctl/torporctl"
    binary.write_bytes(TORPORCTL.read_bytes())
    binary.chmod(0o755)
    for folder in ("path", "core", "ctl"):
        (tree / folder / "torpord").write_text(script)
        (tree / folder / "torpord").chmod(0o755)

    def verify(*arguments):
        return Result(subprocess.run([binary, "verify", *arguments], capture_output=True,
                                     env=environment(PATH=f"relative:{tree}/path:/usr/bin:/bin")))

    result = verify("--json", "--etc=/e", "--run=/r", "--lib=/l", "a.site", "--", "-b.site")
    assert result.code == FAILED
    assert result.lines[1:] == ["--verify", "--json", "--etc=/e", "--run=/r", "--lib=/l", "a.site", "./-b.site"]
    assert result.lines[0] == f"{tree}/ctl/torpord"
    (tree / "ctl/torpord").unlink()
    assert verify("a.site").lines[:3] == [f"{tree}/ctl/../core/torpord", "--verify", "a.site"]
    (tree / "core/torpord").unlink()
    assert verify("a.site").lines[0] == f"{tree}/path/torpord"


def test_version_and_help(tmp_path):
    assert re.fullmatch(r"torporctl \d\S*\n", run(tmp_path, "version").out)
    assert run(tmp_path, "--version").out == run(tmp_path, "version").out
    assert run(tmp_path, "version", "--json").json["version"]
    help_text = run(tmp_path, "help")
    assert help_text.code == OK and run(tmp_path, "--help").out == run(tmp_path, "-h").out == help_text.out
    commands = [command["name"] for command in run(tmp_path, "help", "--json").json]
    assert {"list", "status", "why", "wake", "freeze", "pageout", "stop", "restart", "set", "reload", "verify", "security", "cat", "plan",
            "events", "simulate", "top", "version", "help"} == set(commands)
    for command in commands:
        assert f"  {command} " in help_text.out
        assert run(tmp_path, "help", command).out == run(tmp_path, command, "--help").out
        assert run(tmp_path, "help", command, "--json").json["name"] == command
    assert max(len(line) for line in help_text.lines) < 80
    assert run(tmp_path, "help", "nonsense").code == USAGE


def options_of(tmp_path, command):
    """Those that help says belong to a command: "--state"."""
    return re.findall(r"\[(--\w+)", run(tmp_path, "help", command).lines[0])


def test_help_names_all_options(tmp_path):
    commands = [command["name"] for command in run(tmp_path, "help", "--json").json]
    options = {command: options_of(tmp_path, command) for command in commands}
    assert options["list"] == ["--state", "--slice", "--names"] and options["events"] == ["--follow"]
    text = run(tmp_path, "help").out
    lines = re.findall(r"^  (?:-\w, )?(--\w+)\S* +(\w+): ", text, re.MULTILINE)
    for command, names in options.items():
        for name in names:
            known = [line for line in lines if line[0] == name]
            assert len(known) == 1, name
            assert known[0][1] == command or f"\n{' ' * 21}{command}: " in text
    assert {line[0] for line in lines} == set(sum(options.values(), []))


def test_completions_know_all_options(tmp_path):
    bash = (BUILD / "units/torporctl").read_text()
    zsh = (BUILD / "units/_torporctl").read_text()
    for command in ("list", "set", "cat", "events", "security"):
        names = options_of(tmp_path, command)
        assert names
        script = f'{bash}\ncompopt() {{ :; }}\nCOMP_WORDS=(torporctl {command} -)\nCOMP_CWORD=2\n' \
                 f'COMP_LINE="torporctl {command} -"\nCOMP_POINT=${{#COMP_LINE}}\n_torporctl\nprintf "%s\\n" "${{COMPREPLY[@]}}"'
        offered = subprocess.run(["bash", "-c", script], capture_output=True, text=True, check=True).stdout.split()
        assert set(names) <= {word.rstrip("=") for word in offered}, command
        block = re.search(rf"\n\t{command}\)(.*?);;\n", zsh, re.DOTALL)[1]
        assert all(f"{name}[" in block or f"{name}=[" in block or f",{name}}}" in block for name in names), command


@pytest.mark.parametrize("arguments, word", [
    (["list", "-xa"], "-x"), (["list", "-ax"], "-x"), (["-xh"], "-x"), (["list", "-x"], "-x"), (["list", "--nosuch"], "--nosuch"),
    (["list", "--help=a"], "--help=a"), (["cat", "--all=a"], "--all=a"), (["list", "-:a"], "-:"), (["list", "-\x1ba"], "-\\x1b")])
def test_refused_option_is_named(tmp_path, arguments, word):
    result = run(tmp_path, *arguments)
    assert result.code == USAGE and result.err.startswith(f"{word}: there is no such option")


@pytest.mark.parametrize("arguments", [
    [], ["nonsense"], ["wake"], ["why"], ["why", "a", "b"], ["reload", "x"], ["list", "--nonsense"], ["list", "--all"],
    ["wake", "a", "--state=cold"], ["list", "--color=pink"], ["list", "--timeout=soon"], ["list", "--timeout=-1"],
    ["list", "--timeout=99999999999"], ["list", "--timeout"], ["list", "--json=yes"], ["cat", "-x", "a"], ["--run="],
    ["verify"], ["top"], ["list", "--\x1b[31m"], ["\x1b[31m"], ["events", "a", "b"]])
def test_usage(tmp_path, arguments):
    result = run(tmp_path, *arguments)
    assert (result.code, result.out) == (USAGE, "")
    assert result.err.count("\n") == 1


# --- events

def test_events(box):
    box.on["Monitor"] = monitor(event("a.example", took_us=12_345), event("b.example"))
    process = start(box, "events", "--follow")
    assert process.stdout.readline().decode() == (
        "Nov 21 20:00:00.042  a.example                         cold → awake         12.3ms  a connection\n")
    assert "b.example" in process.stdout.readline().decode()
    process.send_signal(signal.SIGINT)
    assert process.wait(60) == -signal.SIGINT
    box.on["Monitor"].done.set()


def test_events_as_json_lines(box):
    box.on["Monitor"] = monitor(event("a.example"), event("b.example", reason=HOSTILE), event("c.example"))
    process = start(box, "events", "--follow", "[bc]*", "--json")
    line = process.stdout.readline().decode()
    assert json.loads(line) == event("b.example", reason=HOSTILE)["event"] and re.fullmatch(r"[ -~]+\n", line)
    assert json.loads(process.stdout.readline())["site"] == "c.example"
    assert box.asked("Monitor") == [{"recorded": 2147483647, "follow": True}]
    process.kill()
    process.wait(60)
    box.on["Monitor"].done.set()


def test_events_of_one_site(box):
    box.on["Monitor"] = lambda parameters: iter([{}, {**event("a.example"), "last": True}])
    result = run(box, "events", "--follow", "a.example")
    assert result.code == UNREACHABLE and "a.example" in result.out and "closed the connection" in result.err
    result = run(box, "events", "a.example")
    assert result.code == OK and "a.example" in result.out and not result.err
    assert box.asked("Monitor") == [{"recorded": 10, "follow": True, "site": "a.example"},
                                    {"recorded": 2147483647, "follow": False, "site": "a.example"}]

    def no_site(parameters):
        raise Error("NoSuchSite", site="nobody")

    box.on["Monitor"] = no_site
    assert run(box, "events", "nobody").code == NO_SITE


def test_a_reader_that_goes_away(box):
    done = threading.Event()

    def endless(parameters):
        yield {}
        while not done.is_set():
            yield event("a.example")

    box.on["Monitor"] = endless
    for ignored in (signal.SIG_DFL, signal.SIG_IGN):
        process = start(box, "events", "--follow", restore_signals=False, preexec_fn=lambda: signal.signal(signal.SIGPIPE, ignored))
        process.stdout.readline()
        process.stdout.close()
        assert process.wait(60) == -signal.SIGPIPE
        assert process.stderr.read() == b""
    done.set()


def test_output_that_cannot_be_written(box):
    with open("/dev/full", "wb") as full:
        process = subprocess.run([TORPORCTL, f"--run={box.directory}", "list"], stdout=full, stderr=subprocess.PIPE)
    assert process.returncode == FAILED and b"No space left" in process.stderr


def test_closed_standard_descriptors(box):
    script = 'exec "$0" "$@" <&- >&- 2>&-'
    assert subprocess.run(["sh", "-c", script, TORPORCTL, f"--run={box.directory}", "list"]).returncode == OK


# --- no daemon, no permission

def test_nobody_listens(tmp_path):
    result = run(tmp_path, "list")
    assert result.code == UNREACHABLE and result.out == ""
    assert f"{tmp_path}/control" in result.err and "systemctl start torpor" in result.err
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(tmp_path / "control"))
    assert run(tmp_path, "status").code == UNREACHABLE
    (tmp_path / "control").unlink()
    (tmp_path / "control").write_text("a file")
    assert run(tmp_path, "wake", "a", "b").code == UNREACHABLE
    assert run(tmp_path, "top", "--json").code == UNREACHABLE
    assert run(tmp_path / "missing", "events").code == UNREACHABLE


@pytest.mark.skipif(os.geteuid() != 0, reason="changes its user")
def test_socket_without_permission():
    with tempfile.TemporaryDirectory() as folder:
        os.chmod(folder, 0o755)
        binary = pathlib.Path(folder, "torporctl")
        binary.write_bytes(TORPORCTL.read_bytes())
        binary.chmod(0o755)
        fake = FakeTorpord(folder)
        fake.path.chmod(0o600)
        result = Result(subprocess.run([binary, f"--run={folder}", "list"], stdout=subprocess.PIPE,
                                       stderr=subprocess.PIPE, user=65534, env=environment()))
        assert result.code == DENIED and "no permission" in result.err and "ControlGroup=" in result.err
        fake.close()


def test_a_folder_with_a_long_name(tmp_path):
    deep = tmp_path.joinpath(*["d" * 60] * 4)
    deep.mkdir(parents=True)
    fake = FakeTorpord(tmp_path)
    fake.add("a.example")
    fake.path.rename(deep / "control")
    assert run(deep, "list", "--names").out == "a.example\n"
    (deep / "control").rename(fake.path)
    fake.close()
