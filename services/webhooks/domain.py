"""The words of intake: deliveries and what becomes of them."""

from enum import StrEnum


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
