"""Brings the model keys of organisations under the current master key."""

from services.kit.crypto import CryptoSettings
from services.kit.postgres.pool import Database
from services.llm_gateway.configuration import ModelConfiguration
from services.llm_gateway.credential_store import CredentialStore
from services.llm_gateway.model_keys import ModelKeys

_SERVICE = "llm_gateway"


async def reencrypt(dsn: str, settings: CryptoSettings) -> int:
    """Write every key that an earlier master key encrypts anew and answer how many there were.

    Safe while the service runs, and to repeat. Raises SealedSecretError for one whose master key is not configured.
    """

    async def nowhere(_: ModelConfiguration) -> str:
        raise ValueError("no key is sent anywhere from here")

    async with Database(dsn, _SERVICE, max_size=2) as database:
        return await ModelKeys(CredentialStore(database), settings.vault(_SERVICE), nowhere).reencrypt()
