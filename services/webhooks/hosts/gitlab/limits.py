"""When to ask GitLab again: its limits come as 429, on gitlab.com often without a time."""

from collections.abc import Mapping
from datetime import datetime

from services.webhooks.hosts.waits import bounded, retry_after, until_reset

_WORDS = ("too many requests", "requested too many times", "rate limit", "retry later")


def limited_until(status: int, headers: Mapping[str, str], message: str, now: datetime) -> datetime | None:
    """Answer when to ask again if this answer is a limit, else None; header names are in lower case."""
    said = any(word in message.lower() for word in _WORDS)
    if status != 429 and not (status == 403 and said):  # administrators may choose another status
        return None
    wait = retry_after(headers.get("retry-after", ""), now)
    if wait is None:
        wait = until_reset(headers, "ratelimit-reset", now)
    return bounded(wait, now)
