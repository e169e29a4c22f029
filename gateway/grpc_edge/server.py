"""The gRPC server of the edge: health, reflection, and (without Envoy) the proxy to the roles."""

import errno
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import grpc
from google.rpc import error_details_pb2
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection, reflection_pb2, reflection_pb2_grpc

from gateway.grpc_edge.health import EdgeHealth
from gateway.grpc_edge.proxy import Proxy
from gateway.health import Monitor
from gateway.mesh import Mesh
from gateway.public import PUBLIC_SERVICES, public_pool
from services.kit.app import DRAIN_SECONDS
from services.kit.rpc import options

REFLECTION_V1 = "grpc.reflection.v1.ServerReflection"  # the same messages under the later name


@asynccontextmanager
async def grpc_edge(
    address: str, mesh: Mesh, monitor: Monitor, *, with_proxy: bool, with_reflection: bool
) -> AsyncIterator[int]:
    """Serve at an address; gives the port (1 for a unix socket). Raises OSError if the address is taken."""
    server = grpc.aio.server(options=options.SERVER)
    state = EdgeHealth(monitor)
    health_pb2_grpc.add_HealthServicer_to_server(state, server)
    if with_reflection:
        _add_reflection(server)
    if with_proxy:
        server.add_generic_rpc_handlers((Proxy(mesh),))
    try:
        port = server.add_insecure_port(address)
    except RuntimeError:
        raise OSError(errno.EADDRINUSE, f"gRPC cannot listen, the address is in use: {address}") from None
    await server.start()
    try:
        yield port
    finally:
        state.stop()
        await server.stop(DRAIN_SECONDS)


def _add_reflection(server: grpc.aio.Server) -> None:
    # With the details of errors, so that tools can show them in words.
    pool = public_pool(health_pb2.DESCRIPTOR, reflection_pb2.DESCRIPTOR, error_details_pb2.DESCRIPTOR)
    names = [*(s.name for s in PUBLIC_SERVICES), health.SERVICE_NAME, reflection.SERVICE_NAME]
    servicer = reflection.aio.ReflectionServicer(names, pool)
    reflection_pb2_grpc.add_ServerReflectionServicer_to_server(servicer, server)
    handler = grpc.stream_stream_rpc_method_handler(
        servicer.ServerReflectionInfo,
        request_deserializer=reflection_pb2.ServerReflectionRequest.FromString,
        response_serializer=reflection_pb2.ServerReflectionResponse.SerializeToString,
    )
    generic = grpc.method_handlers_generic_handler(REFLECTION_V1, {"ServerReflectionInfo": handler})
    server.add_generic_rpc_handlers((generic,))
