# SPDX-License-Identifier: LGPL-2.1-or-later
"""torporctl against a daemon that is broken or hostile."""
import itertools
import json
import os
import threading

import pytest

from fake_torpord import Error, FakeTorpord, Raw, status, summary
from torporctl import FAILED, HOSTILE, OK, SITE_FAILED, UNREACHABLE, WHY, box, event, fake, run  # noqa: F401

COMMANDS = [["list"], ["list", "--names"], ["status"], ["status", "a.example"], ["why", "a.example"],
            ["wake", "a.example"], ["stop", "a*", "b.example"], ["reload"], ["cat", "a.example"], ["plan", "a.example"],
            ["events"], ["top", "--json"]]

BROKEN = {
    "nothing": b"",
    "half a message": b'{"parameters": {"site": {"name": "a.ex',
    "no object": b"[1, 2]\0",
    "empty message": b"\0",
    "not JSON": b"HTTP/1.1 200 OK\r\n\r\n\0",
    "not UTF-8": b'{"parameters": {"text": "\xff\xfe"}}\0',
    "a NUL in a string": b'{"parameters": {"text": "\\u0000"}}\0',
    "a number past all bounds": b'{"parameters": {"status": {"pid": 1' + b"0" * 400 + b"}}}\0",
    "a float past all bounds": b'{"parameters": {"status": {"cpu": 1e999}}}\0',
    "deep": b'{"parameters":' + b"[" * 100000 + b"]" * 100000 + b"}\0",
    "the same key twice": b'{"parameters": {}, "parameters": {}}\0',
    "more than 16 MiB": b'{"parameters": "' + b"x" * (17 << 20),
}


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
@pytest.mark.parametrize("data", BROKEN.values(), ids=BROKEN.keys())
def test_broken_messages(box, command, data):
    def broken(parameters):
        raise Raw(data)

    for method in ("List", "GetHost", "GetStatus", "Explain", "Wake", "Stop", "Reload", "Cat", "Plan", "Monitor"):
        box.on[method] = broken
    result = run(box, *command)
    assert result.code == UNREACHABLE and result.out == "" and result.err


WRONG = [None, True, 0, -1, 2**63 - 1, 1.5, "", HOSTILE, [], [[]], [None, HOSTILE, {}], {}, {HOSTILE: HOSTILE},
         {"awake": -1, "cold": HOSTILE, HOSTILE: 2**63 - 1}]
METHODS = {"list": "List", "status": "GetHost", "why": "Explain", "wake": "Wake", "reload": "Reload", "cat": "Cat",
           "plan": "Plan", "events": "Monitor"}


@pytest.mark.parametrize("command", METHODS)
def test_replies_of_wrong_types(box, command):
    """Whole messages: parameters, errors, continues of every type."""
    arguments = [command] + (["a.example"] if command in ("why", "wake", "cat", "plan") else [])
    for key, value, json_option in itertools.product(("parameters", "error", "continues"), WRONG, ([], ["--json"])):
        def broken(parameters, message=json.dumps({key: value}).encode() + b"\0"):
            raise Raw(message)

        box.on[METHODS[command]] = broken
        assert run(box, *arguments, *json_option).code in range(7)


FULL = status("x", templates=["t"], pid=1, cgroup="/", limits={"a": "b"}, limits_not_in_force=["c"], connections=1,
              waiting=1, cpu=0.5, cpu_usage_us=1, memory_bytes=1, last_wake_us=1, last_wake_took_us=1, last_wake_by="x",
              idle_us=1, busy="x", freezes_in_us=1, stops_in_us=1, status_text="x",
              file_errors=[{"file": "f", "line": 1, "message": "m"}], slice="s",
              slices=[{"name": "s", "description": "d", "file": "f", "limits": {"a": "b"}, "limits_not_in_force": ["c"],
                       "file_errors": [{"file": "f", "line": 1, "message": "m"}]}],
              network={"name": "n", "addresses": [{"address": "a", "gateway": "g", "interface": "i"}],
                       "routes": [{"to": "t", "via": "v"}], "nameservers": ["s"], "search": ["d"]},
              networks_left=["l"],
              failure={"time_us": 1, "step": "s", "errno": 1, "message": "m", "restarts": 1, "retry_in_us": 1})


def variants(template):
    """template with every field, at two depths, of every wrong type, and missing."""
    for key, old in template.items():
        yield {k: v for k, v in template.items() if k != key}
        for value in WRONG:
            yield {**template, key: value}
        inner = old[0] if isinstance(old, list) and old else old
        for sub in inner if isinstance(inner, dict) else []:
            for value in WRONG:
                broken = {**inner, sub: value}
                yield {**template, key: [broken] if isinstance(old, list) else broken}
    yield {}
    yield {key: HOSTILE for key in template}
    yield {key: 2**63 - 1 for key in template}


def run_over_all(fake, method, answers, *arguments):
    """Runs once for every answer, several side by side."""
    answers, lock = list(answers), threading.Lock()

    def worker():
        while True:
            with lock:
                if not answers:
                    return
                answer = answers.pop()
            own = fake.directory / str(threading.get_ident())
            own.mkdir(exist_ok=True)
            daemon = FakeTorpord(own)
            daemon.on[method] = lambda parameters: answer
            try:
                result = run(daemon, *arguments)
                if result.code not in (OK, SITE_FAILED, FAILED, UNREACHABLE):
                    failures.append((answer, result.code, result.err))
            except BaseException as error:
                failures.append((answer, error))
            finally:
                daemon.close()

    failures = []
    threads = [threading.Thread(target=worker) for _ in range(os.cpu_count() or 2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures, failures[0]


def test_status_fields_of_wrong_types(fake):
    run_over_all(fake, "GetStatus", ({"status": s} for s in variants(FULL)), "status", "x")
    run_over_all(fake, "Explain", ({"why": {**WHY, "status": s}} for s in variants(FULL)), "why", "x")


def test_why_fields_of_wrong_types(fake):
    run_over_all(fake, "Explain", ({"why": w} for w in variants({**WHY, "status": status("x")})), "why", "x")


def test_host_fields_of_wrong_types(fake):
    template = {**fake.answer_GetHost({})["host"], "warnings": ["w"], "controllers_missing": ["io"],
                "file_errors": [{"file": "f", "line": 1, "message": "m"}]}
    run_over_all(fake, "GetHost", ({"host": h} for h in variants(template)), "status")


def test_list_of_wrong_types(fake):
    template = summary("x", connections=1, memory_bytes=1, cpu=0.1, template="t", error="e")
    sites = list(variants(template))
    fake.on["List"] = lambda parameters: iter([{"site": s} for s in sites] + [{"last": True}])
    for arguments in (["list"], ["list", "--json"], ["list", "--names"], ["status", "*"], ["wake", "x*"]):
        run(fake, *arguments)
    assert f"{len(sites)} sites" in run(fake, "list").lines[-1]
    assert len(run(fake, "list", "--json").json) == len(sites)


def test_events_of_wrong_types(fake):
    answers = [{"event": e} for e in variants(event("x", took_us=1)["event"])]
    fake.on["Monitor"] = lambda parameters: iter([{}, *answers, {"last": True}])
    assert len(run(fake, "events").lines) == len([a for a in answers if isinstance(a["event"], dict)])
    run(fake, "events", "--json")


def test_escapes_everywhere(box):
    hostile = {key: HOSTILE for key in FULL}
    hostile.update(templates=[HOSTILE], listeners=[{"address": HOSTILE, "type": HOSTILE, "fd_name": HOSTILE}],
                   limits={HOSTILE: HOSTILE}, limits_not_in_force=[HOSTILE],
                   network={"name": HOSTILE, "nameservers": [HOSTILE], "routes": [{"to": HOSTILE, "via": HOSTILE}],
                            "addresses": [{"address": HOSTILE, "gateway": HOSTILE, "interface": HOSTILE}]},
                   networks_left=[HOSTILE],
                   slices=[{"name": HOSTILE, "limits": {HOSTILE: HOSTILE}, "limits_not_in_force": [HOSTILE],
                            "file_errors": [{"file": HOSTILE, "line": 1, "message": HOSTILE}]}],
                   file_errors=[{"file": HOSTILE, "line": 1, "message": HOSTILE}], failure={"step": HOSTILE, "message": HOSTILE})
    box.on["GetStatus"] = lambda parameters: {"status": hostile}
    result = run(box, "status", "a.example")
    assert result.out.count("\\x1b[31mred\\x07\\xc2\\x9b2J\\xe2\\x80\\xaeevil\\x7f\\x09tab\\x0aline") >= 10
    assert run(box, "status", "a.example", "--json").json == hostile
    assert "\\u007f" in run(box, "status", "a.example", "--json").out
    box.on["Explain"] = lambda parameters: {"why": {
        "status": hostile, "holds": [{"text": HOSTILE}], "next": [{"to": HOSTILE, "when": HOSTILE}], "open": 1, "waiting": 1,
        "wake": {"time_us": 1, "reason": HOSTILE, "listener": HOSTILE, "peer": {"text": HOSTILE},
                 "steps": [{"name": HOSTILE, "took_us": 1}]},
        "connections": [{"listener": HOSTILE, "peer": {"text": HOSTILE}, "state": HOSTILE}]}}
    run(box, "why", "a.example")
    box.on["Cat"] = lambda parameters: {"files": [HOSTILE], "text": HOSTILE + "\r\n\x1b]0;title\x07"}
    assert run(box, "cat", "a.example").out.endswith("\\x7f\ttab\nline\\x0d\n\\x1b]0;title\\x07\n")

    def error(parameters):
        raise Error(HOSTILE, site=HOSTILE)

    box.on["Reload"] = error
    assert "\\x1b" in run(box, "reload").err


def test_endless_list(box):
    def endless(parameters):
        yield from itertools.repeat({})

    box.on["List"] = endless
    assert run(box, "list").code == UNREACHABLE
