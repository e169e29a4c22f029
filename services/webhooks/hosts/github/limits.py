"""When to ask GitHub again: both kinds of its limits come as 403 or as 429, with or without a time."""

from collections.abc import Mapping
from datetime import datetime

from services.webhooks.hosts.waits import LONGEST as LONGEST
from services.webhooks.hosts.waits import SHORTEST as SHORTEST
from services.webhooks.hosts.waits import UNTOLD as UNTOLD
from services.webhooks.hosts.waits import bounded, retry_after, until_reset

_WORDS = ("rate limit", "abuse detection", "too quickly", "secondary limit")


def limited_until(status: int, headers: Mapping[str, str], message: str, now: datetime) -> datetime | None:
    """Answer when to ask again if this answer is a limit, else None; header names are in lower case."""
    spent = headers.get("x-ratelimit-remaining", "").strip() == "0"
    told = "retry-after" in headers
    said = any(word in message.lower() for word in _WORDS)
    limits = status == 429 or (status == 403 and (told or spent or said)) or (status == 422 and said)
    if not limits:
        return None
    wait = retry_after(headers.get("retry-after", ""), now)
    if wait is None and spent:
        wait = until_reset(headers, "x-ratelimit-reset", now)
    return bounded(wait, now)
