#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""What sites on one image take of disk and page cache, by the count of pages that the kernel holds: each site is asked
which pages of the image's files are in memory (mincore(2)), and whose they are. Judges nothing.

    images.py [--sites N] [--overlay none|tmpfs] [--json FILE]        TORPOR_BUILD is the build directory
"""
import argparse
import contextlib
import json
import mmap
import os
import pathlib
import sys
import tempfile
import time

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "system"))

import measure  # noqa: E402
from harness import BUILD, TORPORD, Instance, http_get  # noqa: E402
from pagecache import inode, read_whole, resident_pages  # noqa: E402
from rootfs import EXEC, make_image, make_root  # noqa: E402

FILES = ("bin/probe-server", "data/file", "etc/os-release")
DATA_BYTES = 64 << 20


def say(text):
    print(f"[{time.monotonic() - STARTED:6.1f} s] {text}", file=sys.stderr, flush=True)


def pages_of(root):
    """(file system and inode, pages in memory) of the image's files, as one site has them."""
    return {(name, inode(root / name)[1]): resident_pages(root / name)[0] for name in FILES}


def device_of(pid):
    """The superblock of the image that is the lowest of a site's root, as the kernel numbers it."""
    lines = pathlib.Path(f"/proc/{pid}/mountinfo").read_text().splitlines()
    return {line.split()[2] for line in lines if " - erofs " in line or " - squashfs " in line}


def run(stack, kind, sites, overlay):
    folder = pathlib.Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="torpor-bench-")))
    folder.chmod(0o755)
    root = make_root(folder / "root")
    (root / "data/file").write_bytes(os.urandom(DATA_BYTES))
    image = make_image(root, folder / f"image.{kind}")
    torpor = Instance()
    stack.callback(torpor.destroy)
    keys = {"RootImage": image, "Overlay": overlay, "StandardOutput": "null"}
    addresses = {f"site-{number}": torpor.add_site(f"site-{number}", template=None, exec_start=EXEC, container=keys)
                 for number in range(sites)}
    torpor.start()
    stack.callback(torpor.stop)
    say(f"{kind}: {sites} sites")
    for name, address in addresses.items():
        http_get(address)
    pids = [torpor.wait_state(name, "awake") and torpor.status(name)["pid"] for name in addresses]
    roots = [pathlib.Path(f"/proc/{pid}/root") for pid in pids]
    read_whole(roots[0] / "data/file")
    seen = [pages_of(path) for path in roots]
    return {"image": kind, "overlay": overlay, "sites": sites, "image_bytes": image.stat().st_size,
            "disk_bytes": image.stat().st_blocks * 512,
            "superblocks": len(set().union(*(device_of(pid) for pid in pids))),
            "different_answers": len({tuple(sorted(answer.items())) for answer in seen}),
            "file_bytes_in_memory": sum(seen[0].values()) * mmap.PAGESIZE,
            "image_file_bytes_in_memory": resident_pages(image)[0] * mmap.PAGESIZE}


def table(rows):
    lines = [f"{'image':10}{'sites':>7}{'on disk':>12}{'superblocks':>13}{'answers':>9}{'pages of its files':>20}"
             f"{'of itself':>12}"]
    for row in rows:
        lines.append(f"{row['image']:10}{row['sites']:>7}{row['disk_bytes'] / 2**20:>8.1f} MiB{row['superblocks']:>13}"
                     f"{row['different_answers']:>9}{row['file_bytes_in_memory'] / 2**20:>16.1f} MiB"
                     f"{row['image_file_bytes_in_memory'] / 2**20:>8.1f} MiB")
    lines.append("answers: in how many ways the sites see which pages of which inodes are in memory")
    return "\n".join(lines)


def main():
    parser = argparse.ArgumentParser(description="Counts the copies of an image that many sites have as their root.")
    parser.add_argument("--sites", type=int, default=1000, help="that run at once (default: 1000)")
    parser.add_argument("--overlay", choices=("none", "tmpfs"), default="none", help="of each site (default: none)")
    parser.add_argument("--json", type=pathlib.Path, metavar="FILE",
                        help="where the results go (default: tests/bench/results/images-DATE.json)")
    options = parser.parse_args()
    if os.geteuid() != 0 or not TORPORD.exists():
        parser.error(f"needs root and {TORPORD}")
    results = {"machine": measure.machine(BUILD), "rows": []}
    for kind in ("erofs", "squashfs"):
        with contextlib.ExitStack() as stack:
            results["rows"].append(run(stack, kind, options.sites, options.overlay))
    path = options.json or HERE / "results" / f"images-{results['machine']['date'].replace(':', '')}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(results, indent=1) + "\n")
    print(table(results["rows"]))
    print(f"\nresults: {path}")
    return 0


STARTED = time.monotonic()
if __name__ == "__main__":
    sys.exit(main())
