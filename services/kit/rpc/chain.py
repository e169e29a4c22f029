"""One interceptor that runs an ordered list of middlewares around every RPC, whatever its kind."""

import inspect
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import grpc
from google.protobuf.message import Message

from services.kit.errors import AppError
from services.kit.rpc.policy import Policy, Rule
from services.kit.rpc.status import to_status

RpcContext: TypeAlias = "grpc.aio.ServicerContext[Any, Any]"


@dataclass(slots=True)
class Call:
    """One RPC on its way in. `request` is None where the client streams."""

    method: str
    rule: Rule
    context: RpcContext
    request: Message | None
    metadata: dict[str, str]
    response: Any = None
    log: dict[str, Any] = field(default_factory=dict)


Next: TypeAlias = Callable[[], Awaitable[None]]
Middleware: TypeAlias = Callable[[Call, Next], Awaitable[None]]


class Chain(grpc.aio.ServerInterceptor):
    """Runs `middlewares`, outermost first. Health and reflection pass untouched: load must not fail a probe."""

    def __init__(self, policy: Policy, middlewares: Sequence[Middleware]) -> None:
        self._policy = policy
        self._middlewares = tuple(middlewares)

    async def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], Awaitable[grpc.RpcMethodHandler[Any, Any] | None]],
        details: grpc.HandlerCallDetails,
    ) -> grpc.RpcMethodHandler[Any, Any] | None:
        """Answer the handler with the middlewares around it."""
        handler = await continuation(details)
        method = details.method
        if handler is None or method.startswith("/grpc."):
            return handler
        metadata = {k: v for k, v in details.invocation_metadata if isinstance(v, str)}
        return self._wrap(method, self._policy[method], metadata, handler)

    def _wrap(
        self, method: str, rule: Rule, metadata: dict[str, str], handler: grpc.RpcMethodHandler[Any, Any]
    ) -> grpc.RpcMethodHandler[Any, Any]:
        behaviour: Any = handler.unary_unary or handler.unary_stream or handler.stream_unary or handler.stream_stream

        async def run(request: Any, context: RpcContext) -> Any:
            call = Call(method, rule, context, request if isinstance(request, Message) else None, metadata)
            try:
                await self._step(0, call, lambda: _handle(behaviour, request, call, handler.response_streaming))
            except AppError as error:
                status = to_status(error)
                # abort, not abort_with_status: tracers see only the former's code.
                await context.abort(status.code, status.details, status.trailing_metadata)
            return call.response

        kind = {
            (False, False): grpc.unary_unary_rpc_method_handler,
            (False, True): grpc.unary_stream_rpc_method_handler,
            (True, False): grpc.stream_unary_rpc_method_handler,
            (True, True): grpc.stream_stream_rpc_method_handler,
        }[(handler.request_streaming, handler.response_streaming)]
        made: grpc.RpcMethodHandler[Any, Any] = kind(
            run, request_deserializer=handler.request_deserializer, response_serializer=handler.response_serializer
        )
        return made

    async def _step(self, index: int, call: Call, handle: Next) -> None:
        if index == len(self._middlewares):
            await handle()
        else:
            await self._middlewares[index](call, lambda: self._step(index + 1, call, handle))


async def _handle(behaviour: Any, request: Any, call: Call, streams: bool) -> None:
    if not streams:
        call.response = await behaviour(request, call.context)
        return
    answer = behaviour(request, call.context)
    if inspect.isawaitable(answer):
        await answer
        return
    messages: AsyncIterator[Any] = answer
    async for message in messages:
        await call.context.write(message)
