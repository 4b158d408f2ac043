# SPDX-License-Identifier: LGPL-2.1-or-later
import os
import signal

import pytest

import cgroups
import evidence
from harness import BUILD, SANITIZED, TORPORD, Instance


def pytest_configure(config):
    # Who starts the tests in the background may have them ignore it, and what they start does, too.
    if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    config.addinivalue_line("markers", "timing: about the daemon's own use of time; alone, and not under sanitizers")
    config.addinivalue_line("markers", "alone: looks at what all processes of the machine share; not beside others")


def pytest_collection_modifyitems(items):
    for item in items:
        if "timing" in item.keywords:
            item.add_marker(pytest.mark.alone)
            if SANITIZED:
                item.add_marker(pytest.mark.skip(reason="a sanitizer takes time, and wakes up, itself"))


def pytest_sessionstart():
    if os.geteuid() == 0:
        cgroups.remove_stale("torpor-test")


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    report = (yield).get_result()
    setattr(item, f"report_{report.when}", report)
    if report.failed:
        for instance in getattr(item, "instances", []):
            report.sections += evidence.sections(instance)


@pytest.fixture
def new_instance(request):
    """Makes instances that are not started yet. Those that still run at the end of a test that passed are
    stopped and checked; all are removed, however the test ended."""
    assert os.geteuid() == 0, "the system tests make namespaces and cgroups: run them as root"
    assert TORPORD.exists(), f"no {TORPORD}: build first (TORPOR_BUILD is {BUILD})"
    instances = request.node.instances = []

    def make():
        instances.append(Instance())
        return instances[-1]

    yield make
    report = getattr(request.node, "report_call", None)
    try:
        if report and report.passed:
            for instance in instances:
                if instance.running:
                    instance.stop()
                else:
                    assert instance.process is None or instance.process.returncode is not None
    finally:
        for instance in instances:
            instance.last_log = instance.log()
            instance.destroy()


@pytest.fixture
def torpor(new_instance):
    """One instance, not started yet."""
    return new_instance()
