"""One interceptor that runs an ordered list of middlewares around every RPC, whatever its kind."""

import asyncio
import inspect
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import grpc
from google.protobuf.message import Message

from services.kit.errors import AppError, Reason
from services.kit.rpc.context import request_id
from services.kit.rpc.policy import Policy, Rule
from services.kit.rpc.requests import UNREADABLE, tolerant
from services.kit.rpc.status import to_status
from services.kit.telemetry import log

RpcContext: TypeAlias = "grpc.aio.ServicerContext[Any, Any]"
Handler: TypeAlias = "grpc.RpcMethodHandler[Any, Any]"
_logger = log.get("rpc")


@dataclass(slots=True)
class Call:
    """One RPC on its way in. `request` is None where the client streams, or sent what is no message."""

    method: str
    rule: Rule
    context: RpcContext
    request: Message | None
    metadata: dict[str, str]
    is_readable: bool = True
    response: Any = None
    log: dict[str, Any] = field(default_factory=dict)


Next: TypeAlias = Callable[[], Awaitable[None]]
Middleware: TypeAlias = Callable[[Call, Next], Awaitable[None]]


class Chain(grpc.aio.ServerInterceptor):
    """Runs `middlewares`, outermost first. Health and reflection pass untouched: load must not fail a probe."""

    def __init__(self, policy: Policy, middlewares: Sequence[Middleware]) -> None:
        self._policy = policy
        self._middlewares = tuple(middlewares)
        self._inside = 0
        self._empty = asyncio.Event()
        self._empty.set()
        self._closed = asyncio.Event()

    async def drained(self) -> None:
        """Wait until no call is inside; health and reflection, which may stream for ever, do not count."""
        await self._empty.wait()

    def close(self) -> None:
        """End the streams of health and reflection, which would hold a stopping server for its whole grace."""
        self._closed.set()

    async def intercept_service(
        self,
        continuation: "Callable[[grpc.HandlerCallDetails], Awaitable[Handler | None]]",
        details: grpc.HandlerCallDetails,
    ) -> "Handler | None":
        """Answer the handler with the middlewares around it."""
        handler = await continuation(details)
        method = details.method
        if handler is None:
            return None
        if method.startswith("/grpc."):
            return self._closing(handler) if handler.response_streaming else handler
        metadata = {k: v for k, v in details.invocation_metadata if isinstance(v, str)}
        return self._wrap(method, self._policy[method], metadata, handler)

    def _wrap(self, method: str, rule: Rule, metadata: dict[str, str], handler: Handler) -> Handler:
        behaviour: Any = handler.unary_unary or handler.unary_stream or handler.stream_unary or handler.stream_stream

        async def run(request: Any, context: RpcContext) -> Any:
            self._count(context)
            message = request if isinstance(request, Message) else None
            call = Call(method, rule, context, message, metadata, request is not UNREADABLE)
            try:
                await self._step(0, call, lambda: _handle(behaviour, request, call, handler.response_streaming))
            except AppError as error:
                await _abort(context, error)
            except grpc.aio.AbortError:
                raise
            except Exception:
                # A fault in a middleware: left alone, gRPC would send its text to the caller.
                _logger.exception("middleware failed", method=method, request_id=request_id.get())
                await _abort(context, AppError(Reason.INTERNAL, f"Internal error; request id {request_id.get()}"))
            return call.response

        return _rebuilt(handler, run)

    def _closing(self, handler: Handler) -> Handler:
        behaviour: Any = handler.unary_stream or handler.stream_stream

        async def run(request: Any, context: RpcContext) -> None:
            streaming = asyncio.ensure_future(_stream(behaviour(request, context), context))
            closed = asyncio.ensure_future(self._closed.wait())
            try:
                await asyncio.wait([streaming, closed], return_when=asyncio.FIRST_COMPLETED)
                if streaming.done():
                    streaming.result()
            finally:
                streaming.cancel()
                closed.cancel()

        return _rebuilt(handler, run)

    def _count(self, context: RpcContext) -> None:
        self._inside += 1
        self._empty.clear()
        # Called when the answer is on its way, not just made. The stubs declare a class where a function is meant.
        context.add_done_callback(self._uncount)  # type: ignore[arg-type]

    def _uncount(self, _: RpcContext) -> None:
        self._inside -= 1
        if not self._inside:
            self._empty.set()

    async def _step(self, index: int, call: Call, handle: Next) -> None:
        if index == len(self._middlewares):
            await handle()
        else:
            await self._middlewares[index](call, lambda: self._step(index + 1, call, handle))


def _rebuilt(handler: Handler, run: Callable[[Any, RpcContext], Awaitable[Any]]) -> Handler:
    kind = {
        (False, False): grpc.unary_unary_rpc_method_handler,
        (False, True): grpc.unary_stream_rpc_method_handler,
        (True, False): grpc.stream_unary_rpc_method_handler,
        (True, True): grpc.stream_stream_rpc_method_handler,
    }[(handler.request_streaming, handler.response_streaming)]
    read = handler.request_deserializer if handler.request_streaming else tolerant(handler.request_deserializer)
    made: Handler = kind(run, request_deserializer=read, response_serializer=handler.response_serializer)
    return made


async def _abort(context: RpcContext, error: AppError) -> None:
    status = to_status(error)
    # abort, not abort_with_status: tracers see only the former's code.
    await context.abort(status.code, status.details, status.trailing_metadata)


async def _handle(behaviour: Any, request: Any, call: Call, streams: bool) -> None:
    if streams:
        await _stream(behaviour(request, call.context), call.context)
    else:
        call.response = await behaviour(request, call.context)


async def _stream(answer: Any, context: RpcContext) -> None:
    if inspect.isawaitable(answer):
        await answer
        return
    messages: AsyncGenerator[Any, None] = answer
    async with aclosing(messages):  # its `finally` runs here and now, also when the caller has gone
        async for message in messages:
            await context.write(message)
