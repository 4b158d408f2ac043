# SPDX-License-Identifier: LGPL-2.1-or-later
"""The databases of the shipped templates, as Debian packages them, asked by their own clients."""
import atexit
import functools
import os
import pathlib
import pwd
import re
import shutil
import struct
import subprocess
import tempfile

from client import Response, connect, parse
from servers import Kind, program_output
from varlink import TIMEOUT


class Database(Kind):
    """Its data is of a user, and counts the requests."""
    user = None
    folder = "/var/lib/torpor/NAME"
    step = "start"
    notifies = True
    persistent = True

    def make(self, data):
        """Makes a new data folder, once for all sites."""
        data.mkdir(0o700)
        self.own(data)

    def own(self, path):
        owner = pwd.getpwnam(self.user)
        os.chown(path, owner.pw_uid, owner.pw_gid)

    @functools.cache
    def pristine(self):
        folder = pathlib.Path(tempfile.mkdtemp(prefix="torpor-data-"))
        atexit.register(shutil.rmtree, folder, ignore_errors=True)
        folder.chmod(0o755)
        self.own(folder)
        self.make(folder / "data")
        return folder / "data"

    def provide(self, folder, name):
        folder.parent.mkdir(parents=True, exist_ok=True)
        subprocess.run(["cp", "-a", "--sparse=always", self.pristine(), folder], check=True)
        return {"BindPaths": f"{folder}:/var/lib/torpor/{name}"}

    def as_user(self, *command, **options):
        return subprocess.run(["setpriv", f"--reuid={self.user}", f"--regid={self.user}", "--clear-groups", *command],
                              check=True, cwd="/", stdin=subprocess.DEVNULL, capture_output=True, **options)


def client_answer(command, begun=None, say=None, **options):
    """Runs a client program, whose first line of output is "begun"; say is what it reads, line by line, the first
    apart from the rest. Returns the lines that follow."""
    stdin = subprocess.PIPE if say else subprocess.DEVNULL
    with subprocess.Popen(["timeout", str(TIMEOUT), *command], stdin=stdin, stdout=subprocess.PIPE, text=True, cwd="/",
                          stderr=subprocess.STDOUT, **options) as process:
        def tell(lines):
            if say:
                process.stdin.write("".join(f"{line}\n" for line in lines))
                process.stdin.flush()

        tell(say[:1] if say else [])
        first = process.stdout.readline()
        if first == "begun\n":
            tell(say[1:] if say else [])
            if begun:
                begun()
        if say:
            process.stdin.close()
        rest = process.stdout.read()
    if process.returncode != 0 or first != "begun\n":
        raise ConnectionResetError(f"{command[0]}: exit {process.returncode}: {first}{rest}")
    return Response(200, {}, rest.encode())


class PostgreSQL(Database):
    server = "PostgreSQL"
    template = "postgresql"
    port = 5432
    user = "postgres"
    processes = 6

    @staticmethod
    @functools.cache
    def binaries():
        return max(pathlib.Path("/usr/lib/postgresql").glob("*/bin"), key=lambda path: int(path.parent.name))

    def version(self):
        return program_output(self.binaries() / "postgres", "--version").split()[2]

    @staticmethod
    def own_address(daemon, name):
        return str(daemon.run / "listen" / name / ".s.PGSQL.5432")

    def make(self, data):
        self.as_user(self.binaries() / "initdb", "--auth-local=peer", "--auth-host=trust", "--no-sync", "-D", data)
        self.as_user("sh", "-c", 'echo "create sequence hits" | exec "$0" --single -D "$1" postgres',
                     self.binaries() / "postgres", data)

    def get(self, address, name, path=None, begun=None):
        target = parse(address)[1]
        host, port = (target.rpartition("/")[0], 5432) if isinstance(target, str) else target
        slow = ["-c", "select pg_sleep(1)"] if path == self.slow else []
        query = "select format(E'version=%s\\ncount=%s', split_part(version(), ' ', 2), nextval('hits'))"
        return client_answer(["psql", f"--host={host}", f"--port={port}", "--username=postgres", "--no-psqlrc",
                              "-Atq", "-c", r"\echo begun", *slow, "-c", query], begun,
                             user=self.user, group=self.user, extra_groups=[])


    def first_answer(self, address, name):
        """A session by the protocol itself (version 3.0), with one query."""
        owner = pwd.getpwnam(self.user)
        os.setegid(owner.pw_gid)
        os.seteuid(owner.pw_uid)  # whom its authentication "peer" sees
        try:
            sock = connect(address)
        finally:
            os.seteuid(0)
            os.setegid(0)
        with sock, sock.makefile("rb") as file:
            def message(kind, content):
                sock.sendall(kind + struct.pack(">I", len(content) + 4) + content)

            def answer():
                """What comes until the server is ready for the next query."""
                found = {}
                while b"Z" not in found:
                    kind, size = struct.unpack(">cI", file.read(5))
                    found[kind] = file.read(size - 4)
                return found

            message(b"", struct.pack(">I", 3 << 16) + b"user\0postgres\0database\0postgres\0\0")
            answer()
            message(b"Q", b"select version()\0")
            assert self.version().encode() in answer()[b"D"]


class MariaDB(Database):
    server = "MariaDB"
    handover = "listen-fds"
    template = "mariadb"
    user = "mysql"

    def version(self):
        return re.search(r"Ver (\S+)", program_output("/usr/sbin/mariadbd", "--version"))[1]

    def make(self, data):
        sql = data.parent / "hits.sql"
        sql.write_text("create table test.hits (n int auto_increment primary key) engine=InnoDB;\nflush privileges;\n"
                       "create user visitor@'%';\ngrant all on test.* to visitor@'%';\n")
        self.as_user("mariadb-install-db", "--no-defaults", f"--datadir={data}", f"--extra-file={sql}")

    def get(self, address, name, path=None, begun=None):
        target = parse(address)[1]
        where = [f"--socket={target}", "--user=root"] if isinstance(target, str) else \
            [f"--host={target[0]}", f"--port={target[1]}", "--protocol=tcp", "--user=visitor"]
        slow = "select sleep(1);" if path == self.slow else ""
        return client_answer(["mariadb", "--no-defaults", *where, "--batch", "--raw", "--unbuffered",
                              "--skip-column-names", f"--execute=select 'begun'; {slow} insert into test.hits values ();"
                              "select concat('version=', version(), '\n', 'count=', last_insert_id())"], begun)


    def first_answer(self, address, name):
        """Its greeting, which names its version: it does not listen before it can serve."""
        with connect(address) as sock:
            assert self.version().encode() in sock.recv(4096)


class Redis(Database):
    server = "Redis"
    template = "redis"
    step = "working-directory"
    port = 6379
    user = "redis"

    def version(self):
        return re.search(r"v=(\S+)", program_output("/usr/bin/redis-server", "--version"))[1]

    # Nothing else is done while a script runs; it cannot sleep.
    SLOW = ("local now = redis.call('time'); local till = now[1] * 1000000 + now[2] + 1000000; "
            "repeat now = redis.call('time') until now[1] * 1000000 + now[2] > till")

    def get(self, address, name, path=None, begun=None):
        target = parse(address)[1]
        where = ["-s", target] if isinstance(target, str) else ["-h", target[0], "-p", str(target[1])]
        slow = f'eval "{self.SLOW}" 0' if path == self.slow else "ping"
        response = client_answer(["redis-cli", *where], begun, ["echo begun", slow, "incr hits", "info server"])
        count = re.search(r"^(\d+)$", response.text, re.M)
        version = re.search(r"^redis_version:(\S+)", response.text, re.M)
        if not count or not version:
            raise ConnectionResetError(f"redis-cli: {response.text}")
        return Response(200, {}, f"version={version[1]}\ncount={count[1]}\n".encode())


    def first_answer(self, address, name):
        with connect(address) as sock:
            sock.sendall(b"PING\r\n")
            assert sock.recv(100) == b"+PONG\r\n"


class Memcached(Kind):
    server = "memcached"
    template = "memcached"
    folder = step = None

    def version(self):
        return program_output("/usr/bin/memcached", "--version").split()[1]

    def provide(self, folder, name):
        return {}

    def get(self, address, name, path=None, begun=None):
        """It has no slow requests: a slow one is a visitor's who sends half of a value first."""
        with connect(address) as sock, sock.makefile("rb") as file:
            def ask(line):
                sock.sendall(line + b"\r\n")
                answer = file.readline().split()
                if not answer:
                    raise ConnectionResetError("closed without an answer")
                return answer

            version = ask(b"version")
            if path == self.slow:
                sock.sendall(b"set half 0 0 2\r\n1")
            if begun:
                begun()
            if path == self.slow:
                assert ask(b"2") == [b"STORED"]
            ask(b"add hits 0 0 1\r\n0")
            count = ask(b"incr hits 1")
            return Response(200, {}, b"version=%s\ncount=%s\n" % (version[1], count[0]))


DATABASES = [kind() for kind in (PostgreSQL, MariaDB, Redis, Memcached)]
