"""A server stream as server-sent events (WHATWG HTML, section 9.2)."""

import asyncio
from typing import Any

import grpc
from google.protobuf.descriptor import Descriptor
from google.protobuf.message import Message
from starlette.types import Receive, Scope, Send

from gateway import problems
from gateway.transcode.encode import to_json
from services.kit.errors import AppError, Reason
from services.kit.rpc.channel import stream
from services.kit.rpc.status import from_rpc_error
from services.kit.telemetry import log

HEARTBEAT_SECONDS = 15.0  # half a minute of silence is where proxies begin to close connections
_HEADERS = [(b"content-type", b"text/event-stream; charset=utf-8"), (b"x-accel-buffering", b"no")]
_logger = log.get("edge.sse")


class EventStream:
    """The answer to one GET of a stream; the RPC is cancelled when the client leaves.

    Each message is an event with an ordinal `id`; the stream ends with `event: end`, or with `event: error` and a
    problem document.
    """

    def __init__(self, call: Any, request: Descriptor, first: "asyncio.Task[Any]") -> None:
        self._call = call
        self._request = request
        self._next = first
        self._count = 0

    @classmethod
    async def open(cls, call: Any, request: Descriptor) -> "EventStream":
        """Wait for the first message, so that a refusal is a plain problem. Raises the AppError of the far side."""
        first = asyncio.ensure_future(call.read())
        opened = False
        try:
            await asyncio.wait({first}, timeout=HEARTBEAT_SECONDS)
            if first.done():
                first.result()
            opened = True
        except grpc.aio.AioRpcError as error:
            raise problems.in_json_names(from_rpc_error(error), request) from None
        finally:
            if not opened:
                await _give_up(call, first)
        return cls(call, request, first)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send events until the stream ends or the client leaves."""
        left = asyncio.ensure_future(_disconnected(receive))
        try:
            async with stream(self._call):
                await send({"type": "http.response.start", "status": 200, "headers": list(_HEADERS)})
                while not left.done() and (event := await self._event(left, scope["path"])):
                    await send({"type": "http.response.body", "body": event, "more_body": True})
                    if event.startswith((b"event: end", b"event: error")):
                        break
                if not left.done():
                    await send({"type": "http.response.body", "body": b"", "more_body": False})
        finally:
            left.cancel()
            await _give_up(self._call, self._next)

    async def _event(self, left: "asyncio.Task[None]", path: str) -> bytes:
        await asyncio.wait({self._next, left}, timeout=HEARTBEAT_SECONDS, return_when=asyncio.FIRST_COMPLETED)
        if left.done():
            return b""
        if not self._next.done():
            return b": still here\n\n"
        try:
            message = self._next.result()
            if message is grpc.aio.EOF:
                return b"event: end\ndata: {}\n\n"
            self._count += 1
            event = b"id: %d\ndata: %s\n\n" % (self._count, _data(message))
        except grpc.aio.AioRpcError as error:
            return _error(problems.in_json_names(from_rpc_error(error), self._request), path)
        except ValueError:
            _logger.exception("message without JSON", path=path)
            return _error(AppError(Reason.INTERNAL), path)
        self._next = asyncio.ensure_future(self._call.read())
        return event


def _data(message: Message) -> bytes:
    return problems.to_bytes(to_json(message))


def _error(error: AppError, path: str) -> bytes:
    return b"event: error\ndata: %s\n\n" % problems.to_bytes(problems.document(error, path))


async def _disconnected(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


async def _give_up(call: Any, reading: "asyncio.Task[Any]") -> None:
    """Cancel the call and collect the read that was under way, so that nothing is left behind."""
    call.cancel()
    reading.cancel()
    await asyncio.wait({reading})
    if not reading.cancelled():
        reading.exception()
