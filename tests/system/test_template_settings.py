# SPDX-License-Identifier: LGPL-2.1-or-later
"""What the heads of the shipped templates, the examples and the manual page say can be set, with the servers of Debian's
packages."""
import base64
import concurrent.futures
import hashlib
import json
import pathlib
import pwd
import re
import subprocess
import sys

import pytest

from databases import Memcached, Redis
from harness import BUILD, REPOSITORY, connect, http_get, wait_until
from servers import NEVER, TEMPLATES, Apache, Java, Node, Php, Static, add_site, install_templates

MIB = 1024 * 1024
VISITOR = {"X-Forwarded-For": "203.0.113.7"}
MAY_CONNECT = "import socket, sys; socket.socket(socket.AF_UNIX).connect(sys.argv[1])"


@pytest.fixture
def www(torpor):
    """Where sites' folders lie."""
    install_templates(torpor)
    return torpor.directory / "www"


def template_text(template):
    return (TEMPLATES / f"{template}.template").read_text()


def suggested(template, start):
    """The assignments that the head suggests and that begin so, as they are written there."""
    return re.findall(rf'^#.*?Environment=("{start}.*?"|{start}\S+)', template_text(template), re.M)


def memory_max(template):
    return int(re.search(r"^MemoryMax=(\d+)M$", template_text(template), re.M)[1]) * MIB


# Who may do what.

def may_connect(user, address):
    owner = pwd.getpwnam(user)
    return subprocess.run(["setpriv", f"--reuid={owner.pw_uid}", f"--regid={owner.pw_gid}", "--clear-groups",
                           sys.executable, "-c", MAY_CONNECT, address], check=False, cwd="/",
                          capture_output=True).returncode == 0


@pytest.mark.parametrize("kind", [Redis(), Memcached()], ids=["redis", "memcached"])
def test_those_without_a_password(torpor, www, kind):
    """Root's own, and a group's that the site names."""
    assert "SocketGroup=www-data" in template_text(kind.template)
    own = add_site(torpor, www, kind, "own")
    shared = add_site(torpor, www, kind, "shared", socket={"SocketGroup": "www-data"})
    torpor.start()
    for name, address in (("own", own), ("shared", shared)):
        kind.check(kind.get(address, name))
    users = ("root", "www-data", "nobody")
    assert [may_connect(user, own) for user in users] == [True, False, False]
    assert [may_connect(user, shared) for user in users] == [True, True, False]
