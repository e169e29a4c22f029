"""HTTP for model providers: what the SDKs build goes over aiohttp, to checked addresses, with our credential only.

Whatever an SDK reads from the environment cannot reach the wire: a request keeps the headers of a short list, the
credential is put on here, and there is no proxy and no redirect. Why aiohttp: docs/decisions/0045.
"""

import asyncio
import functools
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextvars import ContextVar
from dataclasses import dataclass, field

import aiohttp
import httpx2
from yarl import URL

from services.llm_gateway.providers import addresses
from services.llm_gateway.providers.addresses import AddressError, AddressRules, Origin
from services.llm_gateway.providers.resolver import BlockedError, GuardedResolver
from services.llm_gateway.providers.types import Waits

MAX_ANSWER_BYTES = 10 * 1024 * 1024
MAX_ERROR_BYTES = 64 * 1024
_ERROR_SECONDS = 5.0  # for the body of an answer whose status already says that it failed
_KEPT_HEADERS = frozenset({"accept", "content-type", "anthropic-version", "http-referer", "x-openrouter-title"})
_IDLE_CONNECTION_SECONDS = 50.0  # below the minute after which balancers hang up silently
_ORIGINS = 16

Credential = Callable[[], Awaitable[Mapping[str, str]]]


@dataclass(slots=True)
class Exchange:
    """One request as it went over the wire, for whoever makes it through an SDK.

    `waits` bound the parts of a stream; None where the whole answer comes at once and the caller's deadline is all.
    `body` is kept of an answer that is no success, and of one that is no stream although a stream was asked for.
    """

    waits: Waits | None = None
    status: int = 0
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes | None = None
    response: aiohttp.ClientResponse | None = field(default=None, repr=False)

    def hang_up(self) -> None:
        """End the request at the provider, where it has not ended by itself; not every SDK does when it is closed."""
        if self.response is not None:
            self.response.close()


exchange: ContextVar[Exchange | None] = ContextVar("exchange", default=None)


class BlockedAddressError(httpx2.TransportError):
    """The address is one that the rules forbid; nothing was sent."""


class OversizedError(httpx2.TransportError):
    """The answer is larger than MAX_ANSWER_BYTES, or compressed although that was not asked for."""


class GuardedTransport(httpx2.AsyncBaseTransport):
    """Carries requests to permitted addresses; `credential` answers the headers that prove who we are."""

    def __init__(self, rules: AddressRules, credential: Credential, connect: float) -> None:
        self._rules = rules
        self._credential = credential
        self._connect = connect
        self._resolver = GuardedResolver(rules)
        self._permitted: dict[tuple[str, str, int | None], Origin] = {}
        self._session: aiohttp.ClientSession | None = None

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        """Send one request; raises httpx2's errors, as the SDKs expect."""
        seen = exchange.get() or Exchange()
        self._permit(request)
        headers = {name: value for name, value in request.headers.items() if name in _KEPT_HEADERS}
        headers |= {"User-Agent": "Lintel", "Accept-Encoding": "identity"}
        headers |= await self._credential()
        waits = seen.waits
        timeout = aiohttp.ClientTimeout(sock_connect=self._connect, sock_read=waits.first if waits else None)
        url, body = URL(str(request.url), encoded=True), request.content or None
        try:
            response = await self._open().request(
                request.method, url, headers=headers, data=body, allow_redirects=False, timeout=timeout
            )
        except (aiohttp.ClientError, OSError, TimeoutError) as error:
            raise _translated(error, request) from None
        try:
            return await self._answer(response, request, seen)
        except BaseException:  # a cancelled reader must not leave the connection to the garbage collector
            response.close()
            raise

    async def aclose(self) -> None:
        """Close the connections."""
        if self._session is not None:
            await self._session.close()

    def _permit(self, request: httpx2.Request) -> None:
        url = request.url
        key = (url.scheme, url.host, url.port)
        if key in self._permitted:
            return
        if URL(str(url), encoded=True).raw_host != url.raw_host.decode():
            raise BlockedAddressError("the host is read in two ways", request=request)
        try:
            origin = addresses.check_url(f"{url.scheme}://{url.netloc.decode()}", self._rules)
        except AddressError as error:
            raise BlockedAddressError(str(error), request=request) from None
        if len(self._permitted) < _ORIGINS:  # an SDK calls one or two
            self._permitted[key] = self._resolver.origins[origin.host] = origin

    async def _answer(
        self, response: aiohttp.ClientResponse, request: httpx2.Request, seen: Exchange
    ) -> httpx2.Response:
        seen.status, seen.headers, seen.response = response.status, response.headers, response
        if response.headers.get("content-encoding", "identity").lower() not in ("", "identity"):
            raise OversizedError("a compressed answer", request=request)
        stream: httpx2.AsyncByteStream = _Body(response, request, seen.waits)
        is_whole = seen.waits is not None and response.content_type in ("application/json", "text/html")
        if not 200 <= response.status < 300:
            seen.body = await _beginning_of_error(stream)
            stream = httpx2.ByteStream(seen.body)
        elif is_whole:
            seen.body = b"".join([piece async for piece in stream])[:MAX_ERROR_BYTES]
            stream = httpx2.ByteStream(b"")
        kept = [(name, value) for name, value in response.raw_headers if name.lower() != b"content-length"]
        return httpx2.Response(response.status, headers=kept, stream=stream, request=request)

    def _open(self) -> aiohttp.ClientSession:
        if self._session is None:
            connector = aiohttp.TCPConnector(
                resolver=self._resolver,
                ssl=tls(),
                limit=0,  # how many run at once is decided above the port
                keepalive_timeout=_IDLE_CONNECTION_SECONDS,
            )
            self._session = aiohttp.ClientSession(
                connector=connector, auto_decompress=False, trust_env=False, cookie_jar=aiohttp.DummyCookieJar()
            )
        return self._session


class _Body(httpx2.AsyncByteStream):
    """The bytes of an answer, bounded in size, and in time between two pieces of a stream."""

    def __init__(self, response: aiohttp.ClientResponse, request: httpx2.Request, waits: Waits | None) -> None:
        self._response = response
        self._request = request
        self._waits = waits

    async def __aiter__(self) -> AsyncIterator[bytes]:
        room = MAX_ANSWER_BYTES
        wait = self._waits.first if self._waits else None
        content = self._response.content
        while True:
            try:
                async with asyncio.timeout(wait):
                    piece = await content.readany()
            except (aiohttp.ClientError, OSError, TimeoutError) as error:
                raise _translated(error, self._request) from None
            if not piece:
                return
            room -= len(piece)
            if room < 0:
                raise OversizedError("the answer is too large", request=self._request)
            wait = self._waits.idle if self._waits else None
            yield piece

    async def aclose(self) -> None:
        """Hang up before the end; after it the connection has gone back already."""
        self._response.close()


def make_client(transport: GuardedTransport) -> httpx2.AsyncClient:
    """Answer the client that an SDK is given; deadlines are ours and the transport's, not the client's."""
    return httpx2.AsyncClient(transport=transport, timeout=None, follow_redirects=False, trust_env=False)


async def _beginning_of_error(stream: httpx2.AsyncByteStream) -> bytes:
    found = bytearray()
    try:
        async with asyncio.timeout(_ERROR_SECONDS):
            async for piece in stream:
                found += piece
                if len(found) >= MAX_ERROR_BYTES:
                    break
    except (httpx2.TransportError, TimeoutError):
        pass  # the status says enough
    await stream.aclose()
    return bytes(found[:MAX_ERROR_BYTES])


def _translated(error: BaseException, request: httpx2.Request) -> httpx2.TransportError:
    words = type(error).__name__
    if isinstance(error, BlockedError) or isinstance(getattr(error, "os_error", None), BlockedError):
        return BlockedAddressError("the address is forbidden", request=request)
    if isinstance(error, aiohttp.ConnectionTimeoutError):
        return httpx2.ConnectTimeout(words, request=request)
    if isinstance(error, TimeoutError):
        return httpx2.ReadTimeout(words, request=request)
    if isinstance(error, aiohttp.ClientConnectorError):
        return httpx2.ConnectError(words, request=request)
    return httpx2.RemoteProtocolError(words, request=request)


@functools.cache
def tls() -> ssl.SSLContext:
    """Answer the context of every connection, one for all: it takes tens of milliseconds to load certificates."""
    return httpx2.create_ssl_context(trust_env=False)
