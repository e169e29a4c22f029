"""When to ask a host again: Retry-After in both of its forms, and the time of a reset by the host's own clock."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime

SHORTEST = timedelta(seconds=1)
UNTOLD = timedelta(seconds=60)  # GitHub: wait at least a minute when it names no time; good manners elsewhere
LONGEST = timedelta(hours=1, minutes=5)  # a primary limit resets within the hour; the rest is for clocks that differ


def bounded(wait: timedelta | None, now: datetime) -> datetime:
    """Answer when a wait is over: `UNTOLD` if there is none, never shorter or longer than is good."""
    return now + min(max(UNTOLD if wait is None else wait, SHORTEST), LONGEST)


def retry_after(value: str, now: datetime) -> timedelta | None:
    """Read seconds or a date; None for rubbish."""
    value = value.strip()
    if value.isascii() and value.isdigit():
        return timedelta(seconds=min(int(value[:10]), 10**6))
    date = _date(value)
    return None if date is None else date - now


def until_reset(headers: Mapping[str, str], name: str, now: datetime) -> timedelta | None:
    """Answer the time to the reset in header `name` (epoch seconds), by the host's own clock where it tells it."""
    reset = headers.get(name, "").strip()
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
