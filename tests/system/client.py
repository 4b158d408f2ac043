# SPDX-License-Identifier: LGPL-2.1-or-later
"""A visitor: connects, asks, and takes nothing but a whole answer."""
import os
import socket

TIMEOUT = float(os.environ.get("TORPOR_TIMEOUT", "60"))


def connect(address, kind=socket.SOCK_STREAM, timeout=TIMEOUT):
    """A connected socket to "127.0.0.1:80", "[::1]:80", "/path" or "@abstract"."""
    family, target = parse(address)
    sock = socket.socket(family, kind)
    sock.settimeout(timeout)
    try:
        sock.connect(target)
    except OSError:
        sock.close()
        raise
    return sock


def parse(address):
    if address[0] in "/@":
        return socket.AF_UNIX, address.replace("@", "\0", 1) if address[0] == "@" else address
    host, _, port = address.rpartition(":")
    if host.startswith("["):
        return socket.AF_INET6, (host[1:-1], int(port))
    return socket.AF_INET, (host, int(port))


class Response:
    def __init__(self, status, headers, body):
        self.status = status
        self.headers = headers
        self.body = body

    @property
    def text(self):
        return self.body.decode()

    @property
    def lines(self):
        return self.text.splitlines()

    @property
    def fields(self):
        """The body's "name=value" lines."""
        return dict(line.split("=", 1) for line in self.lines if "=" in line)


class HttpConnection:
    """One connection that is kept alive."""

    def __init__(self, address, timeout=TIMEOUT):
        self.socket = connect(address, timeout=timeout)
        self.file = self.socket.makefile("rb")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        self.file.close()
        self.socket.close()

    def send(self, path, close=False, headers=None):
        lines = {"Host": "test", **({"Connection": "close"} if close else {}), **(headers or {})}
        text = "".join(f"{name}: {value}\r\n" for name, value in lines.items())
        self.socket.sendall(f"GET {path} HTTP/1.1\r\n{text}\r\n".encode())

    def receive(self):
        line = self.file.readline()
        if not line:
            raise ConnectionResetError("closed without an answer")
        status = int(line.split()[1])
        headers = {}
        while (line := self.file.readline().strip()):
            name, _, value = line.decode("latin-1").partition(":")
            headers[name.strip().lower()] = value.strip()
        if "content-length" in headers:
            body = self.read(int(headers["content-length"]))
        elif headers.get("transfer-encoding") == "chunked":
            body = b""
            while (size := self.chunk_size()) > 0:
                body += self.read(size + 2)[:size]
            self.read(2)
        else:
            body = self.file.read()
        return Response(status, headers, body)

    def chunk_size(self):
        line = self.file.readline()
        if not line.endswith(b"\n"):
            raise ConnectionResetError("closed inside an answer")
        return int(line, 16)

    def read(self, size):
        data = self.file.read(size)
        if len(data) != size:
            raise ConnectionResetError("closed inside an answer")
        return data

    def get(self, path="/", close=False, headers=None):
        self.send(path, close, headers)
        return self.receive()


def http_get(address, path="/", timeout=TIMEOUT, headers=None):
    with HttpConnection(address, timeout) as connection:
        return connection.get(path, close=True, headers=headers)
