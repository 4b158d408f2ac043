# SPDX-License-Identifier: LGPL-2.1-or-later
"""What README.md tells an operator to do, word for word, on a host on which torpor has just been installed."""
import os
import shutil
import subprocess

import pytest

from harness import REPOSITORY, http_get
from varlink import TIMEOUT

DONE = ("ninja ", "apt ")  # when the machine was made
ADDRESS = "127.0.0.1:8080"
PAGES = "/srv/www/hello"


def blocks(heading):
    """The indented blocks of a section, without their indentation."""
    text = (REPOSITORY / "README.md").read_text().split(f"\n## {heading}\n")[1].split("\n## ")[0]
    found, last = [], None
    for number, line in enumerate(text.splitlines()):
        if line.startswith("    "):
            if last is None or text.splitlines()[last + 1:number] != [""] * (number - last - 1):
                found.append([])
            found[-1].append(line[4:])
            last = number
    return ["\n".join(block) + "\n" for block in found]


def shell(script):
    result = subprocess.run(["/bin/sh", "-eu"], input=script, capture_output=True, text=True, timeout=TIMEOUT, check=False,
                            env={**os.environ, "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"})
    assert result.returncode == 0, (script, result.stdout, result.stderr)
    return result.stdout


@pytest.fixture
def pages():
    yield
    shutil.rmtree(PAGES, ignore_errors=True)


def test_first_site(torpor, pages):
    """Installed, written, asked for, and looked at by each command that is named."""
    make, look, own = blocks("A first site")
    (torpor.etc / "templates" / "static.template").unlink()  # the tests' own, which hides the one that ships
    shell("\n".join(line for line in make.splitlines() if not line.startswith(DONE)))
    torpor.wait_site("hello")
    assert torpor.status("hello")["state"] == "cold"
    assert http_get(ADDRESS).text == "<h1>hello</h1>\n"
    assert torpor.wakes("hello") == 1
    commands = [line.partition("#")[0].strip() for line in look.splitlines()]
    assert [command.split()[1] for command in commands] == ["list", "status", "why", "verify", "security"]
    for command in commands:
        assert "hello" in (said := shell(command)) or command.split()[1] == "verify", (command, said)
    path = torpor.etc / "sites" / "own.site"
    path.write_text(own)
    shell(f"torporctl verify {path}")
