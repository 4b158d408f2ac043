# SPDX-License-Identifier: LGPL-2.1-or-later
"""A control socket that answers as torpord would, or as it should not, without any container behind it."""
import json
import pathlib
import signal
import socket
import sys
import tempfile
import threading
import time

STATES = ("cold", "starting", "awake", "freezing", "frozen", "paging", "paged", "stopping", "failed")


def now_us():
    return time.time_ns() // 1000


def summary(name, state="cold", **fields):
    return {"name": name, "state": state, "since_us": now_us() - 200_500_000, "wakes": 0, **fields}


def status(name, state="awake", **fields):
    """A Status with every field that is not optional."""
    return {
        "name": name, "description": name, "state": state, "since_us": now_us() - 200_500_000, "enabled": True,
        "keep": "no", "file": f"/etc/torpor/sites/{name}.site", "templates": [], "handover": "auto",
        "listeners": [{"address": "0.0.0.0:8080", "type": "stream", "fd_name": name}], "limits": {},
        "limits_not_in_force": [], "wakes": 0, "thaws": 0, "restart_needed": False, "file_errors": [], **fields}


def why(site, **fields):
    """A Why of a Status."""
    return {"status": site, "holds": [], "next": [], "connections": [], "waiting": 0, "open": 0, **fields}


def host(sites=(), **fields):
    states = {state: 0 for state in STATES}
    for site in sites:
        states[site["state"]] = states.get(site["state"], 0) + 1
    return {
        "version": "0.1", "pid": 4242, "started_us": now_us() - 90_000_000_000, "sites": len(sites), "states": states,
        "listeners": len(sites), "open_files": 1200, "open_files_limit": 524288, "cgroup": "/system.slice/torpor.service",
        "controllers": ["cpu", "memory", "pids"], "controllers_missing": [], "memory_bytes": 9_000_000,
        "cpu_usage_us": 12_300_000, "wakes": 77, "starting": 0, "queued": 0, "max_starting": 4, "scans": 5000,
        "file_errors": [], "warnings": [], **fields}


class Error(Exception):
    """An error reply."""

    def __init__(self, name, **parameters):
        super().__init__(name)
        self.name, self.parameters = name, parameters


class Raw(Exception):
    """These bytes instead of a reply, and then the connection is closed."""

    def __init__(self, data):
        super().__init__()
        self.data = data


class FakeTorpord:
    """Listens on DIRECTORY/control. `sites` maps names to summaries, `statuses` to Status objects, `whys` to fields of Why. A method's
    answer is replaced by on[method] = function(parameters): it returns the reply's parameters, a generator of
    them for a stream, or raises Error or Raw. `calls` has what was asked."""

    def __init__(self, directory):
        self.directory = pathlib.Path(directory)
        self.path = self.directory / "control"
        self.sites, self.statuses, self.whys, self.host, self.on = {}, {}, {}, {}, {}
        self.calls, self.changed = [], threading.Condition()
        self.listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.listener.bind(str(self.path))
        self.listener.listen(64)
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self):
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        self.path.unlink()

    def add(self, name, state="cold", **fields):
        self.sites[name] = summary(name, state, **fields)
        self.statuses[name] = status(name, state)

    def wait_for_calls(self, method, count, timeout=60):
        with self.changed:
            assert self.changed.wait_for(lambda: len(self.asked(method)) >= count, timeout), self.calls

    def asked(self, method):
        return [parameters for name, parameters in self.calls if name == method]

    def _accept(self):
        while True:
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection):
        buffer = b""
        with connection:
            try:
                while data := connection.recv(65536):
                    buffer += data
                    while b"\0" in buffer:
                        message, buffer = buffer.split(b"\0", 1)
                        self._answer(connection, json.loads(message))
            except Raw as raw:
                self._send_raw(connection, raw.data)
            except OSError:
                pass

    @staticmethod
    def _send_raw(connection, data):
        try:
            connection.sendall(data)
        except OSError:
            pass

    def _answer(self, connection, call):
        method = call["method"].removeprefix("io.torpor.")
        parameters = call.get("parameters", {})
        with self.changed:
            self.calls.append((method, parameters))
            self.changed.notify_all()
        try:
            answer = self.on.get(method, getattr(self, "answer_" + method, self.unknown))(parameters)
            if isinstance(answer, dict):
                replies = [{"parameters": answer}]
            else:
                assert call.get("more"), f"{method} needs more"
                replies = self._stream(answer)
            for reply in replies:
                connection.sendall(json.dumps(reply).encode() + b"\0")
        except Error as error:
            name = error.name if "." in error.name else "io.torpor." + error.name
            connection.sendall(json.dumps({"error": name, "parameters": error.parameters}).encode() + b"\0")

    @staticmethod
    def _stream(answers):
        """Each as soon as it is there; the one before a None is the last."""
        for answer in answers:
            if answer is None:
                return
            last = answer.pop("last", False)
            yield {"parameters": answer} if last else {"parameters": answer, "continues": True}

    def unknown(self, parameters):
        raise Error("org.varlink.service.MethodNotFound")

    def known(self, parameters):
        if parameters.get("site") not in self.sites:
            raise Error("NoSuchSite", site=parameters.get("site"))
        return parameters["site"]

    def answer_List(self, parameters):
        if parameters.get("state", "cold") not in STATES:
            raise Error("NoSuchState", state=parameters["state"])
        sites = [s for s in self.sites.values() if parameters.get("state") in (None, s["state"])]
        if not sites:
            return iter([{"last": True}])
        return iter([{"site": site, "last": site is sites[-1]} for site in reversed(sites[:-1])] +
                    [{"site": sites[-1], "last": True}])

    def answer_GetHost(self, parameters):
        return {"host": {**host(list(self.sites.values())), **self.host}}

    def answer_GetStatus(self, parameters):
        return {"status": self.statuses[self.known(parameters)]}

    def answer_Explain(self, parameters):
        name = self.known(parameters)
        return {"why": why(self.statuses[name], **self.whys.get(name, {}))}

    def _change(self, parameters, state):
        name = self.known(parameters)
        self.sites[name]["state"] = self.statuses[name]["state"] = state
        return {"state": state, "took_us": 12_345}

    def answer_Wake(self, parameters):
        return self._change(parameters, "awake")

    def answer_Freeze(self, parameters):
        return self._change(parameters, "frozen")

    def answer_Stop(self, parameters):
        return self._change(parameters, "cold")

    def answer_Restart(self, parameters):
        return self._change(parameters, "awake")

    def answer_Reload(self, parameters):
        return {"loaded": len(self.sites), "changed": 2, "removed": 1, "file_errors": self.host.get("file_errors", [])}

    def answer_Cat(self, parameters):
        name = self.known(parameters)
        text = "[Site]\nTemplate=php\n" + ("Enabled=yes\n" if parameters.get("all") else "")
        return {"files": [f"/etc/torpor/sites/{name}.site", "/usr/lib/torpor/templates/php.template"], "text": text}

    def answer_Plan(self, parameters):
        self.known(parameters)
        return {"text": "mount tmpfs /\n\texec /usr/sbin/php-fpm\n"}


def demo():
    """A box to look at, until ^C: torporctl --run=DIR ..."""
    fake = FakeTorpord(tempfile.mkdtemp(prefix="fake-torpord-"))
    for i in range(40):
        fake.add(f"shop-{i:04}.customers.example.com", "cold", template="php")
    fake.sites["shop-0003.customers.example.com"].update(
        state="awake", connections=4, memory_bytes=69206016, cpu=0.034, wakes=12)
    fake.sites["shop-0007.customers.example.com"].update(
        state="awake", connections=1203, memory_bytes=2254857830, cpu=1.53, wakes=3)
    fake.sites["shop-0009.customers.example.com"].update(state="frozen", connections=2, memory_bytes=1782579, wakes=4)
    fake.sites["shop-0011.customers.example.com"].update(
        state="failed", wakes=9, error="failed at step exec: No such file or directory")
    fake.add("müller-und-söhne.example", "starting", wakes=1)
    fake.statuses["shop-0003.customers.example.com"] = status(
        "shop-0003.customers.example.com", description="The shop of Example Ltd, Zürich", templates=["php", "base"],
        listeners=[{"address": "0.0.0.0:8080", "type": "stream", "fd_name": "http"},
                   {"address": "/run/shop/fpm.sock", "type": "stream", "fd_name": "shop-0003.customers.example.com"}],
        pid=4711, cgroup="/system.slice/torpor.service/shop-0003.customers.example.com",
        limits={"MemoryMax": "256M", "CPUQuota": "50%", "TasksMax": "512", "CPUWeight": "100"},
        limits_not_in_force=["MemoryMax: the memory controller is not in cgroup v2", "CPUQuota: no cpu controller"],
        connections=4, waiting=1, cpu=0.034, cpu_usage_us=1_234_567, memory_bytes=69206016, wakes=12, thaws=30,
        last_wake_us=now_us() - 200_500_000, last_wake_took_us=12_345, last_wake_by="a connection to 0.0.0.0:8080",
        idle_us=12_000_000, freezes_in_us=18_000_000, stops_in_us=588_000_000, restart_needed=True,
        status_text="Processes active: 0, idle: 2", file_errors=[
            {"file": "/etc/torpor/sites/shop-0003.customers.example.com.site", "line": 12,
             "message": "MemoryMax=256Q: expected a size such as 256M or 10%"}])
    fake.statuses["shop-0011.customers.example.com"] = status(
        "shop-0011.customers.example.com", "failed", failure={
            "time_us": now_us() - 3_000_000, "step": "exec", "errno": 2, "message": "No such file or directory",
            "restarts": 3, "retry_in_us": 4_000_000})
    fake.host = {"warnings": ["RLIMIT_NOFILE is 1024 and cannot be raised: 12 of 1003 sites are not served"],
                 "controllers_missing": ["memory"], "controllers": ["cpu", "pids"],
                 "file_errors": fake.statuses["shop-0003.customers.example.com"]["file_errors"]}

    def monitor(parameters):
        yield {}
        for i in range(1000000):
            time.sleep(0.2 if i > 5 else 0)
            yield {"event": {"time_us": now_us(), "site": f"shop-{i:04}.customers.example.com", "from": "freezing",
                             "to": "stopping", "reason": "idle for 10min, no connection waits", "took_us": 12345}}
            yield {"event": {"time_us": now_us(), "site": f"shop-{i:04}.customers.example.com", "from": "cold",
                             "to": "awake", "reason": "a connection to 0.0.0.0:8080", "took_us": 12345}}

    fake.on["Monitor"] = monitor
    print(fake.directory, flush=True)
    try:
        signal.pause()
    except KeyboardInterrupt:
        fake.close()
        fake.directory.rmdir()
        sys.exit(0)


if __name__ == "__main__":
    demo()
