"""What the orgs service reads from the environment."""

from typing import Annotated

from pydantic import AfterValidator, Field, SecretStr

from services.kit.crypto import CryptoSettings
from services.kit.mail import Mailer, check_smtp_url
from services.kit.postgres.settings import DatabaseSettings
from services.orgs.destinations import POSTHOG_URL, SEGMENT_URL


def _check_smtp(url: SecretStr) -> SecretStr:
    check_smtp_url(url.get_secret_value())
    return url


class OrgsSettings(DatabaseSettings, CryptoSettings):
    """Configuration of the service; of the master key only the subkey that signs page tokens is used."""

    public_url: str = Field(
        "http://127.0.0.1:3001", alias="LINTEL_PUBLIC_URL", pattern=r"^https?://[^\s/?#]+(/[^\s?#]*)?$"
    )
    smtp_url: Annotated[SecretStr, AfterValidator(_check_smtp)] | None = Field(None, alias="LINTEL_SMTP_URL")
    segment_key: SecretStr = Field(SecretStr(""), alias="API_SEGMENT_KEY")  # empty: nothing is sent there
    segment_url: str = Field(SEGMENT_URL, alias="LINTEL_SEGMENT_API_URL")
    posthog_key: SecretStr = Field(SecretStr(""), alias="API_POSTHOG_KEY")  # the same
    posthog_url: str = Field(POSTHOG_URL, alias="LINTEL_POSTHOG_API_URL")

    def mailer(self) -> Mailer | None:
        """Answer what sends mail; None where no mail server is configured."""
        return Mailer(check_smtp_url(self.smtp_url.get_secret_value())) if self.smtp_url else None
