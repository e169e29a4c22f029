"""Channels to other roles: deadline, request id, trace and the caller's name travel with every call."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any, TypeVar

import grpc

from services.kit.rpc import options, tls
from services.kit.rpc.addresses import Target
from services.kit.rpc.context import deadline, request_id
from services.kit.rpc.middlewares import CALLER, REQUEST_ID
from services.kit.telemetry import trace

CallT = TypeVar("CallT", bound="grpc.aio.Call")


def open_channel(address: str, caller: str) -> grpc.aio.Channel:
    """Answer a channel to a listener; `caller` is the name of the role that holds it. Needs a running loop.

    Over a network both sides show certificates, and the other's must name the role that a Target stands for; calls are
    spread over all addresses that its host name has. Raises ConfigError where we have no certificate.
    """
    carry: Any = [kind(caller) for kind in (_UnaryCarrier, _StreamCarrier, _UploadCarrier, _DuplexCarrier)]
    if address.startswith("unix:"):
        return grpc.aio.insecure_channel(address, options=options.CHANNEL, interceptors=carry)
    expected = [("grpc.ssl_target_name_override", tls.host_name(address.role))] if isinstance(address, Target) else []
    return grpc.aio.secure_channel(
        f"dns:///{address}",
        tls.identity().for_channel(),
        options=[*options.CHANNEL, *options.SPREAD, *expected],
        interceptors=carry,
    )


@asynccontextmanager
async def stream(call: CallT) -> AsyncIterator[CallT]:
    """Hold a streaming call; one that is left early is cancelled, as nobody else would do it."""
    try:
        yield call
    finally:
        call.cancel()


class _Carrier:
    def __init__(self, caller: str) -> None:
        self._caller = caller

    def _details(self, details: grpc.aio.ClientCallDetails) -> grpc.aio.ClientCallDetails:
        metadata = grpc.aio.Metadata(*(details.metadata or ()))
        metadata[CALLER] = self._caller
        if request_id.get():
            metadata[REQUEST_ID] = request_id.get()
        if traceparent := trace.traceparent():
            metadata[trace.HEADER] = traceparent
        timeout = details.timeout
        if (until := deadline.get()) is not None:
            left = max(until - asyncio.get_running_loop().time(), 0.001)
            timeout = left if timeout is None else min(timeout, left)
        return grpc.aio.ClientCallDetails(
            details.method, timeout, metadata, details.credentials, details.wait_for_ready
        )


class _UnaryCarrier(_Carrier, grpc.aio.UnaryUnaryClientInterceptor):
    async def intercept_unary_unary(self, continuation: Callable[..., Any], details: Any, request: Any) -> Any:
        return await continuation(self._details(details), request)


class _StreamCarrier(_Carrier, grpc.aio.UnaryStreamClientInterceptor):
    async def intercept_unary_stream(self, continuation: Callable[..., Any], details: Any, request: Any) -> Any:
        return await continuation(self._details(details), request)


class _UploadCarrier(_Carrier, grpc.aio.StreamUnaryClientInterceptor):
    async def intercept_stream_unary(self, continuation: Callable[..., Any], details: Any, requests: Any) -> Any:
        return await continuation(self._details(details), requests)


class _DuplexCarrier(_Carrier, grpc.aio.StreamStreamClientInterceptor):
    async def intercept_stream_stream(self, continuation: Callable[..., Any], details: Any, requests: Any) -> Any:
        return await continuation(self._details(details), requests)
