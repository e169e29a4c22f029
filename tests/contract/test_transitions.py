"""The database lets each row move as the tables in the code say, and in no other way."""

import re
from collections.abc import AsyncIterator
from itertools import product

import asyncpg
import pytest

from services.review import machine as review
from services.webhooks import machine as webhooks
from tests.support.postgres import Database

TABLES: dict[str, set[tuple[str, str]]] = {
    "review.runs": {(t.source, t.target) for t in review.TRANSITIONS if t.source},
    "review.inbox": {(a, b) for a, b, _ in review.ENVELOPES if a and b},
    "webhooks.deliveries": {(a, b) for a, b, _ in webhooks.DELIVERIES if a and b},
    "webhooks.publications": {(a, b) for a, b, _ in webhooks.PUBLICATIONS if a and b},
    "webhooks.effects": {(a, b) for a, b, _ in webhooks.EFFECTS if a and b},
}
ROWS = """
SET session_replication_role = replica;
INSERT INTO review.runs (id, organization_id, pull_request_id, head_sha, base_ref)
    VALUES (gen_random_uuid(), gen_random_uuid(), gen_random_uuid(), '', '');
INSERT INTO review.inbox (id, organization_id, topic, envelope)
    VALUES (gen_random_uuid(), gen_random_uuid(), '', '');
INSERT INTO webhooks.deliveries (id, organization_id, host, host_delivery_id, event, headers, body)
    VALUES (gen_random_uuid(), gen_random_uuid(), '', '', '', '{}', '');
INSERT INTO webhooks.publications (organization_id, run_id, host, connection_id, repository_id, number, epoch, head_sha,
    base_ref, items) VALUES (gen_random_uuid(), gen_random_uuid(), '', '', '', 1, 1, '', '', '');
INSERT INTO webhooks.effects (organization_id, run_id, kind)
    VALUES (gen_random_uuid(), gen_random_uuid(), 'SUMMARY_EDIT');
INSERT INTO webhooks.outbox (id, organization_id, topic, envelope)
    VALUES (gen_random_uuid(), gen_random_uuid(), '', '');
SET session_replication_role = DEFAULT;
"""


@pytest.fixture
async def owner(database: Database) -> AsyncIterator["asyncpg.Connection[asyncpg.Record]"]:
    connection = await asyncpg.connect(database.owner_dsn)
    await connection.execute(ROWS)
    # What else is asked of a row: that what it belongs to is there, and of a run that is on, a lease.
    for row in await connection.fetch(
        "SELECT conrelid::regclass::text AS at, conname FROM pg_constraint "
        "WHERE contype = 'f' OR conname = 'runs_check'"
    ):
        await connection.execute(f"ALTER TABLE {row['at']} DROP CONSTRAINT {row['conname']} CASCADE")
    yield connection
    await connection.close()


async def test_each_table_moves_as_the_code_says(owner: "asyncpg.Connection[asyncpg.Record]") -> None:
    for table, allowed in TABLES.items():
        name = f"{table.partition('.')[2]}_state_check"
        check = await owner.fetchval("SELECT pg_get_constraintdef(oid) FROM pg_constraint WHERE conname = $1", name)
        states = set(re.findall(r"'([A-Z_]+)'", check))
        assert {state for pair in allowed for state in pair} == states, table
        for source, target in product(sorted(states), repeat=2):
            assert await moves(owner, table, source, target) is (source == target or (source, target) in allowed), (
                f"{table}: {source} to {target}"
            )


async def moves(owner: "asyncpg.Connection[asyncpg.Record]", table: str, source: str, target: str) -> bool:
    transaction = owner.transaction()
    await transaction.start()
    try:
        await owner.execute(f"SET LOCAL session_replication_role = replica; UPDATE {table} SET state = '{source}'")
        await owner.execute("SET LOCAL session_replication_role = DEFAULT")
        await owner.execute(f"UPDATE {table} SET state = '{target}'")
    except asyncpg.CheckViolationError as error:
        assert "does not go from" in str(error)
        return False
    else:
        return True
    finally:
        await transaction.rollback()


async def test_a_row_of_the_outbox_goes_only_once_it_was_sent(owner: "asyncpg.Connection[asyncpg.Record]") -> None:
    with pytest.raises(asyncpg.CheckViolationError):
        await owner.execute("DELETE FROM webhooks.outbox")
    await owner.execute("UPDATE webhooks.outbox SET sent_time = clock_timestamp()")
    assert await owner.execute("DELETE FROM webhooks.outbox") == "DELETE 1"
