# SPDX-License-Identifier: LGPL-2.1-or-later
"""Changes on disk are noticed by themselves and applied one by one; a socket that stays in the unit stays."""
import os
import shutil
import socket

import pytest

from harness import HttpConnection, connect, http_get, site_text, wait_until


def describe(torpor, name, text):
    wait_until(lambda: torpor.status(name)["description"] == text, f"{name} to be {text!r}")


def inode(address):
    return http_get(address, "/listener").fields["inode"]


def is_refused(address):
    try:
        connect(address).close()
    except (ConnectionRefusedError, FileNotFoundError):
        return True
    return False


def test_add(torpor):
    torpor.start()
    address = torpor.add_site("a")
    assert torpor.wait_site("a")["state"] == "cold"
    assert http_get(address).status == 200


def test_edit_keeps_the_socket(torpor):
    address = torpor.add_site("a", site={"Description": "one"}, container={"Environment": "X=1"})
    torpor.start()
    before = inode(address)
    torpor.wait_state("a", "awake")
    pid = torpor.status("a")["pid"]
    torpor.add_site("a", address, site={"Description": "two"}, container={"Environment": "X=2"})
    describe(torpor, "a", "two")
    status = torpor.status("a")
    assert (status["pid"], status["restart_needed"]) == (pid, True)
    assert http_get(address, "/env").fields["X"] == "1"
    torpor.call("Restart", site="a")
    assert torpor.status("a")["restart_needed"] is False
    assert http_get(address, "/env").fields["X"] == "2"
    assert inode(address) == before


def test_edit_keeps_the_queue(torpor):
    """Somebody waits in the queue of a site that cannot start; the edit that repairs it answers them."""
    address = torpor.add_site("a", exec_start="/helpers/not-there")
    torpor.start()
    with torpor.events("a") as events, HttpConnection(address) as visitor:
        visitor.send("/")
        events.wait_event(to="failed")
        torpor.add_site("a", address)
        assert visitor.receive().text == "hello\n"


def test_edit_of_one_listener_keeps_the_other(torpor):
    kept, old, new = (torpor.address() for _ in range(3))
    torpor.add_site("a", old, kept, site={"Description": "one"})
    torpor.start()
    before = inode(kept)
    torpor.wait_state("a", "awake")
    torpor.add_site("a", kept, new, site={"Description": "two"})
    describe(torpor, "a", "two")
    # The container that runs still has its copy of the old one.
    torpor.call("Restart", site="a")
    assert is_refused(old)
    fields = http_get(kept, "/listener").fields
    assert (fields["fd"], fields["inode"]) == ("3", before)
    assert http_get(new, "/listener").fields["fd"] == "4"


def test_unix_socket_keeps_its_file(torpor):
    path = torpor.run / "a.sock"
    torpor.add_site("a", str(path), site={"Description": "one"})
    torpor.start()
    before = path.stat().st_ino
    torpor.add_site("a", str(path), site={"Description": "two"})
    describe(torpor, "a", "two")
    assert path.stat().st_ino == before
    assert http_get(str(path)).status == 200
    torpor.site_path("a").unlink()
    torpor.wait_no_site("a")
    assert not path.exists()


def test_write_in_place(torpor):
    """Half a file is nobody's business until it is closed."""
    address = torpor.add_site("a", site={"Description": "one"})
    torpor.start()
    text = site_text(address, site={"Description": "two"})
    with open(torpor.site_path("a"), "w", encoding="utf-8") as file:
        file.write(text[:len(text) // 2])
        file.flush()
        torpor.add_site("marker")  # its event comes after all of the above
        torpor.wait_site("marker")
        status = torpor.status("a")
        assert (status["description"], status["file_errors"]) == ("one", [])
        file.write(text[len(text) // 2:])
    describe(torpor, "a", "two")
    assert torpor.file_errors() == []


def test_new_file_written_slowly(torpor):
    torpor.start()
    text = site_text(torpor.address())
    with open(torpor.site_path("a"), "w", encoding="utf-8") as file:
        for part in (text[:10], text[10:30], text[30:]):
            file.write(part)
            file.flush()
            os.fsync(file.fileno())
        torpor.add_site("marker")
        torpor.wait_site("marker")
        assert torpor.file_errors() == []
        assert "a" not in torpor.sites()
    torpor.wait_site("a")


def test_refused_edit_changes_nothing(torpor):
    """Not even what could be changed: somebody else listens at the address that is new."""
    path = torpor.run / "a.sock"
    torpor.add_site("a", str(path), socket={"SocketMode": "0600"})
    torpor.start()
    with socket.socket() as taken:
        taken.bind((torpor.ip, 0))
        taken.listen()
        torpor.add_site("a", str(path), f"{torpor.ip}:{taken.getsockname()[1]}", socket={"SocketMode": "0666"})
        wait_until(torpor.file_errors, "the refusal")
        assert path.stat().st_mode & 0o777 == 0o600


def test_edit_that_fails_half_way_changes_nothing(torpor):
    """Of two sockets the second has lost its file."""
    paths = [torpor.run / f"{name}.sock" for name in ("first", "second")]
    torpor.add_site("a", *map(str, paths), socket={"SocketMode": "0600"})
    torpor.start()
    paths[1].unlink()
    torpor.add_site("a", *map(str, paths), socket={"SocketMode": "0666"})
    wait_until(torpor.file_errors, "the refusal")
    assert paths[0].stat().st_mode & 0o777 == 0o600


def test_half_a_file_is_an_error_until_the_rest_comes(torpor):
    address = torpor.add_site("a", site={"Description": "one"})
    torpor.start()
    text = site_text(address, site={"Description": "two"})
    torpor.write_site("a", text[:text.index("Stream")])
    wait_until(torpor.file_errors, "an error")
    assert torpor.status("a")["description"] == "one"
    assert http_get(address).status == 200
    torpor.write_site("a", text)
    describe(torpor, "a", "two")
    assert torpor.file_errors() == []


def test_files_of_editors_are_no_units(torpor):
    torpor.add_site("a", site={"Description": "one"})
    torpor.start()
    for name in (".a.site.swp", "a.site~", "a.site.bak", "#a.site#", ".#a.site", "4913", "a.site.dpkg-new"):
        (torpor.etc / "sites" / name).write_text("[Nonsense]\n")
    torpor.add_site("marker")
    torpor.wait_site("marker")
    assert set(torpor.sites()) == {"a", "marker"}
    assert torpor.file_errors() == []


def test_link(torpor):
    elsewhere = torpor.directory / "elsewhere"
    address = torpor.address()
    elsewhere.write_text(site_text(address))
    torpor.start()
    torpor.site_path("a").symlink_to(elsewhere)
    torpor.wait_site("a")
    assert http_get(address).status == 200


def test_remove_stops_gracefully(torpor):
    address = torpor.add_site("a")
    other = torpor.add_site("b")
    torpor.start()
    http_get(other)
    with HttpConnection(address) as connection, torpor.events() as events:
        connection.get()
        connection.send("/slow?ms=700")
        wait_until(lambda: http_get(address, "/counter").text != "1\n", "the request")
        torpor.site_path("a").unlink()
        events.wait_event(site="a", to="stopping")
        assert connection.receive().text == "slow\n"
    torpor.wait_no_site("a")
    assert is_refused(address)
    assert http_get(other, "/counter").text == "2\n"


def test_remove_of_a_frozen_site(torpor):
    address = torpor.add_site("a")
    torpor.start()
    torpor.visit("a", address)
    torpor.freeze("a")
    torpor.site_path("a").unlink()
    torpor.wait_no_site("a")
    assert is_refused(address)


def test_remove_and_add_again_while_it_leaves(torpor):
    address = torpor.add_site("a")
    torpor.start()
    with HttpConnection(address) as connection, torpor.events() as events:
        connection.get()
        connection.send("/slow?ms=700")
        wait_until(lambda: http_get(address, "/counter").text != "1\n", "the request")
        torpor.site_path("a").unlink()
        events.wait_event(site="a", to="stopping")
        torpor.add_site("a", address)
        assert connection.receive().text == "slow\n"
    wait_until(lambda: torpor.sites().get("a", {}).get("state") in ("cold", "awake"), "the site")
    assert http_get(address, "/counter").text == "1\n"
    assert torpor.file_errors() == []


def test_disable_and_enable(torpor):
    address = torpor.add_site("a")
    torpor.start()
    http_get(address)
    torpor.add_site("a", address, site={"Enabled": "no"})
    wait_until(lambda: is_refused(address), "the port to close")
    torpor.add_site("a", address)
    wait_until(lambda: not is_refused(address), "the port to open")
    assert http_get(address, "/counter").status == 200


def test_template_edit_reaches_its_sites(torpor):
    template = "[Site]\nTemplate=probe\nDescription={}\n[Container]\nEnvironment=FROM={}\n"
    torpor.write_template("mine", template.format("one", "one"))
    mine = [torpor.address() for _ in range(3)]
    for number, address in enumerate(mine):
        torpor.write_site(f"site{number}", site_text(address, template="mine"))
    other = torpor.add_site("other")
    torpor.start()
    before = inode(mine[0])
    torpor.wait_state("site0", "awake")
    torpor.visit("other", other)
    torpor.write_template("mine", template.format("two", "two"))
    for number in range(3):
        describe(torpor, f"site{number}", "two")
    assert torpor.status("site0")["restart_needed"] is True
    assert torpor.status("other")["restart_needed"] is False
    assert http_get(mine[0], "/env").fields["FROM"] == "one"
    assert http_get(mine[1], "/env").fields["FROM"] == "two"
    assert inode(mine[0]) == before


def test_template_of_a_template(torpor):
    torpor.write_template("base", "[Site]\nTemplate=probe\nDescription=one\n")
    torpor.write_template("mine", "[Site]\nTemplate=base\n")
    torpor.write_site("a", site_text(torpor.address(), template="mine"))
    torpor.start()
    assert torpor.status("a")["templates"] == ["mine", "base", "probe"]
    torpor.write_template("base", "[Site]\nTemplate=probe\nDescription=two\n")
    describe(torpor, "a", "two")


def test_bad_template_keeps_the_last_good(torpor):
    torpor.write_template("mine", "[Site]\nTemplate=probe\n")
    address = torpor.address()
    torpor.write_site("a", site_text(address, template="mine"))
    torpor.start()
    torpor.write_template("mine", "[Site]\nTemplate=probe\nNonsense=1\n")
    error, = wait_until(torpor.file_errors, "an error")
    assert (error["file"], error["line"]) == (str(torpor.etc / "templates/mine.template"), 3)
    assert http_get(address).status == 200
    (torpor.etc / "templates/mine.template").unlink()
    wait_until(lambda: torpor.file_errors() and torpor.file_errors()[0]["file"].endswith("a.site"), "the next")
    assert http_get(address).status == 200


def test_drop_ins(torpor):
    torpor.add_site("a", site={"Description": "one"})
    torpor.start()
    torpor.write_drop_in("a", "10-x.conf", "[Site]\nDescription=two\n")
    describe(torpor, "a", "two")
    torpor.write_drop_in("a", "20-y.conf", "[Site]\nDescription=three\n")
    describe(torpor, "a", "three")
    folder = torpor.etc / "sites/a.site.d"
    (folder / "20-y.conf").unlink()
    describe(torpor, "a", "two")
    torpor.write(torpor.run / "sites/a.site.d/15-z.conf", "[Site]\nDescription=of run\n")
    describe(torpor, "a", "of run")
    shutil.rmtree(torpor.run / "sites/a.site.d")
    shutil.rmtree(folder)
    describe(torpor, "a", "one")


def test_drop_in_of_a_template(torpor):
    torpor.write_site("a", site_text(torpor.address()))
    torpor.start()
    torpor.write(torpor.etc / "templates/probe.template.d/x.conf", "[Site]\nDescription=by drop-in\n")
    describe(torpor, "a", "by drop-in")


def test_etc_goes_before_run(torpor):
    address = torpor.address()
    torpor.write(torpor.run / "sites/a.site", site_text(address, site={"Description": "run"}))
    torpor.start()
    assert torpor.status("a")["description"] == "run"
    torpor.write_site("a", site_text(address, site={"Description": "etc"}))
    describe(torpor, "a", "etc")
    assert torpor.status("a")["file"] == str(torpor.site_path("a"))
    torpor.site_path("a").unlink()
    describe(torpor, "a", "run")
    torpor.site_path("a").symlink_to("/dev/null")
    torpor.wait_no_site("a")
    torpor.site_path("a").unlink()
    torpor.wait_site("a")
    assert http_get(address).status == 200


def test_folders_that_come_later(torpor):
    shutil.rmtree(torpor.etc)
    torpor.start()
    (torpor.etc / "sites").mkdir(parents=True)
    torpor.add_site("a")
    torpor.wait_site("a")
    shutil.rmtree(torpor.etc / "sites")
    torpor.wait_no_site("a")
    (torpor.etc / "sites").mkdir()
    torpor.add_site("b")
    torpor.wait_site("b")


def test_rename_is_a_new_site(torpor):
    address = torpor.add_site("a")
    torpor.start()
    torpor.site_path("a").rename(torpor.site_path("b"))
    torpor.wait_no_site("a")
    torpor.wait_site("b")
    wait_until(lambda: not torpor.file_errors(), "no error")
    assert http_get(address, "/env").fields["LISTEN_FDNAMES"] == "b"


def test_listener_moves_to_another_site(torpor):
    address, other = torpor.address(), torpor.address()
    torpor.write_site("a", site_text(address, other))
    torpor.start()
    torpor.write_site("b", site_text(address))
    wait_until(torpor.file_errors, "the clash")
    torpor.write_site("a", site_text(other))
    wait_until(lambda: not torpor.file_errors(), "its end")
    assert http_get(address, "/env").fields["LISTEN_FDNAMES"] == "b"


def test_many_at_once(torpor):
    torpor.start()
    for number in range(300):
        torpor.add_site(f"site{number:03}", str(torpor.run / f"{number}.sock"))
    wait_until(lambda: torpor.host()["sites"] == 300, "300 sites")
    for number in range(300):
        torpor.add_site(f"site{number:03}", str(torpor.run / f"{number}.sock"), site={"Description": "two"})
    describe(torpor, "site299", "two")
    assert torpor.file_errors() == []
    for number in range(300):
        torpor.site_path(f"site{number:03}").unlink()
    wait_until(lambda: torpor.host()["sites"] == 0, "none")
    assert torpor.host()["listeners"] == 0


def test_reload_by_command(torpor):
    torpor.add_site("a", site={"Description": "one"})
    gone = torpor.add_site("b")
    torpor.start()
    answer = torpor.call("Reload")
    assert (answer["changed"], answer["removed"], answer["file_errors"]) == (0, 0, [])
    torpor.site_path("b").unlink()
    answer = torpor.call("Reload")
    assert answer["file_errors"] == []
    assert is_refused(gone)
    assert set(torpor.sites()) == {"a"}


def test_change_while_it_starts(torpor):
    """The edit comes between the connection and READY=1."""
    address = torpor.add_site("a", exec_start="/helpers/probe-server --ready-after=500",
                              container={"Type": "notify"}, site={"Description": "one"})
    torpor.start()
    with torpor.events("a") as events, HttpConnection(address) as connection:
        connection.send("/pid")
        events.wait_event(to="starting")
        torpor.add_site("a", address, site={"Description": "two"})
        describe(torpor, "a", "two")
        assert connection.receive().text == "1\n"
    assert torpor.wait_state("a", "awake") == "awake"


@pytest.mark.parametrize("kind", ["stream", "datagram"])
def test_open_files_do_not_grow(torpor, kind):
    """A hundred edits that change the listener back and forth."""
    addresses = [torpor.address(), torpor.address()]
    key = {"stream": "ListenStream", "datagram": "ListenDatagram"}[kind]
    torpor.add_site("a", socket={"ListenStream": "", key: addresses[0]}, site={"Description": "start"})
    torpor.start()
    before = 0
    for number in range(100):
        if number == 10:  # what is opened when it is first needed is open now
            before = max(len(torpor.descriptors()) for _ in range(10))
        torpor.add_site("a", socket={"ListenStream": "", key: addresses[number % 2]},
                        site={"Description": str(number)})
        describe(torpor, "a", str(number))
    wait_until(lambda: len(torpor.descriptors()) <= before, "no more open files than before")
    with connect(addresses[1], socket.SOCK_STREAM if kind == "stream" else socket.SOCK_DGRAM):
        pass
