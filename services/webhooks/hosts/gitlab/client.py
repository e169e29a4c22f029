"""GitLab's REST API: its headers, the words of its refusals, and the shape of its errors."""

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any
from urllib.parse import urlsplit

from services.webhooks.hosts.base import Credential, Problem
from services.webhooks.hosts.gitlab.limits import limited_until
from services.webhooks.hosts.http import CALL_SECONDS, Dialect, HttpClient, short
from services.webhooks.hosts.http import utc_now as utc_now

DEFAULT_URL = "https://gitlab.com/api/v4"
_API = "/api/v4"
_PROBLEMS: tuple[tuple[str, Problem], ...] = (
    ("line_code", Problem.LINES),
    ("position", Problem.LINES),
    ("too long", Problem.TOO_LONG),
    ("is too large", Problem.TOO_LONG),
)


def _headers(token: str) -> Mapping[str, str]:
    return {"private-token": token}


def _told(value: Any) -> tuple[str, tuple[str, ...]]:
    """Read `message`, a text or an object of lists by field, else `error` with its description."""
    if not isinstance(value, dict):
        return "", ()
    message = value.get("message")
    if isinstance(message, dict):
        fields = [f"{name} {_words(given)}" for name, given in list(message.items())[:10]]
        return "", tuple(short(field) for field in fields)
    if isinstance(message, str):
        return short(message), ()
    told = " ".join(short(value.get(name)) for name in ("error", "error_description")).strip()
    return told, ()


def _words(given: Any) -> str:
    return ", ".join(one for one in given if isinstance(one, str)) if isinstance(given, list) else str(given)


_DIALECT = Dialect(
    headers=_headers,
    json="application/json",
    raw="*/*",
    limited_until=limited_until,
    problems=_PROBLEMS,
    told=_told,
)


class Client(HttpClient):
    """GitLab's API with one credential. Methods raise HostError; reads never raise InDoubtError."""

    def __init__(
        self,
        credential: Credential,
        url: str = DEFAULT_URL,
        *,
        now: Callable[[], datetime] = lambda: utc_now(),
        seconds: float = CALL_SECONDS,
    ) -> None:
        super().__init__(credential, api_url(url), _DIALECT, now=now, seconds=seconds)


def api_url(url: str) -> str:
    """Answer the address of the API for that of an instance, which may already end in /api/v4."""
    bare = url.rstrip("/")
    return bare if urlsplit(bare).path.endswith(_API) else bare + _API
