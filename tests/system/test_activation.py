# SPDX-License-Identifier: LGPL-2.1-or-later
"""A connection starts its site, and the site answers on the very socket that the daemon holds."""
import json
import os
import pathlib
import pwd
import socket
import stat
import subprocess

import pytest

from client import parse
from harness import HELPERS, HttpConnection, connect, http_get, site_text, wait_until


def tcp_listener_inode(address):
    """The inode of the socket that listens on an IPv4 address."""
    host, _, port = address.rpartition(":")
    local = "".join(f"{int(part):02X}" for part in reversed(host.split("."))) + f":{int(port):04X}"
    for line in pathlib.Path("/proc/net/tcp").read_text().splitlines()[1:]:
        fields = line.split()
        if fields[1] == local and fields[3] == "0A":
            return int(fields[9])
    return None


def wake_client(*arguments):
    result = subprocess.run([HELPERS / "wake-client", "--json", *map(str, arguments)], stdout=subprocess.PIPE,
                            stdin=subprocess.DEVNULL, timeout=120, check=False)
    return json.loads(result.stdout)


def test_first_connection_starts(torpor):
    address = torpor.add_site("a.example.com")
    torpor.add_site("b.example.com")
    torpor.start()
    assert torpor.state("a.example.com") == "cold"
    with torpor.events() as events:
        assert http_get(address, "/").text == "hello\n"
        events.wait_event(site="a.example.com", from_="cold", to="starting")
        assert events.wait_event(site="a.example.com", to="awake")["took_us"] > 0
        assert events.transitions("b.example.com") == []
    status = torpor.status("a.example.com")
    assert (status["state"], status["wakes"], status["thaws"]) == ("awake", 1, 0)
    assert status["last_wake_us"] > 0 and "connection" in status["last_wake_by"]
    assert torpor.state("b.example.com") == "cold"
    assert torpor.processes("b.example.com") == []
    assert torpor.processes("a.example.com") == [status["pid"]]


def test_listener_is_inherited(torpor):
    address = torpor.add_site("a")
    torpor.start()
    fields = http_get(address, "/listener").fields
    assert fields["fd"] == "3"
    assert int(fields["inode"]) == tcp_listener_inode(address)
    assert f"socket:[{fields['inode']}]" in torpor.descriptors().values()


def test_listen_environment(torpor):
    address = torpor.add_site("a.example.com")
    torpor.start()
    variables = http_get(address, "/env").fields
    assert variables["LISTEN_FDS"] == "1"
    assert variables["LISTEN_PID"] == http_get(address, "/pid").text.strip() == "1"
    assert variables["LISTEN_FDNAMES"] == "a.example.com"


def test_a_thousand_connections_start_once(torpor):
    address = torpor.add_site("a", exec_start="/helpers/probe-server --sleep-start=300")
    torpor.start()
    with torpor.events() as events:
        result = wake_client("--concurrency=1000", "--count=1000", address)
        assert result["failed"] == 0, result
        assert result["count"] == 1000
        assert torpor.visit("a", address, "/counter").text == "1001\n"
        assert events.transitions("a") == ["starting", "awake"]
    assert torpor.wakes("a") == 1


def test_many_sites_at_once(torpor):
    addresses = [torpor.add_site(f"site{i}") for i in range(50)]
    torpor.start()
    result = wake_client("--concurrency=50", *addresses)
    assert result["failed"] == 0, result
    wait_until(lambda: torpor.host()["states"]["awake"] == 50, "all to be awake")
    assert {site["wakes"] for site in torpor.sites().values()} == {1}
    host = torpor.host()
    assert host["wakes"] == 50
    assert host["starting"] == host["queued"] == 0


def test_wake_by_command(torpor):
    address = torpor.add_site("a")
    torpor.start()
    assert torpor.call("Wake", site="a")["state"] == "awake"
    assert torpor.call("Wake", site="a")["state"] == "awake"
    assert http_get(address, "/counter").text == "1\n"
    assert torpor.wakes("a") == 1
    assert "command" in torpor.status("a")["last_wake_by"]


def test_unix_listener(torpor):
    path = torpor.run / "made" / "a.sock"
    torpor.add_site("a", str(path), socket={"SocketUser": "daemon", "SocketGroup": "nogroup",
                                            "SocketMode": "0640", "DirectoryMode": "0750"})
    torpor.start()
    before = path.stat()
    assert stat.S_IMODE(before.st_mode) == 0o640
    assert (before.st_uid, before.st_gid) == (pwd.getpwnam("daemon").pw_uid, pwd.getpwnam("nobody").pw_gid)
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o750
    assert torpor.visit("a", str(path), "/listener").fields["fd"] == "3"
    torpor.call("Stop", site="a")
    after = path.stat()
    assert (after.st_ino, after.st_mode, after.st_uid, after.st_gid) == \
        (before.st_ino, before.st_mode, before.st_uid, before.st_gid)
    assert http_get(str(path), "/counter").text == "1\n"


def test_unknown_owner_of_a_unix_socket(torpor):
    """Is said by its key, for a site that is new and for one that is there, and nothing is bound or changed."""
    path, path_b = torpor.run / "made" / "a.sock", torpor.run / "b.sock"
    torpor.add_site("a", str(path), socket={"SocketGroup": "torpor-nosuch"})
    torpor.add_site("b", str(path_b), socket={"SocketMode": "0600"})
    torpor.start()
    error, = torpor.file_errors()
    assert error["file"] == str(torpor.site_path("a"))
    assert error["message"] == "SocketGroup=torpor-nosuch: no such group on this host: create it, or name another"
    assert not path.parent.exists()
    torpor.site_path("a").unlink()
    torpor.add_site("b", str(path_b), socket={"SocketMode": "0666", "SocketUser": "torpor-nosuch"})
    torpor.call("Reload")
    error, = torpor.file_errors()
    assert error["message"] == "SocketUser=torpor-nosuch: no such user on this host: create it, or name another"
    assert stat.S_IMODE(path_b.stat().st_mode) == 0o600
    assert http_get(str(path_b)).status == 200


def test_group_of_a_unix_socket(torpor):
    """That of the user, where SocketUser= is a name and nobody says otherwise; else root's."""
    daemon = pwd.getpwnam("daemon")
    groups = {"daemon": daemon.pw_gid, str(daemon.pw_uid): 0}
    for user in groups:
        torpor.add_site(f"of-{user}", str(torpor.run / f"{user}.sock"), socket={"SocketUser": user})
    torpor.start()
    for user, group in groups.items():
        found = (torpor.run / f"{user}.sock").stat()
        assert (found.st_uid, found.st_gid) == (daemon.pw_uid, group)


def test_stale_unix_socket_is_replaced(torpor):
    path = torpor.run / "a.sock"
    with socket.socket(socket.AF_UNIX) as stale:
        stale.bind(str(path))
        stale.listen()
    torpor.add_site("a", str(path))
    torpor.start()
    assert http_get(str(path)).status == 200


def test_live_unix_socket_is_never_stolen(torpor):
    path = torpor.run / "a.sock"
    with socket.socket(socket.AF_UNIX) as live:
        live.bind(str(path))
        live.listen()
        inode = path.stat().st_ino
        torpor.add_site("a", str(path))
        good = torpor.add_site("b")
        torpor.start()
        assert path.stat().st_ino == inode
        assert [error["file"] for error in torpor.file_errors()] == [str(torpor.site_path("a"))]
        assert str(path) in torpor.file_errors()[0]["message"]
        assert http_get(good).status == 200
        with connect(str(path)):
            live.accept()[0].close()
        torpor.stop()
        assert path.stat().st_ino == inode


@pytest.mark.parametrize("kind", ["file", "directory", "link"])
def test_what_is_no_socket_is_never_replaced(torpor, kind):
    path, elsewhere = torpor.run / "a.sock", torpor.directory / "elsewhere"
    elsewhere.write_text("precious")
    if kind == "file":
        path.write_text("precious")
    elif kind == "directory":
        path.mkdir()
    else:
        path.symlink_to(elsewhere)
    torpor.add_site("a", str(path))
    torpor.start()
    assert len(torpor.file_errors()) == 1
    assert not stat.S_ISSOCK(path.lstat().st_mode)
    assert elsewhere.read_text() == "precious"


def test_abstract_unix_listener(torpor):
    address = f"@{torpor.directory.name}"
    torpor.add_site("a", address)
    torpor.start()
    assert http_get(address).status == 200


def test_ipv6(torpor):
    address = torpor.address6()
    torpor.add_site("a", address)
    torpor.start()
    assert http_get(address, "/listener").fields["fd"] == "3"
    assert torpor.status("a")["listeners"][0]["address"] == address


def test_ipv6_and_ipv4_on_one_port(torpor):
    six = torpor.address6()
    port = six.rpartition(":")[2]
    torpor.add_site("a", f"[::]:{port}", socket={"BindIPv6Only": "ipv6-only"})
    torpor.add_site("b", f"0.0.0.0:{port}")
    torpor.start()
    torpor.visit("a", six)
    assert torpor.state("b") == "cold"
    torpor.visit("b", f"127.0.0.1:{port}")


def test_udp(torpor):
    address = torpor.address()
    torpor.add_site("a", socket={"ListenStream": "", "ListenDatagram": address})
    torpor.start()
    with connect(address, socket.SOCK_DGRAM) as sock:
        sock.send(b"first")
        assert sock.recv(100) == b"first"
        torpor.wait_state("a", "awake")
        torpor.call("Stop", site="a")
        sock.send(b"second")
        assert sock.recv(100) == b"second"
    torpor.wait_state("a", "awake")
    assert torpor.wakes("a") == 2
    assert torpor.status("a")["listeners"] == [{"address": address, "type": "datagram", "fd_name": "a"}]


@pytest.mark.parametrize("key,kind", [("ListenDatagram", socket.SOCK_DGRAM),
                                      ("ListenSequentialPacket", socket.SOCK_SEQPACKET)])
def test_unix_packets(torpor, key, kind):
    path = str(torpor.run / "a.sock")
    torpor.write_site("a", site_text(socket={key: path, "SocketMode": "0666"}))
    torpor.start()
    with socket.socket(socket.AF_UNIX, kind) as sock:
        sock.settimeout(60)
        sock.bind(f"\0{torpor.directory.name}")
        sock.connect(path)
        sock.send(b"one")
        assert sock.recv(100) == b"one"
        sock.send(b"two")
        assert sock.recv(100) == b"two"
    torpor.wait_state("a", "awake")
    assert torpor.wakes("a") == 1


def test_several_listeners_in_order(torpor):
    addresses = [torpor.address(), str(torpor.run / "a.sock"), torpor.address()]
    torpor.add_site("a", *addresses, socket={"FileDescriptorName": "web"})
    torpor.start()
    for number, address in enumerate(addresses, 3):
        fields = http_get(address, "/listener").fields
        assert (fields["fd"], fields["name"]) == (str(number), "web")
    variables = http_get(addresses[0], "/env").fields
    assert (variables["LISTEN_FDS"], variables["LISTEN_FDNAMES"]) == ("3", "web:web:web")
    torpor.wait_state("a", "awake")
    assert torpor.wakes("a") == 1
    assert [listener["address"] for listener in torpor.status("a")["listeners"]] == addresses


def test_each_listener_wakes(torpor):
    addresses = [torpor.address() for _ in range(3)]
    torpor.add_site("a", *addresses)
    torpor.start()
    for address in reversed(addresses):
        assert http_get(address, "/counter").text == "1\n"
        torpor.call("Stop", site="a")


def test_stdin_handover(torpor):
    address = torpor.add_site("a", exec_start="/helpers/probe-server --stdin-listener",
                              container={"Handover": "stdin"})
    torpor.start()
    assert http_get(address, "/listener").fields["fd"] == "0"
    assert not any(name.startswith("LISTEN_") for name in http_get(address, "/env").fields)


def test_sockets_of_the_service_manager(torpor):
    """They are matched by address; what no site wants does no harm, and no container learns of the rest."""
    address, other = torpor.address(), torpor.address()
    path = str(torpor.run / "a.sock")
    torpor.add_site("a", address, path)
    own = torpor.add_site("b")
    sockets = []
    try:
        for passed in (path, other, address):
            family, target = parse(passed)
            sockets.append(socket.socket(family))
            if family != socket.AF_UNIX:
                sockets[-1].setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            sockets[-1].bind(target)
            sockets[-1].listen()
        torpor.start(sockets=sockets, socket_names=["x", "y", "z"])
        inodes = [os.fstat(sock.fileno()).st_ino for sock in sockets]
    finally:
        for sock in sockets:
            sock.close()
    first, second = (http_get(passed, "/listener").fields for passed in (address, path))
    assert (first["fd"], int(first["inode"])) == ("3", inodes[2])
    assert (second["fd"], int(second["inode"])) == ("4", inodes[0])
    assert http_get(address, "/env").fields["LISTEN_FDNAMES"] == "a:a"
    assert http_get(own, "/env").fields["LISTEN_FDS"] == "1"
    assert torpor.file_errors() == []


def test_a_passed_socket_outlives_a_refusal(torpor):
    """Of a unit that wants another address, too, at which somebody listens. Mended, it has the one that was passed."""
    with socket.socket() as passed, socket.socket() as taken:
        for sock in (passed, taken):
            sock.bind((torpor.ip, 0))
            sock.listen()
        address, other = (f"{torpor.ip}:{sock.getsockname()[1]}" for sock in (passed, taken))
        torpor.add_site("a", address, other)
        torpor.start(sockets=[passed], socket_names=["a"])
        inode = os.fstat(passed.fileno()).st_ino
    error, = torpor.file_errors()
    assert other in error["message"]
    torpor.add_site("a", address)
    torpor.wait_site("a")
    assert int(http_get(address, "/listener").fields["inode"]) == inode


def test_notify_type_waits_for_ready(torpor):
    address = torpor.add_site("a", exec_start="/helpers/probe-server --ready-after=300",
                              container={"Type": "notify"})
    torpor.start()
    with torpor.events() as events, HttpConnection(address) as connection:
        connection.send("/notify?STATUS=all is well")
        events.wait_event(site="a", to="starting")
        assert torpor.state("a") == "starting"
        assert events.wait_event(site="a", to="awake")["took_us"] >= 300000
        assert connection.receive().text == "ok\n"
    assert http_get(address, "/notify?STATUS=busy").text == "ok\n"
    wait_until(lambda: torpor.status("a").get("status_text") == "busy", "STATUS=")


def test_simple_type_is_awake_at_once(torpor):
    """The socket listens already, so nothing waits for the program."""
    torpor.add_site("a", exec_start="/helpers/probe-server --sleep-start=600000")
    torpor.start()
    assert torpor.call("Wake", site="a")["state"] == "awake"


def test_address_that_the_host_does_not_have_yet(torpor):
    torpor.add_site("a", "192.0.2.99:8099", socket={"FreeBind": "yes"})
    torpor.add_site("b", "192.0.2.99:8098")
    torpor.start()
    assert torpor.state("a") == "cold"
    assert [error["file"] for error in torpor.file_errors()] == [str(torpor.site_path("b"))]


def test_connection_before_its_request_is_enough(torpor):
    address = torpor.add_site("a")
    torpor.start()
    with torpor.events() as events, HttpConnection(address) as connection:
        events.wait_event(site="a", to="awake")
        assert connection.get().text == "hello\n"


def test_client_that_leaves_at_once(torpor):
    address = torpor.add_site("a")
    torpor.start()
    with torpor.events() as events:
        connect(address).close()
        events.wait_event(site="a", to="awake")
    assert http_get(address, "/counter").text == "1\n"


def test_slice_groups_sites(torpor):
    addresses = [torpor.add_site(name, site={"Slice": "customer7"}) for name in ("a", "b")]
    torpor.start()
    for name, address in zip("ab", addresses):
        torpor.visit(name, address)
    parents = {torpor.cgroup_of(name).parent for name in ("a", "b")}
    assert len(parents) == 1
    parent = parents.pop()
    assert "customer7" in parent.name and parent.parent == torpor.sites_cgroup
