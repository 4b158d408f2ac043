# SPDX-License-Identifier: LGPL-2.1-or-later
"""More sites than an ordinary process may open files."""
import os

import pytest

from harness import http_get

SITES = 21000
SOME = (0, 12345, SITES - 1)


@pytest.fixture
def many_sites(torpor):
    """Files with nothing but a template, which gives each an address. They are there when torpord starts, and gone
    when the next one does."""
    folder = torpor.run / "sites"
    folder.mkdir(exist_ok=True)
    torpor.write_template("many", "[Site]\nTemplate=probe\n[Socket]\nListenStream=@many/%N\n")
    torpor.stop()
    names = [f"{folder}/s{i}.site" for i in range(SITES)]
    with open(names[0], "w", encoding="ascii") as file:
        file.write("[Site]\nTemplate=many\n")
    for name in names[1:]:
        os.link(names[0], name)
    torpor.start()
    yield
    torpor.stop()
    for name in names:
        os.unlink(name)
    torpor.start()


def test_twenty_thousand_sites(torpor, many_sites):
    """All listen, none costs a process, and any of them answers."""
    host = torpor.host()
    assert (host["sites"], host["listeners"], host["file_errors"], host["warnings"]) == (SITES, SITES, [], [])
    assert host["open_files"] > SITES
    assert torpor.site_cgroups() == []
    for i in SOME:
        assert http_get(f"@many/s{i}", "/counter").text == "1\n"
    assert sorted(torpor.site_cgroups()) == sorted(f"s{i}.site" for i in SOME)
