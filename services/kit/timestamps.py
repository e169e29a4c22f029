"""Times as they travel in messages."""

from datetime import UTC, datetime, timedelta

from google.protobuf.timestamp_pb2 import Timestamp

from services.kit.errors import AppError, Reason, Violation


def timestamp(time: datetime | None) -> Timestamp | None:
    """Build a timestamp of a time with a zone; None stays absent."""
    if time is None:
        return None
    made = Timestamp()
    made.FromDatetime(time)
    return made


def moment(field: str, text: str, *, whole_day: bool = False) -> datetime | None:
    """Answer the time that a caller gave as RFC 3339 or as a day, in UTC; None for an empty text.

    With `whole_day` a day means its end. Raises AppError(INVALID_REQUEST) naming the field.
    """
    if not text:
        return None
    try:
        found = datetime.fromisoformat(text)
        found = (found if found.tzinfo else found.replace(tzinfo=UTC)).astimezone(UTC)
        return found + timedelta(days=1) if whole_day and len(text) == len("2026-01-31") else found
    except (ValueError, OverflowError):
        told = "must be a time such as 2026-01-31T12:00:00Z, or a day such as 2026-01-31"
        raise AppError(Reason.INVALID_REQUEST, violations=[Violation(field, told)]) from None
