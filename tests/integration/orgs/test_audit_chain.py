"""The audit log's helper: one chain per organisation whoever writes, in the transaction of the change, for ever."""

import asyncio
import itertools
from collections.abc import AsyncIterator
from dataclasses import fields, replace
from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

import asyncpg
import pytest

from services.kit.postgres import audit
from services.kit.postgres.audit import Actor, Change
from services.kit.postgres.pool import Database as Pool
from services.kit.postgres.pool import Row
from tests.support.postgres import Database

MINE = UUID("018f0000-0000-7000-8000-00000000000a")
SOMEBODY = Actor("user", "018f0000-0000-7000-8000-00000000000b")
SERVICES = ("auth", "orgs", "webhooks", "review")


@pytest.fixture
async def pools(database: Database) -> AsyncIterator[dict[str, Pool]]:
    made = {service: Pool(database.app_dsn, service, max_size=4) for service in SERVICES}
    for pool in made.values():
        await pool.open()
    yield made
    for pool in made.values():
        await pool.close()


async def add(pool: Pool, organization: UUID = MINE, changes: tuple[Change, ...] = ()) -> audit.Entry:
    async with pool.tenant(organization) as connection:
        return await audit.record(connection, organization, SOMEBODY, "thing.update", ("thing", "7"), changes)


async def entries(pools: dict[str, Pool], organization: UUID = MINE) -> list[Row]:
    async with pools["orgs"].tenant(organization) as connection:
        return list(await connection.fetch("SELECT * FROM orgs.audit_log ORDER BY sequence"))


async def test_many_services_at_once_make_one_chain(pools: dict[str, Pool]) -> None:
    other = uuid4()
    await asyncio.gather(*(add(pools[s], o) for s in SERVICES for o in (MINE, other) for _ in range(6)))
    for organization in (MINE, other):
        rows = await entries(pools, organization)
        assert [row["sequence"] for row in rows] == list(range(1, 25))
        assert rows[0]["previous_sha256"] == audit.FIRST
        assert all(after["previous_sha256"] == before["sha256"] for before, after in itertools.pairwise(rows))
        assert len({row["sha256"] for row in rows}) == len(rows)


async def test_an_entry_is_there_if_and_only_if_the_change_is(pools: dict[str, Pool]) -> None:
    with pytest.raises(ZeroDivisionError):
        async with pools["review"].tenant(MINE) as connection:
            await audit.record(connection, MINE, SOMEBODY, "thing.update", ("thing", "7"))
            raise ZeroDivisionError
    await add(pools["review"])
    assert [row["sequence"] for row in await entries(pools)] == [1]


@pytest.mark.parametrize("service", SERVICES)
@pytest.mark.parametrize("statement", ["UPDATE orgs.audit_log SET actor_id = ''", "DELETE FROM orgs.audit_log"])
async def test_nobody_may_change_what_is_written(pools: dict[str, Pool], service: str, statement: str) -> None:
    await add(pools[service])
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        async with pools[service].tenant(MINE) as connection:
            await connection.execute(statement)


@pytest.mark.parametrize("service", ["auth", "webhooks", "review"])
async def test_the_other_services_see_where_the_chain_ends_and_no_more(pools: dict[str, Pool], service: str) -> None:
    await add(pools[service])
    async with pools[service].tenant(MINE) as connection:
        assert await connection.fetchval("SELECT sequence FROM orgs.audit_log") == 1
    async with pools[service].tenant(uuid4()) as connection:
        assert await connection.fetchval("SELECT sequence FROM orgs.audit_log") is None
    for column in ("actor_id", "changes", "resource_id"):
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            async with pools[service].tenant(MINE) as connection:
                await connection.fetch(f"SELECT {column} FROM orgs.audit_log")


async def test_nobody_writes_into_the_log_of_another_organisation(pools: dict[str, Pool]) -> None:
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        async with pools["auth"].tenant(uuid4()) as connection:
            await audit.record(connection, MINE, SOMEBODY, "thing.update", ("thing", "7"))


async def test_what_is_kept_holds_no_secret_and_has_a_bound(pools: dict[str, Pool]) -> None:
    key = "sk-ant-api03-" + "aB3" * 20
    made = await add(
        pools["orgs"], changes=(Change("note", None, f"my key {key}"), Change("long", "x" * 600, "y\n\0z"))
    )
    (row,) = await entries(pools)
    assert key not in row["changes"]
    assert "sha256:" in row["changes"]
    assert row["changes"].isascii()
    assert row["changes"].isprintable()
    assert audit.changes_from_json(row["changes"]) == made.changes
    assert made.changes[1].after == "y\n\0z"


def test_a_difference_names_what_changed_by_its_path() -> None:
    before = {"a": {"b": 1, "same": True}, "gone": "x", "none": None}
    after = {"a": {"b": 2, "same": True, "new": [1, "z"]}}
    assert audit.difference(before, after) == [
        Change("a.b", "1", "2"),
        Change("a.new", None, '[1,"z"]'),
        Change("gone", "x", None),
    ]
    assert audit.difference(None, {}) == []


def test_the_digest_covers_every_field() -> None:
    time = datetime(2026, 1, 2, 3, 4, 5, 678901, UTC)
    entry = audit.Entry(MINE, 1, time, SOMEBODY, "a.b", "thing", "7", (), "r", "::1", audit.FIRST)
    others = {
        "organization_id": uuid4(),
        "sequence": 2,
        "time": time + timedelta(microseconds=1),
        "actor": Actor("system", SOMEBODY.id),
        "action": "a.c",
        "resource_kind": "thin",
        "resource_id": "g7",
        "changes": (Change("f", None, ""),),
        "request_id": "s",
        "address": "::2",
        "previous_sha256": b"1" * 32,
    }
    assert set(others) == {field.name for field in fields(entry)}
    for name, value in others.items():
        assert replace(entry, **{name: value}).sha256 != entry.sha256, name  # type: ignore[arg-type]
    # A known answer, so that logs written before stay verifiable.
    assert entry.sha256.hex() == "56915d81572ccd7aa1fcc1ee9d953b7ffe50f5c02f61e2d2c3b60495a140a665"
