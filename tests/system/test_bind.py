# SPDX-License-Identifier: LGPL-2.1-or-later
"""A program that knows nothing of torpor binds, and has its listener: in all the ways in which programs do that.

The program is tests/helpers/binder.c, which does what its arguments say, and answers with what came of it."""
import json
import os
import pathlib
import pwd
import socket
import stat

import pytest

from client import connect, http_get
from harness import wait_until

LISTEN_BACKLOG = 77


def port_of(address):
    return address.rpartition(":")[2]


class Binder:
    """A site "a" whose program does these steps."""

    def __init__(self, torpor, steps, *listen, name="a", **keys):
        keys.setdefault("container", {}).setdefault("Handover", "bind")
        keys.setdefault("socket", {})
        self.torpor, self.name = torpor, name
        self.address = torpor.add_site(name, *listen, exec_start="/helpers/binder " + " ".join(steps), **keys)
        if not torpor.running:
            torpor.start()
        torpor.wait_site(name)

    def get(self, address=None):
        return Answer(json.loads(http_get(address or self.address).text))


class Answer:
    def __init__(self, fields):
        self.fields = fields
        self.listener = fields["listener"]
        self.connection = fields.get("connection")

    def __getitem__(self, name):
        return self.fields[name]

    def steps(self, kind):
        """Those whose name begins so."""
        return [step for step in self.fields["steps"] if step["step"].removeprefix("thread:").startswith(kind)]

    def results(self, kind):
        return [step["result"] for step in self.steps(kind)]

    def assert_all_ok(self):
        wrong = [(step["step"], step["result"]) for step in self.fields["steps"] if step["result"] != "ok"]
        assert not wrong, self.fields


@pytest.fixture
def bind(torpor):
    def start(steps, *listen, **keys):
        return Binder(torpor, steps, *(listen or [torpor.address()]), **keys)
    return start


def family(address):
    return "inet6" if address.startswith("[") else "unix" if address[0] in "/@" else "inet"


def plain(address, backlog=LISTEN_BACKLOG):
    return [f"socket={family(address)},stream", f"bind={address}", f"listen={backlog}", "look", "serve"]


def kernel_listener(torpor, inode):
    return f"socket:[{inode}]" in torpor.descriptors().values()


# Which bind is meant.

@pytest.mark.parametrize("form", ["{ip}", "0.0.0.0", "127.0.0.1", "[::]", "[::1]", "[::ffff:{ip}]"])
def test_bind_of_an_ipv4_listener(torpor, bind, form):
    address = torpor.address()
    site = bind(plain(f"{form.format(ip=torpor.ip)}:{port_of(address)}"), address)
    answer = site.get()
    answer.assert_all_ok()
    look, = answer.steps("look")
    assert look["name"] == address and look["listening"]
    assert look["inode"] == answer.listener["inode"] and kernel_listener(torpor, look["inode"])
    assert answer.connection["name"] == address
    assert answer["listen_fds"] == ""


@pytest.mark.parametrize("form", ["[::1]", "[::]", "0.0.0.0", "127.0.0.1"])
def test_bind_of_an_ipv6_listener(torpor, bind, form):
    address = torpor.address6()
    answer = bind(plain(f"{form}:{port_of(address)}"), address).get()
    answer.assert_all_ok()
    assert answer.listener["name"] == address


@pytest.mark.parametrize("form", ["0.0.0.0", "[::]"])
def test_dual_stack_listener(torpor, bind, form):
    """[::]:PORT takes both families, whichever of them the program binds."""
    port = port_of(torpor.address6())
    site = bind(plain(f"{form}:{port}"), f"[::]:{port}")
    for address in (f"127.0.0.1:{port}", f"[::1]:{port}"):
        answer = site.get(address)
        answer.assert_all_ok()
        assert answer.listener["name"] == f"[::]:{port}"


def test_both_families_by_themselves(torpor, bind):
    """IPv4 first and IPv6 alone then, as many servers do: both have the listener."""
    address = torpor.address()
    port = port_of(address)
    site = bind(["socket=inet,stream", "set=reuseaddr", f"bind=0.0.0.0:{port}", "listen=5",
                 "socket=inet6,stream", "set=v6only", "set=reuseaddr", f"bind=[::]:{port}", "listen=5", "look",
                 "serve"], address)
    answer = site.get()
    answer.assert_all_ok()
    assert answer.steps("look")[0]["inode"] == answer.listener["inode"]


def test_each_listener_has_its_bind(torpor, bind):
    addresses = [torpor.address(), torpor.address6(), "@torpor-test-" + torpor.ip]
    steps = []
    for address in addresses:
        steps += plain(address)[:-1]
    site = bind(steps + ["serve"], *addresses)
    for address in addresses:
        answer = site.get(address)
        answer.assert_all_ok()
        assert answer.listener["name"] == address
    assert torpor.wakes("a") == 1


def test_best_of_two_listeners_of_one_port(torpor, bind):
    port = port_of(torpor.address6())
    four, six = f"{torpor.ip}:{port}", f"[::1]:{port}"
    site = bind(plain(f"[::]:{port}")[:-1] + plain(f"0.0.0.0:{port}"), four, six)
    assert [site.get(address).listener["name"] for address in (four, six)] == [four, six]
    assert [look["name"] for look in site.get(four).steps("look")] == [six, four]


# The bind that the unit declares.

def test_other_port(torpor, bind):
    address = torpor.address()
    site = bind(plain("0.0.0.0:8443"), address, container={"BindPort": "8443"})
    answer = site.get()
    answer.assert_all_ok()
    assert answer.listener["name"] == address


def test_unix_listener_for_a_program_that_knows_tcp_alone(torpor, bind):
    path = str(torpor.run / "a.sock")
    site = bind(plain("127.0.0.1:8000"), path, container={"BindPort": "8000"})
    answer = site.get()
    answer.assert_all_ok()
    assert answer.listener["name"] == path
    # Its peers have no address.
    assert answer["peer"] == ""


def test_tcp_listener_for_a_program_that_knows_unix_alone(torpor, bind):
    address = torpor.address()
    site = bind(plain("/run/app/own.sock"), address, container={"BindAddress": "/run/app/own.sock"})
    answer = site.get()
    answer.assert_all_ok()
    assert answer.listener["name"] == address


def test_each_listener_by_its_name(torpor, bind):
    address, path = torpor.address(), str(torpor.run / "a.sock")
    site = bind(plain("0.0.0.0:81")[:-1] + plain("127.0.0.1:82"), address, path,
                container={"BindPort": f"{port_of(address)} 81", "BindAddress": f"{path} 127.0.0.1:82"})
    assert site.get(address).listener["name"] == address
    assert site.get(path).listener["name"] == path


# How programs do it.

def test_thread_binds(torpor, bind):
    address = torpor.address()
    answer = bind(["socket=inet,stream", f"thread:bind={address}", "thread:listen=5", "serve"], address).get()
    answer.assert_all_ok()


def test_child_binds_and_serves(torpor, bind):
    address = torpor.address()
    site = bind(["child", "socket=inet,stream", f"bind={address}", "listen=5", "serve"], address)
    answer = site.get()
    answer.assert_all_ok()
    assert answer["pid"] != 1


def test_child_binds_what_its_parent_made(torpor, bind):
    address = torpor.address()
    answer = bind(["socket=inet,stream", "child", f"bind={address}", "listen=5", "serve"], address).get()
    answer.assert_all_ok()
    assert answer["pid"] != 1


def test_bind_of_a_bound_socket(torpor, bind):
    """It is refused as ever, and is the listener still."""
    address = torpor.address()
    answer = bind(["socket=inet,stream", f"bind={address}", f"bind={address}", "listen=5", "serve"], address).get()
    assert answer.results("bind") == ["ok", "EINVAL"]
    assert answer.listener["name"] == address


@pytest.mark.parametrize("flags", ["", "nonblock", "cloexec", "nonblock,cloexec"])
@pytest.mark.parametrize("how", ["socket", "flags"])
def test_flags_stay(torpor, bind, how, flags):
    address = torpor.address()
    make = [f"socket=inet,stream,{flags}"] if how == "socket" else ["socket=inet,stream", f"flags={flags}"]
    answer = bind([*make, f"bind={address}", "look", "listen=5", "serve"], address).get()
    answer.assert_all_ok()
    look, = answer.steps("look")
    assert (look["nonblock"], look["cloexec"]) == ("nonblock" in flags, "cloexec" in flags)


def test_flags_of_one_site_are_its_own(torpor, bind):
    """The listener outlives its container: the next one finds it as its own program made it."""
    address = torpor.address()
    site = bind(["socket=inet,stream,nonblock", f"bind={address}", "listen=5", "serve"], address)
    assert site.get().listener["nonblock"]
    torpor.call("Stop", site="a")
    torpor.write_site("a", torpor.site_path("a").read_text().replace("stream,nonblock", "stream"))
    wait_until(lambda: "nonblock" not in torpor.torporctl("plan", "a").stdout, "the new unit")
    assert not site.get().listener["nonblock"]


@pytest.mark.parametrize("option,value,expected", [
    ("keepalive", 1, 1), ("nodelay", 1, 1), ("rcvbuf", 30000, 60000), ("sndbuf", 40000, 80000),
    ("user-timeout", 5000, 5000), ("defer-accept", 1, 1)])
def test_options_stay(torpor, bind, option, value, expected):
    """Those that were set before the bind hold, and connections that come afterwards inherit them as from any
    listener. The one that woke the site was there before."""
    address = torpor.address()
    site = bind(["socket=inet,stream", f"set={option},{value}", f"bind={address}", "listen=5", "look", "serve"],
                address)
    answer = site.get()
    answer.assert_all_ok()
    assert answer.steps("look")[0][option] == expected
    answer = site.get()
    if option not in ("defer-accept", "rcvbuf", "sndbuf"):
        assert answer.connection[option] == expected


def test_backlog_is_the_units(torpor, bind):
    address = torpor.address()
    site = bind(plain(address, backlog=1), address, socket={"Backlog": LISTEN_BACKLOG})
    answer = site.get()
    answer.assert_all_ok()
    assert answer.listener["backlog"] == LISTEN_BACKLOG
    # And the next container's, and what waits meanwhile.
    torpor.call("Stop", site="a")
    sockets = [connect(address) for _ in range(20)]
    for sock in sockets:
        sock.sendall(b"GET / HTTP/1.0\r\n\r\n")
    for sock in sockets:
        assert sock.recv(15) == b"HTTP/1.1 200 OK"
        sock.close()


def test_epoll_before_bind(torpor, bind):
    address = torpor.address()
    answer = bind(["socket=inet,stream", "epoll", f"bind={address}", "listen=5", "serve-epoll"], address).get()
    answer.assert_all_ok()


def test_epoll_before_bind_of_one_site_and_another(torpor, bind):
    """What is done to a descriptor of the one is done to none of torpord's, whatever its number."""
    for number in range(12):
        address, own = torpor.address(), torpor.address()
        site = bind(["socket=inet,dgram"] * number +
                    ["socket=inet,stream", "epoll", f"bind={address}", "listen=5", "serve-epoll"], address,
                    name=f"epoll{number}")
        site.get().assert_all_ok()
        answer = bind(plain(own), own, name=f"plain{number}").get()
        answer.assert_all_ok()
        wait_until(lambda name=f"plain{number}": torpor.status(name)["listeners"][0].get("taken") == "bound", "its bind")


def test_bind_again_after_close(torpor, bind):
    """A reload: the old socket is closed and a new one made."""
    address = torpor.address()
    make = ["socket=inet,stream", "set=reuseaddr", f"bind={address}", "listen=5"]
    site = bind([*make, "serve=1", "close", *make, "look", "serve"], address)
    first, second = site.get(), site.get()
    second.assert_all_ok()
    assert first["pid"] == second["pid"]
    assert first.listener["inode"] == second.listener["inode"]
    assert torpor.wakes("a") == 1


def test_new_socket_before_the_old_is_closed(torpor, bind):
    address = torpor.address()
    make = ["socket=inet,stream", "set=reuseaddr", f"bind={address}", "listen=5"]
    site = bind([*make, *make, "close", "serve"], address)
    site.get().assert_all_ok()
    site.get().assert_all_ok()


def test_multipath_tcp(torpor, bind):
    """What Go's and other runtimes make where the kernel has it: the listener is as ever."""
    if not pathlib.Path("/proc/sys/net/mptcp").exists():
        pytest.skip("a kernel without multipath TCP")
    address = torpor.address()
    answer = bind(["socket=inet,stream,mptcp,nonblock", "set=nodelay", "epoll", f"bind={address}", "listen=5", "look",
                   "serve-epoll"], address).get()
    answer.assert_all_ok()
    look, = answer.steps("look")
    assert look["inode"] == answer.listener["inode"] and look["nonblock"] and look["nodelay"] == 1


def test_workers_with_a_socket_each(torpor, bind):
    """SO_REUSEPORT: each has the same listener, and nothing is lost between them."""
    address = torpor.address()
    site = bind(["fork=4", "socket=inet,stream", "set=reuseport", f"bind={address}", "listen=5", "serve"], address)
    answers = [site.get() for _ in range(200)]
    for answer in answers:
        answer.assert_all_ok()
    assert len({answer.listener["inode"] for answer in answers}) == 1


def test_prefork(torpor, bind):
    address = torpor.address()
    site = bind(["socket=inet,stream", f"bind={address}", "listen=5", "fork=4", "serve"], address)
    answers = [site.get() for _ in range(200)]
    assert {answer.results("bind")[0] for answer in answers} == {"ok"}
    assert len({answer.listener["inode"] for answer in answers}) == 1


def test_datagrams(torpor, bind):
    address = torpor.address()
    stream = torpor.address()
    site = bind(["socket=inet,dgram", f"bind=0.0.0.0:{port_of(address)}", "serve"], stream,
                socket={"ListenDatagram": address})
    with connect(address, socket.SOCK_DGRAM) as sock:
        sock.send(b"hello")
        answer = Answer(json.loads(sock.recv(65536)))
    answer.assert_all_ok()
    assert answer.listener["name"] == address
    assert torpor.state(site.name) != "cold"


def test_kinds_of_one_port(torpor, bind):
    """Connections and datagrams of one port are two listeners."""
    address = torpor.address()
    site = bind(["socket=inet,dgram", f"bind={address}", *plain(address)], address, socket={"ListenDatagram": address})
    site.get().assert_all_ok()
    with connect(address, socket.SOCK_DGRAM) as sock:
        sock.send(b"hello")
        Answer(json.loads(sock.recv(65536))).assert_all_ok()


def test_abstract(torpor, bind):
    address = "@torpor-test-" + torpor.ip
    answer = bind(plain(address), address).get()
    answer.assert_all_ok()
    assert answer.listener["name"] == address


def test_path(torpor, bind):
    """With what programs do about it: the old file unlinked, the mode changed. The host's file stays as it is."""
    path = str(torpor.run / "a.sock")
    site = bind([f"unlink={path}", "socket=unix,stream", f"bind={path}", f"chmod={path},0600", f"stat={path}",
                 "listen=5", "look", "serve"], path)
    before = pathlib.Path(path).stat()
    answer = site.get()
    assert answer.results("bind") == answer.results("chmod") == answer.results("stat") == ["ok"]
    assert answer.steps("look")[0]["name"] == answer.listener["name"] == path
    after = pathlib.Path(path).stat()
    assert (before.st_ino, before.st_mode) == (after.st_ino, after.st_mode)
    assert stat.S_ISSOCK(after.st_mode)


@pytest.mark.parametrize("private_users", ["no", "yes"])
@pytest.mark.parametrize("handover,there", [("auto", True), ("bind", True), ("listen-fds", False)])
def test_folder_of_a_path(torpor, handover, there, private_users):
    """The program can make its socket, and what it puts beside it; it owns the folder, which is its own alone."""
    path = torpor.run / "made" / "a.sock"
    address = torpor.address()
    torpor.add_site("a", address, str(path), container={"Handover": handover, "User": "daemon", "Group": "nogroup",
                                                        "PrivateUsers": private_users},
                    **({} if handover != "bind" else {"exec_start": f"/helpers/probe-server --listen={address}"}))
    torpor.start()
    folder = http_get(address, f"/stat?path={path.parent}")
    assert (folder.status == 200) == there
    if there:
        assert folder.fields["mode"] == "40755"
        assert int(folder.fields["uid"]) == pwd.getpwnam("daemon").pw_uid
        assert http_get(address, f"/list?path={path.parent}").text == ""
        assert http_get(address, f"/write?path={path}.lock").text == "ok\n"
    assert [entry.name for entry in path.parent.iterdir()] == ["a.sock"]


# What is not meant.

def test_undeclared_binds_are_the_programs_own(torpor, bind):
    """In a network of its own, as everywhere else: it can listen, connect to itself, and be refused."""
    address = torpor.address()
    site = bind(["socket=inet,stream", "bind=127.0.0.1:9009", "listen=5", "look", "connect=127.0.0.1:9009",
                 "socket=inet6,stream", "bind=[::1]:9010", "listen=5", "look", "connect=[::1]:9010",
                 "socket=unix,stream", "bind=/tmp/own.sock", "listen=5", "look", "connect=/tmp/own.sock",
                 "socket=unix,stream", "bind=@own", "listen=5", "look", "connect=@own",
                 "socket=inet,dgram", f"bind=0.0.0.0:{port_of(address)}", "look",
                 *plain(address)], address)
    answer = site.get()
    answer.assert_all_ok()
    names = [look["name"] for look in answer.steps("look")]
    assert names == ["127.0.0.1:9009", "[::1]:9010", "/tmp/own.sock", "@own", f"0.0.0.0:{port_of(address)}", address]
    assert not any(kernel_listener(torpor, look["inode"]) for look in answer.steps("look")[:-1])


def test_undeclared_bind_that_fails(torpor, bind):
    address = torpor.address()
    site = bind(["socket=inet,stream", "bind=127.0.0.1:9009", "listen=5", "socket=inet,stream", "bind=127.0.0.1:9009",
                 "socket=inet,stream", "bind=192.0.2.1:9009", *plain(address)], address)
    assert site.get().results("bind") == ["ok", "EADDRINUSE", "EADDRNOTAVAIL", "ok"]


def test_another_sites_address_is_not_meant(torpor, bind):
    other = torpor.add_site("other")
    address = torpor.address()
    answer = bind([*plain(other)[:-1], *plain(address)], address).get()
    assert not kernel_listener(torpor, answer.steps("look")[0]["inode"])
    assert torpor.state("other") == "cold"


def test_listen_fds_alone_answers_no_bind(torpor, bind):
    address = torpor.address()
    torpor.add_site("a", address, container={"Handover": "listen-fds"})
    torpor.start()
    assert http_get(address, "/listener").fields["fd"] == "3"
    assert "intercepted" not in torpor.torporctl("plan", "a").stdout


def test_descriptors_of_bind(torpor):
    """Nothing is offered to a program that is to bind."""
    address = torpor.address()
    torpor.add_site("a", address, exec_start=f"/helpers/probe-server --listen={address}",
                    container={"Handover": "bind", "StandardOutput": "null"})
    torpor.start()
    assert not any(name.startswith("LISTEN_") for name in http_get(address, "/env").fields)
    links = dict(line.split(" ", 1) for line in http_get(address, "/fds").lines)
    # Its listener, and this connection.
    assert [link.split("[")[0] for link in links.values()].count("socket:") == 2


@pytest.mark.parametrize("arguments", ["", "--listen={address}"])
def test_auto_takes_either(torpor, arguments):
    """Without Handover= the descriptors are there, and a bind is answered."""
    address = torpor.address()
    torpor.add_site("a", address, exec_start="/helpers/probe-server " + arguments.format(address=address))
    torpor.start()
    assert http_get(address, "/env").fields["LISTEN_FDS"] == "1"
    fields = http_get(address, "/listener").fields
    assert kernel_listener(torpor, fields["inode"])


def test_other_entries_of_the_kernel(torpor, bind):
    if os.uname().machine != "x86_64":
        pytest.skip("they are x86-64's")
    address = torpor.address()
    answer = bind(["i386=bind", "i386=socketcall", "x32=bind", *plain(address)], address).get()
    assert answer.results("i386") + answer.results("x32") == ["ENOSYS"] * 3


# Again and again.

def test_cold_and_frozen(torpor, bind):
    site = bind(plain("0.0.0.0:8080"), container={"BindPort": "8080"})
    inodes = set()
    for _ in range(3):
        inodes.add(site.get().listener["inode"])
        torpor.wait_state("a", "awake")
        torpor.freeze("a")
        inodes.add(site.get().listener["inode"])
        torpor.call("Stop", site="a")
    assert len(inodes) == 1
    assert torpor.wakes("a") == 3


def test_loop_of_binds(torpor, bind):
    """Meant and not: it goes on and on, and another site wakes meanwhile."""
    address = torpor.address()
    bind([f"loop=2000,{address}", "loop=2000,127.0.0.1:9009", *plain(address)], address).get().assert_all_ok()
    busy = torpor.address()
    Binder(torpor, ["loop=1000000000,127.0.0.1:9009"], busy, name="busy")
    other = torpor.add_site("other")
    torpor.wait_site("other")
    torpor.call("Wake", site="busy")
    for _ in range(20):
        assert http_get(other).text == "hello\n"
        torpor.call("Stop", site="other")


def test_container_killed_in_a_bind(torpor, bind):
    """At any point of the exchange; the next one binds as if nothing had been."""
    address = torpor.address()
    Binder(torpor, [f"loop=1000000000,{torpor.ip}:{port_of(address)}"], torpor.address(), name="loops",
           container={"Handover": "bind", "BindPort": port_of(address), "TimeoutStopSec": "1ms",
                      "KillSignal": "SIGKILL"})
    site = bind(plain(address), address)
    for _ in range(20):
        torpor.call("Wake", site="loops")
        torpor.call("Stop", site="loops")
    site.get().assert_all_ok()
    assert torpor.running
