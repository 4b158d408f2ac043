# SPDX-License-Identifier: LGPL-2.1-or-later
"""The disk that the machine of the tests boots: Debian 12 with systemd, Debian's cloud kernel, AppArmor and a policy
for SELinux, made by mmdebstrap once and kept; and on top of it, anew for every run, what was built, installed as a user installs it."""
import fcntl
import hashlib
import os
import pathlib
import re
import shutil
import subprocess
import tempfile

SUITE = "bookworm"
VM = pathlib.Path(__file__).resolve().parents[1]
# What the machine is made of. Test files that need another program in the machine add its package here.
PACKAGES = [
    "systemd", "systemd-sysv", "dbus", "udev", "kmod",
    # The root file system is on NVMe, whose driver is built in: no initramfs is needed, so the least one will do.
    "linux-image-cloud-amd64", "tiny-initramfs",
    "apparmor", "checkpolicy", "e2fsprogs", "squashfs-tools", "erofs-utils", "iproute2", "procps",
    "python3", "python3-pytest", "python3-websockets", "nginx-light",
    "libuv1", "libsystemd0", "libseccomp2", "libcap2", "libjansson4", "libarchive13", "libnettle8",
]
# Documentation and translations that no test reads.
LEFT_OUT = ["/usr/share/doc/*", "/usr/share/man/*", "/usr/share/info/*", "/usr/share/locale/*",
            "/usr/share/zoneinfo/*", "/var/cache/*"]
# Work that a machine of a minute's life does not need.
MASKED = ["apt-daily.timer", "apt-daily-upgrade.timer", "dpkg-db-backup.timer", "e2scrub_all.timer",
          "e2scrub_reap.service", "fstrim.timer", "getty@.service", "nginx.service",
          "systemd-networkd.service", "systemd-pstore.service", "systemd-timesyncd.service"]
FILES = {
    "etc/hostname": "torpor-vm\n",
    "etc/hosts": "127.0.0.1 localhost\n127.0.1.1 torpor-vm\n::1 localhost\n",
    "etc/resolv.conf": "",
    "etc/fstab": "/dev/nvme0n2 none swap sw 0 0\n",
    # Without one, systemd takes the boot for the first of a new installation.
    "etc/machine-id": "74ad2d5ff6f64c1b8bd9a1b33a4e2c11\n",
    # Everything that was logged is there to be looked for.
    "etc/systemd/journald.conf.d/tests.conf": "[Journal]\nStorage=volatile\nRateLimitIntervalSec=0\n",
    # Nobody looks at these where the kernel has been told to do without SELinux. systemd loads the policy.
    "etc/selinux/config": "SELINUX=enforcing\nSELINUXTYPE=tests\n",
    "etc/selinux/tests/policy.conf": (VM / "selinux/policy.conf").read_text(),
    "etc/selinux/tests/contexts/files/file_contexts": "/.* system_u:object_r:thing_t\n",
    "etc/selinux/tests/contexts/dbus_contexts": "<busconfig><selinux/></busconfig>\n",
    # The console is for people: see ./run vm.
    "etc/systemd/system/serial-getty@.service.d/tests.conf":
        "[Unit]\nConditionKernelCommandLine=torpor.shell\n[Service]\nExecStart=\n"
        "ExecStart=-/sbin/agetty --autologin root --noclear --keep-baud 115200 %I $TERM\n",
}
SELINUX_POLICY = "etc/selinux/tests/policy/policy.33"  # the latest version that Linux 6.1 knows
DISK_BYTES = 4 << 30  # sparse
SWAP_BYTES = 512 << 20

TESTS = "torpor"  # the folder in the machine that holds the tests, laid out as the repository is
TESTS_UNIT = """\
[Unit]
Description=Tests of torpor
After=multi-user.target
ConditionKernelCommandLine=!torpor.shell
# A program that cannot even report is not waited for: what it has to say is on the console.
FailureAction=poweroff-force

[Service]
Type=exec
StandardError=journal+console
ExecStart=/usr/bin/python3 /{tests}/{program} /dev/ttyS1
OOMScoreAdjust=-1000
TasksMax=infinity
LimitNOFILE=1048576
"""
PROFILE = f"""\
export PS1='torpor-vm# '
test-vm() {{ python3 /{TESTS}/tests/vm/guest.py -v "$@"; }}
echo 'test-vm [PYTEST-OPTION...] runs the tests. End with poweroff, or Ctrl-A X.'
"""


class Trouble(Exception):
    """What cannot be done, in words for whoever started the run."""


def run(command, **options):
    result = subprocess.run([str(word) for word in command], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                            stderr=subprocess.STDOUT, text=True, errors="replace", check=False, **options)
    if result.returncode != 0:
        raise Trouble(f"{command[0]} failed with {result.returncode}:\n{result.stdout[-4000:]}")
    return result.stdout


def place(root, path, text):
    """Makes a file, never by writing into one that is there: that may be the kept image's too."""
    path = root / path
    path.parent.mkdir(parents=True, exist_ok=True)
    path.unlink(missing_ok=True)
    path.write_text(text)
    return path


# The base, which is kept.

def apt_sources():
    """The machine's packages come from where this host's come from."""
    folder = pathlib.Path("/etc/apt")
    files = [folder / "sources.list", *sorted(folder.glob("sources.list.d/*.list")),
             *sorted(folder.glob("sources.list.d/*.sources"))]
    found = [path for path in files if path.exists() and re.search(rf"\b{SUITE}\b", path.read_text())]
    if not found:
        raise Trouble(f"no file of /etc/apt/sources.list.d names {SUITE}: this host has no source of its packages")
    return found


def apt_options():
    """How this host reaches them: proxies, certificates and the like."""
    wanted = re.compile(r"Acquire::(https?|ftp|Check-|Retries|ForceIPv|AllowInsecure|AllowWeak)", re.IGNORECASE)
    lines = run(["apt-config", "dump", "Acquire"]).splitlines()
    return "".join(line + "\n" for line in lines if wanted.match(line) and not line.endswith('"";'))


def bootstrap(root):
    """Debian 12 in a folder."""
    with tempfile.NamedTemporaryFile("w", prefix="torpor-vm-apt-", suffix=".conf") as options:
        options.write(apt_options())
        options.flush()
        run(["mmdebstrap", "--quiet", "--mode=root", "--variant=essential", "--format=directory",
             f"--include={','.join(PACKAGES)}", f"--aptopt={options.name}",
             *[f"--dpkgopt=path-exclude={pattern}" for pattern in LEFT_OUT], SUITE, root, *apt_sources()])
    # How this host gets packages is its own affair.
    for path in ("etc/apt", "var/lib/apt", "var/log"):
        shutil.rmtree(root / path, ignore_errors=True)
    (root / "var/log").mkdir()
    for path, text in FILES.items():
        place(root, path, text)
    (root / SELINUX_POLICY).parent.mkdir()
    run(["chroot", root, "checkpolicy", "-U", "allow", "-c", "33", "-o", f"/{SELINUX_POLICY}", "/etc/selinux/tests/policy.conf"])
    for unit in MASKED:
        path = root / "etc/systemd/system" / unit
        path.unlink(missing_ok=True)
        path.symlink_to("/dev/null")


def recipe():
    """What the base follows from."""
    parts = [SUITE, *PACKAGES, "--", *LEFT_OUT, "--", *MASKED, "--", *map(str, FILES.items()), "1"]
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:16]


def copy_base(cache, root):
    """Makes `root` a copy, by hard links, of the base that is kept in `cache`; a new base where the recipe has
    changed."""
    kept, unfinished = cache / f"debian-{recipe()}", cache / f"debian-{recipe()}.new"
    with open(cache / "lock", "w", encoding="ascii") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not kept.exists():
            for stale in cache.glob("debian-*"):
                shutil.rmtree(stale)
            bootstrap(unfinished)
            unfinished.rename(kept)
        run(["cp", "-al", kept, root])


# The disk of one run.

def install(build, root):
    """What was built, by the commands of README.md."""
    run(["meson", "install", "-C", build, "--no-rebuild", "--quiet", "--destdir", root])
    run(["chroot", root, "systemctl", "--quiet", "enable", "torpor.service"])


def add_tests(repository, build, root, program, arguments):
    for folder in ("templates", "tests/apps", "tests/bench", "tests/system", "tests/vm"):
        shutil.copytree(repository / folder, root / TESTS / folder, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(repository / "README.md", root / TESTS)
    (root / TESTS / "build/tests/helpers").mkdir(parents=True)
    for path in (build / "tests/helpers").iterdir():
        if path.is_file() and os.access(path, os.X_OK):
            shutil.copy(path, root / TESTS / "build/tests/helpers")
    for path in ("daemon/core/torpord", "daemon/ctl/torporctl"):
        (root / TESTS / "build" / path).parent.mkdir(parents=True)
        shutil.copy(build / path, root / TESTS / "build" / path)
    place(root, f"{TESTS}/arguments", "\0".join(arguments))
    unit = place(root, "etc/systemd/system/torpor-tests.service", TESTS_UNIT.format(tests=TESTS, program=program))
    wants = root / "etc/systemd/system/multi-user.target.wants"
    (wants / unit.name).symlink_to(f"../{unit.name}")
    place(root, "root/.bash_profile", PROFILE)


class Disks:
    """The machine's files, in a folder that is gone at the end: kernel, disk and swap. The machine runs a program of the
    repository, which gets the serial line for its reports as argument, and the others by a file."""

    def __init__(self, repository, build, arguments, program="tests/vm/guest.py"):
        cache = repository / "build-vm"
        cache.mkdir(exist_ok=True)
        cache.chmod(0o700)  # set-user-ID programs that nobody keeps up to date
        for stale in cache.glob("run-*"):
            if not os.path.exists(f"/proc/{stale.name[4:]}"):
                shutil.rmtree(stale)
        self.folder = cache / f"run-{os.getpid()}"
        self.kernel, self.disk, self.swap = (self.folder / name for name in ("vmlinuz", "disk", "swap"))
        self.folder.mkdir()
        try:
            self._make(repository, build, cache, program, arguments)
        except BaseException:
            self.remove()
            raise

    def _make(self, repository, build, cache, program, arguments):
        root = self.folder / "root"
        copy_base(cache, root)
        install(build, root)
        add_tests(repository, build, root, program, arguments)
        shutil.copy(next((root / "boot").glob("vmlinuz-*")), self.kernel)
        run(["mke2fs", "-q", "-t", "ext4", "-d", root, "-O", "^has_journal", "-E", "nodiscard", "-m", "0", self.disk,
             str(DISK_BYTES >> 10)])
        shutil.rmtree(root)
        with open(self.swap, "wb") as swap:
            swap.truncate(SWAP_BYTES)
        self.swap.chmod(0o600)
        run(["mkswap", self.swap])

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.remove()

    def remove(self):
        shutil.rmtree(self.folder)
