# SPDX-License-Identifier: LGPL-2.1-or-later
"""What a site may ask of the kernel: a probe tries everything from inside. golden/NAME.txt holds the answers; run with
GOLDEN_UPDATE=1 to write them anew. Each protection is seen to be the filter's: with its key loosened, or outside of any
container, the same try has another answer."""
import os
import pathlib
import platform
import re
import subprocess

import pytest

from client import connect
from harness import HELPERS, site_text

GOLDEN = pathlib.Path(__file__).with_name("golden")
UPDATE = os.environ.get("GOLDEN_UPDATE") == "1"
MARK = "EXFULL"  # an error that no call of the probe has by itself

HAZARDS = ("add_key bpf io_uring_enter io_uring_register io_uring_setup keyctl perf_event_open process_vm_readv "
           "process_vm_writev ptrace request_key userfaultfd")
LOOSENED = {"SystemCallFilter": ["@known", HAZARDS], "RestrictNamespaces": "no",
            "RestrictAddressFamilies": ["~", "AF_ALG AF_PACKET AF_VSOCK"]}
RESTRICTED = {"RestrictAddressFamilies": "AF_UNIX AF_INET", "LockPersonality": "yes", "MemoryDenyWriteExecute": "yes",
              "RestrictRealtime": "yes", "RestrictSUIDSGID": "yes",
              "SystemCallFilter": "~@keyring:EACCES socketpair:kill"}
# What a call that the filter lets through comes to depends on the machine: that it is let through is what counts.
KERNELS_OWN = {"socket AF_ALG", "socket AF_VSOCK", "add_key", "bpf", "io_uring_setup", "perf_event_open", "userfaultfd"}

pytestmark = pytest.mark.skipif(platform.machine() != "x86_64", reason="the golden files are of x86-64")


@pytest.fixture
def probe(torpor):
    """The answers of the probe in a site with the given [Container] keys."""
    def ask(*what, **container):
        address = torpor.address()
        container = {"BindReadOnlyPaths": f"{HELPERS}:/helpers", **container}
        torpor.write_site("a", site_text(address, template=None, container=container,
                                         exec_start=f"/helpers/syscall-probe {' '.join(what)}"))
        torpor.start()
        with connect(address, timeout=60) as connection:
            text = b"".join(iter(lambda: connection.recv(65536), b"")).decode()
        return answers(text)
    return ask


def answers(text):
    return dict(re.fullmatch(r"(.*): (.*)", line).groups() for line in text.splitlines())


def outside(*what):
    """The same without a container: as nobody, without capabilities, with no_new_privs."""
    return answers(subprocess.run(
        ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "--bounding-set=-all", "--inh-caps=-all",
         "--no-new-privs", HELPERS / "syscall-probe", *what], check=True, text=True, capture_output=True).stdout)


def check_golden(name, text):
    path = GOLDEN / f"{name}.txt"
    if UPDATE:
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
    assert text == path.read_text()


def lines(found):
    return "".join(f"{name}: {answer}\n" for name, answer in found.items())


def refused_calls():
    """The numbers that a site may not call."""
    return {int(line.split()[0]) for line in (GOLDEN / "syscalls-refused.txt").read_text().splitlines()}


def call_names():
    """Number -> name, for who reads the file: headers may not know the newest."""
    text = pathlib.Path("/usr/include/x86_64-linux-gnu/asm/unistd_64.h").read_text()
    return {int(number): name for name, number in re.findall(r"#define __NR_(\w+) (\d+)", text)}


def test_uses_by_default(probe):
    """T27: what programs would do with what they may not, as they do it."""
    check_golden("syscalls-default", lines(probe("uses")))


def test_uses_loosened(probe):
    """Every key loosened by its name: nothing of the filter is left but what has no key."""
    found = probe("uses", **LOOSENED)
    for name in KERNELS_OWN:
        assert found.pop(name) not in ("ENOSYS", "EAFNOSUPPORT" if name == "socket AF_VSOCK" else ""), name
    check_golden("syscalls-loosened", lines(found))


def test_uses_restricted(probe):
    check_golden("syscalls-restricted", lines(probe("uses", **RESTRICTED)))


def test_protections_are_the_filter_s():
    """What is refused in a site works outside of it, on this very kernel: no test passes for want of the call."""
    found, refused = outside("uses"), {}
    for line in (GOLDEN / "syscalls-default.txt").read_text().splitlines():
        name, answer = line.split(": ")
        if answer in ("EPERM", "ENOSYS", "EAFNOSUPPORT") and found[name] == answer:
            refused[name] = answer
    # A kernel may have no x32 ABI and no AF_ALG; SCHED_FIFO takes a limit that not every machine may raise. The filter's
    # own answer to them is seen in tests/unit/test-syscalls.c.
    assert set(refused) <= {"x32 getpid", "socket AF_ALG", "sched_setscheduler SCHED_FIFO"}, refused


def test_every_call(probe):
    """T27: of all numbers exactly those of the golden file are refused, as the error that the unit chose shows."""
    found = probe("calls", SystemCallErrorNumber=MARK)
    refused = {int(number) for number, answer in found.items() if answer == MARK}
    if UPDATE:
        names = call_names()
        (GOLDEN / "syscalls-refused.txt").write_text(
            "".join(f"{number} {names.get(number, '')}".strip() + "\n" for number in sorted(refused)))
    assert refused == refused_calls()


def test_every_refused_call_by_default(probe):
    """T27: and by default as calls that this kernel does not have."""
    found = probe("calls")
    for number in refused_calls():
        assert found[str(number)] == "ENOSYS", number


def test_every_refused_call_loosened(probe):
    """And none of them is when the unit names them all."""
    found = probe("calls", SystemCallErrorNumber=MARK, **LOOSENED)
    assert [number for number, answer in found.items() if answer == MARK] == []


def test_a_list_that_allows_kills(probe):
    """As systemd: what the unit's list leaves out ends the process, what torpor never lets in is absent."""
    found = probe("uses", SystemCallFilter=["@system-service", "~@ipc", "pipe2"])
    assert found["shmat"] == found["process_vm_readv"] == "SIGSYS"
    assert found["openat 0755"] == found["clone"] == found["sched_setattr"] == "ok"
    assert found["keyctl"] == found["io_uring_setup"] == found["ptrace"] == found["bpf"] == "ENOSYS"


@pytest.mark.parametrize("user", ["nobody", "root"])
def test_smallest_list(probe, user):
    """A program that needs little may be allowed little: the launcher itself needs no more."""
    found = probe("uses", User=user, SystemCallFilter="@default read write fork clone wait4 accept4 fstat fcntl alarm kill "
                  "rt_sigprocmask", SystemCallErrorNumber=MARK)
    assert found["socket AF_UNIX"] == found["openat 0755"] == found["setns any"] == MARK
    assert found["clone"] == "ok"


def test_what_killed_it_is_said(torpor):
    """A list that a program does not get along with: the log names the key to look at."""
    address = torpor.address()
    torpor.write_site("a", site_text(address, exec_start="/helpers/probe-server",
                                     container={"SystemCallFilter": "read"}))
    torpor.start()
    with connect(address):
        torpor.wait_log(r"site a: was killed by signal Bad system call \(see SystemCallFilter=\)")
