# SPDX-License-Identifier: LGPL-2.1-or-later
"""torporctl set: limits by command, as drop-ins, all or nothing."""
import grp
import json
import os
import pathlib
import subprocess
import sys

import pytest

from harness import VarlinkError, http_get, site_text, wait_until


def effective(torpor, site):
    """The keys of the effective unit that are not the defaults."""
    lines = torpor.call("Cat", site=site)["text"].splitlines()
    return [line for line in lines if "=" in line]


def runtime(torpor, site):
    return torpor.run / "sites" / f"{site}.site.d" / "50-set.conf"


def persistent(torpor, site):
    return torpor.etc / "sites" / f"{site}.site.d" / "50-set-persist.conf"


def put(torpor, *settings, site="a", **parameters):
    return torpor.call("Set", site=site, settings=list(settings), **parameters)


def refused(torpor, *settings, **parameters):
    with pytest.raises(VarlinkError) as error:
        torpor.call("Set", settings=list(settings), **{"site": "a", **parameters})
    assert error.value.name == "SettingRefused"
    return error.value.parameters


@pytest.fixture
def site(torpor):
    address = torpor.add_site("a", resources={"MemoryMax": "512M"})
    torpor.start()
    return address


def test_a_running_site(torpor, site):
    torpor.visit("a", site)
    pid = torpor.status("a")["pid"]
    result = torpor.torporctl("set", "a", "MemoryMax=256M", "FreezeAfterSec=1h")
    assert result.stdout == f"a: set in {runtime(torpor, 'a')}\n"
    missing = "memory" in torpor.host()["controllers_missing"]
    assert ("not in force: " in result.stderr and "MemoryMax=" in result.stderr) == missing
    assert {"MemoryMax=256M", "FreezeAfterSec=1h"} <= set(effective(torpor, "a"))
    status = torpor.status("a")
    assert (status["pid"], status["restart_needed"], status["state"]) == (pid, False, "awake")
    if not missing:
        assert status["limits"]["memory.max"] == str(256 << 20)
    assert runtime(torpor, "a").stat().st_mode & 0o777 == 0o644
    # The files are what torpord says that they are, and a reload finds nothing new.
    assert str(runtime(torpor, "a")) in torpor.call("Cat", site="a")["files"]
    assert torpor.call("Reload")["changed"] == 0


def test_it_lasts(torpor, site):
    """Over a reload and a restart of the daemon; until the file is taken away."""
    put(torpor, "MemoryMax=1G")
    put(torpor, "CPUWeight=7")
    torpor.call("Reload")
    assert {"MemoryMax=1G", "CPUWeight=7"} <= set(effective(torpor, "a"))
    assert torpor.terminate() == 0
    torpor.start()
    assert {"MemoryMax=1G", "CPUWeight=7"} <= set(effective(torpor, "a"))
    runtime(torpor, "a").unlink()
    wait_until(lambda: "MemoryMax=512M" in effective(torpor, "a"), "the unit alone")


def test_default_by_an_empty_value(torpor, site):
    put(torpor, "MemoryMax=")
    assert not [line for line in effective(torpor, "a") if line.startswith("MemoryMax")]
    put(torpor, "MemoryMax=1G")
    assert "MemoryMax=1G" in effective(torpor, "a")


def test_persist(torpor, site):
    """For good, below what is set until the next boot, of which the same keys go."""
    put(torpor, "MemoryMax=1G", "CPUWeight=5")
    answer = put(torpor, "MemoryMax=2G", persist=True)
    assert answer["file"] == str(persistent(torpor, "a"))
    assert {"MemoryMax=2G", "CPUWeight=5"} <= set(effective(torpor, "a"))
    assert "MemoryMax" not in runtime(torpor, "a").read_text()
    put(torpor, "MemoryMax=3G")
    assert "MemoryMax=3G" in effective(torpor, "a")
    torpor.torporctl("set", "--persist", "a", "MemoryMax=4G", "CPUWeight=6")
    assert {"MemoryMax=4G", "CPUWeight=6"} <= set(effective(torpor, "a"))
    assert not runtime(torpor, "a").parent.exists()


def test_lists(torpor, site):
    torpor.add_site("a", site, resources={"AllowedCPUs": "0", "IOReadIOPSMax": "/dev/torpor-x 5"})
    wait_until(lambda: "AllowedCPUs=0" in effective(torpor, "a"), "the change")
    put(torpor, "AllowedCPUs=1", "IOReadIOPSMax=/dev/torpor-y 6", "IOReadIOPSMax=/dev/torpor-z 7")
    lines = effective(torpor, "a")
    assert {"AllowedCPUs=1", "IOReadIOPSMax=/dev/torpor-y 6", "IOReadIOPSMax=/dev/torpor-z 7"} <= set(lines)
    assert "IOReadIOPSMax=/dev/torpor-x 5" not in lines
    put(torpor, "IOReadIOPSMax=")
    assert not [line for line in effective(torpor, "a") if line.startswith("IORead")]


def test_refused_whole(torpor, site):
    """Nothing is written, nothing in force; the line is that of the file as it would have been."""
    put(torpor, "CPUWeight=5")
    before, text = effective(torpor, "a"), runtime(torpor, "a").read_text()
    error = refused(torpor, "MemoryHigh=1G", "MemoryMax=lots")
    assert error["file"] == str(runtime(torpor, "a"))
    assert error["line"] == 5 and "MemoryMax=lots: expected a size" in error["message"]
    for settings, message in ((["MemroyMax=1G"], "did you mean MemoryMax=?"), (["User=root"], "User= cannot be changed"),
                              (["MemoryMax"], "expected KEY=VALUE"), (["CPUWeight=0"], "from 1 to 10000"),
                              (["MemoryMax=1G\n[Container]\nUser=root"], "one line"), (["TasksMax=5\\"], "one line")):
        assert message in refused(torpor, *settings)["message"]
        assert message in refused(torpor, *settings, persist=True)["message"]
    assert (effective(torpor, "a"), runtime(torpor, "a").read_text()) == (before, text)
    assert sorted(os.listdir(runtime(torpor, "a").parent)) == ["50-set.conf"]
    assert not persistent(torpor, "a").parent.exists()
    assert torpor.file_errors() == []
    result = torpor.torporctl("set", "a", "MemoryMax=lots", check=False)
    assert result.returncode == 1 and f"nothing was changed: {runtime(torpor, 'a')}:4: MemoryMax=lots" in result.stderr


def test_a_unit_that_is_not_in_force(torpor, site):
    """Its file has an error: settings are refused with that, and leave no trace."""
    torpor.write_site("a", site_text(site) + "Nonsense=1\n")
    wait_until(torpor.file_errors, "an error")
    error = refused(torpor, "MemoryMax=1G")
    assert error["file"] == str(torpor.site_path("a")) and "Nonsense" in error["message"]
    assert not runtime(torpor, "a").parent.exists()
    torpor.write_site("a", site_text(site))
    wait_until(lambda: not torpor.file_errors(), "no error")
    put(torpor, "MemoryMax=1G", persist=True)
    put(torpor, "MemoryMax=2G")
    torpor.write_site("a", site_text(site) + "Nonsense=1\n")
    wait_until(torpor.file_errors, "an error")
    refused(torpor, "MemoryMax=3G", persist=True)
    assert "MemoryMax=1G" in persistent(torpor, "a").read_text()
    assert "MemoryMax=2G" in runtime(torpor, "a").read_text()


def test_a_folder_that_cannot_be_written(torpor, site):
    (torpor.etc / "sites/a.site.d").write_text("no folder")
    error = refused(torpor, "MemoryMax=1G", persist=True)
    assert "Not a directory" in error["message"]
    assert "MemoryMax=512M" in effective(torpor, "a")


def test_who_and_what(torpor, site):
    for parameters, name in (({"site": "b", "settings": ["CPUWeight=5"]}, "NoSuchSite"),
                             ({"slice": "s", "settings": ["CPUWeight=5"]}, "NoSuchSlice"),
                             ({"slice": "../s", "settings": ["CPUWeight=5"]}, "NoSuchSlice"),
                             ({"settings": ["CPUWeight=5"]}, "InvalidParameter"),
                             ({"site": "a", "slice": "s", "settings": ["CPUWeight=5"]}, "InvalidParameter"),
                             ({"site": "a"}, "InvalidParameter"), ({"site": "a", "settings": []}, "InvalidParameter"),
                             ({"site": "a", "settings": [5]}, "InvalidParameter"),
                             ({"site": "a", "settings": ["CPUWeight=5"] * 300}, "InvalidParameter")):
        with pytest.raises(VarlinkError) as error:
            torpor.call("Set", **parameters)
        assert error.value.name.endswith(name), parameters
    for arguments, code in ((["b", "CPUWeight=5"], 4), (["a"], 2), (["a", "b", "CPUWeight=5"], 2), (["CPUWeight=5"], 4),
                            (["--slice=s", "CPUWeight=5"], 4), (["--slice=s"], 2), ([], 2)):
        assert torpor.torporctl("set", *arguments, check=False).returncode == code, arguments
    assert runtime(torpor, "a").parent.exists() is False


def test_of_root_alone(torpor, site):
    """A member of the group that may look may not set."""
    assert torpor.terminate() == 0
    (torpor.etc / "torpor.conf").write_text("[Daemon]\nControlGroup=nogroup\n")
    torpor.directory.chmod(0o755)
    torpor.start()
    script = ("import sys; sys.path.insert(0, sys.argv[1]); from varlink import *\n"
              "c = Connection(sys.argv[2])\nc.call('GetHost')\n"
              "try:\n    c.call('Set', site='a', settings=['CPUWeight=5'])\n"
              "except VarlinkError as error:\n    print(error.name)")
    folder = str(pathlib.Path(__file__).parent)
    result = subprocess.run(["setpriv", "--reuid=65534", f"--regid={grp.getgrnam('nogroup').gr_gid}", "--clear-groups",
                             sys.executable, "-c", script, folder, str(torpor.control)], capture_output=True, text=True,
                            check=False)
    assert result.stdout.strip() == "PermissionDenied", result.stderr
    assert not runtime(torpor, "a").exists()


def test_a_slice(torpor, site):
    torpor.write(torpor.etc / "slices/s.slice", "[Resources]\nMemoryMax=1G\n")
    address = torpor.add_site("b", site={"Slice": "s"})
    wait_until(lambda: "b" in torpor.sites() and torpor.status("b")["slices"][0].get("file"), "the slice")
    torpor.visit("b", address)
    result = torpor.torporctl("set", "--slice=s.slice", "MemoryMax=2G", "Description=big")
    path = torpor.run / "slices/s.slice.d/50-set.conf"
    assert result.stdout == f"s: set in {path}\n"
    entry = torpor.status("b")["slices"][0]
    assert entry["description"] == "big"
    if "memory" not in torpor.host()["controllers_missing"]:
        assert entry["limits"]["memory.max"] == str(2 << 30)
    with pytest.raises(VarlinkError) as error:
        torpor.call("Set", slice="s", settings=["TasksMax=none"])
    assert (error.value.parameters["file"], error.value.parameters["line"]) == (str(path), 7)
    assert "Keep" in torpor.torporctl("set", "--slice=s", "Keep=warm", check=False).stderr
    answer = json.loads(torpor.torporctl("--json", "set", "--slice=s", "--persist", "CPUWeight=7").stdout)
    assert answer["file"] == str(torpor.etc / "slices/s.slice.d/50-set-persist.conf")


def test_while_it_starts(torpor):
    """What was set between the connection and READY=1 is in force in the end."""
    address = torpor.add_site("a", exec_start="/helpers/probe-server --ready-after=500", container={"Type": "notify"})
    torpor.start()
    with torpor.events("a") as events, torpor.connection() as connection:
        connection.send("Wake", {"site": "a"})
        events.wait_event(to="starting")
        put(torpor, "CPUWeight=9")
        events.wait_event(to="awake")
    assert "CPUWeight=9" in effective(torpor, "a")
    assert torpor.status("a")["restart_needed"] is False
    assert http_get(address).status == 200


def test_many_at_once(torpor, site):
    """Each is answered, also where the container goes away meanwhile; the last one counts."""
    torpor.visit("a", site)
    connections = [torpor.connection() for _ in range(20)]
    for number, connection in enumerate(connections):
        connection.send("Set", {"site": "a", "settings": [f"CPUWeight={number + 1}"]})
    torpor.call("Stop", site="a")
    for connection in connections:
        assert connection.reply()[0]["file"] == str(runtime(torpor, "a"))
        connection.close()
    weights = [line for line in runtime(torpor, "a").read_text().splitlines() if line.startswith("CPUWeight=")]
    assert weights == [line for line in effective(torpor, "a") if line.startswith("CPUWeight=")]
