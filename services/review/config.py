"""What the review service reads from the environment."""

from datetime import timedelta

from pydantic import Field

from services.kit.artefacts.settings import DocumentSettings
from services.kit.crypto import CryptoSettings
from services.kit.postgres.settings import DatabaseSettings


class ReviewSettings(DatabaseSettings, CryptoSettings, DocumentSettings):
    """Configuration of both roles of the service; the master key signs its page tokens, by a subkey."""

    concurrency: int = Field(2, alias="LINTEL_REVIEW_CONCURRENCY", ge=1, le=64)  # runs at a time in one worker
    # Runs of one organisation at a time, in all workers together; 0: as many as there are places.
    organization_concurrency: int = Field(0, alias="LINTEL_REVIEW_ORGANIZATION_CONCURRENCY", ge=0, le=10_000)
    keep_envelopes: int = Field(7, alias="LINTEL_KEEP_ENVELOPES_DAYS", ge=1, le=3650)  # handled ones
    keep_dead_letters: int = Field(90, alias="LINTEL_KEEP_DEAD_LETTERS_DAYS", ge=1, le=3650)
    # What models answered, of runs that have ended; nothing but a retry of the same run reads it.
    keep_checkpoints: int = Field(1, alias="LINTEL_KEEP_CHECKPOINTS_DAYS", ge=0, le=3650)
    # How long a run stays with a worker that is not heard of; shorter outages of the database cost no run its worker.
    lease_seconds: float = Field(45, alias="LINTEL_REVIEW_LEASE_SECONDS", ge=3, le=3600)

    @property
    def lease(self) -> timedelta:
        """The lease of a run."""
        return timedelta(seconds=self.lease_seconds)
