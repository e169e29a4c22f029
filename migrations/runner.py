"""Applies the SQL files of migrations/postgres: in order, once, each in a transaction of its own, under one lock.

A file is NNNN_name.pre.sql (before new code is deployed) or NNNN_name.post.sql (after), with NNNN_name.down.sql
beside it. Applied files are recorded with their SHA-256; a changed file stops the run.
"""

import hashlib
import re
from dataclasses import dataclass
from pathlib import Path

import asyncpg

from migrations import logins

ROOT = Path(__file__).resolve().parent / "postgres"
ROLES = Path(__file__).resolve().parents[1] / "deploy" / "postgres" / "roles.sql"
SERVICES = ("auth", "orgs", "llm_gateway", "webhooks", "review")
_LOCK = 0x6C696E74656C  # "lintel"
_NAME = re.compile(r"^(\d{4})_[a-z0-9_]+\.(pre|post)\.sql$")
_TABLE = """
CREATE SCHEMA IF NOT EXISTS lintel;
CREATE TABLE IF NOT EXISTS lintel.migrations (
    service text NOT NULL,
    name text NOT NULL,
    sha256 text NOT NULL,
    applied_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (service, name)
)
"""


class MigrationError(Exception):
    """The files and the database do not fit together; the message says which file and what to do."""


@dataclass(frozen=True, slots=True)
class Migration:
    """One file to apply, and where it belongs."""

    service: str
    path: Path

    @property
    def name(self) -> str:
        """The file's name, under which it is recorded."""
        return self.path.name

    @property
    def sha256(self) -> str:
        """Digest of the file."""
        return hashlib.sha256(self.path.read_bytes()).hexdigest()

    @property
    def down(self) -> Path:
        """The file that takes it back."""
        return self.path.with_name(re.sub(r"\.(pre|post)\.sql$", ".down.sql", self.name))


def find(root: Path = ROOT) -> list[Migration]:
    """Answer every migration, service by service, in order. Raises MigrationError on a name that does not fit."""
    found = []
    for service in SERVICES:
        for path in sorted((root / service).glob("*.sql")):
            if path.name.endswith(".down.sql"):
                continue
            if not _NAME.match(path.name):
                raise MigrationError(f"{service}/{path.name} is not named NNNN_name.pre.sql or NNNN_name.post.sql")
            found.append(Migration(service, path))
    return found


async def run(dsn: str, root: Path = ROOT) -> list[Migration]:
    """Apply what is missing and answer it. Raises MigrationError if an applied file has changed."""
    connection = await _open(dsn)
    try:
        applied = await _applied(connection)
        missing = []
        for migration in find(root):
            recorded = applied.get((migration.service, migration.name))
            if recorded is None:
                missing.append(migration)
            elif recorded != migration.sha256:
                raise MigrationError(
                    f"{migration.service}/{migration.name} was changed after it was applied; "
                    "restore it and write a new migration (lintel migrate new NAME)"
                )
        for migration in missing:
            async with connection.transaction():
                await connection.execute("SET LOCAL ROLE lintel_owner")
                await connection.execute(migration.path.read_text())
                await connection.execute("RESET ROLE")
                await connection.execute(
                    "INSERT INTO lintel.migrations (service, name, sha256) VALUES ($1, $2, $3)",
                    migration.service,
                    migration.name,
                    migration.sha256,
                )
        await logins.ensure(connection)
        return missing
    finally:
        await connection.close()


async def revert(dsn: str, root: Path = ROOT) -> Migration | None:
    """Take back the migration applied last and answer it; None if there is none."""
    connection = await _open(dsn)
    try:
        row = await connection.fetchrow(
            "SELECT service, name FROM lintel.migrations ORDER BY applied_at DESC, service DESC, name DESC LIMIT 1"
        )
        if row is None:
            return None
        migration = next((m for m in find(root) if (m.service, m.name) == (row["service"], row["name"])), None)
        if migration is None or not migration.down.exists():
            raise MigrationError(f"{row['service']}/{row['name']} has no down file here")
        async with connection.transaction():
            await connection.execute("SET LOCAL ROLE lintel_owner")
            await connection.execute(migration.down.read_text())
            await connection.execute("RESET ROLE")
            await connection.execute(
                "DELETE FROM lintel.migrations WHERE service = $1 AND name = $2", migration.service, migration.name
            )
        return migration
    finally:
        await connection.close()


async def status(dsn: str, root: Path = ROOT) -> list[tuple[Migration, str]]:
    """Answer every migration with `applied`, `pending` or `changed`."""
    connection = await _open(dsn)
    try:
        applied = await _applied(connection)
    finally:
        await connection.close()
    states = []
    for migration in find(root):
        recorded = applied.get((migration.service, migration.name))
        state = "pending" if recorded is None else "applied" if recorded == migration.sha256 else "changed"
        states.append((migration, state))
    return states


def new(service: str, name: str, root: Path = ROOT) -> Path:
    """Make the next empty pair of files of a service and answer the path of the first."""
    if service not in SERVICES:
        raise MigrationError(f"there is no service {service}; one of {', '.join(SERVICES)}")
    slug = re.sub(r"[^a-z0-9]+", "_", name.lower()).strip("_")
    if not slug:
        raise MigrationError("the name needs letters or digits")
    numbers = [int(m.name[:4]) for m in find(root) if m.service == service]
    stem = f"{max(numbers, default=0) + 1:04d}_{slug}"
    path = root / service / f"{stem}.pre.sql"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("-- Why:\n")
    (root / service / f"{stem}.down.sql").write_text("-- Takes it back:\n")
    return path


async def _open(dsn: str) -> "asyncpg.Connection[asyncpg.Record]":
    connection = await asyncpg.connect(dsn, timeout=10)
    # Session lock: a second runner waits here until the first one is done, and ends with its connection.
    await connection.execute("SELECT pg_advisory_lock($1)", _LOCK)
    await connection.execute(ROLES.read_text())
    await connection.execute(_TABLE)
    return connection


async def _applied(connection: "asyncpg.Connection[asyncpg.Record]") -> dict[tuple[str, str], str]:
    rows = await connection.fetch("SELECT service, name, sha256 FROM lintel.migrations")
    return {(row["service"], row["name"]): row["sha256"] for row in rows}
