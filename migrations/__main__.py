"""python -m migrations run|revert|status|new SERVICE NAME, on the databases that the environment names.

Postgres is the one of LINTEL_MIGRATIONS_URL, whose user owns it, or else of DATABASE_URL or API_PG_DB_*; MongoDB, where
there is one, that of MONGODB_URI or API_MG_DB_*.
"""

import argparse
import asyncio
import os
import sys
from pathlib import Path

import asyncpg
from pymongo.errors import PyMongoError

from migrations import documents, runner
from services.kit.artefacts.settings import DocumentSettings
from services.kit.config import ConfigError, load
from services.kit.postgres.settings import DatabaseSettings


def main(arguments: list[str] | None = None) -> int:
    """Run one command; answers 0, 1 on an error told on stderr, 2 on wrong usage."""
    parser = argparse.ArgumentParser(prog="lintel migrate", description="Bring the database schema up to date.")
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("run", help="apply what is missing")
    commands.add_parser("revert", help="take back the last one")
    commands.add_parser("status", help="list all with their state")
    new = commands.add_parser("new", help="make the files of a new migration")
    new.add_argument("name")
    new.add_argument("--service", default="review", choices=runner.SERVICES)
    options = parser.parse_args(arguments)
    if options.command == "new":
        print(runner.new(options.service, options.name))
        return 0
    try:
        dsn = _owner() or load(DatabaseSettings).dsn
        uri = load(DocumentSettings).documents_uri
    except (ConfigError, OSError) as error:
        print(f"migrate: {error}", file=sys.stderr)
        return 2
    try:
        asyncio.run(_run(options.command, dsn, uri))
    except (runner.MigrationError, ConfigError, asyncpg.PostgresError, PyMongoError, OSError) as error:
        print(f"migrate: {error}", file=sys.stderr)
        return 1
    return 0


def _owner() -> str:
    """Answer the address that is for migrations alone, empty where none is given; NAME_FILE may hold it."""
    path = os.environ.get("LINTEL_MIGRATIONS_URL_FILE", "")
    return os.environ.get("LINTEL_MIGRATIONS_URL") or (Path(path).read_text(encoding="utf-8").strip() if path else "")


async def _run(command: str, dsn: str, uri: str | None) -> None:
    if command == "run":
        applied = await runner.run(dsn)
        for migration in applied:
            print(f"applied {migration.service}/{migration.name}")
        made = await documents.run(uri) if uri is not None else []
        for index in made:
            print(f"applied mongo/{index.file}: {index.collection}.{index.name}")
        print(f"{len(applied) + len(made)} applied, the schema is up to date")
    elif command == "revert":
        reverted = await runner.revert(dsn)
        print(f"reverted {reverted.service}/{reverted.name}" if reverted else "nothing to revert")
    else:
        for migration, state in await runner.status(dsn):
            print(f"{state:8} {migration.service}/{migration.name}")
        for index, state in await documents.status(uri) if uri is not None else ():
            print(f"{state:8} mongo/{index.file}: {index.collection}.{index.name}")


if __name__ == "__main__":
    sys.exit(main())
