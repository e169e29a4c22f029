"""python -m migrations run|revert|status|new SERVICE NAME, on the database of LINTEL_MIGRATIONS_URL or DATABASE_URL."""

import argparse
import asyncio
import os
import sys
from pathlib import Path

import asyncpg

from migrations import runner
from services.kit.config import ConfigError


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
    dsn = _database()
    if not dsn:
        print("Set DATABASE_URL to the database whose schema is meant.", file=sys.stderr)
        return 2
    try:
        asyncio.run(_run(options.command, dsn))
    except (runner.MigrationError, ConfigError, asyncpg.PostgresError, OSError) as error:
        print(f"migrate: {error}", file=sys.stderr)
        return 1
    return 0


def _database() -> str:
    """Answer the address of the database, empty where none is given; it may stand in the file that NAME_FILE names."""
    for name in ("LINTEL_MIGRATIONS_URL", "DATABASE_URL"):
        if value := os.environ.get(name):
            return value
        if path := os.environ.get(f"{name}_FILE"):
            return Path(path).read_text(encoding="utf-8").strip()
    return ""


async def _run(command: str, dsn: str) -> None:
    if command == "run":
        applied = await runner.run(dsn)
        for migration in applied:
            print(f"applied {migration.service}/{migration.name}")
        print(f"{len(applied)} applied, the schema is up to date")
    elif command == "revert":
        reverted = await runner.revert(dsn)
        print(f"reverted {reverted.service}/{reverted.name}" if reverted else "nothing to revert")
    else:
        for migration, state in await runner.status(dsn):
            print(f"{state:8} {migration.service}/{migration.name}")


if __name__ == "__main__":
    sys.exit(main())
