"""Brings what auth keeps encrypted under the current master key."""

from services.auth.api_keys import utc_now
from services.auth.providers.oidc import Provider
from services.auth.sso_configurations import SsoConfigurations
from services.auth.sso_store import SsoStore
from services.kit.crypto import CryptoSettings
from services.kit.postgres.pool import Database

_SERVICE = "auth"


async def reencrypt(dsn: str, settings: CryptoSettings) -> int:
    """Write every secret that an earlier key encrypts anew and answer how many there were.

    Safe while the service runs, and to repeat. Raises SealedSecretError for one whose key is not configured.
    """
    provider = Provider()
    try:
        async with Database(dsn, _SERVICE, max_size=2) as database:
            vault = settings.vault(_SERVICE)
            return await SsoConfigurations(SsoStore(database), provider, vault, (), "", utc_now).reencrypt()
    finally:
        await provider.close()
