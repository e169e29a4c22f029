"""The conformance suite skips only what the table of abilities says a host can't do."""

from collections.abc import Generator

import pytest


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    if report.skipped and item.path.name == "test_conformance.py":
        reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
        if not reason.startswith("Skipped: ability: "):
            report.outcome = "failed"
            report.longrepr = f"a skip that is not in the table of abilities: {reason}"
    return report
