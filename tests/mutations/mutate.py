#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Takes protections out, one at a time, and sees the tests fail that are there for them.

    mutate.py [-k WORD]... [--vm] [--list | --check]

Works on a copy of the sources, with a build of its own. Of table.py each mutation whose name or T number has a WORD in
it is applied, built, tested and taken back; all of their tests must pass before. With --vm the tests are those that run
in the machine of tests/vm, and the mutations those that such a test is there for; without, all others. The exit code is
1 when one survives: a test that cannot fail is a defect. --check only looks whether all that they take out is there."""
import argparse
import dataclasses
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
VM = "vm:"
BOOTS = {"selinux/": "selinux"}  # where a test of tests/vm is -> the boot that runs it, if not the usual one
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
        (ROOT / "build-vm").mkdir(exist_ok=True)  # the base of the machine's disk is the same
        (self.source / "build-vm").symlink_to(ROOT / "build-vm")

    @staticmethod
    def run(command):
        done = subprocess.run(command, check=False, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        if done.returncode:
            raise RuntimeError(f"{' '.join(map(str, command))}:\n{done.stdout}")
        return done.stdout

    def make(self, killers):
        units = [f"tests/unit/test-{name.removeprefix('unit:')}" for name in killers if name.startswith("unit:")]
        whole = any(name.startswith(VM) for name in killers)  # what is installed in the machine
        self.run(["ninja", "-C", self.build, "--quiet", *([] if whole else self.targets + units)])

    def failing(self, killers):
        """Those of the tests of which a case fails, and those that did not run."""
        found, missing = set(), set()
        units = {name for name in killers if name.startswith("unit:")}
        machine = [name for name in killers if name.startswith(VM)]
        for name in units:
            path = self.build / "tests/unit" / f"test-{name.removeprefix('unit:')}"
            if subprocess.run([path], check=False, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL).returncode:
                found.add(name)
        system = [name for name in killers if name not in units and name not in machine]
        for cases, names in ((self.run_system, system), (self.run_machine, machine)):
            for name, own in cases(names):
                if not [case for case in own if case.find("skipped") is None]:
                    missing.add(name)
                if any(case.find("failure") is not None or case.find("error") is not None for case in own):
                    found.add(name)
        return found, missing

    def run_system(self, names):
        """Each test with its cases, parameters and all."""
        if not names:
            return []
        junit = self.build / "junit.xml"
        command = ["/usr/bin/python3", "-m", "pytest", "-q", "-p", "no:cacheprovider", f"--junitxml={junit}",
                   *(str(self.source / "tests/system" / name) for name in names)]
        return self.cases(junit, command, names, TORPOR_TIMEOUT="10")

    def run_machine(self, names):
        """The same in the machine: a boot for each of its kinds that the tests want."""
        found, boots = [], {}
        for name in names:
            file = name.removeprefix(VM)
            boots.setdefault(next((boot for place, boot in BOOTS.items() if file.startswith(place)), "apparmor"), []).append(name)
        for boot, own in boots.items():
            command = ["/usr/bin/python3", str(self.source / "tests/vm/host/vm.py"), "test", f"--boot={boot}", "-k",
                       " or ".join(sorted({name.partition("::")[2] for name in own}))]
            found += self.cases(self.build / "vm.junit.xml", command, own)
        return found

    def cases(self, junit, command, names, **environment):
        junit.unlink(missing_ok=True)
        subprocess.run(command, check=False, cwd=self.source, env={**os.environ, "TORPOR_BUILD": str(self.build), **environment},
                       stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        cases = list(xml.etree.ElementTree.parse(junit).iter("testcase")) if junit.exists() else []
        for name in names:
            file, function = name.removeprefix(VM).removesuffix("]").split("::")
            yield name, [case for case in cases
                         if case.get("classname", "").removesuffix(".py").endswith(pathlib.Path(file).stem) and
                         re.match(rf"{re.escape(function)}(\[|$)", case.get("name", ""))]

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


def seen_by(mutation, machine):
    """A mutation with those of its tests that run in the machine, or with the others."""
    return dataclasses.replace(mutation, killers=[name for name in mutation.killers if name.startswith(VM) == machine])


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("-k", action="append", metavar="WORD", help="only those with this word in the name or number")
    parser.add_argument("--vm", action="store_true", help="the tests in the machine, and what they are there for")
    parser.add_argument("--list", action="store_true", help="print the table")
    parser.add_argument("--check", action="store_true", help="look whether the sources have what the table takes out")
    arguments = parser.parse_args()
    chosen = [mutation for mutation in MUTATIONS
              if not arguments.k or any(word in f"{mutation.test} {mutation.name}" for word in arguments.k)]
    if arguments.list:
        for mutation in chosen:
            print(f"{mutation.test}  {mutation.name}: {', '.join(mutation.killers)}")
        return 0
    if arguments.check:
        stale = [f"{mutation.test}  {mutation.name}: {file} has this {found} times: {old}" for mutation in chosen
                 for file, old, _ in mutation.edits if (found := (ROOT / file).read_text().count(old)) != 1]
        print("\n".join(stale), end="\n" * bool(stale))
        return 1 if stale else 0
    chosen = [mutation for mutation in (seen_by(mutation, arguments.vm) for mutation in chosen) if mutation.killers]
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
