"""Row-level security on the migrated database: every table of every service, as the application's own role sees it."""

from collections.abc import AsyncIterator
from uuid import UUID, uuid4

import asyncpg
import pytest

from services.kit.postgres.pool import Database as Pool
from tests.support.postgres import Database

SERVICES = ("auth", "orgs", "llm_gateway", "webhooks", "review")
# Tables that a service reads without knowing whose they are: what is claimed and swept, and what finds out whose.
QUEUES = {
    "auth": {"api_keys", "users", "sessions", "refresh_tokens", "password_resets", "sso_configurations", "sso_logins"},
    "orgs": {"organizations", "events"},
    "llm_gateway": {"calls", "credentials"},
    "webhooks": {"deliveries", "outbox", "repositories"},
    "review": {"inbox", "pull_requests", "runs", "artefacts"},
}
# Columns that answer whose something is, before its organisation is known, and tell no more.
LOOK_UPS = {
    "orgs": {"members": {"organization_id", "user_id"}, "invitations": {"organization_id", "token_sha256"}},
    "review": {"checkpoints": {"run_id", "step", "input_sha256", "create_time"}},
}
TABLES = """
SELECT n.nspname AS schema, c.relname AS name, c.relrowsecurity AS enabled, c.relforcerowsecurity AS forced,
       pg_get_userbyid(c.relowner) AS owner,
       (SELECT a.attnotnull FROM pg_attribute a
        WHERE a.attrelid = c.oid AND a.attname = 'organization_id' AND a.atttypid = 'uuid'::regtype) AS is_owned
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind IN ('r', 'p') AND n.nspname NOT IN ('pg_catalog', 'information_schema', 'pg_toast')
ORDER BY 1, 2
"""
CHECKS = """
SELECT conrelid::regclass::text AS at, conname FROM pg_constraint
WHERE contype = 'c' AND connamespace::regnamespace::text IN ('auth', 'orgs', 'llm_gateway', 'webhooks', 'review')
"""


@pytest.fixture
async def owner(database: Database) -> AsyncIterator["asyncpg.Connection[asyncpg.Record]"]:
    connection = await asyncpg.connect(database.owner_dsn)
    yield connection
    await connection.close()


@pytest.fixture
async def pools(database: Database) -> AsyncIterator[dict[str, Pool]]:
    made = {service: Pool(database.app_dsn, service, max_size=2) for service in SERVICES}
    for pool in made.values():
        await pool.open()
    yield made
    for pool in made.values():
        await pool.close()


async def tables(owner: "asyncpg.Connection[asyncpg.Record]") -> dict[str, list[str]]:
    rows = await owner.fetch(TABLES)
    return {s: [row["name"] for row in rows if row["schema"] == s] for s in SERVICES}


async def test_every_table_has_an_organisation_and_its_security_cannot_be_walked_around(
    owner: "asyncpg.Connection[asyncpg.Record]",
) -> None:
    rows = await owner.fetch(TABLES)
    assert {row["schema"] for row in rows} == {*SERVICES, "lintel"}  # `lintel` holds the record of migrations
    ours = [row for row in rows if row["schema"] in SERVICES]
    assert {row["name"]: dict(row) for row in ours if not (row["is_owned"] and row["enabled"] and row["forced"])} == {}
    assert {row["owner"] for row in ours} == {"lintel_owner"}


async def test_every_table_checks_what_is_read_and_what_is_written(
    owner: "asyncpg.Connection[asyncpg.Record]",
) -> None:
    policies = await owner.fetch("SELECT * FROM pg_policies")
    for service, names in (await tables(owner)).items():
        for name in names:
            found = [p for p in policies if (p["schemaname"], p["tablename"]) == (service, name)]
            own = [p for p in found if p["roles"] == [f"lintel_{service}"]]
            assert [(p["cmd"], bool(p["qual"]), bool(p["with_check"])) for p in own] == [("ALL", True, True)], name
            others = {role for p in found for role in p["roles"]} - {f"lintel_{service}"}
            if (service, name) == ("orgs", "audit_log"):  # every service adds to it, for one organisation at a time
                others -= {f"lintel_{s}" for s in SERVICES}
                assert all(p["qual"] == own[0]["qual"] == p["with_check"] for p in found)
            assert others <= {f"lintel_{service}_queue"}, name
            assert bool(others) is (name in QUEUES[service] | LOOK_UPS.get(service, {}).keys()), name


async def test_the_application_s_roles_are_nobody(owner: "asyncpg.Connection[asyncpg.Record]") -> None:
    roles = await owner.fetch("SELECT * FROM pg_roles WHERE rolname LIKE 'lintel%'")
    expected = {"lintel", "lintel_owner", *(f"lintel_{s}{q}" for s in SERVICES for q in ("", "_queue"))}
    assert {role["rolname"] for role in roles} == expected
    for role in roles:
        assert not role["rolsuper"], role["rolname"]
        assert not role["rolbypassrls"], role["rolname"]
        assert not role["rolcreaterole"], role["rolname"]
        assert role["rolcanlogin"] is (role["rolname"] == "lintel")
        if role["rolname"] != "lintel_owner":
            owned = await owner.fetchval(
                "SELECT count(*) FROM pg_shdepend WHERE refobjid = $1 AND deptype = 'o'", role["oid"]
            )
            assert owned == 0, role["rolname"]
    assert not await owner.fetchval("SELECT pg_has_role('lintel', 'lintel_owner', 'MEMBER')")


async def test_the_login_role_itself_sees_nothing(
    database: Database, owner: "asyncpg.Connection[asyncpg.Record]"
) -> None:
    connection = await asyncpg.connect(database.app_dsn)
    for service, names in (await tables(owner)).items():
        for name in names:
            with pytest.raises(asyncpg.InsufficientPrivilegeError):
                await connection.fetch(f"SELECT * FROM {service}.{name}")
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await connection.execute("CREATE TABLE public.mine (id int)")
    await connection.close()


async def test_a_service_sees_its_own_schema_only(
    owner: "asyncpg.Connection[asyncpg.Record]", pools: dict[str, Pool]
) -> None:
    found = await tables(owner)
    for service, pool in pools.items():
        for other in set(SERVICES) - {service}:
            for name in found[other]:
                with pytest.raises(asyncpg.InsufficientPrivilegeError):
                    async with pool.tenant(uuid4()) as connection:
                        await connection.fetch(f"SELECT * FROM {other}.{name}")


async def test_a_queue_sees_the_queue_tables_only(
    owner: "asyncpg.Connection[asyncpg.Record]", pools: dict[str, Pool]
) -> None:
    seen: dict[str, set[str]] = {}
    for service, names in (await tables(owner)).items():
        seen[service] = set()
        for name in names:
            try:
                async with pools[service].queue() as connection:
                    await connection.fetch(f"SELECT * FROM {service}.{name}")
                seen[service].add(name)
            except asyncpg.InsufficientPrivilegeError:
                pass
    assert seen == QUEUES


async def test_a_look_up_sees_whose_something_is_and_no_more(owner: "asyncpg.Connection[asyncpg.Record]") -> None:
    granted = await owner.fetch(
        "SELECT table_schema AS schema, table_name AS name, column_name, privilege_type "
        "FROM information_schema.column_privileges WHERE grantee LIKE 'lintel%queue'"
    )
    found: dict[str, dict[str, set[str]]] = {}
    for row in granted:
        if row["name"] not in QUEUES[row["schema"]]:
            assert row["privilege_type"] == "SELECT", row["name"]
            found.setdefault(row["schema"], {}).setdefault(row["name"], set()).add(row["column_name"])
    assert found == LOOK_UPS


async def fill(owner: "asyncpg.Connection[asyncpg.Record]", organization: UUID) -> None:
    """One row of an organisation in every table, whatever its columns: foreign keys and checks are out of the way."""
    await owner.execute("SET session_replication_role = replica")
    for row in await owner.fetch(CHECKS):
        await owner.execute(f"ALTER TABLE {row['at']} DROP CONSTRAINT {row['conname']}")
    for service, names in (await tables(owner)).items():
        for name in names:
            columns = await owner.fetch(
                "SELECT column_name, data_type FROM information_schema.columns "
                "WHERE table_schema = $1 AND table_name = $2 AND is_nullable = 'NO' AND column_default IS NULL",
                service,
                name,
            )
            values = {c["column_name"]: _VALUES[c["data_type"]] for c in columns}
            values["organization_id"] = f"'{organization}'"
            names_, values_ = ", ".join(values), ", ".join(values.values())
            await owner.execute(f"INSERT INTO {service}.{name} ({names_}) VALUES ({values_})")
    await owner.execute("SET session_replication_role = origin")


_VALUES = {
    "uuid": "gen_random_uuid()",
    "text": "gen_random_uuid()::text",
    "bytea": "gen_random_uuid()::text::bytea",
    "integer": "1",
    "bigint": "1",
    "boolean": "false",
    "double precision": "0.5",
    "jsonb": "'{}'",
    "ARRAY": "'{}'",
    "timestamp with time zone": "now()",
}


async def count(pool: Pool, table: str, organization: UUID | None) -> int:
    """How many rows of a table somebody sees."""
    if organization is None:
        async with pool._acquire() as connection:
            return int(await connection.fetchval(f"SELECT count(*) FROM {table}"))
    async with pool.tenant(organization) as connection:
        return int(await connection.fetchval(f"SELECT count(*) FROM {table}"))


async def test_rows_are_seen_by_their_organisation_and_nobody_else(
    owner: "asyncpg.Connection[asyncpg.Record]", pools: dict[str, Pool]
) -> None:
    mine, theirs = uuid4(), uuid4()
    await fill(owner, mine)
    await fill(owner, theirs)
    for service, names in (await tables(owner)).items():
        for name in names:
            table, pool = f"{service}.{name}", pools[service]
            assert await owner.fetchval(f"SELECT count(*) FROM {table}") == 2, table
            assert await count(pool, table, mine) == 1, table
            assert await count(pool, table, uuid4()) == 0, table
            # Also on a connection that has just been another organisation's.
            assert await count(pool, table, None) == 0, table


async def test_nobody_writes_for_another_organisation(
    owner: "asyncpg.Connection[asyncpg.Record]", pools: dict[str, Pool]
) -> None:
    mine, theirs = uuid4(), uuid4()
    await fill(owner, theirs)
    for service, names in (await tables(owner)).items():
        for name in names:
            table = f"{service}.{name}"
            columns = await owner.fetch(
                "SELECT column_name FROM information_schema.columns WHERE table_schema = $1 AND table_name = $2",
                service,
                name,
            )
            listed = ", ".join(column["column_name"] for column in columns)
            row = await owner.fetchrow(f"SELECT {listed} FROM {table}")
            assert row is not None
            places = ", ".join(f"${index + 1}" for index in range(len(columns)))
            with pytest.raises(asyncpg.InsufficientPrivilegeError):
                async with pools[service].tenant(mine) as connection:
                    await connection.execute(f"INSERT INTO {table} ({listed}) VALUES ({places})", *row)
            for statement in (f"UPDATE {table} SET organization_id = '{mine}'", f"DELETE FROM {table}"):
                try:
                    async with pools[service].tenant(mine) as connection:
                        done = await connection.execute(statement)
                    assert done.endswith(" 0"), (statement, done)
                except asyncpg.InsufficientPrivilegeError:
                    continue  # may not do it to any row, and so not to this one
            assert await owner.fetchval(f"SELECT count(*) FROM {table} WHERE organization_id = $1", theirs) == 1


async def test_a_set_organisation_ends_with_its_transaction(pools: dict[str, Pool]) -> None:
    async with pools["auth"].tenant(uuid4()) as connection:
        identity = await connection.fetchval("SELECT pg_backend_pid()")
    async with pools["auth"]._acquire() as connection:
        assert await connection.fetchval("SELECT pg_backend_pid()") == identity
        assert not await connection.fetchval("SELECT current_setting('lintel.organization_id', true)")
        assert await connection.fetchval("SELECT current_user::text") == "lintel_auth"
