"""Why a database cannot be used, in words for an operator; for `lintel doctor`, which has no pool to ask."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import asyncpg

OLDEST = 150000  # server_version_num: what the tests run on is newer, and 15 is what Debian 12 ships
SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """`problem` is empty where the database can be used; `skew` is how far its clock is ahead of ours."""

    problem: str = ""
    mend: str = ""
    version: str = ""
    skew: timedelta = timedelta(0)


async def diagnose(dsn: str) -> Diagnosis:
    """Log in as the services do and look around. Nothing of the address is repeated: it may hold the password."""
    try:
        connection = await asyncpg.connect(dsn, timeout=SECONDS, command_timeout=SECONDS)
    except (asyncpg.InvalidPasswordError, asyncpg.InvalidAuthorizationSpecificationError) as error:
        return Diagnosis(f"it refuses the login: {error}", "Check user and password of DATABASE_URL (or API_PG_DB_*).")
    except asyncpg.InvalidCatalogNameError as error:
        return Diagnosis(str(error), "Make the database, or name the right one.")
    except ConnectionRefusedError:
        return Diagnosis("nobody listens there", "Is Postgres running, and are host and port right?")
    except TimeoutError:
        return Diagnosis("it does not answer", "Check host and port, and what stands between: a firewall, a proxy.")
    except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError, ValueError) as error:
        return Diagnosis(_plain(error), "Is Postgres running there, and is the address right?")
    try:
        return await _look_around(connection)
    except asyncpg.PostgresError as error:
        return Diagnosis(_plain(error), "The login may do too little: run `lintel migrate run` as the owner.")
    finally:
        connection.terminate()


async def _look_around(connection: "asyncpg.Connection[asyncpg.Record]") -> Diagnosis:
    before = datetime.now(UTC)
    now = await connection.fetchval("SELECT clock_timestamp()")
    skew = now - (before + (datetime.now(UTC) - before) / 2)
    number = int(await connection.fetchval("SHOW server_version_num"))
    version = str(await connection.fetchval("SHOW server_version"))
    if number < OLDEST:
        return Diagnosis(f"Postgres {version} is too old", "Use Postgres 15 or newer.", version, skew)
    # From the catalogue, which everybody may read: a service's login sees no other schema.
    made = await connection.fetchval("SELECT EXISTS (SELECT FROM pg_namespace WHERE nspname = 'lintel')")
    if not made:
        return Diagnosis("it has no schema of Lintel", "Run `./lintel migrate run`.", version, skew)
    for service in ("auth", "orgs", "llm_gateway", "webhooks", "review"):
        if await connection.fetchval("SELECT pg_has_role(current_user, $1, 'MEMBER')", f"lintel_{service}"):
            return Diagnosis(version=version, skew=skew)
    words = "the login may take no service's role"
    return Diagnosis(words, "Log in as `lintel`, or as lintel_login_<service>.", version, skew)


def _plain(error: Exception) -> str:
    return " ".join(str(error).split())[:200] or type(error).__name__
