# SPDX-License-Identifier: LGPL-2.1-or-later
"""T30: who takes all he can get, and what becomes of his neighbours. What takes a controller of cgroup v2 is in
tests/vm: test_hogs.py, test_limits.py."""
import os

import pytest

from harness import HELPERS, SANITIZED, http_get, site_text
from leaks import memory_kb
from rootfs import libc, make_root
from test_tenants import receive

GROWTH_KB = 262144 if SANITIZED else 4096  # a sanitizer keeps what has been freed: ASan 256 MiB of it


def test_log(torpor):
    """T30: output does not pass through torpord: a log that nobody reads holds the one who writes it, and nobody else."""
    log = torpor.directory / "log.pipe"
    os.mkfifo(log)
    reader = os.open(log, os.O_RDONLY | os.O_NONBLOCK)
    try:
        torpor.add_site("a", exec_start="/helpers/hog log", container={"StandardOutput": f"file:{log}"})
        other = torpor.add_site("b")
        torpor.start()
        torpor.visit("b", other)
        before = memory_kb(torpor)
        torpor.call("Wake", site="a")
        for _ in range(100):
            assert http_get(other).status == 200
        assert os.read(reader, 65536).startswith(b"x" * 4095)
        assert torpor.state("a") == "awake" and memory_kb(torpor) < before + GROWTH_KB
        torpor.call("Stop", site="a")
        assert torpor.processes("a") == []
    finally:
        os.close(reader)


@pytest.mark.parametrize("command, container", [("notify", {"NotifyAccess": "all"}), ("inotify /tmp", {})])
def test_daemon(torpor, command, container):
    """T30: what torpord hears or watches itself: messages, and events of files. It has time for others, and grows no
    larger."""
    torpor.add_site("a", exec_start=f"/helpers/hog {command}", container=container)
    other, cold = torpor.add_site("b"), torpor.add_site("c")
    torpor.start()
    torpor.visit("b", other)
    torpor.visit("c", cold)
    torpor.call("Stop", site="c")
    before = memory_kb(torpor)
    torpor.call("Wake", site="a")
    for _ in range(10):
        assert http_get(other).status == 200
        torpor.visit("c", cold)
        torpor.call("Stop", site="c")
    assert torpor.state("a") == "awake" and memory_kb(torpor) < before + GROWTH_KB
    torpor.call("Stop", site="a")
    assert torpor.processes("a") == []


@pytest.fixture
def instances(torpor):
    """How many inotify instances a site with a user namespace can have. It keeps them."""
    root = make_root(torpor.directory / "root")
    (root / "helpers").mkdir()

    def ask(name):
        address = torpor.address()
        container = {"RootDirectory": root, "PrivateUsers": "yes", "BindReadOnlyPaths": f"{HELPERS}:/helpers"}
        torpor.write_site(name, site_text(address, template=None, container=container,
                                          exec_start="/helpers/container-probe inotify"))
        if not torpor.running:
            torpor.start()
        torpor.wait_site(name)
        return receive(address)
    return ask


def test_inotify(torpor, instances):
    """T30: what a site's users may have is theirs: as little is left to nobody, not even to root, in whose name the
    namespace was made."""
    assert instances("a") == instances("b") == "16 EMFILE\n"
    own = libc.inotify_init1(0)
    assert own >= 0
    os.close(own)
