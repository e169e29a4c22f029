"""HTTP for model providers: no redirect, no proxy of the environment, bounded answers, never to cloud metadata."""

import asyncio
import ipaddress
import socket
from collections.abc import AsyncIterator

import httpx2

MAX_ANSWER_BYTES = 10 * 1024 * 1024
CONNECT_SECONDS = 10.0
_METADATA_NAMES = frozenset({"metadata.google.internal", "metadata.goog", "metadata"})
_METADATA = frozenset(
    map(ipaddress.ip_address, ("169.254.169.254", "169.254.170.2", "100.100.100.200", "fd00:ec2::254"))
)
_WRAPPED = tuple(map(ipaddress.IPv6Network, ("64:ff9b::/96", "64:ff9b:1::/96")))


class BlockedAddressError(httpx2.TransportError):
    """The address is one of a cloud's metadata service; nothing was sent."""


class OversizedError(httpx2.TransportError):
    """The answer is larger than MAX_ANSWER_BYTES, or compressed although that was not asked for."""


def is_metadata(address: str) -> bool:
    """Whether an IP address, in whatever wrapping, is that of a cloud's metadata service."""
    found = ipaddress.ip_address(address.partition("%")[0])
    if isinstance(found, ipaddress.IPv6Address):
        inner = found.ipv4_mapped or found.sixtofour
        if inner is None and any(found in network for network in _WRAPPED):
            inner = ipaddress.IPv4Address(int(found) & 0xFFFFFFFF)
        return found in _METADATA or (inner is not None and inner in _METADATA)
    return found in _METADATA


def make_client(seconds: float) -> httpx2.AsyncClient:
    """Answer a client for one provider; `seconds` bound each wait for bytes."""
    return httpx2.AsyncClient(
        transport=_GuardedTransport(),
        timeout=httpx2.Timeout(seconds, connect=min(CONNECT_SECONDS, seconds)),
        follow_redirects=False,
        trust_env=False,
        headers={"Accept-Encoding": "identity"},
    )


class _GuardedTransport(httpx2.AsyncBaseTransport):
    """Resolves a name once and connects to the very address that was looked at."""

    def __init__(self) -> None:
        self._inner = httpx2.AsyncHTTPTransport(trust_env=False)

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        host = request.url.host
        addresses = await _resolve(host, request.url.port)
        if host.rstrip(".").lower() in _METADATA_NAMES or any(map(is_metadata, addresses)):
            raise BlockedAddressError("cloud metadata is never called", request=request)
        failure: httpx2.TransportError = httpx2.ConnectError("the name has no address", request=request)
        for address in addresses:
            try:
                response = await self._inner.handle_async_request(_at(request, host, address))
            except (httpx2.ConnectError, httpx2.ConnectTimeout) as error:
                failure = error
                continue
            if response.headers.get("content-encoding", "identity").lower() not in ("", "identity"):
                await response.aclose()
                raise OversizedError("a compressed answer", request=request)
            assert isinstance(response.stream, httpx2.AsyncByteStream)
            response.stream = _Bounded(response.stream, request)
            return response
        raise failure

    async def aclose(self) -> None:
        await self._inner.aclose()


class _Bounded(httpx2.AsyncByteStream):
    def __init__(self, stream: httpx2.AsyncByteStream, request: httpx2.Request) -> None:
        self._stream = stream
        self._request = request

    async def __aiter__(self) -> AsyncIterator[bytes]:
        room = MAX_ANSWER_BYTES
        async for piece in self._stream:
            room -= len(piece)
            if room < 0:
                raise OversizedError("the answer is too large", request=self._request)
            yield piece

    async def aclose(self) -> None:
        await self._stream.aclose()


async def _resolve(host: str, port: int | None) -> list[str]:
    loop = asyncio.get_running_loop()
    try:
        found = await loop.getaddrinfo(host, port or 0, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        raise httpx2.ConnectError(f"the name cannot be resolved ({type(error).__name__})") from None
    return list(dict.fromkeys(str(address[0]) for *_, address in found))


def _at(request: httpx2.Request, host: str, address: str) -> httpx2.Request:
    """The same request to one address; Host and the name of the certificate stay those of the URL."""
    extensions = request.extensions if _is_literal(host) else {**request.extensions, "sni_hostname": host}
    url = request.url.copy_with(host=address)
    return httpx2.Request(request.method, url, headers=request.headers, stream=request.stream, extensions=extensions)


def _is_literal(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True
