# SPDX-License-Identifier: LGPL-2.1-or-later
"""The threads of a process as the kernel sees them: what each waits for, and how often it has."""
import os
import pathlib
import re

SANITIZED = os.environ.get("TORPOR_SANITIZED") == "1"
SCHED_OTHER = 0
# System calls that wait, and which of their arguments says how long: without end where it is a null pointer, or -1.
# (asm/unistd.h; the number of the argument counts from 0.)
WAITS = {
    "x86_64": {202: ("futex", 3), 232: ("epoll_wait", 3), 281: ("epoll_pwait", 3), 441: ("epoll_pwait2", 3)},
    "aarch64": {98: ("futex", 3), 22: ("epoll_pwait", 3), 441: ("epoll_pwait2", 3)},
}.get(os.uname().machine, {})
LONG_MS = 300_000  # as good as without end: what sites have cost is written down ten minutes after a change


def read_stack(path):
    """The functions of the kernel that a thread is in, the innermost first; none where the kernel does not say."""
    try:
        return re.findall(r"^\[<0>\] ([^+\n]+)", (path / "stack").read_text(), re.M)
    except PermissionError:
        return []


class Task:
    """One thread, at one moment. Fields that could not be read, as it has ended meanwhile, say so: gone."""

    def __init__(self, path):
        self.number = int(path.name)
        self.gone = False
        try:
            status = (path / "status").read_text()
            self.name = re.search(r"^Name:\t(.*)$", status, re.M)[1]
            self.state = re.search(r"^State:\t(.*)$", status, re.M)[1]
            self.switches = int(re.search(r"^voluntary_ctxt_switches:\t(\d+)$", status, re.M)[1])
            stat = (path / "stat").read_text().rpartition(")")[2].split()
            self.nice, self.policy = int(stat[16]), int(stat[38])
            self.call = (path / "syscall").read_text().split()
            self.stack = read_stack(path)
        except (FileNotFoundError, ProcessLookupError):
            self.gone = True

    @property
    def at_rest(self):
        """It waits, and no time ends that: only what happens does. It has nothing to do that had to be put off either."""
        if self.gone or self.policy != SCHED_OTHER or not self.call[0].isdigit():
            return False
        name, argument = WAITS.get(int(self.call[0]), (None, 0))
        if name is None:
            return False
        until = int(self.call[1 + argument], 16)
        return until >= LONG_MS if name in ("epoll_wait", "epoll_pwait") else until == 0  # -1 is large, too

    def __str__(self):
        if self.gone:
            return f"{self.number}: has ended"
        number = self.call[0]
        name = WAITS[int(number)][0] if number.isdigit() and int(number) in WAITS else f"system call {number}"
        return (f"{self.number} {self.name}: {self.state}, {name}({', '.join(self.call[1:7])}), "
                f"policy {self.policy}, nice {self.nice}, {self.switches} waits; {' < '.join(self.stack)}")


def tasks(pid):
    """Of all threads of a process, by number; none where it has ended."""
    path = pathlib.Path(f"/proc/{pid}/task")
    try:
        return {int(name): Task(path / name) for name in sorted(os.listdir(path), key=int)}
    except FileNotFoundError:
        return {}


def of_the_sanitizer(task, found, pid):
    """ThreadSanitizer has a thread of its own, the first that is started, which never rests."""
    return SANITIZED and task.number == min(found.keys() - {pid}, default=0) and not task.gone and \
        task.name == found[pid].name


def rest(pid, name=None):
    """The threads of a process of whose past nothing more comes: all of them rest (see Task.at_rest), at one and the same
    moment, which is that between two looks that find the same. None: it is not at rest. With a name, only those that are
    called so are looked at."""
    looks = []
    for _ in range(2):
        found = tasks(pid)
        looks.append({number: task for number, task in found.items() if not of_the_sanitizer(task, found, pid) and
                      (name is None or not task.gone and task.name == name)})
    first, second = looks
    if first.keys() == second.keys() and all(task.at_rest and second[number].at_rest and
                                             task.switches == second[number].switches
                                             for number, task in first.items()):
        return second
    return None


def describe(pid):
    return "\n".join(str(task) for task in tasks(pid).values())
