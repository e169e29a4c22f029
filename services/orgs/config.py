"""What the orgs service reads from the environment."""

from pydantic import Field, SecretStr

from services.kit.crypto import CryptoSettings
from services.kit.postgres.settings import DatabaseSettings
from services.orgs.destinations import POSTHOG_URL, SEGMENT_URL


class OrgsSettings(DatabaseSettings, CryptoSettings):
    """Configuration of the service; of the master key only the subkey that signs page tokens is used."""

    segment_key: SecretStr = Field(SecretStr(""), alias="API_SEGMENT_KEY")  # empty: nothing is sent there
    segment_url: str = Field(SEGMENT_URL, alias="LINTEL_SEGMENT_API_URL")
    posthog_key: SecretStr = Field(SecretStr(""), alias="API_POSTHOG_KEY")  # the same
    posthog_url: str = Field(POSTHOG_URL, alias="LINTEL_POSTHOG_API_URL")
