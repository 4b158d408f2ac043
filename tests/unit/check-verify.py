#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Tests torpord --verify from outside: what it says of files, folders and names, and its exit codes.

    check-verify.py TORPORD"""
import json
import os
import pathlib
import subprocess
import sys
import tempfile
import unittest

GOOD = "[Socket]\nListenStream=@{0}\n[Container]\nExecStart=/bin/true\n"


class Verify(unittest.TestCase):
    torpord = None

    def setUp(self):
        folder = tempfile.TemporaryDirectory(prefix="torpor-test-")
        self.addCleanup(folder.cleanup)
        self.root = pathlib.Path(folder.name)
        for name in ("etc", "run", "lib"):
            (self.root / name / "sites").mkdir(parents=True)
            (self.root / name / "templates").mkdir()

    def write(self, name, text):
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return str(path)

    def run_verify(self, *arguments):
        folders = [f"--{name}={self.root / name}" for name in ("etc", "run", "lib")]
        return subprocess.run([self.torpord, *folders, "--verify", *arguments], capture_output=True, check=False)

    def verify(self, *arguments, errors=()):
        """The errors, in their order, as people read them, and as JSON."""
        done = self.run_verify(*arguments)
        lines = [line for line in done.stderr.decode().splitlines() if ": warning: " not in line]
        self.assertEqual(len(lines), len(errors), done.stderr)
        for line, expected in zip(lines, errors):
            self.assertIn(expected, line)
        self.assertEqual(done.returncode, 1 if errors else 0)
        self.assertEqual(done.stdout.endswith(b" units checked, no error\n"), not errors)
        done_json = self.run_verify("--json", *arguments)
        listed = json.loads(done_json.stdout)
        self.assertEqual(done_json.returncode, done.returncode)
        self.assertEqual(len(listed), len(errors), listed)
        for error in listed:
            self.assertEqual(set(error), {"file", "line", "message"})
        return done, listed

    def test_good_site(self):
        done, _ = self.verify(self.write("a.site", GOOD.format("a")))
        self.assertEqual(done.stdout, b"1 units checked, no error\n")
        self.assertEqual(done.stderr, b"")

    def test_error_has_file_and_line(self):
        path = self.write("a.site", "[Socket]\nListenStraem=80\n[Container]\nExecStart=/x\n")
        _, listed = self.verify(path, errors=[f"{path}:2: "])
        self.assertEqual((listed[0]["file"], listed[0]["line"]), (path, 2))
        self.assertIn("ListenStraem", listed[0]["message"])

    def test_all_errors_of_all_files(self):
        paths = [self.write(f"{name}.site", text) for name, text in
                 (("a", "[Nosuch]\nA=1\n"), ("b", GOOD.format("b")), ("c", GOOD.format("c") + "User=torpor-nosuch\n"))]
        self.verify(*paths, errors=[f"{paths[0]}:2: ", "User=torpor-nosuch: no such user"])

    def test_template_of_lookup_folders(self):
        self.write("lib/templates/base.template", "[Container]\nExecStart=/bin/true\nNosuch=1\n")
        path = self.write("a.site", "[Site]\nTemplate=base\n[Socket]\nListenStream=@a\n")
        self.verify(path, errors=[f"{self.root}/lib/templates/base.template:3: "])
        self.verify(str(self.root / "lib/templates/base.template"), errors=["base.template:3: "])
        self.write("lib/templates/base.template", "[Container]\nExecStart=/bin/true\n")
        self.verify(path)
        self.write("lib/templates/base.template", "")
        self.verify(path, errors=["base"])

    def test_drop_ins(self):
        path = self.write("a.site", GOOD.format("a"))
        drop_in = self.write("a.site.d/x.conf", "[Container]\nNosuch=1\n")
        self.verify(path, errors=[f"{drop_in}:2: "])
        self.verify(drop_in, errors=[f"{drop_in}:2: "])
        # Half a unit is enough for one.
        self.write("a.site.d/x.conf", "[Container]\nUMask=0077\n")
        self.verify(path, drop_in)

    def test_folder(self):
        self.write("sites/b.site", GOOD.format("b") + "Nosuch=1\n")
        self.write("sites/a.site", GOOD.format("a") + "Nosuch=1\n")
        self.write("sites/notes.txt", "not a unit")
        self.write("sites/.hidden.site", "not a unit")
        self.write("templates/t.template", "[Nosuch]\nA=1\n")
        self.write("sites/a.site.d/x.conf", "[Container]\nUMask=0077\n")
        self.verify(f"{self.root}/sites", f"{self.root}/templates",
                    errors=["a.site:5: ", "b.site:5: ", "t.template:2: "])

    def test_folder_that_contains_itself(self):
        self.write("sites/a.site", GOOD.format("a"))
        os.symlink(".", self.root / "sites" / "loop")
        self.assertEqual(self.run_verify(f"{self.root}/sites").returncode, 0)

    def test_listener_claimed_twice(self):
        self.write("sites/a.site", GOOD.format("same"))
        self.write("sites/b.site", GOOD.format("same"))
        self.verify(f"{self.root}/sites", errors=["b.site: listener @same is already claimed by"])
        # One address written in two ways.
        self.write("sites/a.site", "[Socket]\nListenStream=127.0.0.1:80\n[Container]\nExecStart=/bin/true\n")
        self.write("sites/b.site", "[Socket]\nListenStream=127.0.0.1:080\n[Container]\nExecStart=/bin/true\n")
        done = self.run_verify(f"{self.root}/sites")
        self.assertEqual(done.returncode, 1, done.stderr)

    def test_disabled_site_claims_nothing(self):
        self.write("sites/a.site", GOOD.format("same") + "[Site]\nEnabled=no\n")
        self.write("sites/b.site", GOOD.format("same"))
        self.verify(f"{self.root}/sites")
        # Its file is checked all the same.
        self.write("sites/a.site", GOOD.format("same") + "Nosuch=1\n[Site]\nEnabled=no\n")
        self.verify(f"{self.root}/sites", errors=["a.site:5: "])

    def test_one_site_in_two_folders(self):
        """The same site twice, as where /etc overrides /usr/lib, is one claim."""
        first = self.write("etc/sites/a.site", GOOD.format("same"))
        self.write("lib/sites/a.site", GOOD.format("same"))
        self.verify(f"{self.root}/etc/sites", f"{self.root}/lib/sites")
        self.verify(first, first)

    def test_names(self):
        path = self.write("a.txt", GOOD.format("a"))
        self.verify(path, errors=["expected the name of a unit"])
        self.verify(str(self.root / "missing.site"), errors=["missing.site"])
        self.verify(str(self.root / "missing"), errors=["missing: "])
        self.verify(self.write("-a.site", GOOD.format("a")), errors=["-a.site"])

    def test_unreadable_names(self):
        """A name that is not UTF-8 is an error like others, in JSON too, and never raw on a terminal."""
        path = os.fsencode(self.root) + b"/\xff\x1b[31m.site"
        pathlib.Path(os.fsdecode(path)).write_text(GOOD.format("a"), encoding="ascii")
        done, _ = self.verify(path, errors=["\\xff\\x1b[31m.site"])
        self.assertNotIn(b"\x1b", done.stderr)
        self.verify(os.fsencode(self.root) + b"/\xff", errors=["\\xff"])

    def test_missing_program_is_a_warning(self):
        for program in ("/nonexistent/program", "torpor-nosuch"):
            path = self.write("a.site", f"[Socket]\nListenStream=@a\n[Container]\nExecStart={program}\n")
            done, _ = self.verify(path)
            self.assertIn(f"{path}:4: warning: {program}: ".encode(), done.stderr)

    def test_configuration(self):
        """torpor.conf and its drop-ins are read as torpord reads them, in folders and by name."""
        conf = self.write("etc/torpor.conf", "[Daemon]\nMaxAwake=7\n")
        drop_in = self.write("etc/torpor.conf.d/x.conf", "[Daemon]\nLogLevel=debug\nControlGroup=\n")
        done, _ = self.verify(f"{self.root}/etc")
        self.assertEqual(done.stdout, b"2 units checked, no error\n")
        done, _ = self.verify(conf)
        self.assertEqual(done.stdout, b"2 units checked, no error\n")
        self.verify(drop_in)
        self.write("etc/torpor.conf", "[Daemon]\nMaxAwaek=7\n")
        self.write("etc/torpor.conf.d/x.conf", "[Daemon]\nLogLevel=loud\n")
        errors = [f"{conf}:2: unknown key 'MaxAwaek' in [Daemon]; did you mean MaxAwake=?", f"{drop_in}:2: LogLevel="]
        _, listed = self.verify(f"{self.root}/etc", errors=errors)
        self.assertEqual([(error["file"], error["line"]) for error in listed], [(conf, 2), (drop_in, 2)])
        self.verify(conf, errors=errors)
        self.verify(drop_in, errors=errors[1:])
        self.verify(f"{self.root}/etc/torpor.conf.d/", errors=["x.conf:2: LogLevel="])
        # A unit's section is none of the daemon's, and the other way round.
        self.write("etc/torpor.conf", "[Site]\nEnabled=yes\n")
        self.verify(conf, errors=[f"{conf}:2: ", errors[1]])

    def test_drop_ins_are_known_by_their_folder(self):
        # A site's drop-in of that name is no configuration, and what torpord does not read is nobody's.
        path = self.write("etc/sites/a.site.d/torpor.conf", "[Container]\nUMask=0077\n")
        self.verify(path)
        self.write("etc/x.d/y.conf", "[Nosuch]\nA=1\n")
        self.write("etc/sites/z.slice.d/below/y.conf", "[Nosuch]\nA=1\n")
        done, _ = self.verify(f"{self.root}/etc")
        self.assertEqual(done.stdout, b"1 units checked, no error\n")
        # Above it there may be any.
        self.root = self.root / "a.slice.d"
        self.verify(self.write("etc/sites/a.site.d/x.conf", "[Container]\nUMask=0077\n"))

    def test_masked(self):
        """What is masked is not in force: in a folder it is passed over."""
        for name in ("torpor.conf", "torpor.conf.d/x.conf", "sites/a.site", "slices/s.slice"):
            path = pathlib.Path(self.write(f"etc/{name}", ""))
            done, _ = self.verify(f"{self.root}/etc")
            self.assertEqual(done.stdout, b"0 units checked, no error\n")
            path.unlink()
            path.symlink_to("/dev/null")
            self.verify(f"{self.root}/etc")
            path.unlink()

    def test_owner_of_sockets(self):
        text = "[Socket]\nListenStream={0}\nSocketUser={1}\nSocketGroup={2}\n[Container]\nExecStart=/bin/true\n"
        for user, group, error in (("torpor-nosuch", "root", "SocketUser=torpor-nosuch: no such user on this host"),
                                   ("root", "torpor-nosuch", "SocketGroup=torpor-nosuch: no such group on this host"),
                                   ("65533", "torpor-nosuch", "SocketGroup=torpor-nosuch: no such group on this host")):
            path = self.write("a.site", text.format("/run/a.sock", user, group))
            self.verify(path, errors=[f"{path}: {error}"])
            # Of no effect without a file, and never looked up.
            self.verify(self.write("a.site", text.format("@a", user, group)))
        self.verify(self.write("a.site", text.format("/run/a.sock", "root", "65533")))

    def run_wrong(self, *arguments):
        """What is said of a command line that is refused. Nothing is started: the folders are a test's."""
        done = subprocess.run([self.torpord, f"--run={self.root}/run", "--cgroup=/nonexistent", *arguments], capture_output=True,
                              check=False, timeout=60)
        self.assertEqual((done.returncode, done.stdout), (2, b""), done.stderr)
        said, hint = done.stderr.decode().splitlines()
        self.assertEqual(hint, "Try torpord --help.")
        return said.removeprefix("torpord: ")

    def test_usage(self):
        for arguments, said in (
                (["--verify"], "--verify: a file or directory is missing"),
                (["--verify", "--json"], "--verify: a file or directory is missing"),
                (["--security"], "--security: a file or template is missing"),
                (["--json"], "--json belongs to --verify, which is missing"),
                (["--json", "--security", "x"], "--json belongs to --verify, which is missing"),
                (["--brief"], "--brief belongs to --security, which is missing"),
                (["--brief", "--verify", "x"], "--brief belongs to --security, which is missing"),
                (["--verify", "--security", "x"], "--verify and --security exclude each other"),
                (["x"], "no such argument: x"),
                (["\x1b"], "no such argument: \\x1b")):
            self.assertEqual(self.run_wrong(*arguments), said)

    def test_refused_option_is_named(self):
        for arguments, option in ((["--nosuch"], "--nosuch"), (["-x"], "-x"), (["-xh"], "-x"), (["--verify", "-xV"], "-x"),
                                  (["--verify=a"], "--verify=a"), (["--help=a"], "--help=a"), (["--version=a"], "--version=a"),
                                  (["--run"], "--run"), (["--ver", "x"], "--ver"), (["-\x1b"], "-\\x1b"), (["-:h"], "-:")):
            self.assertEqual(self.run_wrong(*arguments), f"no such option, or its value is missing: {option}")


if __name__ == "__main__":
    Verify.torpord = sys.argv.pop(1)
    unittest.main()
