"""What the orgs service reads from the environment."""

from services.kit.crypto import CryptoSettings
from services.kit.postgres.settings import DatabaseSettings


class OrgsSettings(DatabaseSettings, CryptoSettings):
    """Configuration of the service; of the master key only the subkey that signs page tokens is used."""
