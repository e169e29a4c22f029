"""Turns between organisations on a real Postgres: whoever queued a thousand holds up nobody else, in any queue."""

import json
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import pytest

from services.kit.postgres.pool import Connection, Database
from services.review import run_store
from services.review import store as review
from services.review.run_store import _FIRST_DUE
from services.review.runs import LEASE, MAX_SUPERSEDING_TIME, MAX_SUPERSEDINGS, UNLIMITED, Runs
from services.review.store import _CLAIM_ENVELOPE
from services.webhooks import store as webhooks
from services.webhooks.store import _CLAIM_DELIVERY
from tests.integration.review.steps import Owner
from tests.support.postgres import Database as OneDatabase

BUSY, QUIET, LATE = (UUID(int=number) for number in (1, 2, 3))

RUNS = (
    "WITH p AS (INSERT INTO review.pull_requests (id, organization_id, host, host_repository_id, repository, number) "
    "SELECT gen_random_uuid(), $1, 'github', gen_random_uuid(), 'a/b', n FROM generate_series(1, $2::int) n "
    "RETURNING id) INSERT INTO review.runs (id, organization_id, pull_request_id, head_sha, base_ref) "
    "SELECT gen_random_uuid(), $1, id, 'a', 'main' FROM p"
)
DELIVERIES = (
    "INSERT INTO webhooks.deliveries (id, organization_id, host, host_delivery_id, event, headers, body) "
    "SELECT gen_random_uuid(), $1, 'github', gen_random_uuid(), 'pull_request', '{}', '{}' "
    "FROM generate_series(1, $2::int)"
)
ENVELOPES = (
    "INSERT INTO review.inbox (id, organization_id, topic, envelope) "
    "SELECT gen_random_uuid(), $1, 'pull_request.changed', '' FROM generate_series(1, $2::int)"
)


@dataclass(frozen=True)
class Queue:
    """One queue: how it is filled, how something is claimed from it, and the query that does."""

    fill: str
    service: str
    table: str
    claim: Callable[[Connection], Awaitable[UUID | None]]
    query: str
    values: str


async def claim_run(connection: Connection) -> UUID | None:
    row = await run_store.lock_due(connection, UNLIMITED)
    if row is None:
        return None
    limits = MAX_SUPERSEDINGS, MAX_SUPERSEDING_TIME
    await run_store.begin_claim(connection, row, "test", LEASE, *limits)
    return UUID(str(row["organization_id"]))


async def claim_delivery(connection: Connection) -> UUID | None:
    row = await webhooks.claim_delivery(connection)
    return UUID(str(row["organization_id"])) if row else None


async def claim_envelope(connection: Connection) -> UUID | None:
    row = await review.claim_envelope(connection)
    return UUID(str(row["organization_id"])) if row else None


QUEUES = {
    "runs": Queue(RUNS, "review", "runs", claim_run, _FIRST_DUE, "1000"),
    "deliveries": Queue(DELIVERIES, "webhooks", "deliveries", claim_delivery, _CLAIM_DELIVERY, "'15 s'"),
    "inbox": Queue(ENVELOPES, "review", "inbox", claim_envelope, _CLAIM_ENVELOPE, "'15 s'"),
}


@pytest.fixture(params=QUEUES)
def queue(request: pytest.FixtureRequest) -> Queue:
    return QUEUES[request.param]


@pytest.fixture
async def pool(queue: Queue, database: OneDatabase) -> AsyncIterator[Database]:
    async with Database(database.app_dsn, queue.service) as opened:
        yield opened


async def claimed(pool: Database, queue: Queue, times: int) -> list[UUID | None]:
    found = []
    for _ in range(times):
        async with pool.queue() as connection:
            found.append(await queue.claim(connection))
    return found


async def test_a_thousand_of_one_do_not_hold_up_the_single_one_of_another(
    pool: Database, queue: Queue, owner: Owner
) -> None:
    await owner.execute(queue.fill, BUSY, 1000)
    assert await claimed(pool, queue, 3) == [BUSY] * 3  # alone, it has every turn
    await owner.execute(queue.fill, QUIET, 1)
    await owner.execute(queue.fill, LATE, 3)
    turns = await claimed(pool, queue, 8)
    assert set(turns[:3]) == {BUSY, QUIET, LATE}
    assert sorted(turns[3:7], key=str) == [BUSY, BUSY, LATE, LATE]
    assert turns[7] == BUSY  # and it goes on when the others have nothing


async def test_what_is_not_due_or_locked_takes_no_turn(
    pool: Database, queue: Queue, owner: Owner, database: OneDatabase
) -> None:
    await owner.execute(queue.fill, BUSY, 1)
    await owner.execute(queue.fill, QUIET, 1)
    table = f"{queue.service}.{queue.table}"
    await owner.execute(
        f"UPDATE {table} SET available_at = available_at + interval '1 h' WHERE organization_id = $1", QUIET
    )
    assert await claimed(pool, queue, 2) == [BUSY, None]


async def test_a_claim_among_a_hundred_thousand_reads_indexes_only(pool: Database, queue: Queue, owner: Owner) -> None:
    table = f"{queue.service}.{queue.table}"
    await owner.execute(queue.fill, BUSY, 99_000)
    for number in range(100):
        await owner.execute(queue.fill, UUID(int=1000 + number), 10)
    await owner.execute(f"ANALYZE {table}")
    async with pool.queue() as connection:
        await connection.execute(f"PREPARE claim AS {queue.query}")
        ((plan,),) = await connection.fetch(f"EXPLAIN (FORMAT JSON, ANALYZE) EXECUTE claim ({queue.values})")
    root = json.loads(plan)[0]["Plan"]
    nodes = list(walk(root))
    read = [node for node in nodes if node.get("Relation Name") == queue.table]
    assert read
    assert {node["Node Type"] for node in read} <= {"Index Scan", "Index Only Scan", "ModifyTable"}
    # 101 organisations wait: a step to each, a look at when it was served, and one row.
    assert sum(node["Actual Rows"] * node["Actual Loops"] for node in read) < 500


def walk(node: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield node
    for child in node.get("Plans", ()):
        yield from walk(child)


async def test_one_organisation_can_be_kept_from_taking_every_place(db: Database, owner: Owner) -> None:
    runs = Runs(db, organization_limit=2)
    await owner.execute(RUNS, BUSY, 5)
    await owner.execute(RUNS, QUIET, 1)
    found = [run.organization_id if (run := await runs.claim("test")) else None for _ in range(5)]
    assert sorted(found, key=str) == [BUSY, BUSY, QUIET, None, None]
