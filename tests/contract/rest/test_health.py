"""The health routes, to the letter of section 4 of the contract."""

import itertools
import re
from collections.abc import AsyncIterator
from datetime import datetime

import httpx2
import pytest

from gateway.app import build
from gateway.health import Monitor, State, uptime
from gateway.mesh import Mesh
from services.kit.rpc.addresses import Addresses
from tests.integration.edge.fixtures import configured
from tests.integration.edge.upstream import Upstream


@pytest.fixture
async def rest(upstream: Upstream) -> AsyncIterator[httpx2.AsyncClient]:
    """The edge with a clock that leaps, so that it asks the roles each time."""
    clock = itertools.count(0, 689)
    async with Mesh(Addresses(upstream.run_dir)) as mesh:
        edge = build(configured(upstream.run_dir), mesh, lambda: float(next(clock)))
        transport = httpx2.ASGITransport(app=edge.api)
        async with httpx2.AsyncClient(transport=transport, base_url="http://edge") as client:
            yield client


async def test_a_well_system(rest: httpx2.AsyncClient, upstream: Upstream) -> None:
    for role in ("auth", "review"):
        await upstream.servers[role].set_serving(True, "postgres")
    answer = await rest.get("/health", headers={"authorization": ""})
    assert answer.status_code == 200, answer.text
    report = answer.json()
    assert report["status"] == "ok"
    assert datetime.fromisoformat(report["timestamp"]).tzinfo is not None
    details = report["details"]
    assert details["application"].keys() == {"status", "uptime", "environment"}
    assert details["application"]["status"] == "up"
    assert re.fullmatch(r"(\d+h )?\d+m \d+s", details["application"]["uptime"])
    assert details["database"] == {"status": "up", "postgres": {"status": "up"}, "mongodb": {"status": "disabled"}}
    assert (details["broker"], details["worker"], details["llm"]) == (
        {"status": "disabled"},
        {"status": "up"},
        {"status": "disabled"},
    )


async def test_a_part_that_is_down(rest: httpx2.AsyncClient, upstream: Upstream) -> None:
    await upstream.servers["review"].set_serving(False, "postgres")
    try:
        answer = await rest.get("/health")
        assert (answer.status_code, answer.json()["status"]) == (503, "error")
        assert answer.json()["details"]["database"]["postgres"] == {"status": "down"}
        assert (await rest.get("/health/ready")).status_code == 200
    finally:
        await upstream.servers["review"].set_serving(True, "postgres")


async def test_a_role_that_does_not_serve(rest: httpx2.AsyncClient, upstream: Upstream) -> None:
    await upstream.servers["orgs"].set_serving(False)
    try:
        ready = await rest.get("/health/ready")
        assert (ready.status_code, ready.json()["roles"]["orgs"]) == (503, "down")
        assert (await rest.get("/health")).json()["details"]["application"]["status"] == "down"
        assert (await rest.get("/health/live")).json() == {"status": "ok"}
    finally:
        await upstream.servers["orgs"].set_serving(True)


async def test_a_worker_that_does_not_serve(rest: httpx2.AsyncClient, upstream: Upstream) -> None:
    await upstream.servers["review_worker"].set_serving(False)
    try:
        answer = await rest.get("/health")
        assert (answer.status_code, answer.json()["details"]["worker"]) == (503, {"status": "down"})
        assert (await rest.get("/health/ready")).status_code == 200
    finally:
        await upstream.servers["review_worker"].set_serving(True)


async def test_no_role_at_all(upstream: Upstream) -> None:
    async with Mesh(Addresses(upstream.run_dir / "nowhere")) as mesh:
        monitor = Monitor(mesh)
        await monitor.refresh()
        assert not monitor.is_ready()
        assert monitor.part("postgres") is State.DOWN


async def test_answers_are_kept_for_a_second(upstream: Upstream) -> None:
    now = [100.0]
    async with Mesh(Addresses(upstream.run_dir)) as mesh:
        monitor = Monitor(mesh, clock=lambda: now[0])
        await monitor.refresh()
        await upstream.servers["orgs"].set_serving(False)
        try:
            now[0] = 100.9
            await monitor.refresh()
            assert monitor.role("orgs") is State.UP
            now[0] = 101.1
            await monitor.refresh()
            assert monitor.role("orgs") is State.DOWN
        finally:
            await upstream.servers["orgs"].set_serving(True)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0s"), (59.9, "59s"), (689, "11m 29s"), (3600, "1h 0m 0s"), (90_061, "1d 1h 1m 1s"), (60, "1m 0s")],
)
def test_uptime(seconds: float, text: str) -> None:
    assert uptime(seconds) == text
