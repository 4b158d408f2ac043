# SPDX-License-Identifier: LGPL-2.1-or-later
import pathlib
import subprocess
import sys
import time

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "system"))

from service import UNIT, Service, systemctl  # noqa: E402


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
    """The running service, without any site. Those that a test has added are taken away after it; the same daemon
    has to be there still, unless the test has restarted it."""
    service = Service()
    if not service.running:
        service.start()
    invocation, restarts = service.show("InvocationID"), service.show("NRestarts")
    yield service
    report = getattr(request.node, "report_call", None)
    if report and report.passed:
        service.remove_sites()
        if service.show("InvocationID") == invocation:
            assert service.show("NRestarts") == restarts
        return
    for path in (service.etc / "sites").glob("*.site"):
        path.unlink()
    systemctl("kill", "--signal=KILL", UNIT, check=False)
    systemctl("restart", UNIT, check=False)


@pytest.fixture
def moment():
    """For journal("--since", moment): when the test began."""
    return f"@{time.time():.6f}"
