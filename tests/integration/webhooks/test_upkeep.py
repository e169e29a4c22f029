"""What is over is forgotten after its time, in small batches; what is not over is never; the rest is measured."""

from collections.abc import AsyncIterator
from typing import TypeAlias
from uuid import uuid4

import asyncpg
import pytest

from services.kit.postgres import upkeep as kit
from services.kit.postgres.pool import Database
from services.kit.telemetry import metrics
from services.review.config import ReviewSettings
from services.review.upkeep import upkeep as review_upkeep
from services.webhooks.config import WebhooksSettings
from services.webhooks.upkeep import upkeep as webhooks_upkeep
from tests.support.mesh import CRYPTO_KEY
from tests.support.postgres import Database as OneDatabase

Owner: TypeAlias = "asyncpg.Connection[asyncpg.Record]"
SETTINGS = {"DATABASE_URL": "postgresql://x@127.0.0.1/x", "API_CRYPTO_KEY": CRYPTO_KEY}
ORGANIZATION = uuid4()
DELIVERY = (
    "INSERT INTO webhooks.deliveries (id, organization_id, host, host_delivery_id, event, headers, body, state, "
    "update_time) SELECT gen_random_uuid(), $1, 'github', gen_random_uuid(), 'pull_request', '{}', '', $2, "
    "clock_timestamp() - make_interval(days => $3) FROM generate_series(1, $4::int)"
)
ENVELOPE = (
    "INSERT INTO review.inbox (id, organization_id, topic, envelope, state, handle_time) "
    "SELECT gen_random_uuid(), $1, 't', '', $2, clock_timestamp() - make_interval(days => $3)"
)
CHECKPOINT = (
    "WITH p AS (INSERT INTO review.pull_requests (id, organization_id, host, host_repository_id, repository, number) "
    "VALUES (gen_random_uuid(), $1, 'github', gen_random_uuid(), 'a/b', 1) RETURNING id), "
    "r AS (INSERT INTO review.runs (id, organization_id, pull_request_id, head_sha, base_ref, state, finish_time) "
    "SELECT gen_random_uuid(), $1, id, '', '', $2, clock_timestamp() - make_interval(days => $3) FROM p RETURNING id) "
    "INSERT INTO review.checkpoints (run_id, organization_id, step, input_sha256, result, create_time) "
    "SELECT id, $1, 'model/review-0', '', '', clock_timestamp() - interval '30 days' FROM r"
)


@pytest.fixture
async def owner(database: OneDatabase) -> AsyncIterator[Owner]:
    connection = await asyncpg.connect(database.owner_dsn)
    yield connection
    await connection.close()


async def rest(owner: Owner, table: str) -> list[tuple[str, int]]:
    column = {"webhooks.deliveries": "update_time", "review.inbox": "handle_time"}[table]
    rows = await owner.fetch(
        f"SELECT state, extract(days FROM clock_timestamp() - {column})::int AS age FROM {table} ORDER BY 1, 2"
    )
    return [(row["state"], row["age"]) for row in rows]


async def test_deliveries_are_forgotten_when_they_are_over(owner: Owner, database: OneDatabase) -> None:
    for state in ("RECEIVED", "PROCESSED", "IGNORED", "FAILED"):
        for days in (29, 31, 91):
            await owner.execute(DELIVERY, ORGANIZATION, state, days, 1)
    async with Database(database.app_dsn, "webhooks") as db:
        care = webhooks_upkeep(db, WebhooksSettings.model_validate(SETTINGS))
        assert not await care.prune()
        assert await rest(owner, "webhooks.deliveries") == [
            ("FAILED", 29), ("FAILED", 31), ("IGNORED", 29), ("PROCESSED", 29),
            ("RECEIVED", 29), ("RECEIVED", 31), ("RECEIVED", 91),
        ]  # fmt: skip
        await owner.execute(DELIVERY, ORGANIZATION, "PROCESSED", 40, kit.BATCH + 1)
        assert await care.prune()  # a batch is gone, and there is more
        assert [state for state, age in await rest(owner, "webhooks.deliveries") if age == 40] == ["PROCESSED"]
        assert not await care.prune()
        await care.measure()
    text = {name: metrics.QUEUE_ROWS.labels(*name)._value.get() for name in (("deliveries", "received"),)}
    assert text == {("deliveries", "received"): 3}
    assert metrics.DEAD_LETTERS.labels("delivery")._value.get() == 2
    assert metrics.QUEUE_OLDEST.labels("deliveries")._value.get() >= 0


async def test_envelopes_and_checkpoints_are_forgotten_when_they_are_over(owner: Owner, database: OneDatabase) -> None:
    for state, days in (("HANDLED", 6), ("HANDLED", 8), ("DEAD", 8), ("DEAD", 91), ("RECEIVED", 91)):
        await owner.execute(ENVELOPE, ORGANIZATION, state, days)
    ended: dict[str, int | None] = {"PUBLISHED": 2, "FAILED": 0, "QUEUED": None}
    for state, ago in ended.items():
        await owner.execute(CHECKPOINT, ORGANIZATION, state, ago)
    async with Database(database.app_dsn, "review") as db:
        care = review_upkeep(db, ReviewSettings.model_validate(SETTINGS))
        assert not await care.prune()
        await care.measure()
    assert await rest(owner, "review.inbox") == [("DEAD", 8), ("HANDLED", 6), ("RECEIVED", 91)]
    kept = await owner.fetch("SELECT state FROM review.checkpoints JOIN review.runs ON runs.id = run_id ORDER BY state")
    assert [row["state"] for row in kept] == ["FAILED", "QUEUED"]
    assert metrics.QUEUE_ROWS.labels("runs", "queued")._value.get() == 1
    assert metrics.DEAD_LETTERS.labels("event")._value.get() == 1
