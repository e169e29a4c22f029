"""The logins that a migration makes: each service's can be that service and no other, by password."""

from collections.abc import AsyncIterator

import asyncpg
import pytest

from migrations import logins
from migrations.logins import Passwords, login_of, verifier
from services.kit.config import ConfigError, load
from tests.support.postgres import Database

PASSWORD = "correct horse battery"


def test_the_verifier_is_the_published_one() -> None:
    # RFC 7677 section 3: user "user", password "pencil", 4096 iterations; its client proof follows from these keys.
    import base64

    made = verifier("pencil", base64.b64decode("W22ZaJ0SNY7soEsUEjb6gQ=="))
    assert made == (
        "SCRAM-SHA-256$4096:W22ZaJ0SNY7soEsUEjb6gQ==$WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY="
        ":wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU="
    )


@pytest.fixture
async def owner(database: Database) -> AsyncIterator["asyncpg.Connection[asyncpg.Record]"]:
    connection = await asyncpg.connect(database.owner_dsn)
    try:
        yield connection
    finally:
        for service in logins.SERVICES:
            if await connection.fetchval("SELECT true FROM pg_roles WHERE rolname = $1", login_of(service)):
                await connection.execute(f"DROP ROLE {login_of(service)}")
        await connection.execute("ALTER ROLE lintel PASSWORD NULL")
        await connection.close()


async def test_each_service_s_login_can_be_that_service_only(
    database: Database, owner: "asyncpg.Connection[asyncpg.Record]"
) -> None:
    given = load(Passwords, {"LINTEL_DB_PASSWORD_AUTH": PASSWORD, "LINTEL_DB_PASSWORD_REVIEW": PASSWORD + "2"})
    assert await logins.ensure(owner, given) == ["lintel_login_auth", "lintel_login_review"]
    assert await logins.ensure(owner, given) == ["lintel_login_auth", "lintel_login_review"]  # again is fine
    as_auth = await asyncpg.connect(database.app_dsn, user="lintel_login_auth", password=PASSWORD)
    try:
        await as_auth.execute("SET ROLE lintel_auth")
        await as_auth.fetch("SELECT 1 FROM auth.api_keys")
        await as_auth.execute("RESET ROLE")
        for statement in (
            "SET ROLE lintel_review",
            "SET ROLE lintel_owner",
            "SELECT 1 FROM auth.api_keys",
            "SELECT 1 FROM review.runs",
        ):
            with pytest.raises(asyncpg.InsufficientPrivilegeError):
                await as_auth.execute(statement)
    finally:
        await as_auth.close()


async def test_the_server_keeps_a_verifier_and_never_saw_the_password(
    owner: "asyncpg.Connection[asyncpg.Record]",
) -> None:
    await logins.ensure(owner, load(Passwords, {"LINTEL_DB_PASSWORD": PASSWORD}))
    stored = await owner.fetchval("SELECT rolpassword FROM pg_authid WHERE rolname = 'lintel'")
    assert stored.startswith("SCRAM-SHA-256$4096:")
    assert PASSWORD not in stored


def test_a_password_that_cannot_be_typed_is_refused_without_being_shown() -> None:
    with pytest.raises(ConfigError) as refused:
        load(Passwords, {"LINTEL_DB_PASSWORD": "pässwörd"})
    assert "LINTEL_DB_PASSWORD" in str(refused.value)
    assert "pässwörd" not in str(refused.value)
