# SPDX-License-Identifier: LGPL-2.1-or-later
"""A swap of the test's own, in compressed memory: a zram device made for it. The swap is the whole machine's, so
that a test with one has to be alone."""
import contextlib
import pathlib
import subprocess

CONTROL = pathlib.Path("/sys/class/zram-control")


@contextlib.contextmanager
def swap(megabytes):
    """Whether there is one: False where this kernel has no zram."""
    if not CONTROL.is_dir():
        subprocess.run(["modprobe", "zram"], check=False, capture_output=True)
    if not CONTROL.is_dir():
        yield False
        return
    number = (CONTROL / "hot_add").read_text().strip()
    device = f"/dev/zram{number}"
    try:
        pathlib.Path(f"/sys/block/zram{number}/disksize").write_text(f"{megabytes}M")
        subprocess.run(["mkswap", device], check=True, capture_output=True)
        subprocess.run(["swapon", device], check=True)
        try:
            yield True
        finally:
            subprocess.run(["swapoff", device], check=True)
    finally:
        (CONTROL / "hot_remove").write_text(number)
