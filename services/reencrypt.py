"""python -m services.reencrypt: brings every stored secret under API_CRYPTO_KEY, also those of API_CRYPTO_KEY_PREVIOUS.

Run it after a rotation, once every process has the new key: one that has not can't read what is written here. Tells on
stdout how many secrets of each service were written anew. Ends with 1 where one can't be read.
"""

import argparse
import asyncio
import sys
from collections.abc import Awaitable, Callable, Mapping

from services.auth.reencryption import reencrypt as auth
from services.kit.config import ConfigError, load
from services.kit.crypto import CryptoSettings, SealedSecretError
from services.kit.errors import AppError
from services.kit.postgres.pool import DatabaseError
from services.kit.postgres.settings import DatabaseSettings
from services.kit.telemetry import log
from services.llm_gateway.reencryption import reencrypt as llm_gateway

# A service that keeps secrets in a vault has a line here.
SERVICES: Mapping[str, Callable[[str, CryptoSettings], Awaitable[int]]] = {"auth": auth, "llm_gateway": llm_gateway}


def main(arguments: list[str] | None = None) -> int:
    """Write what is stale anew; answers 0, or 1 on an error told on stderr."""
    argparse.ArgumentParser(prog="python -m services.reencrypt", description=__doc__).parse_args(arguments)
    log.setup()  # to stderr
    try:
        dsn, settings = load(DatabaseSettings).dsn, load(CryptoSettings)
        counts = asyncio.run(reencrypt(dsn, settings))
    except (ConfigError, AppError, SealedSecretError, DatabaseError, OSError) as error:
        print(f"reencrypt: {error}", file=sys.stderr)
        return 1
    for service, count in counts.items():
        print(f"{service}: {count} written anew")
    return 0


async def reencrypt(dsn: str, settings: CryptoSettings) -> dict[str, int]:
    """Answer, by service, how many secrets were written anew."""
    return {name: await work(dsn, settings) for name, work in SERVICES.items()}


if __name__ == "__main__":
    sys.exit(main())
