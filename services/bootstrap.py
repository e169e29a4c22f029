"""python -m services.bootstrap [--rotate]: the default organisation and the local API key, made where they are missing.

Stdout gets the key, only when it was made just now; everything else goes to stderr. Safe to run again.
"""

import argparse
import asyncio
import sys
from uuid import UUID

from services.auth.local_key import ensure_local_key
from services.kit.config import ConfigError, load
from services.kit.errors import AppError
from services.kit.postgres.pool import DatabaseError
from services.kit.postgres.settings import DatabaseSettings
from services.kit.telemetry import log
from services.orgs.bootstrap import ensure_default_organization


def main(arguments: list[str] | None = None) -> int:
    """Make what is missing; answers 0, or 1 on an error told on stderr."""
    parser = argparse.ArgumentParser(prog="python -m services.bootstrap", description=__doc__)
    parser.add_argument("--rotate", action="store_true", help="end the local API key and make another")
    rotate: bool = parser.parse_args(arguments).rotate
    log.setup()  # to stderr
    try:
        _, key = asyncio.run(bootstrap(load(DatabaseSettings).dsn, rotate=rotate))
    except (ConfigError, AppError, DatabaseError, OSError) as error:
        print(f"bootstrap: {error}", file=sys.stderr)
        return 1
    if key is None:
        print("The local API key exists; --rotate makes another.", file=sys.stderr)
    else:
        print(key)
    return 0


async def bootstrap(dsn: str, *, rotate: bool = False) -> tuple[UUID, str | None]:
    """Answer the id of the default organisation, and the local API key if it was made just now."""
    organization_id = await ensure_default_organization(dsn)
    return organization_id, await ensure_local_key(dsn, organization_id, rotate=rotate)


if __name__ == "__main__":
    sys.exit(main())
