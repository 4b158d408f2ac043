# SPDX-License-Identifier: LGPL-2.1-or-later
"""Network=: nothing, the host's, or a CNI network of Debian's plugins and of such that misbehave."""
import json
import os
import pathlib
import signal
import time

import pytest

from harness import VarlinkError, connect, http_get, wait_until
from network import PLUGINS, RESULT, Networks, say

@pytest.fixture
def networks(torpor):
    assert (PLUGINS / "bridge").exists(), "no plugins: install Debian's containernetworking-plugins"
    networks = Networks(torpor)
    yield networks
    networks.finish()


def wait_clean(networks):
    wait_until(lambda: not networks.left(), "nothing left of the network")
    assert networks.left() == []


def failed(torpor, site):
    """The failure of a site that cannot be woken."""
    with pytest.raises(VarlinkError) as error:
        torpor.call("Wake", site=site)
    assert error.value.name == "StartFailed"
    assert error.value.parameters["step"] == "network"
    return error.value.parameters["message"]


def namespace(address):
    return dict(line.split() for line in http_get(address, "/ns").lines)["net"]


def interfaces(address):
    return [line.split(":")[0].strip() for line in http_get(address, "/net").lines[2:]]


@pytest.mark.parametrize("keys,host", [
    ({"Network": "none"}, False), ({"Network": "host"}, True), ({"PrivateNetwork": "no"}, True),
    ({"PrivateNetwork": "no", "Network": "none"}, False), ({"Network": "host", "PrivateNetwork": "yes"}, False),
    ({"Network": ["host", ""]}, False)])
def test_none_and_host(torpor, keys, host):
    address = torpor.add_site("a", container=keys)
    torpor.start()
    assert (namespace(address) == os.readlink("/proc/self/ns/net")) == host
    assert torpor.status("a")["network"] == {"name": "host" if host else "none"}
    if not host:
        assert interfaces(address) == ["lo"]


def test_bridge(torpor, networks):
    bridge = networks.bridge()
    networks.add("lan", {**bridge, "dns": {"nameservers": ["192.0.2.53"], "search": ["example.com"]}})
    address = networks.add_site("a", container={"Network": "lan"})
    networks.add_site("b", container={"Network": "lan"}, exec_start="/helpers/probe-server --listen=0.0.0.0:8080")
    networks.start()
    assert torpor.visit("a", address).text == "hello\n"
    assert sorted(interfaces(address)) == ["eth0", "lo"]
    network = torpor.status("a")["network"]
    assert network["name"] == "lan"
    assert [interface["name"] for interface in network["interfaces"]] == ["eth0"]
    (given,) = network["addresses"]
    assert given["interface"] == "eth0" and given["address"].startswith("10.213.")
    assert network["routes"] == [{"to": "0.0.0.0/0"}]
    assert network["nameservers"] == ["192.0.2.53"] and network["search"] == ["example.com"]
    assert http_get(address, "/read?path=/etc/resolv.conf").text == "nameserver 192.0.2.53\nsearch example.com\n"
    text = torpor.torporctl("status", "a").stdout
    assert f"lan: {given['address']} on eth0 by {given['gateway']}" in text and "192.0.2.53" in text
    # From one site to another, each of whom has its own address.
    torpor.call("Wake", site="b")
    theirs = torpor.status("b")["network"]["addresses"][0]["address"].split("/")[0]
    assert theirs != given["address"].split("/")[0]
    look = ["/usr/bin/python3", "-c", "import urllib.request as r; print(r.urlopen('http://'"
            f" '{theirs}:8080/', timeout=60).read().decode(), end='')"]
    assert networks.inside(torpor.status("a")["pid"], *look) == "hello\n"
    assert networks.host(*look) == "hello\n"  # the gateway
    assert len(networks.taken()) == 2
    for site in ("a", "b"):
        torpor.call("Stop", site=site)
    wait_clean(networks)
    assert torpor.status("a")["network"] == {"name": "lan"}


def test_without_name_servers_the_hosts_file_is_there(torpor, networks):
    networks.add("lan", networks.bridge())
    address = networks.add_site("a", container={"Network": "lan"})
    networks.start()
    torpor.visit("a", address)
    assert http_get(address, "/read?path=/etc/resolv.conf").body == pathlib.Path("/etc/resolv.conf").read_bytes()


@pytest.mark.parametrize("plugin", ["ptp", "tuning", "loopback"])
def test_other_plugins(torpor, networks, plugin):
    if plugin == "ptp":
        networks.add("lan", {"type": "ptp", "ipam": networks.local()})
    elif plugin == "tuning":
        networks.add("lan", networks.bridge(), {"type": "tuning", "mtu": 1300, "sysctl": {"net.core.somaxconn": "99"}})
    else:
        networks.add("lan", networks.bridge(), {"type": "loopback"}, version="0.4.0")
    address = networks.add_site("a", container={"Network": "lan"})
    networks.start()
    torpor.visit("a", address)
    assert sorted(interfaces(address)) == ["eth0", "lo"]
    if plugin == "tuning":
        assert " mtu 1300 " in networks.inside(torpor.status("a")["pid"], "ip", "link", "show", "eth0")
    torpor.call("Stop", site="a")
    wait_clean(networks)


def test_rules_of_the_host(torpor, networks):
    """Masquerading, port maps and a firewall: with rules in the host's tables, which are gone at the end."""
    networks.add("lan", networks.bridge(ipMasq=True), {"type": "portmap", "capabilities": {"portMappings": True}},
                 {"type": "firewall", "backend": "iptables"})
    address = networks.add_site("a", container={"Network": "lan"})
    networks.start()

    def rules():
        saved = networks.host("iptables-save")
        return [line for line in saved.splitlines() if given in line or folder.name in line]

    torpor.visit("a", address)
    given = torpor.status("a")["network"]["addresses"][0]["address"].split("/")[0]
    (folder,) = (torpor.run / "network").iterdir()
    assert rules()
    torpor.call("Stop", site="a")
    wait_clean(networks)
    assert rules() == []


def test_one_attachment_for_one_cold_start(torpor, networks):
    networks.add("lan", networks.fake("one"), networks.fake("two"))
    address = networks.add_site("a", container={"Network": "lan"})
    networks.start()
    torpor.visit("a", address)
    assert networks.calls() == [("ADD", "one"), ("ADD", "two")]
    first, second = networks.request("one", "ADD"), networks.request("two", "ADD")
    assert first == {"type": "one", "name": "lan", "cniVersion": "1.0.0"}
    assert second == {"type": "two", "name": "lan", "cniVersion": "1.0.0", "prevResult": RESULT}
    (folder,) = (torpor.run / "network").iterdir()
    line = (networks.plugins / "calls").read_text().splitlines()[0].split()
    assert line[2:] == [folder.name, "eth0", f"{folder}/netns"]
    for _ in range(3):
        torpor.freeze("a")
        assert http_get(address).status == 200
        torpor.wait_state("a", "awake")
    assert len(networks.calls()) == 2
    torpor.call("Stop", site="a")
    wait_clean(networks)
    assert networks.calls()[2:] == [("DEL", "two"), ("DEL", "one")]
    assert networks.request("one", "DEL")["prevResult"] == RESULT


FAILURES = {
    "says": (say({"cniVersion": "1.0.0", "code": 11, "msg": "no address", "details": "the pool is empty"}) + "; exit 1",
             "bad: no address: the pool is empty"),
    "stderr": ("echo 'dial unix: no such file' >&2; exit 3", "bad: dial unix: no such file"),
    "silent": ("exit 3", "bad: exited with status 3 and said nothing"),
    "garbage": ("echo '{]'", "bad: answered no JSON: "),
    "nothing": (":", "bad: its result is not understood: there is none"),
    "nonsense": (say({"ips": [{"address": "10.0.0.1"}]}),
                 "bad: its result is not understood: ips[0].address: expected an address and the length of its prefix"),
    "dies": ("kill -9 $$", "bad: was killed by signal Killed"),
    "endless": ("while :; do echo xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx; done",
                "bad: answered more than 1 MiB"),
}


@pytest.mark.parametrize("how", FAILURES)
def test_failed_plugin(torpor, networks, how):
    add, expected = FAILURES[how]
    networks.add("lan", networks.bridge(), networks.fake("good"), networks.fake("bad", add), networks.fake("never"))
    address = networks.add_site("a", container={"Network": "lan"})
    plain = networks.add_site("b")
    networks.start()
    message = failed(torpor, "a")
    assert "failed" in [event["to"] for event in torpor.recorded("a")]
    assert message.startswith(f"failed at step network: {expected}")
    wait_clean(networks)
    assert networks.calls() == [("ADD", "good"), ("ADD", "bad"), ("DEL", "bad"), ("DEL", "good")]
    assert f"failed at step network: {expected}" in torpor.log()
    assert http_get(plain).status == 200
    # The next start finds it mended.
    networks.fake("bad")
    torpor.wait_state("a", "cold")
    assert http_get(address).status == 200


def test_hung_plugins_hold_up_their_own_network_alone(torpor, networks):
    networks.add("slow", networks.fake("hung", "(trap '' TERM; sleep 1000) & sleep 1000"))
    networks.add("lan", networks.fake("good"))
    keys = {"Network": "slow", "TimeoutStartSec": "1s"}
    hung = [networks.add_site(f"hung{i}", container=keys) for i in range(20)]
    plain, good = networks.add_site("plain"), networks.add_site("good", container={"Network": "lan"})
    networks.start()
    clients = [connect(address) for address in hung]
    wait_until(lambda: len(networks.calls()) == 8, "as many plugins as may run at a time")
    assert http_get(plain).status == 200
    assert http_get(good).status == 200
    assert [torpor.state(f"hung{i}") for i in range(20)] == ["starting"] * 20
    for i in range(8):
        torpor.wait_state(f"hung{i}", "failed")
        assert torpor.status(f"hung{i}")["failure"]["message"] == \
            "failed at step network: hung: gave no answer in time, and was killed"
    for i in range(20):
        torpor.site_path(f"hung{i}").unlink()
    for client in clients:
        client.close()
    for i in range(20):
        torpor.wait_no_site(f"hung{i}")
    torpor.call("Stop", site="good")
    wait_clean(networks)
    # A plugin that was killed before its first line has noted nothing.
    added, taken_back = networks.containers("ADD"), networks.containers("DEL")
    assert len(taken_back) == len(set(taken_back)) and set(added) <= set(taken_back)


def test_stopped_while_a_plugin_works(torpor, networks):
    networks.add("slow", networks.fake("hung", "sleep 1000"))
    networks.add_site("a", container={"Network": "slow"})
    networks.start()
    with torpor.connection() as connection:
        connection.send("Wake", {"site": "a"})
        wait_until(networks.calls, "a call")
        assert torpor.call("Stop", site="a")["state"] == "cold"
    wait_clean(networks)
    assert networks.calls() == [("ADD", "hung"), ("DEL", "hung")]
    assert "failure" not in torpor.status("a")


def test_hung_while_it_is_taken_back(torpor, networks):
    networks.add("lan", networks.fake("one", delete="sleep 1000"))
    address = networks.add_site("a", container={"Network": "lan", "TimeoutStopSec": "1s"})
    networks.start()
    torpor.visit("a", address)
    torpor.call("Stop", site="a")
    wait_until(lambda: torpor.status("a")["networks_left"], "a word of it")
    assert torpor.status("a")["networks_left"] == ["lan: one: gave no answer in time, and was killed"]
    assert "one: gave no answer in time" in torpor.torporctl("status", "a").stdout
    networks.fake("one")
    wait_clean(networks)
    assert torpor.status("a")["networks_left"] == []
    assert networks.calls() == [("ADD", "one"), ("DEL", "one"), ("DEL", "one")]


def test_what_fails_to_be_taken_back_is_tried_again_where_it_failed(torpor, networks):
    fail = say({"code": 11, "msg": "busy"}) + "; exit 1"
    networks.add("lan", networks.fake("one", delete=fail), networks.fake("two"))
    address = networks.add_site("a", container={"Network": "lan"})
    networks.start()
    torpor.visit("a", address)
    torpor.call("Stop", site="a")
    torpor.wait_log("network lan cannot be taken back: one: busy .*trying again in 5 s")
    # It stands in nobody's way.
    torpor.visit("a", address)
    torpor.call("Stop", site="a")
    networks.fake("one")
    wait_clean(networks)
    calls = networks.calls()
    assert calls.count(("ADD", "two")) == calls.count(("DEL", "two")) == 2
    assert calls.count(("DEL", "one")) >= 3


def test_what_a_killed_torpord_left_is_taken_back(torpor, networks):
    networks.add("lan", networks.bridge(), networks.fake("one"))
    networks.add("slow", networks.bridge(), networks.fake("hung", "sleep 1000"))
    address = networks.add_site("a", container={"Network": "lan"})
    networks.add_site("b", container={"Network": "slow"})
    networks.start()
    torpor.visit("a", address)
    with torpor.connection() as connection:
        connection.send("Wake", {"site": "b"})
        wait_until(lambda: ("ADD", "hung") in networks.calls(), "a call")
    os.kill(torpor.pid, signal.SIGKILL)
    torpor.process.wait()
    assert len(networks.taken()) == 2
    # Not by the files as they are now.
    (networks.configs / "lan.conflist").unlink()
    (torpor.run / "network" / "odd-0").mkdir()
    (torpor.run / "network" / "bad-0").mkdir()
    (torpor.run / "network" / "bad-0" / "state").write_text('{"site": "../x"}')
    networks.start()
    torpor.wait_log("bad-0 is left as it is: .*not what torpord has written")
    (torpor.run / "network" / "bad-0" / "state").unlink()
    (torpor.run / "network" / "bad-0").rmdir()
    wait_clean(networks)
    calls = networks.calls()
    assert calls.count(("DEL", "one")) == 1 and calls.count(("DEL", "hung")) == 1


def test_the_end_of_torpord_waits_for_plugins(torpor, networks):
    networks.add("lan", networks.bridge(), networks.fake("one", delete="sleep 0.3"))
    address = networks.add_site("a", container={"Network": "lan"})
    networks.start()
    torpor.visit("a", address)
    torpor.stop()
    assert networks.left() == []
    assert networks.calls() == [("ADD", "one"), ("DEL", "one")]


def verify(torpor, site):
    result = torpor.torporctl("verify", str(torpor.site_path(site)), check=False)
    return result.returncode, result.stderr


def test_configuration_that_cannot_be_used(torpor, networks):
    networks.add("unknown-plugin", {"type": "no-such-plugin"})
    networks.add("unknown-ipam", networks.fake("one") | {"ipam": {"type": "no-such-ipam"}})
    networks.add("old", networks.fake("one"), version="0.2.0")
    networks.add("lan", networks.fake("one"))
    expected = {
        "unknown-plugin": "no plugin no-such-plugin in ",
        "unknown-ipam": "no plugin no-such-ipam in ",
        "old": "old.conflist: network old: cniVersion \"0.2.0\" is not known; expected 0.3.0",
        "missing": "old.conflist: network old: cniVersion",  # which file may be meant is not known
    }
    for name in expected:
        networks.add_site(name, container={"Network": name})
    networks.add_site("good", container={"Network": "lan"})
    networks.start()
    for name, text in expected.items():
        assert text in failed(torpor, name)
        code, error = verify(torpor, name)
        assert code == 1 and text in error and f"{name}.site: Network={name}: " in error
    assert verify(torpor, "good") == (0, "")
    (networks.configs / "old.conflist").write_text('{"name": "x",\n"cniVersion" "1.0.0"}')
    assert "old.conflist:2: expected JSON" in verify(torpor, "missing")[1]
    (networks.configs / "old.conflist").unlink()
    assert f"{networks.configs}: no network missing: expected a file *.conflist, *.conf or *.json with " \
        '"name": "missing"' in verify(torpor, "missing")[1]
    assert networks.calls() == []
    assert networks.left() == []


def test_a_network_is_read_at_each_start(torpor, networks):
    networks.add("lan", networks.fake("one"))
    address = networks.add_site("a", container={"Network": "lan"})
    networks.start()
    torpor.visit("a", address)
    networks.add("lan", networks.fake("two"))
    torpor.call("Restart", site="a")
    wait_until(lambda: len(networks.calls()) == 3, "three calls")
    assert networks.calls() == [("ADD", "one"), ("DEL", "one"), ("ADD", "two")]


def test_hostile_name_servers_reach_no_file(torpor, networks):
    hostile = {**RESULT, "dns": {"nameservers": ["192.0.2.1\nsearch evil"]}}
    networks.add("lan", networks.fake("bad", f"cat <<'END'\n{json.dumps(hostile)}\nEND\n"))
    networks.add_site("a", container={"Network": "lan"})
    networks.start()
    assert "nameservers[0]: expected an address" in failed(torpor, "a")
    wait_clean(networks)


def test_many_starts_leave_nothing(torpor, networks):
    """T18: with Debian's plugins, and now and then one that fails behind them."""
    flaky = networks.fake("flaky", f"[ -e {networks.plugins}/broken ] && exit 1; cat {networks.plugins}/result")
    (networks.plugins / "result").write_text(json.dumps(RESULT))
    networks.add("lan", networks.bridge(), flaky)
    address = networks.add_site("a", container={"Network": "lan"})
    networks.start()
    torpor.visit("a", address)
    torpor.call("Stop", site="a")
    wait_clean(networks)
    before = len(torpor.descriptors())
    for number in range(200):
        broken = number % 20 == 19
        if broken:
            (networks.plugins / "broken").touch()
            failed(torpor, "a")
            (networks.plugins / "broken").unlink()
        else:
            torpor.visit("a", address)
        torpor.call("Stop", site="a")
    wait_clean(networks)
    calls = networks.calls()
    assert calls.count(("ADD", "flaky")) == calls.count(("DEL", "flaky")) == 201
    # What is left has been taken away before the loop hears of it, and gives its own descriptors up.
    wait_until(lambda: len(torpor.descriptors()) <= before, f"{before} descriptors again")


def test_a_plugin_that_waits_does_not_stop_the_loop(torpor, networks):
    """For as long as it is made to wait."""
    gate = torpor.directory / "gate"
    os.mkfifo(gate)
    networks.add("lan", networks.fake("slow", f"read line < {gate}; " + say(RESULT)))
    address, plain = networks.add_site("a", container={"Network": "lan"}), networks.add_site("b")
    networks.start()
    torpor.visit("b", plain)

    def open_gate():
        try:
            return os.open(gate, os.O_WRONLY | os.O_NONBLOCK)
        except OSError:  # ENXIO: nobody reads there yet
            return None
    with connect(address):
        end = wait_until(open_gate, "a plugin that waits")
        for _ in range(20):
            assert http_get(plain).status == 200
            assert torpor.host()["states"]["starting"] == 1
        os.write(end, b"go on\n")
        os.close(end)
        torpor.wait_state("a", "awake")
