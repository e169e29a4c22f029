"""When to ask GitHub again: both kinds of its limits come as 403 or as 429, with or without a time."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime

SHORTEST = timedelta(seconds=1)
UNTOLD = timedelta(seconds=60)  # GitHub: wait at least a minute when it names no time
LONGEST = timedelta(hours=1, minutes=5)  # a primary limit resets within the hour; the rest is for clocks that differ

_WORDS = ("rate limit", "abuse detection", "too quickly", "secondary limit")


def limited_until(status: int, headers: Mapping[str, str], message: str, now: datetime) -> datetime | None:
    """Answer when to ask again if this answer is a limit, else None; header names are in lower case."""
    spent = headers.get("x-ratelimit-remaining", "").strip() == "0"
    told = "retry-after" in headers
    said = any(word in message.lower() for word in _WORDS)
    limits = status == 429 or (status == 403 and (told or spent or said)) or (status == 422 and said)
    if not limits:
        return None
    wait = _retry_after(headers.get("retry-after", ""), now)
    if wait is None and spent:
        wait = _until_reset(headers, now)
    return now + min(max(UNTOLD if wait is None else wait, SHORTEST), LONGEST)


def _retry_after(value: str, now: datetime) -> timedelta | None:
    """Read seconds or a date; None for rubbish."""
    value = value.strip()
    if value.isascii() and value.isdigit():
        return timedelta(seconds=min(int(value[:10]), 10**6))
    date = _date(value)
    return None if date is None else date - now


def _until_reset(headers: Mapping[str, str], now: datetime) -> timedelta | None:
    """The time to the reset by the host's own clock, where it tells it."""
    reset = headers.get("x-ratelimit-reset", "").strip()
    if not (reset.isascii() and reset.isdigit() and len(reset) <= 11):
        return None
    here = _date(headers.get("date", "")) or now
    return timedelta(seconds=int(reset) - here.timestamp())


def _date(value: str) -> datetime | None:
    try:
        date = parsedate_to_datetime(value)
    except (ValueError, TypeError, OverflowError):
        return None
    return date.replace(tzinfo=UTC) if date.tzinfo is None else date
