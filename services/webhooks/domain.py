"""The words of intake: deliveries and what becomes of them."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from uuid import UUID


class DeliveryState(StrEnum):
    """Where a delivery stands."""

    RECEIVED = "RECEIVED"
    PROCESSED = "PROCESSED"
    IGNORED = "IGNORED"
    FAILED = "FAILED"


class IngestOutcome(StrEnum):
    """What became of a webhook request that verified."""

    STORED = "STORED"
    DUPLICATE = "DUPLICATE"
    NOT_OURS = "NOT_OURS"


class DeadLetterKind(StrEnum):
    """What a dead letter is."""

    DELIVERY = "DELIVERY"
    EVENT = "EVENT"  # on its way to review
    MESSAGE = "MESSAGE"  # of the broker, and no event at all


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """Something that nobody could handle; empty is what is not known of it."""

    id: UUID
    kind: DeadLetterKind
    topic: str
    reason: str
    attempts: int
    size: int
    create_time: datetime
    host: str = ""
    repository: str = ""
