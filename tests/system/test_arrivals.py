# SPDX-License-Identifier: LGPL-2.1-or-later
"""Addresses that the host gets later: by DHCP, or when nobody else on the link has them. The host is a network
namespace."""
import sys

import pytest

from harness import SANITIZED, wait_until
from network import Networks

PORT = 8090
VISIT = "import sys, urllib.request; print(urllib.request.urlopen(sys.argv[1], timeout=60).read().decode(), end='')"
ROUTE_GROUPS = 0x140  # RTMGRP_IPV4_ROUTE | RTMGRP_IPV6_IFADDR


class Box(Networks):
    """With a link that has somebody at its other end, so that duplicates are looked for; of lo's addresses are none."""

    def __init__(self, torpor):
        super().__init__(torpor)
        for name, ip in (("a", "192.0.2.7"), ("b", "[2001:db8::7]"), ("c", "192.0.2.99")):
            torpor.add_site(name, f"{ip}:{PORT}")
        torpor.add_site("local", f"127.0.0.1:{PORT}")
        self.start()
        self.host("ip", "link", "add", "live", "type", "veth", "peer", "name", "other")
        for link in ("live", "other"):
            self.host("ip", "link", "set", link, "up")

    def add_address(self, address, link):
        self.host("ip", "address", "add", address, "dev", link)

    def visit(self, ip):
        return self.host(sys.executable, "-c", VISIT, f"http://{ip}:{PORT}/")

    def refused(self):
        """The sites whose files are not in force."""
        return {error["file"].rpartition("/")[2].removesuffix(".site") for error in self.torpor.file_errors()}

    def wait_up(self, site):
        wait_until(lambda: site not in self.refused(), f"{site} to be in force")

    def listens_to_kernel(self):
        """Whether somebody has a socket that is told of addresses: torpord alone is in this network."""
        lines = self.host("cat", "/proc/net/netlink").splitlines()[1:]
        return any(int(line.split()[3], 16) == ROUTE_GROUPS for line in lines)


@pytest.fixture
def box(torpor):
    return Box(torpor)


@pytest.mark.parametrize("link", ["lo", "live"])
def test_a_site_comes_up_with_its_address(box, link):
    assert box.refused() == {"a", "b", "c"}
    for error in box.torpor.file_errors():
        assert "no such address on this host yet (FreeBind=yes listens all the same)" in error["message"]
    box.add_address("192.0.2.7/32", link)
    box.wait_up("a")
    assert box.visit("192.0.2.7") == "hello\n"
    box.add_address("2001:db8::7/128", link)
    box.wait_up("b")
    assert box.visit("[2001:db8::7]") == "hello\n"
    assert box.refused() == {"c"} and box.listens_to_kernel()


def test_nobody_listens_to_the_kernel_for_nothing(box):
    """Nor when the last site that waited for an address has it, and again when another one does."""
    assert box.listens_to_kernel()
    for ip in ("192.0.2.7/32", "2001:db8::7/128", "192.0.2.99/32"):
        box.add_address(ip, "lo")
    wait_until(lambda: not box.refused(), "all sites")
    wait_until(lambda: not box.listens_to_kernel(), "no socket")
    box.torpor.add_site("d", f"192.0.2.8:{PORT}")
    wait_until(lambda: box.refused() == {"d"}, "a refused site")
    assert box.listens_to_kernel()
    box.add_address("192.0.2.8/32", "lo")
    box.wait_up("d")


def test_other_news_of_the_kernel_are_none(box):
    """Routes to elsewhere, and addresses that go. A flood of them, some lost, does no harm."""
    box.add_address("192.0.2.1/24", "live")
    count = 100 if SANITIZED else 2000
    routes = [f"route {verb} 198.51.{i % 100}.{i // 100} via 192.0.2.2" for i in range(count) for verb in ("add", "del")]
    script = box.torpor.directory / "routes"
    script.write_text("\n".join(routes) + "\n")
    box.host("ip", "-batch", str(script))
    assert box.refused() == {"a", "b", "c"}
    assert box.visit("127.0.0.1") == "hello\n"
    box.add_address("192.0.2.7/32", "lo")
    box.wait_up("a")


def test_a_changed_site_waits_for_its_address(box):
    """On its last good unit."""
    assert box.visit("127.0.0.1") == "hello\n"
    box.torpor.add_site("local", f"192.0.2.9:{PORT}")
    wait_until(lambda: "local" in box.refused(), "a refused file")
    assert box.visit("127.0.0.1") == "hello\n"
    box.add_address("192.0.2.9/32", "lo")
    box.wait_up("local")
    assert box.visit("192.0.2.9") == "hello\n"
