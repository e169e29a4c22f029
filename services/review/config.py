"""What the review service reads from the environment."""

from pydantic import Field, SecretStr

from services.kit.crypto import CryptoSettings


class ReviewSettings(CryptoSettings):
    """Configuration of both roles of the service; the master key signs its page tokens, by a subkey."""

    database_url: SecretStr = Field(alias="DATABASE_URL")
    concurrency: int = Field(2, alias="LINTEL_REVIEW_CONCURRENCY", ge=1, le=64)  # runs at a time in one worker
