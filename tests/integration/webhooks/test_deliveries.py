"""Deliveries on a real Postgres: each becomes one event or a reason, can be run again, and never stops the worker."""

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any, TypeAlias
from uuid import UUID, uuid4

import asyncpg
import pytest
from lintel.events.v1 import pull_request_pb2

from emulators.github import make_delivery
from services.kit import retries
from services.kit.bus.port import Envelope
from services.kit.bus.wire import open_envelope
from services.kit.errors import AppError, Reason
from services.kit.postgres.audit import Actor
from services.kit.postgres.pool import Database
from services.webhooks.clients import seal_change
from services.webhooks.deliveries import Deliveries, DeliveryWorker
from services.webhooks.domain import IngestOutcome
from services.webhooks.hosts.base import PullRequestChanged
from services.webhooks.intake import Intake
from tests.support.postgres import Database as OneDatabase

Owner: TypeAlias = "asyncpg.Connection[asyncpg.Record]"
ORGANIZATION = uuid4()
SOMEBODY = Actor("user", "018f0000-0000-7000-8000-00000000000a")
SECRET = "a webhook secret of the tests"
HEAD = "a" * 40


@pytest.fixture
async def db(database: OneDatabase) -> AsyncIterator[Database]:
    opened = Database(database.app_dsn, "webhooks")
    await opened.open()
    yield opened
    await opened.close()


@pytest.fixture
async def owner(database: OneDatabase) -> AsyncIterator[Owner]:
    connection = await asyncpg.connect(database.owner_dsn)
    yield connection
    await connection.close()


@pytest.fixture
def intake(db: Database) -> Intake:
    async def organization() -> UUID:
        return ORGANIZATION

    return Intake(db, lambda host: [SECRET] if host == "github" else [], organization)


@pytest.fixture
def worker(db: Database) -> DeliveryWorker:
    return DeliveryWorker(db, seal_change)


def body(action: str = "opened", **pull: Any) -> bytes:
    return json.dumps(
        {
            "action": action,
            "repository": {"id": 42, "full_name": "acme/shop"},
            "pull_request": {"number": 7, "head": {"sha": HEAD}, "base": {"ref": "main"}, "draft": False, **pull},
            **({"changes": {"base": {}}} if action == "edited" else {}),
        }
    ).encode()


async def ingest(intake: Intake, data: bytes, delivery_id: str = "", secret: str = SECRET) -> IngestOutcome:
    delivery = make_delivery("pull_request", data, secret=secret)
    headers = {name.lower(): value for name, value in delivery.headers.items()}
    if delivery_id:
        headers["x-github-delivery"] = delivery_id
    outcome, _ = await intake.ingest("github", "", headers, data)
    return outcome


async def drained(worker: DeliveryWorker) -> None:
    while await worker.handle_next():
        pass


async def delivery(owner: Owner) -> tuple[str, str]:
    (row,) = await owner.fetch("SELECT state, reason FROM webhooks.deliveries")
    return row["state"], row["reason"]


async def events(owner: Owner) -> list[pull_request_pb2.PullRequestChanged]:
    rows = await owner.fetch("SELECT envelope FROM webhooks.outbox ORDER BY id")
    opened = [open_envelope(row["envelope"])[0] for row in rows]
    return [event for event in opened if isinstance(event, pull_request_pb2.PullRequestChanged)]


@pytest.mark.parametrize(
    ("action", "told"),
    [
        ("opened", "opened"),
        ("synchronize", "synchronized"),
        ("reopened", "reopened"),
        ("ready_for_review", "ready"),
        ("edited", "retargeted"),
        ("closed", "closed"),
    ],
)
async def test_a_delivery_becomes_one_event(
    intake: Intake, worker: DeliveryWorker, owner: Owner, action: str, told: str
) -> None:
    assert await ingest(intake, body(action)) is IngestOutcome.STORED
    await drained(worker)
    assert await delivery(owner) == ("PROCESSED", told)
    (event,) = await events(owner)
    assert (event.action, event.head_sha, event.base_ref, event.ref.number) == (told, HEAD, "main", 7)
    assert event.ref.repository == "acme/shop"


@pytest.mark.parametrize(
    ("data", "state"),
    [
        (body(draft=True), "IGNORED"),
        (body("labeled"), "IGNORED"),
        (b"{", "FAILED"),
        (body(head={"sha": "not a hash"}), "FAILED"),
    ],
    ids=["draft", "action", "json", "head"],
)
async def test_what_asks_nothing_or_cannot_be_read_says_why_and_makes_no_event(
    intake: Intake, worker: DeliveryWorker, owner: Owner, data: bytes, state: str
) -> None:
    await ingest(intake, data)
    await drained(worker)
    got, reason = await delivery(owner)
    assert got == state
    assert reason
    assert await events(owner) == []


async def test_closing_a_draft_is_told(intake: Intake, worker: DeliveryWorker, owner: Owner) -> None:
    await ingest(intake, body("closed", draft=True))
    await drained(worker)
    assert [e.action for e in await events(owner)] == ["closed"]


async def test_twenty_at_once_are_stored_once_and_five_workers_make_one_event(
    intake: Intake, worker: DeliveryWorker, owner: Owner
) -> None:
    outcomes = await asyncio.gather(*(ingest(intake, body(), "one") for _ in range(20)))
    assert sorted(outcomes) == [IngestOutcome.DUPLICATE] * 19 + [IngestOutcome.STORED]
    await asyncio.gather(*(drained(worker) for _ in range(5)))
    assert len(await events(owner)) == 1


async def test_without_an_id_the_body_is_the_identity(intake: Intake, owner: Owner) -> None:
    delivery = make_delivery("pull_request", body(), secret=SECRET)
    headers = {n.lower(): v for n, v in delivery.headers.items() if n.lower() != "x-github-delivery"}
    for expected in (IngestOutcome.STORED, IngestOutcome.DUPLICATE):
        outcome, _ = await intake.ingest("github", "", headers, body())
        assert outcome is expected


@pytest.mark.parametrize(
    ("host", "connection"), [("github", "unknown"), ("nowhere", ""), ("gitlab", "")], ids=["connection", "host", "bare"]
)
async def test_without_a_secret_for_it_nothing_is_stored(
    intake: Intake, owner: Owner, host: str, connection: str
) -> None:
    signed = make_delivery("pull_request", body(), secret=SECRET)
    with pytest.raises(AppError) as refused:
        await intake.ingest(host, connection, {n.lower(): v for n, v in signed.headers.items()}, body())
    assert refused.value.reason is Reason.SIGNATURE_INVALID
    assert await owner.fetch("SELECT FROM webhooks.deliveries") == []


async def test_what_is_kept_holds_no_signature(intake: Intake, owner: Owner) -> None:
    await ingest(intake, body())
    kept = await owner.fetchval("SELECT headers::text FROM webhooks.deliveries")
    assert "signature" not in kept
    assert set(json.loads(kept)) >= {"x-github-event", "content-type"}


async def test_a_bug_fails_the_delivery_in_words_and_the_next_one_is_handled(
    intake: Intake, db: Database, owner: Owner
) -> None:
    def seal(organization_id: UUID, event: PullRequestChanged) -> Envelope:
        if event.ref.number == 13:
            raise ZeroDivisionError("a secret")
        return seal_change(organization_id, event)

    worker = DeliveryWorker(db, seal)
    await ingest(intake, body(number=13), "first")
    await ingest(intake, body(), "second")
    await drained(worker)
    rows = await owner.fetch("SELECT state, reason FROM webhooks.deliveries ORDER BY host_delivery_id")
    assert [tuple(r) for r in rows] == [("FAILED", "internal error (ZeroDivisionError)"), ("PROCESSED", "opened")]
    assert len(await events(owner)) == 1


async def test_one_that_stops_its_worker_each_time_is_failed_after_some_attempts(
    intake: Intake, worker: DeliveryWorker, owner: Owner
) -> None:
    await ingest(intake, body())
    claimed = retries.DELIVERY_CRASH.attempts  # and never settled
    await owner.execute("UPDATE webhooks.deliveries SET attempts = $1", claimed)
    await drained(worker)
    assert await delivery(owner) == ("FAILED", "its worker stopped each time it was tried")
    assert await events(owner) == []


async def test_a_worker_that_was_overtaken_writes_nothing(intake: Intake, db: Database, owner: Owner) -> None:
    fast = DeliveryWorker(db, seal_change)
    inside, go_on = asyncio.Event(), asyncio.Event()
    await ingest(intake, body())

    class Slow(DeliveryWorker):
        async def _settle_parsed(self, row: Any, parsed: Any) -> None:
            inside.set()
            await go_on.wait()
            await super()._settle_parsed(row, parsed)

    slow = asyncio.create_task(Slow(db, seal_change).handle_next())
    await inside.wait()
    await owner.execute("UPDATE webhooks.deliveries SET available_at = clock_timestamp()")  # its time is up
    assert await fast.handle_next()
    go_on.set()
    assert await slow
    assert len(await events(owner)) == 1


async def test_one_that_failed_runs_again_when_it_is_sent_or_asked_for_again(
    intake: Intake, worker: DeliveryWorker, db: Database, owner: Owner
) -> None:
    await ingest(intake, b"{", "one")
    await drained(worker)
    assert (await delivery(owner))[0] == "FAILED"
    assert await ingest(intake, body(), "one") is IngestOutcome.STORED  # the host sends another body under the same id
    await drained(worker)
    assert await delivery(owner) == ("PROCESSED", "opened")
    assert await ingest(intake, body(), "one") is IngestOutcome.DUPLICATE
    (row,) = await owner.fetch("SELECT id FROM webhooks.deliveries")
    await Deliveries(db).redeliver(ORGANIZATION, row["id"], SOMEBODY)
    await drained(worker)
    assert len(await events(owner)) == 2  # a hint more than needed; the head has its review
    told = await owner.fetch("SELECT action, resource_id, actor_id FROM orgs.audit_log")
    assert [tuple(entry) for entry in told] == [("delivery.redeliver", str(row["id"]), SOMEBODY.id)]


async def test_another_organisation_sees_and_runs_nothing(intake: Intake, db: Database, owner: Owner) -> None:
    await ingest(intake, body())
    (row,) = await owner.fetch("SELECT id FROM webhooks.deliveries")
    stranger = uuid4()
    for call in (Deliveries(db).get(stranger, row["id"]), Deliveries(db).redeliver(stranger, row["id"], SOMEBODY)):
        with pytest.raises(AppError) as refused:
            await call
        assert refused.value.reason is Reason.NOT_FOUND
    assert await Deliveries(db).page(stranger, 0, "", None) == ([], "")
