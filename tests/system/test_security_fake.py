# SPDX-License-Identifier: LGPL-2.1-or-later
"""How torporctl security prints what the daemon has said, and what it makes of a daemon that says nonsense."""
import pytest

from fake_torpord import Error
from torporctl import FAILED, NO_SITE, OK, UNREACHABLE, USAGE, Terminal, box, environment, fake, printable, run  # noqa: F401

LONG = "Has " + " ".join(f"CAP_NUMBER_{i}" for i in range(40))


def finding(name, badness=0, weight=10, exposure=None, **fields):
    return {"id": name, "keys": ["User"], "value": "x", "description": f"Is {name}", "weight": weight, "badness": badness,
            "exposure": badness * weight // 100 if exposure is None else exposure, "reason": "Because.", **fields}


def security(name, exposure=23, word="OK", **fields):
    return {"name": name, "exposure": exposure, "word": word, "running": False, "restart_needed": False, "findings": [
        finding("user"), finding("capabilities-bounding", 100, description=LONG), finding("root", 20),
        finding("keyring", weight=0)], **fields}


@pytest.fixture
def assessed(box):  # noqa: F811
    """A box whose sites have been looked at; b.example is the worst."""
    found = {name: security(name) for name in box.sites}
    found["b.example"].update(exposure=95, word="UNSAFE", decided_by="capabilities-host")

    def answer(parameters):
        whole = dict(found[box.known(parameters)])
        if parameters.get("brief"):
            whole.pop("findings")
        return {"security": whole}
    box.on["GetSecurity"] = answer
    box.found = found
    return box


def test_page(assessed):
    result = run(assessed, "security", "a.example", env=environment(LC_ALL="C"))
    assert result.code == OK and result.err == ""
    assert [line.split()[:2] for line in result.lines[1:5]] == [
        ["+", "user"], ["-", "capabilities-bounding"], ["-", "root"], [".", "keyring"]]
    assert [line.split()[-1] for line in result.lines[1:5]] == ["0.0", "1.0", "0.2", "-"]
    assert LONG in result.out and result.lines[-1] == "-> Exposure of a.example: 2.3 OK"
    assert run(assessed, "security", "b.example").lines[-1].endswith(
        "Exposure of b.example: 9.5 UNSAFE, by capabilities-host alone")
    assert assessed.asked("GetSecurity")[0] == {"site": "a.example", "brief": False}


def test_several_and_patterns(assessed):
    result = run(assessed, "security", "[ab].example")
    assert "of a.example" in result.out and "of b.example" in result.out and result.out.count("ITEM") == 2
    assert [each["name"] for each in run(assessed, "security", "--json", "*").json] == sorted(assessed.sites)
    assert run(assessed, "security", "--json", "a.example").json == assessed.found["a.example"]
    assert run(assessed, "security", "x*").code == NO_SITE


def test_overview(assessed):
    result = run(assessed, "security")
    assert [line.split() for line in result.lines] == [
        ["SITE", "EXPOSURE", "PREDICATE"], ["a.example", "2.3", "OK"], ["b.example", "9.5", "UNSAFE"],
        ["c.example", "2.3", "OK"], ["d.example", "2.3", "OK"]]
    assert all(parameters["brief"] for parameters in assessed.asked("GetSecurity"))


def test_site_that_goes_meanwhile(assessed):
    del assessed.found["c.example"]
    assessed.on["GetSecurity"] = lambda parameters, answer=assessed.on["GetSecurity"]: (
        answer(parameters) if parameters["site"] in assessed.found else gone(parameters))

    def gone(parameters):
        raise Error("NoSuchSite", site=parameters["site"])
    assert run(assessed, "security").code == OK and "c.example" not in run(assessed, "security").out
    result = run(assessed, "security", "--json", "a.example", "c.example")
    assert result.code == NO_SITE and result.json[1]["error"] == "io.torpor.NoSuchSite"


def test_threshold(assessed):
    assert run(assessed, "security", "--threshold=23", "a.example").code == OK
    result = run(assessed, "security", "--threshold=22", "a.example")
    assert result.code == FAILED and "a.example: exposure 2.3 is above the threshold 2.2" in result.err
    assert run(assessed, "list", "--threshold=5").code == USAGE
    assert run(assessed, "verify", "--offline", "x").code == USAGE


def test_colours(assessed):
    text = run(assessed, "security", "--color=always").out
    assert "\x1b[32mOK\x1b[0m" in text and "\x1b[31mUNSAFE\x1b[0m" in text
    text = run(assessed, "security", "b.example", "--color=always").out
    assert "\x1b[31m9.5 UNSAFE\x1b[0m" in text
    assert "\x1b" not in run(assessed, "security", "b.example").out


@pytest.mark.parametrize("columns", [50, 80, 200])
def test_fits_the_terminal(assessed, columns):
    terminal = Terminal(assessed, "security", "a.example", columns=columns, rows=20, NO_COLOR="1")
    text = terminal.read_until(r"Exposure of\s+a.example:\s+2.3\s+OK") + terminal.text
    assert terminal.wait() == OK
    lines = text.replace("\r\n", "\n").splitlines()
    assert max(map(len, lines)) <= columns and printable(text.replace("\r\n", "\n"))
    assert any("capabilities-bounding" in line for line in lines) == (columns >= 80)
    assert "…" in text


NONSENSE = {
    "no object": {"security": 7}, "nothing": {}, "empty": {"security": {}},
    "types": {"security": {"name": 1, "exposure": "x", "word": [], "findings": {}}},
    "findings": {"security": {"name": "a", "exposure": 999, "word": "\x1b[2J", "findings": [7, None, {"id": 3}, {
        "id": "\x1b[2J", "weight": -1, "badness": 1e300, "exposure": 10**15, "description": "a\nb"}]}},
}


@pytest.mark.parametrize("name", NONSENSE)
def test_nonsense(assessed, name):
    assessed.on["GetSecurity"] = lambda parameters: NONSENSE[name]
    for arguments in (["a.example"], [], ["--json", "a.example"]):
        assert run(assessed, "security", *arguments).code in (OK, FAILED, UNREACHABLE)
