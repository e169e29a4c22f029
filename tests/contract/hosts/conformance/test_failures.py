"""Hosts that fail (rows 26-28): before and after the effect, for a while, or for good."""

import time
from datetime import timedelta
from typing import Any

import pytest

from services.webhooks.hosts.base import RateLimitedError
from tests.contract.hosts.conformance.steps import BAD, OTHER, hurried, opened, told
from tests.contract.hosts.rigs import Rig
from tests.support.system import TOKEN, Repository, System


@pytest.mark.parametrize("operation", ["draft", "submit"])
async def test_a_write_that_fails_is_there_once(
    system: System, rig: Rig, repository: Repository, operation: str
) -> None:
    page = {"status": 200, "body": b"<html>Sign in</html>", "headers": {"content-type": "text/html"}}
    ways: list[dict[str, Any]] = [{"status": 500}, {"action": "close"}, page]
    for way in ways:
        for when in ("before", "after"):
            if way is page and when == "before":
                continue  # an answer of success without the effect is no failure that a host has
            repository.git("checkout", "-q", "-B", "topic", "main")
            number = await opened(rig, repository, {"tool.py": BAD, "other.py": OTHER})
            rig.fail(operation, when=when, **way)
            await told(system, rig, "opened", number)
            await hurried(system)
            assert len(rig.summaries(number)) == 1 and rig.unseen(number) == 0, (way, when)
            assert sorted(one.path for one in rig.comments(number)) == ["other.py", "tool.py"], (way, when)
            rig.emulator.heal()
    assert {state for _, state in await system.runs()} == {"PUBLISHED"}


async def test_a_read_that_fails_is_made_again(system: System, rig: Rig, repository: Repository) -> None:
    page = {"status": 200, "body": b"<html>Sign in</html>", "headers": {"content-type": "text/html"}}
    elsewhere = {"status": 302, "headers": {"location": "http://127.0.0.1:9/"}}
    for way in ({"status": 500}, {"action": "close"}, page, elsewhere):
        repository.git("checkout", "-q", "-B", "topic", "main")
        number = await opened(rig, repository, {"tool.py": BAD})
        rig.fail("list", **way)
        await told(system, rig, "opened", number)
        await hurried(system)
        assert len(rig.summaries(number)) == 1 and len(rig.comments(number)) == 1, way


@pytest.mark.parametrize(
    ("operation", "headers"),
    [("read", {}), ("draft", {"retry-after": "1"}), ("draft", {"retry-after": "rubbish"})],
    ids=str,
)
async def test_a_rate_limit_delays_and_loses_nothing(
    system: System,
    rig: Rig,
    repository: Repository,
    operation: str,
    headers: dict[str, str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    began, started = rig.client.utc_now(), time.monotonic()
    # A minute of the host passes in less than a second of ours.
    monkeypatch.setattr(rig.client, "utc_now", lambda: began + timedelta(seconds=100 * (time.monotonic() - started)))
    number = await opened(rig, repository, {"tool.py": BAD})
    rig.fail(operation, status=429, headers=headers)
    await told(system, rig, "opened", number)
    await hurried(system)
    assert len(rig.summaries(number)) == 1 and len(rig.comments(number)) == 1
    (run,) = await system.rows("SELECT errors, waits FROM review.runs")
    assert run["errors"] == 0 and run["waits"] >= 1


@pytest.mark.parametrize("status", [401, 403, 404])
async def test_a_host_that_refuses_ends_the_run_with_a_reason(
    system: System, rig: Rig, repository: Repository, status: int
) -> None:
    number = await opened(rig, repository, {"tool.py": BAD})
    rig.fail("read", status=status, times=1000)
    await told(system, rig, "opened", number)
    await system.settled()
    (run,) = await system.rows("SELECT state, state_reason FROM review.runs")
    assert run["state"] == "FAILED" and run["state_reason"]
    assert TOKEN not in run["state_reason"]
    assert status != 401 or f"{rig.name.upper()}_TOKEN" in run["state_reason"]
    assert rig.summaries(number) == []


async def test_while_a_limit_lasts_nothing_is_asked(small: Rig) -> None:
    host = small.host()
    try:
        small.fail("read", status=429, headers={"retry-after": "30"})
        for _ in range(3):
            with pytest.raises(RateLimitedError):
                await host.get_pull_request(small.ref())
        assert len(small.emulator.calls(small.operations["read"])) == 1
    finally:
        await host.close()
