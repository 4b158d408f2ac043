# SPDX-License-Identifier: LGPL-2.1-or-later
"""The listeners over a restart of torpord, with a service manager of the test's own. The real one is in tests/vm."""
import array
import contextlib
import os
import pathlib
import signal
import socket
import struct
import threading

import pytest

from client import TIMEOUT, parse
from harness import HttpConnection, connect, http_get

NAME = "torpor-listeners"


def fields(message):
    return dict(line.partition("=")[::2] for line in message.decode().split("\n"))


class Manager:
    """What systemd does with descriptors: keeps those that it is sent with FDSTORE=1 until it is told to remove them, and
    passes them to the next torpord, after those of its own sockets. One without FDPOLL=0 it gives up when nobody has
    its other end. A barrier is over when its descriptor is closed."""

    def __init__(self, torpor):
        self.torpor = torpor
        self.stores = True
        self.stored = []  # (name, socket)
        self.own = []     # the same, of its own units

    def spawn(self):
        passed = self.own + self.stored
        self.torpor.start("--keep-listeners", sockets=[sock for _, sock in passed], socket_names=[name for name, _ in passed],
                          wait=False)
        self.torpor.notify.settimeout(TIMEOUT)

    def start(self):
        self.spawn()
        while "READY" not in self.receive():
            pass

    def stop(self):
        """As systemd does when it is not to start again."""
        self.end()
        self.remove()

    def end(self, code=0, terminate=True):
        """Waits until torpord has ended, by itself or by SIGTERM, and takes what it leaves."""
        thread = threading.Thread(target=self.listen)
        thread.start()
        try:
            ended = self.torpor.terminate() if terminate else self.torpor.process.wait(TIMEOUT)
        finally:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
                sock.sendto(b"END=1", self.torpor.notify.getsockname())
            thread.join()
            self.torpor.notify.close()
        assert ended == code, self.torpor.log()
        assert not self.torpor.leftovers()

    def listen(self):
        while "END" not in self.receive():
            pass

    def receive(self):
        text, fds, _, _ = socket.recv_fds(self.torpor.notify, 65536, 4)
        said = fields(text)
        if said.get("FDSTORE") == "1" and said.get("FDPOLL") == "0" and self.stores:
            self.stored.append((said["FDNAME"], socket.socket(fileno=fds.pop())))
        if said.get("FDSTOREREMOVE") == "1":
            self.remove(said["FDNAME"])
        for fd in fds:
            os.close(fd)
        return said

    def remove(self, removed=None):
        """What has this name; all."""
        for name, sock in self.stored:
            if removed in (None, name):
                sock.close()
        self.stored = [(name, sock) for name, sock in self.stored if sock.fileno() >= 0]

    def restart(self):
        self.end()
        self.start()


@pytest.fixture
def manager(torpor):
    """Started by the test, ended here."""
    manager = Manager(torpor)
    with contextlib.ExitStack() as stack:
        stack.callback(manager.remove)
        yield manager
        if torpor.running:
            manager.end()


def inode(address):
    """Of the socket that the program listens on."""
    return http_get(address, "/listener").fields["inode"]


def ask(address):
    """A visitor who has connected and asked; what is still to be read is the answer."""
    connection = HttpConnection(address)
    connection.send("/listener", close=True)
    return connection


def test_who_connects_meanwhile_waits(torpor, manager):
    addresses = [torpor.add_site("tcp"), torpor.add_site("unix", str(torpor.run / "unix.sock")),
                 torpor.add_site("abstract", f"@torpor-test-{os.getpid()}-{torpor.number}"),
                 torpor.add_site("ipv6", f"[::1]:{torpor.address().rpartition(':')[2]}"),
                 torpor.add_site("shared", socket={"ReusePort": "yes"})]
    torpor.add_site("two", *(two := (torpor.address(), str(torpor.run / "two.sock"))))
    addresses += two
    manager.start()
    before = [inode(address) for address in addresses[:3]]
    for _ in range(2):
        manager.end()
        assert [name for name, _ in manager.stored] == [NAME]
        with contextlib.ExitStack() as stack:
            waiting = [stack.enter_context(ask(address)) for address in addresses]
            manager.start()
            answers = [connection.receive() for connection in waiting]
        assert all(answer.status == 200 for answer in answers)
        assert [answer.fields["inode"] for answer in answers[:3]] == before
        assert not [line for line in torpor.log().splitlines() if "LISTEN_FDS" in line or "closed" in line]
    manager.stop()
    assert all(pathlib.Path(address).exists() for address in addresses if address[0] == "/")
    for address in addresses:
        with pytest.raises(ConnectionRefusedError):
            http_get(address)
    manager.start()  # and then it is: their files are stale
    assert all(http_get(address).status == 200 for address in addresses)


def test_datagrams_wait(torpor, manager):
    address = torpor.address()
    torpor.add_site("a", socket={"ListenStream": "", "ListenDatagram": address})
    manager.start()
    manager.end()
    with connect(address, socket.SOCK_DGRAM) as sock:
        sock.send(b"hello")
        manager.start()
        assert sock.recv(100) == b"hello"


def test_more_than_a_message_takes(torpor, manager):
    addresses = [torpor.add_site(f"site{number:04}") for number in range(600)]
    manager.start()
    manager.end()
    (_, store), = manager.stored
    assert store.type == socket.SOCK_SEQPACKET
    with contextlib.ExitStack() as stack:
        waiting = [stack.enter_context(ask(address)) for address in addresses[::37]]
        manager.start()
        assert all(connection.receive().status == 200 for connection in waiting)
    assert torpor.host()["listeners"] == 600


def test_units_that_have_changed_meanwhile(torpor, manager):
    """What can be changed on a socket is; what cannot makes another one; what no unit wants any more is closed."""
    mode, gone = (str(torpor.run / f"{name}.sock") for name in ("mode", "gone"))
    torpor.add_site("mode", mode)
    torpor.add_site("gone", gone)
    gone_too = torpor.add_site("gone-too")
    shared = torpor.add_site("shared")
    same = torpor.add_site("same")
    manager.start()
    before = inode(mode), inode(shared), inode(same)
    manager.end()
    torpor.add_site("mode", mode, socket={"SocketMode": "0600"})
    torpor.add_site("shared", shared, socket={"ReusePort": "yes"})
    for name in ("gone", "gone-too"):
        (torpor.etc / "sites" / f"{name}.site").unlink()
    new = torpor.add_site("new")
    manager.start()
    assert os.stat(mode).st_mode & 0o777 == 0o600
    assert (inode(mode), inode(same)) == (before[0], before[2]) and inode(shared) != before[1]
    assert http_get(new).status == 200
    for address in (gone, gone_too):
        with pytest.raises((ConnectionRefusedError, FileNotFoundError)):
            http_get(address)
    assert not os.path.exists(gone)


def test_a_file_that_is_another_s_now(torpor, manager):
    """Nobody could reach the socket that was left: there is a new one, as long as nobody listens at the path."""
    path = str(torpor.run / "a.sock")
    torpor.add_site("a", path)
    manager.start()
    before = inode(path)
    manager.end()
    os.unlink(path)
    manager.start()
    assert inode(path) != before


def test_sockets_of_the_manager_stay_its_own(torpor, manager):
    with socket.socket() as passed:
        passed.bind((torpor.ip, 0))
        passed.listen()
        address = f"{torpor.ip}:{passed.getsockname()[1]}"
        own = torpor.add_site("own")
        torpor.add_site("passed", address)
        manager.own = [("web", passed)]
        manager.start()
        before = inode(address), inode(own)
        for _ in range(2):
            manager.restart()
            assert (inode(address), inode(own)) == before
            assert "no site's yet" not in torpor.log()
        manager.end()
        assert len(descriptors(manager.stored[0][1])) == 1
        manager.remove()
        manager.start()
        assert inode(address) == before[0]


def descriptors(store):
    """How many wait in it, looked at without taking them."""
    size = 256 * array.array("i").itemsize
    _, control, _, _ = store.recvmsg(65536, socket.CMSG_SPACE(size), socket.MSG_PEEK)
    numbers = array.array("i")
    numbers.frombytes(control[0][2])
    for number in numbers:
        os.close(number)
    return numbers


def test_a_manager_that_stores_nothing(torpor, manager):
    path = str(torpor.run / "a.sock")
    torpor.add_site("a", path)
    manager.stores = False
    manager.start()
    manager.end()
    assert "FileDescriptorStoreMax=" in torpor.log()
    assert not os.path.exists(path), "as without the option"
    manager.start()
    assert http_get(path).status == 200


@pytest.mark.parametrize("message, said", [(b"torpor0\0" + bytes(16), "another version"), (b"", None), (b"torpor1\0", "another"),
                                           (b"torpor1\0" + bytes(32), "another"), (b"torpor1\0" + bytes(16), "no socket")],
                         ids=["version", "empty", "none", "too-many", "no-socket"])
def test_a_store_with_something_else(torpor, manager, message, said):
    """It is closed; the sites come up as without it."""
    address = torpor.add_site("a")
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with open("/dev/null", "rb") as null:
        if message:
            socket.send_fds(ours, [message], [null.fileno()])
    ours.close()
    manager.stored = [(NAME, theirs)]
    manager.start()
    assert http_get(address).status == 200
    assert said is None or said in torpor.log()
    assert not [link for link in torpor.descriptors().values() if link == "/dev/null"][3:]


@pytest.mark.parametrize("file", ["etc/torpor.conf", "state/ids"], ids=["before", "after"])
def test_a_start_that_fails_leaves_them(torpor, manager, file):
    """Visitors wait until it is mended, whether torpord has taken the listeners over by then or not."""
    address = torpor.add_site("a")
    manager.start()
    before = inode(address)
    manager.end()
    file = torpor.directory / file
    torpor.write(file, "[Daemon]\nMaxStarting=many\n")
    with ask(address) as waiting:
        manager.spawn()
        manager.end(code=1, terminate=False)
        file.unlink()
        manager.start()
        assert waiting.receive().fields["inode"] == before


def test_a_stop_while_it_loads_leaves_them(torpor, manager):
    """It has taken them over by then, and has no sites yet."""
    addresses = [torpor.add_site(f"site{number:04}") for number in range(300)]
    manager.start()
    before = inode(addresses[-1])
    manager.end()
    with ask(addresses[-1]) as waiting:
        manager.spawn()
        while "FDSTOREREMOVE" not in manager.receive():
            pass
        torpor.process.send_signal(signal.SIGTERM)
        manager.end(terminate=False)
        manager.start()
        assert waiting.receive().fields["inode"] == before


def test_another_kind_of_socket_at_the_same_path(torpor, manager):
    """The one that was left is in its way, until all sites are there; then it is tried again, before torpord is ready."""
    path = str(torpor.run / "a.sock")
    torpor.add_site("a", path)
    manager.start()
    manager.end()
    torpor.add_site("a", socket={"ListenStream": "", "ListenDatagram": path})
    manager.start()
    assert torpor.file_errors() == []
    with connect(path, socket.SOCK_DGRAM):
        torpor.wait_site("a")


def test_an_address_that_is_another_site_s_now(torpor, manager):
    """Whoever waits there has come for the site that had it: he is sent away, and the next has a socket of its own."""
    address = torpor.add_site("b")
    manager.start()
    before = inode(address)
    manager.end()
    (torpor.etc / "sites" / "b.site").unlink()
    torpor.add_site("a", address)
    with ask(address) as waiting:
        manager.start()
        with pytest.raises(ConnectionResetError):
            waiting.receive()
    assert inode(address) != before


def test_a_socket_that_its_program_has_spoilt(torpor, manager):
    """Of which no listener can be made any more: there is a new one."""
    address, other = torpor.add_site("a"), torpor.add_site("b")
    manager.start()
    family, target = parse(address)
    manager.stop()
    with socket.socket(family) as spoilt, socket.create_server(parse(other)[1], reuse_port=False) as server:
        spoilt.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        spoilt.bind(target)
        spoilt.connect(server.getsockname())
        manager.stored = [(NAME, store_of([("a", spoilt)]))]
    manager.start()
    assert torpor.file_errors() == []
    assert http_get(address).status == 200


def store_of(sockets):
    """One as torpord leaves it: of (site, socket)."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    text = b"torpor1\0"
    for site, _ in sockets:
        number = 0xcbf29ce484222325  # FNV-1a
        for byte in site.encode():
            number = (number ^ byte) * 0x100000001b3 % 2**64
        text += struct.pack("=QQ", number, 0)
    socket.send_fds(ours, [text], [sock.fileno() for _, sock in sockets])
    ours.close()
    return theirs


def test_the_group_of_a_folder_stays(torpor, manager):
    """Of one with the set-group-ID bit, which files in it have; and of the unit, where it says one."""
    folder = torpor.directory / "web"
    folder.mkdir()
    os.chown(folder, 0, 12345)
    folder.chmod(0o2775)
    path, own = str(folder / "a.sock"), str(folder / "b.sock")
    torpor.add_site("a", path)
    torpor.add_site("b", own, socket={"SocketGroup": "54321"})
    manager.start()
    before = inode(path)
    for _ in range(2):
        assert (os.stat(path).st_gid, os.stat(own).st_gid) == (12345, 54321)
        manager.restart()
    assert inode(path) == before


def test_names_that_are_wrong_in_number(torpor):
    with socket.socket() as passed:
        passed.bind((torpor.ip, 0))
        passed.listen()
        address = f"{torpor.ip}:{passed.getsockname()[1]}"
        torpor.add_site("a", address)
        torpor.start(sockets=[passed], socket_names=["a", "b"])
        assert int(inode(address)) == os.fstat(passed.fileno()).st_ino


def test_without_the_option_they_are_closed(torpor):
    path = str(torpor.run / "a.sock")
    address = torpor.add_site("a", torpor.address(), path)
    torpor.start()
    assert http_get(address).status == 200
    torpor.stop()
    assert not os.path.exists(path)
    family, target = parse(address)
    with socket.socket(family) as sock, pytest.raises(ConnectionRefusedError):
        sock.connect(target)
