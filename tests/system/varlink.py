# SPDX-License-Identifier: LGPL-2.1-or-later
"""The control socket's wire format: one JSON object, one NUL."""
import json
import os
import socket
import threading
import time

TIMEOUT = float(os.environ.get("TORPOR_TIMEOUT", "60"))


class VarlinkError(Exception):
    """An error reply. name is without the interface: NoSuchSite."""

    def __init__(self, name, parameters):
        super().__init__(f"{name} {parameters}")
        self.name = name.rpartition(".")[2]
        self.parameters = parameters


class Connection:
    def __init__(self, path, timeout=TIMEOUT):
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.socket.settimeout(timeout)
        self.socket.connect(str(path))
        self.buffer = bytearray()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        self.socket.close()

    def send(self, method, parameters, more=False):
        if "." not in method:
            method = "io.torpor." + method
        message = {"method": method, "parameters": parameters}
        if more:
            message["more"] = True
        self.socket.sendall(json.dumps(message).encode() + b"\0")

    def receive(self):
        """The next reply as it came. EOFError when the daemon has closed."""
        while (end := self.buffer.find(b"\0")) < 0:
            data = self.socket.recv(65536)
            if not data:
                raise EOFError("the control socket was closed")
            self.buffer += data
        message = json.loads(self.buffer[:end])
        del self.buffer[:end + 1]
        return message

    def reply(self):
        """The next reply, its error raised: (parameters, whether more follow)."""
        message = self.receive()
        if "error" in message:
            raise VarlinkError(message["error"], message.get("parameters", {}))
        return message.get("parameters", {}), message.get("continues", False)

    def call(self, method, **parameters):
        self.send(method, parameters)
        return self.reply()[0]

    def stream(self, method, **parameters):
        """Calls with "more" and yields the parameters of every reply."""
        self.send(method, parameters, more=True)
        more = True
        while more:
            reply, more = self.reply()
            yield reply


class Events:
    """A subscription to state changes. It stands when the constructor returns; nothing after that is missed."""

    def __init__(self, path, site=None):
        self.connection = Connection(path, timeout=None)
        self.replies = self.connection.stream("Monitor", **({"site": site} if site else {}))
        next(self.replies)
        self.seen = []
        self.taken = 0
        self.closed = False
        self.condition = threading.Condition()
        self.thread = threading.Thread(target=self._read, daemon=True)
        self.thread.start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def _read(self):
        try:
            for reply in self.replies:
                with self.condition:
                    if reply.get("event"):
                        self.seen.append(reply["event"])
                    self.condition.notify_all()
        except (OSError, EOFError, VarlinkError):
            pass
        with self.condition:
            self.closed = True
            self.condition.notify_all()

    def wait(self, predicate, timeout=TIMEOUT):
        """The first event for which predicate holds that comes after the one this returned last."""
        deadline = time.monotonic() + timeout
        at = self.taken
        with self.condition:
            while True:
                while at < len(self.seen):
                    at += 1
                    if predicate(self.seen[at - 1]):
                        self.taken = at
                        return self.seen[at - 1]
                left = deadline - time.monotonic()
                if left <= 0 or self.closed:
                    raise AssertionError(f"no such event {'before the end' if self.closed else 'in time'}; "
                                         f"seen: {self.seen}")
                self.condition.wait(left)

    def wait_event(self, timeout=TIMEOUT, **fields):
        """wait_event(site="a", to="frozen"); `from` is written from_."""
        wanted = {key.rstrip("_"): value for key, value in fields.items()}
        return self.wait(lambda event: all(event.get(key) == value for key, value in wanted.items()), timeout)

    def transitions(self, site):
        """The states that a site went to so far."""
        with self.condition:
            return [event["to"] for event in self.seen if event["site"] == site]

    def close(self):
        try:
            self.connection.socket.shutdown(2)
        except OSError:
            pass
        self.thread.join()
        self.connection.close()
