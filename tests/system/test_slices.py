# SPDX-License-Identifier: LGPL-2.1-or-later
"""Slices: groups of sites that share a control group and its limits."""
import pathlib
import shutil
import threading

import pytest

import cgroups
from harness import VarlinkError, http_get, wait_until


def write_slice(torpor, name, text):
    torpor.write(torpor.etc / "slices" / f"{name}.slice", text)


def slices(torpor, site):
    return {entry["name"]: entry for entry in torpor.status(site)["slices"]}


def limits_of(entry, host):
    """What a slice has, or would have: by the directive where this host has not got the controller."""
    if "memory" in host["controllers_missing"]:
        return {text.split("=")[0] for text in entry["limits_not_in_force"]}
    return set(entry["limits"])


def test_cgroups_come_and_go(torpor):
    """That of a slice is there while a container is in it, or in a slice of it."""
    sites = {name: torpor.add_site(name, site={"Slice": of}) for name, of in
             (("a", "customer"), ("b", "customer-shop.slice"), ("c", "customer-shop"))}
    torpor.start()
    assert cgroups.children(torpor.sites_cgroup) == []
    for name, address in sites.items():
        torpor.visit(name, address)
    customer = torpor.sites_cgroup / "customer.slice"
    shop = customer / "customer-shop.slice"
    assert cgroups.children(torpor.sites_cgroup) == ["customer.slice"]
    assert cgroups.children(customer) == ["a.site", "customer-shop.slice"]
    assert cgroups.children(shop) == ["b.site", "c.site"]
    assert torpor.cgroup_of("b") == shop / "b.site"
    torpor.call("Stop", site="b")
    assert cgroups.children(shop) == ["c.site"]
    torpor.call("Stop", site="c")
    assert cgroups.children(customer) == ["a.site"]
    torpor.call("Stop", site="a")
    assert cgroups.children(torpor.sites_cgroup) == []
    torpor.visit("c", sites["c"])
    assert cgroups.children(shop) == ["c.site"]


def test_many_come_and_go_at_once(torpor):
    """The slice is not taken from under a site that is just starting in it."""
    addresses = {f"s{number}": torpor.add_site(f"s{number}", site={"Slice": "one-two"}) for number in range(6)}
    torpor.start()
    failed = []

    def come_and_go(name, address):
        for _ in range(15):
            if http_get(address).status != 200:
                failed.append(name)
            torpor.call("Stop", site=name)

    threads = [threading.Thread(target=come_and_go, args=item) for item in addresses.items()]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failed
    assert all("failure" not in torpor.status(name) for name in addresses)
    wait_until(lambda: cgroups.children(torpor.sites_cgroup) == [], "no cgroup")


def test_limits_of_a_slice(torpor):
    """From its file, in status, and changed live."""
    write_slice(torpor, "customer", "[Slice]\nDescription=A customer\n[Resources]\nMemoryMax=1G\n")
    address = torpor.add_site("a", site={"Slice": "customer-shop"})
    torpor.start()
    host = torpor.host()
    entries = torpor.status("a")["slices"]
    assert [entry["name"] for entry in entries] == ["customer-shop", "customer"]
    assert entries[1]["description"] == "A customer"
    assert entries[1]["file"] == str(torpor.etc / "slices/customer.slice")
    assert "file" not in entries[0] and entries[0]["limits"] == {}
    torpor.visit("a", address)
    pid = torpor.status("a")["pid"]
    expected = {"MemoryMax"} if "memory" in host["controllers_missing"] else {"memory.max"}
    assert limits_of(slices(torpor, "a")["customer"], host) == expected
    write_slice(torpor, "customer", "[Resources]\nMemoryHigh=1G\n")
    expected = {"MemoryHigh"} if "memory" in host["controllers_missing"] else {"memory.high"}
    wait_until(lambda: limits_of(slices(torpor, "a")["customer"], host) == expected, "the change")
    (torpor.etc / "slices/customer.slice").unlink()
    wait_until(lambda: limits_of(slices(torpor, "a")["customer"], host) == set(), "no limits")
    status = torpor.status("a")
    assert (status["pid"], status["restart_needed"]) == (pid, False)


def test_files_everywhere(torpor):
    """Lookup folders, drop-ins, and a folder that comes later; as of sites."""
    shutil.rmtree(torpor.etc)
    address = torpor.address()
    torpor.write(torpor.run / "sites/a.site", f"[Site]\nTemplate=probe\nSlice=s\n[Socket]\nListenStream={address}\n")
    torpor.start()

    def description():
        return slices(torpor, "a")["s"]["description"]

    assert description() == "s"
    torpor.write(torpor.lib / "slices/s.slice", "[Slice]\nDescription=lib\n")
    wait_until(lambda: description() == "lib", "a folder of slices")
    write_slice(torpor, "s", "[Slice]\nDescription=etc\n")
    wait_until(lambda: description() == "etc", "a whole folder of files")
    torpor.write(torpor.run / "slices/s.slice.d/x.conf", "[Slice]\nDescription=drop-in\n")
    wait_until(lambda: description() == "drop-in", "a drop-in")
    shutil.rmtree(torpor.run / "slices/s.slice.d")
    wait_until(lambda: description() == "etc", "no drop-in")
    shutil.rmtree(torpor.etc)
    wait_until(lambda: description() == "lib", "the other file")
    assert torpor.call("Reload")["file_errors"] == []


def test_a_bad_file_changes_nothing(torpor):
    write_slice(torpor, "s", "[Slice]\nDescription=good\n")
    address = torpor.add_site("a", site={"Slice": "s"})
    torpor.start()
    path = torpor.etc / "slices/s.slice"
    write_slice(torpor, "s", "[Slice]\nDescription=bad\n[Resources]\nMemoryMax=lots\n")
    error, = wait_until(torpor.file_errors, "an error")
    assert (error["file"], error["line"]) == (str(path), 4)
    assert "MemoryMax=lots: expected a size" in error["message"]
    entry = slices(torpor, "a")["s"]
    assert (entry["description"], entry["file_errors"]) == ("good", [error])
    assert http_get(address).status == 200
    assert torpor.call("Reload")["file_errors"] == [error]
    path.unlink()
    wait_until(lambda: not torpor.file_errors(), "no error")
    assert slices(torpor, "a")["s"]["description"] == "s"
    torpor.write(torpor.etc / "slices/a--b.slice", "[Slice]\n")
    error, = wait_until(torpor.file_errors, "an error of a name")
    assert "no name of a slice" in error["message"]


def test_require_limits(torpor):
    """A slice that cannot keep its promise lets nobody in; mended, the next connection does."""
    write_slice(torpor, "s", "[Resources]\nRequireLimits=yes\nIOWriteIOPSMax=/dev/torpor-nosuch 5\n")
    address = torpor.add_site("a", site={"Slice": "s-t"})
    torpor.start()
    with pytest.raises(VarlinkError) as error:
        torpor.call("Wake", site="a")
    assert error.value.name == "StartFailed"
    message = error.value.parameters["message"]
    assert message.startswith("failed at step slice: slice s: RequireLimits=yes, and not in force on this host: IOW")
    assert cgroups.children(torpor.sites_cgroup) == []
    write_slice(torpor, "s", "[Resources]\n")
    wait_until(lambda: not slices(torpor, "a")["s"]["limits_not_in_force"], "the change")
    torpor.call("Wake", site="a")
    assert http_get(address).status == 200


def test_move_to_another_slice(torpor):
    """The container stays where it is until its next start."""
    address = torpor.add_site("a", site={"Slice": "one"})
    torpor.start()
    torpor.visit("a", address)
    torpor.add_site("a", address, site={"Slice": "two"})
    wait_until(lambda: torpor.status("a")["restart_needed"], "the change")
    assert cgroups.children(torpor.sites_cgroup) == ["one.slice"]
    torpor.call("Restart", site="a")
    assert cgroups.children(torpor.sites_cgroup) == ["two.slice"]
    torpor.add_site("a", address)
    wait_until(lambda: "slice" not in torpor.status("a"), "the change")
    torpor.call("Restart", site="a")
    assert cgroups.children(torpor.sites_cgroup) == ["a.site"]


def test_failed_start_leaves_no_slice(torpor):
    torpor.add_site("a", site={"Slice": "s-t"}, exec_start="/helpers/not-there")
    torpor.start()
    with pytest.raises(VarlinkError):
        torpor.call("Wake", site="a")
    assert cgroups.children(torpor.sites_cgroup) == []


def test_leftovers_of_a_killed_daemon(torpor):
    address = torpor.add_site("a", site={"Slice": "s-t"})
    torpor.start()
    torpor.visit("a", address)
    torpor.process.kill()
    torpor.process.wait()
    assert cgroups.children(torpor.sites_cgroup / "s.slice") == ["s-t.slice"]
    torpor.start()
    assert cgroups.children(torpor.sites_cgroup) == []
    assert http_get(address).status == 200


def test_list_of_a_slice(torpor):
    for name, of in (("a", "one"), ("b", "one-two"), ("c", "oneandtwo"), ("d", None)):
        torpor.add_site(name, site={"Slice": of} if of else {})
    torpor.start()
    assert set(torpor.sites(slice="one")) == {"a", "b"}
    assert set(torpor.sites(slice="one-two", state="cold")) == {"b"}
    assert torpor.sites(slice="other") == {}
    assert torpor.torporctl("list", "--slice=one.slice", "--names").stdout.split() == ["a", "b"]
    with pytest.raises(VarlinkError) as error:
        torpor.sites(slice="../x")
    assert error.value.name.endswith("InvalidParameter")
    result = torpor.torporctl("list", "--slice=../x", check=False)
    assert result.returncode == 2 and "expected the name of a slice" in result.stderr
    assert torpor.torporctl("wake", "--slice=one", "a", check=False).returncode == 2


def test_status_of_a_site(torpor):
    write_slice(torpor, "s", "[Resources]\nIOWriteIOPSMax=/dev/torpor-nosuch 5\n")
    torpor.add_site("a", site={"Slice": "s-t"})
    torpor.start()
    text = torpor.torporctl("status", "a").stdout
    assert "Slice: s-t (no limits of its own)" in text
    assert "IOWriteIOPSMax=/dev/torpor-nosuch (" in text
    assert pathlib.Path(torpor.torporctl_json("status", "a")["slices"][1]["file"]).exists()


def test_verify(torpor):
    write_slice(torpor, "s", "[Resources]\nMemoryMax=1G\nTaskMax=1\n")
    result = torpor.torporctl("verify", torpor.etc, check=False)
    assert result.returncode == 1
    assert f"{torpor.etc}/slices/s.slice:3: unknown key 'TaskMax' in [Resources]; did you mean TasksMax=?" in result.stderr
    write_slice(torpor, "s", "[Resources]\nMemoryMax=1G\n")
    torpor.write(torpor.etc / "slices/s.slice.d/x.conf", "[Container]\nUser=root\n")
    result = torpor.torporctl("verify", torpor.etc / "slices/s.slice.d/x.conf", check=False)
    assert result.returncode == 1 and "s.slice.d/x.conf:2: unknown section [Container]" in result.stderr
