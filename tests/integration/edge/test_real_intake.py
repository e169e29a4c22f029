"""Hostile webhooks through the edge to the real intake, with its database: bad signatures and hostile bodies."""

import asyncio
import gzip
import hashlib
import hmac
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import httpx2
import pytest

from gateway.app import running
from services.auth import app as auth
from services.orgs import app as orgs
from services.webhooks import app as webhooks
from tests.contract.rest.test_bad_input import check_problem
from tests.integration.edge.fixtures import configured
from tests.support.mesh import RunningMesh, running_mesh
from tests.support.postgres import Database

SECRET = "It's a Secret to Everybody"
PUSH = b'{"action":"opened"}'


@dataclass(frozen=True)
class Intake:
    """The real roles and a client of the edge before them."""

    mesh: RunningMesh
    client: httpx2.AsyncClient

    async def deliver(self, body: bytes = PUSH, *extra: tuple[str, str], **replaced: str | None) -> httpx2.Response:
        """Post a signed delivery; `replaced` changes headers (underscores for dashes), None leaves one out."""
        headers: dict[str, str | None] = {
            "content-type": "application/json",
            "x-github-event": "pull_request",
            "x-github-delivery": hashlib.sha256(body).hexdigest()[:36],
            "x-hub-signature-256": sign(body),
        }
        headers |= {name.replace("_", "-"): value for name, value in replaced.items()}
        given = [*((name, value) for name, value in headers.items() if value is not None), *extra]
        pairs = [(name.encode(), value.encode("latin-1")) for name, value in given]
        return await self.client.request("POST", "/github/webhook", content=body, headers=pairs)

    async def stored(self) -> int:
        """Count the deliveries that the API shows."""
        headers = dict(self.mesh.local.metadata)
        answer = await self.client.get("/webhook-health/deliveries", headers=headers)
        assert answer.status_code == 200, answer.text
        return len(answer.json()["deliveries"])


def sign(body: bytes, secret: str = SECRET, digest: str = "sha256") -> str:
    return f"{digest}=" + hmac.new(secret.encode(), body, digest).hexdigest()


@pytest.fixture
async def intake(database: Database) -> AsyncIterator[Intake]:
    roles = {"auth": auth.serve, "orgs": orgs.serve, "webhooks": webhooks.serve}
    async with running_mesh(database, roles, {"GITHUB_WEBHOOK_SECRET": SECRET}) as mesh:
        run_dir: Path = mesh.mesh.addresses.run_dir
        async with running(configured(run_dir, LINTEL_EDGE="envoy")):
            transport = httpx2.AsyncHTTPTransport(uds=str(run_dir / "gateway.sock"))
            async with httpx2.AsyncClient(transport=transport, base_url="http://edge") as client:
                yield Intake(mesh, client)


async def test_signatures(intake: Intake) -> None:
    good = sign(PUSH)
    for bad in (
        None,
        "",
        "sha256=",
        "sha1=" + good[7:],
        good[7:],
        good[:-1],
        good[:-1] + ("0" if good[-1] != "0" else "1"),
        "sha256=" + "é" * 64,
        sign(PUSH, "another secret"),
        sign(PUSH + b" "),
    ):
        answer = await intake.deliver(PUSH, x_hub_signature_256=bad)
        problem = check_problem(answer, 401, "SIGNATURE_INVALID")
        assert problem["detail"] == problem["title"]
    answer = await intake.deliver(PUSH, ("x-hub-signature", sign(PUSH, digest="sha1")), x_hub_signature_256=None)
    check_problem(answer, 401, "SIGNATURE_INVALID")
    answer = await intake.deliver(PUSH, ("x-hub-signature-256", good))
    check_problem(answer, 401, "SIGNATURE_INVALID")
    answer = await intake.client.post("/gitlab/webhook", json={}, headers={"x-gitlab-token": ""})
    check_problem(answer, 401, "SIGNATURE_INVALID")
    assert await intake.stored() == 0
    assert (await intake.deliver()).status_code == 202


async def test_signed_bodies_of_any_content_are_taken_in(intake: Intake) -> None:
    bodies = [
        b"",
        b"not json",
        b"[]",
        b'{"a":1,"a":2}',
        b"[" * 10_000 + b"]" * 10_000,
        b'{"a":"\\ud800"}',
        b'{"a":NaN}',
        b"\xff\xfe\x00",
        b'{"pull_request":null}',
    ]
    for body in bodies:
        answer = await intake.deliver(body)
        assert (answer.status_code, answer.json()["outcome"]) == (202, "stored"), body[:20]
    assert await intake.stored() == len(bodies)


async def test_what_is_refused_for_its_form(intake: Intake) -> None:
    form = await intake.deliver(b"payload=%7B%7D", content_type="application/x-www-form-urlencoded")
    check_problem(form, 415, "UNSUPPORTED_MEDIA_TYPE")
    packed = await intake.deliver(gzip.compress(PUSH), ("content-encoding", "gzip"))
    check_problem(packed, 415, "UNSUPPORTED_MEDIA_TYPE")
    check_problem(await intake.deliver(b"x" * 26_214_401), 413, "BODY_TOO_LARGE")
    assert await intake.stored() == 0


async def test_the_same_delivery_at_once_is_stored_once(intake: Intake) -> None:
    answers = await asyncio.gather(*(intake.deliver() for _ in range(8)))
    assert sorted(a.status_code for a in answers) == [200] * 7 + [202]
    assert {a.json()["outcome"] for a in answers} == {"stored", "duplicate"}
    assert len({a.json()["deliveryId"] for a in answers if a.json()["deliveryId"]}) == 1
    assert await intake.stored() == 1


async def test_a_kind_that_is_not_ours_is_200(intake: Intake) -> None:
    answer = await intake.deliver(x_github_event="star")
    assert (answer.status_code, answer.json()) == (200, {"outcome": "not_ours", "deliveryId": None})
