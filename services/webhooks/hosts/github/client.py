"""GitHub's REST API: its headers, the words of its refusals, and the shape of its errors."""

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

from services.webhooks.hosts.base import Credential, Problem
from services.webhooks.hosts.github.limits import limited_until
from services.webhooks.hosts.http import CALL_SECONDS, Dialect, HttpClient, short
from services.webhooks.hosts.http import MAX_PAGES as MAX_PAGES
from services.webhooks.hosts.http import utc_now as utc_now

DEFAULT_URL = "https://api.github.com"
API_VERSION = "2022-11-28"

_PROBLEMS: tuple[tuple[str, Problem], ...] = (
    ("one pending review", Problem.DRAFT_EXISTS),
    ("commit oid is not part", Problem.COMMIT_GONE),
    ("no commit found", Problem.COMMIT_GONE),
    ("commit_id is not part", Problem.COMMIT_GONE),
    ("too long", Problem.TOO_LONG),
    ("part of the diff", Problem.LINES),
    ("same hunk", Problem.LINES),
    ("precede the end line", Problem.LINES),
    ("hunk can't be blank", Problem.LINES),
    ("position is invalid", Problem.LINES),
    ("path is invalid", Problem.LINES),
    ("path could not be resolved", Problem.LINES),
)


def _headers(token: str) -> Mapping[str, str]:
    return {"authorization": f"Bearer {token}", "x-github-api-version": API_VERSION}


def _told(value: Any) -> tuple[str, tuple[str, ...]]:
    """Read `message` and `errors`, whose items are objects or plain texts."""
    if not isinstance(value, dict):
        return "", ()
    errors = value.get("errors")
    details = [_detail(item) for item in (errors if isinstance(errors, list) else [errors])[:10]]
    return short(value.get("message")), tuple(detail for detail in details if detail)


def _detail(item: Any) -> str:
    if isinstance(item, dict):
        said = item.get("message") or f"{item.get('field', '')} {item.get('code', '')}"
        return short(said)
    return short(item)


_DIALECT = Dialect(
    headers=_headers,
    json="application/vnd.github+json",
    raw="application/vnd.github.raw+json",
    limited_until=limited_until,
    problems=_PROBLEMS,
    told=_told,
)


class Client(HttpClient):
    """GitHub's API with one credential. Methods raise HostError; reads never raise InDoubtError."""

    def __init__(
        self,
        credential: Credential,
        url: str = DEFAULT_URL,
        *,
        now: Callable[[], datetime] = lambda: utc_now(),
        seconds: float = CALL_SECONDS,
    ) -> None:
        super().__init__(credential, url, _DIALECT, now=now, seconds=seconds)
