"""What every test gets: fixed randomness, and no quiet skip of a test on real logs."""

from __future__ import annotations

import os
from collections.abc import Generator

import pytest
from hypothesis import HealthCheck, settings

from tests.support import shared_logs

pytest_plugins = ["tests.support.brokers"]

# Derandomized: a red CI is red on every machine. `explore` looks further, by hand: EBBTIDE_TEST_PROFILE=explore.
settings.register_profile(
    "dev", derandomize=True, deadline=None, max_examples=50, suppress_health_check=[HealthCheck.too_slow]
)
settings.register_profile("ci", settings.get_profile("dev"), max_examples=150, print_blob=True)
settings.register_profile("explore", settings.get_profile("dev"), derandomize=False, max_examples=2_000)
settings.load_profile(os.environ.get("EBBTIDE_TEST_PROFILE") or ("ci" if os.environ.get("CI") else "dev"))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    if report.skipped and not hasattr(report, "wasxfail") and item.get_closest_marker("data") and shared_logs.present():
        report.outcome = "failed"
        report.longrepr = f"{item.nodeid}: skipped although the real logs are there: {report.longrepr}"
    return report
