"""How long a provider asks to wait, from its headers."""

import math
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

_DURATION = re.compile(r"(?:(\d{1,6})h)?(?:(\d{1,6})m)?(?:(\d{1,6}(?:\.\d{1,9})?)s)?(?:(\d{1,9})ms)?")
# Headers that say how much of a limit is left, and when there is all of it again: OpenAI's, and of those who follow it,
# with a duration (6m0s), Anthropic's with a time.
_OPENAI = tuple(f"x-ratelimit-{{}}-{kind}" for kind in ("requests", "tokens"))
_ANTHROPIC = tuple(
    f"anthropic-ratelimit-{kind}-{{}}" for kind in ("requests", "tokens", "input-tokens", "output-tokens")
)


def retry_after(headers: Mapping[str, str], now: datetime | None = None) -> float | None:
    """Answer the seconds of `retry-after-ms` or `retry-after` (a number or a date), None where nothing says anything.

    Without either, the limits that are used up say when there is room again.
    """
    if (milliseconds := _number(headers.get("retry-after-ms"))) is not None:
        return milliseconds / 1000
    text = headers.get("retry-after")
    if (seconds := _number(text)) is not None:
        return seconds
    now = now or datetime.now(UTC)
    try:
        return _until(parsedate_to_datetime(text or ""), now)
    except ValueError:
        return _reset(headers, now)


def _reset(headers: Mapping[str, str], now: datetime) -> float | None:
    """The longest wait among the limits of which nothing is left."""
    waits = []
    for name in (*_OPENAI, *_ANTHROPIC):
        if headers.get(name.format("remaining"), "").strip() == "0":
            waits.append(_moment(headers.get(name.format("reset"), "").strip(), now))
    return max((wait for wait in waits if wait is not None), default=None)


def _moment(text: str, now: datetime) -> float | None:
    found = _DURATION.fullmatch(text)
    if found and any(found.groups()):
        hours, minutes, seconds, milliseconds = (float(part or 0) for part in found.groups())
        return hours * 3600 + minutes * 60 + seconds + milliseconds / 1000
    try:
        return _until(datetime.fromisoformat(text), now)
    except ValueError:
        return None


def _until(at: datetime, now: datetime) -> float:
    at = at if at.tzinfo else at.replace(tzinfo=UTC)
    return max((at - now).total_seconds(), 0.0)


def _number(text: str | None) -> float | None:
    try:
        value = float(text or "")
    except ValueError:
        return None
    return value if math.isfinite(value) and value >= 0 else None
