"""Builds the two gRPC servers of a role: public (reached through the edge only) and internal (the mesh only)."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc
from google.protobuf.descriptor import ServiceDescriptor
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection

from services.kit.rpc import middlewares, options
from services.kit.rpc.chain import Chain
from services.kit.rpc.policy import Policy, check

MAX_CONCURRENT_CALLS = 256  # of one listener; a Python process serves some thousand calls a second


@dataclass(frozen=True, slots=True)
class Registered:
    """A servicer with the generated function that adds it and the descriptor of its service."""

    add: Callable[[Any, grpc.aio.Server], None]
    servicer: Any
    descriptor: ServiceDescriptor


class RpcServer:
    """A listening server with health and reflection. Raises PolicyError when an RPC has no line in the policy."""

    def __init__(
        self,
        name: str,
        address: str,
        services: Sequence[Registered],
        policy: Policy,
        *,
        authenticator: middlewares.Authenticator | None = None,
        with_reflection: bool = True,
    ) -> None:
        """Without an authenticator the listener is internal: the mesh's roles are let in, and nobody else."""
        is_internal = authenticator is None
        check(policy, [s.descriptor for s in services], is_internal=is_internal)
        if not address.startswith("unix:"):
            raise ValueError(f"{name} would listen on {address} without TLS; only unix sockets are allowed here")
        identity = (
            [middlewares.authorize_caller]
            if authenticator is None
            else [middlewares.authenticate(authenticator), middlewares.authorize]
        )
        chain = Chain(
            policy,
            [
                middlewares.trace,
                middlewares.measure,
                middlewares.identify,
                middlewares.access_log,
                middlewares.limit_time,
                middlewares.admit(MAX_CONCURRENT_CALLS, name),
                *identity,
                middlewares.validate,
                middlewares.error_boundary,
            ],
        )
        self._address = address
        self._server = grpc.aio.server(interceptors=[chain], options=options.SERVER)
        self.health = health.aio.HealthServicer()
        health_pb2_grpc.add_HealthServicer_to_server(self.health, self._server)
        self._names = [s.descriptor.full_name for s in services]
        for service in services:
            service.add(service.servicer, self._server)
        if with_reflection:
            names = [*self._names, health.SERVICE_NAME, reflection.SERVICE_NAME]
            reflection.enable_server_reflection(names, self._server)

    async def start(self) -> None:
        """Listen, not yet serving as far as health is concerned. Raises RuntimeError if the address is taken."""
        await self.set_serving(False)
        _remove_leftover(self._address)
        self._server.add_insecure_port(self._address)
        await self._server.start()

    async def set_serving(self, serving: bool, *extra: str) -> None:
        """Tell health, overall and for each service; `extra` names parts of the role, such as a dependency."""
        state = health_pb2.HealthCheckResponse.SERVING if serving else health_pb2.HealthCheckResponse.NOT_SERVING
        for name in extra or ("", *self._names):
            await self.health.set(name, state)

    async def stop(self, grace: float) -> None:
        """Refuse new calls, give those inside `grace` seconds, then cancel them."""
        await self.health.enter_graceful_shutdown()
        await self._server.stop(grace)


def _remove_leftover(address: str) -> None:
    Path(address.removeprefix("unix:")).unlink(missing_ok=True)
