#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Takes protections out, one at a time, and sees the tests fail that are there for them.

    mutate.py [-k WORD]... [--list]

Works on a copy of the sources, with a build of its own. Of table.py each mutation whose name or T number has a WORD in
it is applied, built, tested and taken back; all of their tests must pass before. The exit code is 1 when one survives:
a test that cannot fail is a defect."""
import argparse
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import xml.etree.ElementTree

from table import MUTATIONS

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
TARGETS = ["daemon/core/torpord", "daemon/ctl/torporctl", "daemon/unpack/torpor-unpack"]


class Copy:
    """The sources and a build of them."""

    def __init__(self, folder):
        self.source, self.build = folder / "source", folder / "build"
        files = subprocess.run(["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"], cwd=ROOT, check=True, capture_output=True).stdout
        for name in files.decode().split("\0")[:-1]:
            if (ROOT / name).exists():
                (self.source / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(ROOT / name, self.source / name, follow_symlinks=False)
        # What a mutation leaves unused is no error.
        self.run(["meson", "setup", "-Dwarning_level=0", "-Dwerror=false", self.build, self.source])
        helpers = re.findall(r"^(tests/helpers/[\w-]+(?:\.so)?): \w", self.run(["ninja", "-C", self.build, "-t", "targets", "all"]),
                             re.MULTILINE)
        self.targets = TARGETS + helpers

    @staticmethod
    def run(command):
        done = subprocess.run(command, check=False, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        if done.returncode:
            raise RuntimeError(f"{' '.join(map(str, command))}:\n{done.stdout}")
        return done.stdout

    def make(self, killers):
        units = [f"tests/unit/test-{name.removeprefix('unit:')}" for name in killers if name.startswith("unit:")]
        self.run(["ninja", "-C", self.build, "--quiet", *self.targets, *units])

    def failing(self, killers):
        """Those of the tests of which a case fails, and those that did not run."""
        found, missing = set(), set()
        system = [name for name in killers if not name.startswith("unit:")]
        for name in set(killers) - set(system):
            path = self.build / "tests/unit" / f"test-{name.removeprefix('unit:')}"
            if subprocess.run([path], check=False, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL).returncode:
                found.add(name)
        if system:
            junit = self.build / "junit.xml"
            junit.unlink(missing_ok=True)
            subprocess.run(["/usr/bin/python3", "-m", "pytest", "-q", "-p", "no:cacheprovider", f"--junitxml={junit}",
                            *(str(self.source / "tests/system" / name) for name in system)], check=False, cwd=self.source,
                           env={**os.environ, "TORPOR_BUILD": str(self.build), "TORPOR_TIMEOUT": "10"},
                           stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
            cases = list(xml.etree.ElementTree.parse(junit).iter("testcase")) if junit.exists() else []
            for name in system:
                file, function = name.removesuffix("]").split("::")
                own = [case for case in cases if case.get("classname", "").endswith(f"{pathlib.Path(file).stem}") and
                       re.match(rf"{re.escape(function)}(\[|$)", case.get("name", ""))]
                if not [case for case in own if case.find("skipped") is None]:
                    missing.add(name)
                if any(case.find("failure") is not None or case.find("error") is not None for case in own):
                    found.add(name)
        return found, missing

    def apply(self, mutation):
        """Returns what takes it back."""
        before = {}
        for file, old, new in mutation.edits:
            path = self.source / file
            text = path.read_text()
            before.setdefault(path, text)
            if text.count(old) != 1:
                raise RuntimeError(f"{file} has this {text.count(old)} times: {old}")
            path.write_text(text.replace(old, new))
        return before


def try_one(copy, mutation):
    """What became of it, and whether that is well."""
    before = {}
    try:
        before = copy.apply(mutation)
        copy.make(mutation.killers)
        found, _ = copy.failing(mutation.killers)
    except RuntimeError as error:
        return f"NOT TRIED: {error}", False
    finally:
        for path, text in before.items():
            path.write_text(text)
    survived = [name for name in mutation.killers if name not in found]
    return (f"SURVIVES {', '.join(survived)}", False) if survived else ("seen", True)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("-k", action="append", metavar="WORD", help="only those with this word in the name or number")
    parser.add_argument("--list", action="store_true", help="print the table")
    arguments = parser.parse_args()
    chosen = [mutation for mutation in MUTATIONS
              if not arguments.k or any(word in f"{mutation.test} {mutation.name}" for word in arguments.k)]
    if arguments.list:
        for mutation in chosen:
            print(f"{mutation.test}  {mutation.name}: {', '.join(mutation.killers)}")
        return 0
    with tempfile.TemporaryDirectory(prefix="torpor-mutations-") as folder:
        copy = Copy(pathlib.Path(folder))
        killers = sorted({name for mutation in chosen for name in mutation.killers})
        copy.make(killers)
        found, missing = copy.failing(killers)
        if found or missing:
            print(f"without any mutation: fail {sorted(found)}, do not run {sorted(missing)}")
            return 1
        good = 0
        for mutation in chosen:
            outcome, well = try_one(copy, mutation)
            good += well
            print(f"{mutation.test}  {mutation.name}: {outcome}", flush=True)
    print(f"{good} of {len(chosen)} protections taken out were seen to be missing by {len(killers)} tests")
    return 0 if chosen and good == len(chosen) else 1


if __name__ == "__main__":
    sys.exit(main())
