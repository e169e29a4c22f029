"""What the review service reads from the environment."""

from pydantic import Field

from services.kit.crypto import CryptoSettings
from services.kit.postgres.settings import DatabaseSettings


class ReviewSettings(DatabaseSettings, CryptoSettings):
    """Configuration of both roles of the service; the master key signs its page tokens, by a subkey."""

    concurrency: int = Field(2, alias="LINTEL_REVIEW_CONCURRENCY", ge=1, le=64)  # runs at a time in one worker
