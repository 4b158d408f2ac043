# SPDX-License-Identifier: LGPL-2.1-or-later
import subprocess
import time

import pytest

from service import UNIT, Service, systemctl


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    report = (yield).get_result()
    setattr(item, f"report_{report.when}", report)
    if report.failed:
        text = subprocess.run(["journalctl", "--quiet", "--no-pager", "--output=short-monotonic", "--lines=300",
                               f"--since=@{call.start - 1:.0f}"], stdin=subprocess.DEVNULL, capture_output=True,
                              text=True, check=False).stdout
        report.sections.append(("journal, the kernel's messages included", text[-30000:]))


@pytest.fixture
def torpor(request):
    """The running service, without any site. Those that a test has added are taken away after it. The daemon must not
    have died meanwhile; a test that kills it restarts it at its end."""
    service = Service()
    if not service.running:
        service.start()
    yield service
    report = getattr(request.node, "report_call", None)
    if report and report.passed:
        service.remove_sites()
        assert service.show("NRestarts") == "0", "torpord has died, and was started again"
        return
    service.remove_files()
    systemctl("kill", "--signal=KILL", UNIT, check=False)
    service.restart()


@pytest.fixture
def moment():
    """For journal("--since", moment): when the test began."""
    return f"@{time.time():.6f}"
