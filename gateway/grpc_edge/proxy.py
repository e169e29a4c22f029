"""Carries the public RPCs to their roles byte by byte, where no Envoy does it."""

import re
from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import unquote

import grpc

from gateway.mesh import Mesh
from gateway.public import public_methods
from services.kit.rpc.channel import stream
from services.kit.rpc.middlewares import CLIENT_ADDRESS

ALLOWED_METADATA = frozenset({"authorization", "x-request-id", "traceparent", "idempotency-key"})
MAX_SECONDS = 1800.0  # of one call without a deadline
_PEER = re.compile(r"^ipv[46]:\[?([0-9a-fA-F.:]+)(?:%[^\]]*)?\]?:[0-9]+$")  # "ipv4:127.0.0.1:51234", "ipv6:[::1]:51234"


class Proxy(grpc.GenericRpcHandler):
    """Serves exactly the public methods; others are UNIMPLEMENTED.

    On the wire every kind of RPC is a stream each way, so one handler carries all four.
    """

    def __init__(self, mesh: Mesh) -> None:
        self._mesh = mesh
        self._roles = public_methods()

    def service(self, handler_call_details: grpc.HandlerCallDetails) -> "grpc.RpcMethodHandler[Any, Any] | None":
        """Answer the handler of a public method, None for any other."""
        method = handler_call_details.method
        role = self._roles.get(method)
        if role is None:
            return None
        kept = tuple((k, v) for k, v in handler_call_details.invocation_metadata or () if k in ALLOWED_METADATA)

        async def carry(requests: AsyncIterator[bytes], context: Any) -> AsyncIterator[bytes]:
            call: Any = self._mesh.public(role).stream_stream(method)
            left = context.time_remaining()
            timeout = MAX_SECONDS if left is None else min(left, MAX_SECONDS)
            metadata = (*kept, (CLIENT_ADDRESS, client_address(context.peer())))
            async with stream(call(requests, timeout=timeout, metadata=metadata)) as upstream:
                try:
                    async for answer in upstream:
                        yield answer
                except grpc.aio.AioRpcError as error:
                    await context.abort(error.code(), error.details() or "", _tuples(error.trailing_metadata()))

        handler: grpc.RpcMethodHandler[Any, Any] = grpc.stream_stream_rpc_method_handler(carry)
        return handler


def client_address(peer: str) -> str:
    """Answer the address in gRPC's name of a peer; empty for a unix socket."""
    found = _PEER.match(unquote(peer))
    return found[1] if found else ""


def _tuples(metadata: Any) -> tuple[tuple[str, Any], ...]:
    return tuple((key, value) for key, value in metadata or ())
