# SPDX-License-Identifier: LGPL-2.1-or-later
"""The web servers of the shipped templates, as Debian packages them: what a site of each provides, how it is asked,
and how its answer shows that it is the real one. The others are in databases.py."""
import functools
import os
import pathlib
import re
import shutil
import struct
import subprocess

from client import HttpConnection, Response, connect
from daemon import site_text
from harness import BUILD, REPOSITORY

TEMPLATES = REPOSITORY / "templates"
APPS = REPOSITORY / "tests" / "apps"
NEVER = {"FreezeAfterSec": "infinity", "StopAfterSec": "infinity"}
BIG_BYTES = 32 * 1024 * 1024


@functools.cache
def program_output(*command):
    return subprocess.run(command, check=True, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT).stdout


def python_version():
    return program_output("/usr/bin/python3", "-c", "import platform; print(platform.python_version())").strip()


class Kind:
    """A template and a site of it. The site counts its requests, unless it counts none."""
    template = None
    server = None      # its name, for people
    handover = "bind"  # how it gets its listener
    files = {}  # the name in the site's folder -> its text, or a path to copy
    transports = ("unix", "tcp")  # what it can be reached by; the first is the template's own
    folder = "/srv/www/NAME"  # what the site provides
    step = "working-directory"  # which tells that it is not there
    notifies = False
    conf = None  # the file of /usr/share/torpor that the template names
    path, slow = "/", "/slow"  # slow: the answer begins, and ends a second later or is larger than all buffers
    processes = 1
    port = None  # its own where the template does not say so
    counts = True
    persistent = False  # it counts on after it was cold

    @staticmethod
    def own_address(daemon, name):
        """Where the template listens."""
        return str(daemon.run / "listen" / f"{name}.sock")

    def get(self, address, name, path=None, begun=None):
        """Asks once. begun is called when the answer has begun."""
        with HttpConnection(address) as connection:
            connection.send(path or self.path, close=True)
            if begun:
                connection.file.peek(1)
                begun()
            return connection.receive()

    def first_answer(self, address, name):
        """Asks for the least that shows that the server serves, without a program to do it: for measuring."""
        self.check(self.get(address, name))

    def check(self, response):
        """Raises unless the real server answered; returns its count of requests."""
        assert response.status == 200, (response.status, response.text)
        assert response.fields["version"] == self.version(), response.text
        return int(response.fields["count"]) if self.counts else None

    def check_slow(self, response):
        return self.check(response)

    def provide(self, folder, name):
        """Makes what the site provides in a new folder; returns the keys of [Container] that bring it there."""
        folder.mkdir(parents=True)
        for file, content in self.files.items():
            if isinstance(content, pathlib.Path):
                shutil.copy(content, folder / file)
            else:
                (folder / file).write_text(content, encoding="utf-8")
        return {"BindReadOnlyPaths": f"{folder}:/srv/www/{name}"}


class Files(Kind):
    """One that serves files and counts nothing."""
    slow = "/big.bin"
    counts = False
    files = {"index.html": "<h1>caf\u00e9</h1>\n", ".hidden": "secret\n", "style.css": "a{}\n"}
    html = "text/html; charset=utf-8"

    def check(self, response):
        assert (response.status, response.text) == (200, self.files["index.html"])
        assert response.headers["content-type"] == self.html
        assert response.headers["server"] == self.version(), response.headers

    def check_slow(self, response):
        assert len(response.body) == BIG_BYTES

    def provide(self, folder, name):
        keys = super().provide(folder, name)
        with open(folder / "big.bin", "wb") as big:
            big.truncate(BIG_BYTES)
        return keys


class Static(Files):
    server = "nginx"
    handover = "listen-fds"
    template, conf = "static", "static.conf"
    transports = ("unix", "tcp", "tcp6")
    processes = 2

    def version(self):
        return "nginx"


class Apache(Files):
    server = "Apache httpd"
    template, conf = "apache", "apache.conf"
    processes = 3

    def version(self):
        return "Apache"


class PythonHttp(Files):
    server = "Python's http.server"
    template = "python-http"
    transports = ("tcp", "tcp6")
    html = "text/html"

    def version(self):
        return f"SimpleHTTP/0.6 Python/{python_version()}"


class Gunicorn(Kind):
    server = "gunicorn"
    handover = "listen-fds"
    template = "gunicorn"
    files = {"app.py": APPS / "wsgi.py"}
    processes = 2

    @staticmethod
    def version():
        return python_version()

    def check(self, response):
        assert response.fields["server"].startswith("gunicorn/")
        return super().check(response)


class Uwsgi(Kind):
    server = "uWSGI"
    handover = "listen-fds"
    template = "uwsgi"
    files = {"app.py": APPS / "wsgi.py"}
    processes = 2

    @staticmethod
    def version():
        return python_version()

    def check(self, response):
        assert response.fields["server"] == "uWSGI/" + program_output("/usr/bin/uwsgi", "--version").strip()
        return super().check(response)


class Uvicorn(Kind):
    server = "uvicorn"
    handover = "listen-fds"
    template = "uvicorn"
    files = {"app.py": APPS / "asgi.py"}

    @staticmethod
    def version():
        return python_version()

    def check(self, response):
        assert response.headers["server"] == "uvicorn"
        return super().check(response)


class Node(Kind):
    server = "Node.js"
    template, conf = "node", "node-stop.js"
    files = {"server.js": APPS / "server.js"}
    transports = ("unix", "tcp", "tcp6")

    @staticmethod
    def version():
        return program_output("/usr/bin/node", "--version").strip()


class Puma(Kind):
    server = "Puma"
    handover = "listen-fds"
    template = "puma"
    files = {"config.ru": APPS / "config.ru"}

    @staticmethod
    def version():
        return program_output("/usr/bin/ruby", "-e", "print RUBY_VERSION")

    def check(self, response):
        assert response.fields["server"].startswith("puma ")
        return super().check(response)


class Php(Kind):
    server = "php-fpm"
    handover = "listen-fds"
    template, conf = "php", "php-fpm.conf"
    transports = ("unix", "tcp", "tcp6")
    path, slow = "/index.php", "/slow.php"
    files = {"index.php": APPS / "index.php", "slow.php": APPS / "index.php",
             "broken.php": "<?php error_log('said by php'); no_such();"}
    processes = 2
    sapi = "fpm-fcgi"

    @staticmethod
    def version():
        newest = sorted(pathlib.Path("/usr/sbin").glob("php-fpm*"))[-1]
        return program_output(newest, "-v").split()[1]

    def get(self, address, name, path=None, begun=None):
        return fastcgi_get(address, f"/srv/www/{name}", path or self.path, begun)

    def check(self, response):
        assert response.fields["sapi"] == self.sapi
        return super().check(response)


class PhpServer(Php):
    server = "php -S"
    handover = "bind"
    template, conf = "php-server", None
    transports = ("tcp",)
    sapi = "cli-server"
    processes = 1
    get = Kind.get

    @staticmethod
    def version():
        return program_output("/usr/bin/php", "-v").split()[1]


class Go(Kind):
    server = "a static Go program"
    template = "go"
    transports = ("tcp", "tcp6")

    @staticmethod
    def version():
        return program_output("/usr/bin/go", "version").split()[2]

    @functools.cache
    def program(self):
        """A static binary, as no preloaded library could help."""
        path = BUILD / "tests" / "go-server"
        subprocess.run(["/usr/bin/go", "build", "-o", path, APPS / "server.go"], check=True,
                       env={**os.environ, "CGO_ENABLED": "0", "GOCACHE": str(BUILD / "tests" / "go-cache"),
                            "GO111MODULE": "off", "GOFLAGS": ""})
        return path

    def provide(self, folder, name):
        keys = super().provide(folder, name)
        shutil.copy(self.program(), folder / "server")
        return keys


class Java(Kind):
    server = "the Java machine"
    template = "java"
    files = {"Server.java": APPS / "Server.java"}
    transports = ("tcp",)

    @staticmethod
    def version():
        return re.search(r'version "(.*?)"', program_output("/usr/bin/java", "-version"))[1]


def fastcgi_pairs(values):
    return b"".join(struct.pack(">II", len(name) | 1 << 31, len(value) | 1 << 31) + name.encode() + value.encode()
                    for name, value in values.items())


def fastcgi_get(address, root, script, begun=None):
    """One request to a FastCGI responder, with the parameters that nginx sends."""
    values = {"GATEWAY_INTERFACE": "CGI/1.1", "REQUEST_METHOD": "GET", "SCRIPT_FILENAME": root + script,
              "SCRIPT_NAME": script, "REQUEST_URI": script, "QUERY_STRING": "", "DOCUMENT_ROOT": root,
              "SERVER_PROTOCOL": "HTTP/1.1", "SERVER_NAME": "test", "REMOTE_ADDR": "127.0.0.1"}

    def record(kind, content):
        return struct.pack(">BBHHxx", 1, kind, 1, len(content)) + content

    params = fastcgi_pairs(values)
    with connect(address) as sock, sock.makefile("rb") as file:
        sock.sendall(record(1, struct.pack(">HB5x", 1, 0)) + record(4, params) + record(4, b"") + record(5, b""))
        output = errors = b""
        if begun:
            file.peek(1)
            begun()
        while True:
            header = file.read(8)
            if len(header) < 8:
                raise ConnectionResetError("closed without the end of an answer")
            _, kind, _, length, padding = struct.unpack(">BBHHBx", header)
            content = file.read(length + padding)[:length]
            if kind == 3:
                break
            if kind == 6:
                output += content
            elif kind == 7:
                errors += content
    assert not errors, errors
    head, _, body = output.partition(b"\r\n\r\n")
    headers = dict(re.findall(r"^([^:]+): (.*?)\r?$", head.decode(), re.M))
    status = int(headers.get("Status", "200").split()[0])
    return Response(status, {name.lower(): value for name, value in headers.items()}, body)


WEB = [kind() for kind in (Static, Apache, Php, PhpServer, Gunicorn, Uwsgi, Uvicorn, PythonHttp, Node, Puma, Go, Java)]


def install_templates(daemon):
    """The shipped templates, and the files of /usr/share/torpor from the repository: what a package installs there
    need not be installed here. The harness has a template "static" of its own."""
    confs = {kind.template: kind.conf for kind in WEB if kind.conf}
    for path in TEMPLATES.glob("*.template"):
        shutil.copy(path, daemon.etc / "templates")
        environment = f"Environment=TORPOR_CONF=/torpor/{confs[path.stem]}\n" if path.stem in confs else ""
        daemon.write(daemon.etc / "templates" / f"{path.stem}.template.d" / "not-installed.conf",
                     f"[Container]\nBindReadOnlyPaths={TEMPLATES}:/torpor\n{environment}StandardOutput=inherit\n")


def add_site(daemon, folder, kind, name="shop.example.com", listen=None, hibernate=None, **sections):
    """Writes a site of the kind, with its content below folder; returns its address. One that would listen on a
    port that others may have gets one of its own."""
    container = {**kind.provide(folder / name, name), **sections.pop("container", {})}
    if not listen and kind.transports[0] != "unix":
        listen = daemon.address()
    if listen and kind.port:
        container["BindPort"] = kind.port
    daemon.write_site(name, site_text(*(["", listen] if listen else []), template=kind.template,
                                      container=container, hibernate=hibernate or NEVER, **sections))
    return listen or kind.own_address(daemon, name)
