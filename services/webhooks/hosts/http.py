"""A host's REST API over HTTP: paging, redirects within the origin, bounded answers, classified failures.

What hosts write differently (headers, limits, the shape of errors) is in a `Dialect`.
"""

import asyncio
import json
import re
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import httpx2

from services.kit.redact import mask
from services.webhooks.hosts.base import (
    Credential,
    ForbiddenError,
    HostError,
    InDoubtError,
    InvalidError,
    NotFoundError,
    Problem,
    RateLimitedError,
    TooLargeError,
    UnauthorizedError,
    UnavailableError,
)

USER_AGENT = "lintel"
MAX_ANSWER_BYTES = 32 * 1024 * 1024
MAX_REDIRECTS = 3
MAX_PAGES = 100
CALL_SECONDS = 20.0

_NEXT = re.compile(r'<([^<>]+)>\s*;[^,]*\brel="?next"?')
_NOT_SENT = (httpx2.ConnectError, httpx2.ConnectTimeout, httpx2.PoolTimeout, httpx2.UnsupportedProtocol)


def utc_now() -> datetime:
    """Answer the time of day; limits of the host are told and kept in it."""
    return datetime.now(UTC)


@dataclass(frozen=True, slots=True)
class Answer:
    """A successful answer, read whole; header names are in lower case."""

    headers: Mapping[str, str]
    body: bytes


@dataclass(frozen=True, slots=True)
class Dialect:
    """How one host wants requests and writes failures; header names are in lower case.

    `limited_until` answers when to ask again if an answer is a limit; `problems` are words of refusals, in lower case.
    """

    headers: Callable[[str], Mapping[str, str]]
    json: str
    raw: str
    limited_until: Callable[[int, Mapping[str, str], str, datetime], datetime | None]
    problems: Sequence[tuple[str, Problem]]
    told: Callable[[Any], tuple[str, tuple[str, ...]]]


class HttpClient:
    """Talks to one API origin with one credential. Methods raise HostError; reads never raise InDoubtError."""

    def __init__(
        self,
        credential: Credential,
        url: str,
        dialect: Dialect,
        *,
        now: Callable[[], datetime] = lambda: utc_now(),
        seconds: float = CALL_SECONDS,
    ) -> None:
        base = httpx2.URL(url.rstrip("/"))
        if base.scheme not in ("https", "http") or not base.host or base.userinfo or base.query or base.fragment:
            raise ValueError("the API address is http(s)://host[:port][/path] with nothing else in it")
        self._base = base
        self._credential = credential
        self._dialect = dialect
        self._now = now
        self._seconds = seconds
        self._limited_until = datetime.min.replace(tzinfo=UTC)
        # Proxies and certificates of the environment would decide who sees the token; redirects are followed by hand.
        self._http = httpx2.AsyncClient(
            trust_env=False,
            follow_redirects=False,
            timeout=httpx2.Timeout(seconds, connect=min(seconds, 5.0)),
            limits=httpx2.Limits(max_connections=8, keepalive_expiry=20.0),
        )

    async def close(self) -> None:
        """Close the connections."""
        await self._http.aclose()

    async def get(self, path: str, *, query: Mapping[str, str] | None = None) -> Any:
        """Answer the JSON of one resource; `path` is encoded and starts with a slash."""
        return self._decode(await self._call("GET", self._url(path, query), None, self._dialect.json))

    async def get_bytes(self, path: str, largest: int, *, query: Mapping[str, str] | None = None) -> bytes:
        """Answer a resource in its raw form; TooLargeError when it has more than `largest` bytes."""
        return (await self._call("GET", self._url(path, query), None, self._dialect.raw, largest)).body

    async def pages(self, path: str, query: Mapping[str, str] | None = None) -> AsyncIterator[Any]:
        """Yield the items of a list, page by page, as far as `Link` leads without leaving the origin."""
        url: httpx2.URL | None = self._url(path, {**(query or {}), "per_page": "100"})
        for _ in range(MAX_PAGES):
            if url is None:
                return
            answer = await self._call("GET", url, None, self._dialect.json)
            items = self._decode(answer)
            if not isinstance(items, list):
                raise UnavailableError("the host answered a list with something else")
            for item in items:
                yield item
            url = self._next(answer)
        raise UnavailableError(f"the host's list goes on after {MAX_PAGES} pages")

    async def write(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> Any:
        """Change something once, never twice; answers the JSON, None for an empty answer."""
        answer = await self._call(method, self._url(path, None), body, self._dialect.json)
        if not answer.body:
            return None
        try:
            return self._decode(answer)
        except UnavailableError as error:
            raise InDoubtError(str(error)) from None

    def _url(self, path: str, query: Mapping[str, str] | None) -> httpx2.URL:
        raw = self._base.raw_path.rstrip(b"/") + path.encode("ascii")
        url = self._base.copy_with(raw_path=raw)
        return url.copy_merge_params(dict(query)) if query else url

    async def _call(
        self, method: str, url: httpx2.URL, body: Any, accept: str, largest: int = MAX_ANSWER_BYTES
    ) -> Answer:
        # A limit holds for the credential, whoever ran into it; hosts punish those who go on asking.
        if self._now() < self._limited_until:
            raise RateLimitedError(self._limited_until)
        # One limit for the whole call, redirects too: whoever holds a lease relies on it.
        try:
            async with asyncio.timeout(self._seconds):
                token = await self._credential.token()
                try:
                    return await self._follow(method, url, body, accept, largest, token)
                except UnauthorizedError:
                    fresh = await self._credential.token(fresh=True)
                    if fresh == token:
                        raise
                    return await self._follow(method, url, body, accept, largest, fresh)
        except TimeoutError:
            kind = UnavailableError if method == "GET" else InDoubtError
            raise kind("the host did not answer in time") from None

    async def _follow(self, method: str, url: httpx2.URL, body: Any, accept: str, largest: int, token: str) -> Answer:
        for _ in range(MAX_REDIRECTS + 1):
            status, answer = await self._send(method, url, body, accept, largest, token)
            if status not in (301, 302, 307, 308):
                return answer
            if method != "GET" and status in (301, 302):
                break
            url = self._inside(url, answer.headers.get("location", ""))
        raise UnavailableError("the host redirects in a way that can't be followed")

    async def _send(
        self, method: str, url: httpx2.URL, body: Any, accept: str, largest: int, token: str
    ) -> tuple[int, Answer]:
        if not (token and token.isascii() and token.isprintable()):
            raise UnauthorizedError("the configured token is not one that can be sent in a header")
        headers = {"accept": accept, "user-agent": USER_AGENT, **self._dialect.headers(token)}
        try:
            request = self._http.build_request(method, url, json=body, headers=headers)
            response = await self._http.send(request, stream=True)
            try:
                content = await self._read(response, largest)
            finally:
                await response.aclose()
        except TooLargeError as error:
            if method != "GET":
                raise InDoubtError(str(error)) from None
            raise
        except _NOT_SENT as error:
            raise UnavailableError(f"the host cannot be reached ({type(error).__name__})") from None
        except httpx2.HTTPError as error:
            kind = UnavailableError if method == "GET" else InDoubtError
            raise kind(f"the host did not answer ({type(error).__name__})") from None
        answer = Answer(response.headers, content)
        if response.status_code >= 400:
            raise self._failure(method, response.status_code, answer)
        return response.status_code, answer

    @staticmethod
    async def _read(response: httpx2.Response, largest: int) -> bytes:
        # The answer to a failure is small whatever the caller expects.
        largest = max(largest, 65_536)
        parts: list[bytes] = []
        size = 0
        async for part in response.aiter_bytes():
            size += len(part)
            if size > largest:
                raise TooLargeError("the host's answer is too large")
            parts.append(part)
        return b"".join(parts)

    def _failure(self, method: str, status: int, answer: Answer) -> HostError:
        message, details = self._dialect.told(_json_or_none(answer.body))
        until = self._dialect.limited_until(status, answer.headers, " ".join((message, *details)), self._now())
        if until is not None:
            self._limited_until = max(self._limited_until, until)
            return RateLimitedError(until)
        if status == 401:
            return UnauthorizedError("the host does not accept the token")
        if status in (403, 451):
            return ForbiddenError(message or "the host forbids it")
        if status in (404, 410):
            return NotFoundError(message or "not found")
        if status >= 500:
            kind = UnavailableError if method == "GET" else InDoubtError
            return kind(f"the host answered {status}")
        if status == 408:
            return UnavailableError("the host answered 408")
        return InvalidError(self._problem((message, *details)), details or ((message,) if message else ()))

    def _problem(self, texts: tuple[str, ...]) -> Problem:
        said = " ".join(texts).lower()
        return next((problem for words, problem in self._dialect.problems if words in said), Problem.OTHER)

    @staticmethod
    def _decode(answer: Answer) -> Any:
        try:
            return json.loads(answer.body)
        except (ValueError, RecursionError):
            page = answer.headers.get("content-type", "").startswith("text/html")
            raise UnavailableError(
                "the host answered with a web page, not as an API: is the address right, and the token?"
                if page
                else "the host's answer is not JSON"
            ) from None

    def _next(self, answer: Answer) -> httpx2.URL | None:
        match = _NEXT.search(answer.headers.get("link", ""))
        return self._inside(self._base, match[1]) if match else None

    def _inside(self, url: httpx2.URL, location: str) -> httpx2.URL:
        """Resolve an address the host gave; the token goes nowhere but to the configured origin."""
        try:
            target = url.join(location)
        except (httpx2.InvalidURL, ValueError):
            raise UnavailableError("the host gave an address that is none") from None
        if not location or target.userinfo or _origin(target) != _origin(self._base):
            raise UnavailableError("the host led to another origin, which is not followed")
        return target


def _origin(url: httpx2.URL) -> tuple[str, str, int]:
    return url.scheme, url.host, url.port or {"https": 443, "http": 80}.get(url.scheme, 0)


def _json_or_none(body: bytes) -> Any:
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        return None


def short(value: Any) -> str:
    """Answer what a host said, fit for people: at most 300 characters, printable, without secrets; empty if no text."""
    text = value if isinstance(value, str) else ""
    return mask("".join(c if c.isprintable() else " " for c in text[:300])).strip()
