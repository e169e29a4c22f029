"""Where analytics events are sent on to: Segment's and PostHog's HTTP APIs, with a user's id and never their e-mail."""

from collections.abc import Mapping
from datetime import datetime

import httpx2

from services.kit.errors import AppError, Reason
from services.orgs.analytics import Event

SEGMENT_URL = "https://api.segment.io"
POSTHOG_URL = "https://us.i.posthog.com"
_SECONDS = 5.0
_PASSING = frozenset({408, 425, 429})  # and every 5xx


class Segment:
    """POST /v1/track of the HTTP Tracking API; `messageId` is what it drops repetitions by."""

    def __init__(self, http: httpx2.AsyncClient, key: str, url: str = SEGMENT_URL) -> None:
        self._http = http
        self._key = key
        self._url = f"{url.rstrip('/')}/v1/track"

    async def send(self, event: Event) -> None:
        """Send an event. Raises AppError: UNAVAILABLE, INVALID_REQUEST."""
        body = {
            "userId": event.user,
            "event": event.name,
            "properties": dict(event.properties),
            "timestamp": _time(event.time),
            "messageId": str(event.id),
        }
        await _post(self._http, self._url, body, httpx2.BasicAuth(self._key, ""))


class PostHog:
    """POST /i/v0/e/ of the capture API; `uuid` is what it drops repetitions by."""

    def __init__(self, http: httpx2.AsyncClient, key: str, url: str = POSTHOG_URL) -> None:
        self._http = http
        self._key = key
        self._url = f"{url.rstrip('/')}/i/v0/e/"

    async def send(self, event: Event) -> None:
        """Send an event. Raises AppError: UNAVAILABLE, INVALID_REQUEST."""
        body = {
            "api_key": self._key,
            "distinct_id": event.user,
            "event": event.name,
            # No profile of a person is made of them, and no place of the server's address.
            "properties": {**event.properties, "$process_person_profile": False, "$geoip_disable": True},
            "timestamp": _time(event.time),
            "uuid": str(event.id),
        }
        await _post(self._http, self._url, body, httpx2.Auth())  # its key stands in the body


def client() -> httpx2.AsyncClient:
    """Answer the client that both use: no redirects, no proxies of the environment, five seconds."""
    return httpx2.AsyncClient(timeout=_SECONDS, follow_redirects=False, trust_env=False)


async def _post(http: httpx2.AsyncClient, url: str, body: Mapping[str, object], login: httpx2.Auth) -> None:
    try:
        answer = await http.post(url, json=body, auth=login)
    except httpx2.HTTPError as error:
        raise AppError(Reason.UNAVAILABLE, type(error).__name__) from None
    if answer.status_code in _PASSING or answer.status_code >= 500:
        raise AppError(Reason.UNAVAILABLE, f"answered {answer.status_code}")
    if not answer.is_success:
        raise AppError(Reason.INVALID_REQUEST, f"answered {answer.status_code}")


def _time(time: datetime) -> str:
    return time.isoformat().replace("+00:00", "Z")
