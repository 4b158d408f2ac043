# SPDX-License-Identifier: LGPL-2.1-or-later
"""The machine of the tests: QEMU, in software, so that it is the same wherever it runs. It has no network."""
import os
import select
import subprocess
import time

CPUS = 2
MEMORY_MB = 2048
KERNEL_OPTIONS = ("root=/dev/nvme0n1 rw console=ttyS0 mitigations=off nowatchdog rcupdate.rcu_cpu_stall_suppress=1 panic=-1 "
                  "TERM=dumb")
# A kernel has one of the two at a time. guest.py knows what there is to run in each.
BOOTS = {"apparmor": "apparmor=1 torpor.boot=apparmor", "selinux": "security=selinux selinux=1 torpor.boot=selinux"}


def command(disks, *options, boot, kernel_options=""):
    # Whoever started it may be killed: the machine goes as well.
    return ["nice", "-n", "19", "setpriv", "--pdeathsig", "KILL", "qemu-system-x86_64", "-accel",
            "tcg,thread=multi,tb-size=256", "-machine", "q35", "-smp", str(CPUS), "-m", str(MEMORY_MB), "-nodefaults", "-no-user-config", "-display", "none", "-no-reboot",
            "-kernel", str(disks.kernel), "-append", f"{KERNEL_OPTIONS} {BOOTS[boot]} {kernel_options}",
            # Each boot finds them as they were made. Nothing needs to reach this host's disk.
            "-drive", f"file={disks.disk},format=raw,if=none,id=disk,cache=unsafe,snapshot=on",
            "-drive", f"file={disks.swap},format=raw,if=none,id=swap,cache=unsafe,snapshot=on",
            "-device", "nvme,id=nvme,serial=torpor", "-device", "nvme-ns,drive=disk,bus=nvme,nsid=1",
            "-device", "nvme-ns,drive=swap,bus=nvme,nsid=2", "-device", "virtio-rng-pci", *options]


def shell(disks, boot):
    """Boots into a shell on this terminal; returns when the machine has been turned off."""
    return subprocess.run(command(disks, "-serial", "mon:stdio", boot=boot, kernel_options="torpor.shell quiet"),
                          check=False).returncode


class Silent(Exception):
    """The machine has said nothing for too long."""


class Machine:
    """A machine that runs the tests. Its first serial line is the console, the second its reports."""

    def __init__(self, disks, boot, console_path):
        self.console_path = console_path
        with open(console_path, "wb") as console:
            self.process = subprocess.Popen(
                command(disks, "-serial", f"file:{console_path}", "-serial", "stdio", boot=boot), stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE, stderr=console)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()
        self.process.stdout.close()

    def reports(self, silence_s, total_s):
        """Yields the lines that the tests write. Silent when none has come for silence_s, or the last not within
        total_s; ends when the machine does."""
        buffer, fd = bytearray(), self.process.stdout.fileno()
        end = time.monotonic() + total_s
        while True:
            deadline = min(end, time.monotonic() + silence_s)
            while (newline := buffer.find(b"\n")) < 0:
                left = deadline - time.monotonic()
                if left <= 0 or not select.select([fd], [], [], left)[0]:
                    raise Silent(f"nothing from the machine for {silence_s} s" if deadline < end
                                 else f"the machine is not done in {total_s} s")
                data = os.read(fd, 65536)
                if not data:
                    return
                buffer += data
            yield bytes(buffer[:newline]).strip(b"\r").decode(errors="replace")
            del buffer[:newline + 1]

    def console_tail(self, lines=60):
        text = self.console_path.read_text(errors="replace")
        return "\n".join([line for line in text.replace("\r", "").splitlines() if line][-lines:])
