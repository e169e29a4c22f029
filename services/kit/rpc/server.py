"""Builds the two gRPC servers of a role: public (reached through the edge only) and internal (the mesh only)."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc
from google.protobuf.descriptor import ServiceDescriptor
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection

from services.kit.postgres.idempotency import IdempotencyKeys
from services.kit.rpc import middlewares, options
from services.kit.rpc.chain import Chain, Middleware
from services.kit.rpc.idempotency import Replay, idempotency
from services.kit.rpc.listening import is_private, listen
from services.kit.rpc.policy import Policy, check
from services.kit.rpc.rate import CALLER_RATE, Rate, limit_rate
from services.kit.rpc.shared_name import SharedName

EDGE = ("gateway", "envoy")  # who may open a public listener
MAX_CONCURRENT_CALLS = 256  # of one listener; a Python process serves some thousand calls a second


@dataclass(frozen=True, slots=True)
class Registered:
    """A servicer with the generated function that adds it and the descriptor of its service."""

    add: Callable[[Any, grpc.aio.Server], None]
    servicer: Any
    descriptor: ServiceDescriptor


@dataclass(frozen=True, slots=True)
class Repeatable:
    """Where a role keeps idempotency keys, and how it answers again; see services.kit.rpc.idempotency."""

    keys: IdempotencyKeys
    replays: Mapping[str, Replay]

    def middleware(self, services: Sequence[Registered]) -> Middleware:
        """Answer the middleware for the methods of `services`."""
        methods = [method for service in services for method in service.descriptor.methods]
        answers = {f"/{m.containing_service.full_name}/{m.name}": m.output_type for m in methods}
        return idempotency(self.keys, self.replays, answers)


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
        repeatable: Repeatable | None = None,
        caller_rate: Rate = CALLER_RATE,
        max_calls: int | None = None,
        is_shared: bool = False,
    ) -> None:
        """Without an authenticator the listener is internal: the mesh's roles are let in, and nobody else.

        The address of a shared one belongs to any number of processes; otherwise the second one can't start.
        On a public one `Idempotency-Key` is honoured where `repeatable` is given, and each credential has its rate.
        """
        is_internal = authenticator is None
        check(policy, [s.descriptor for s in services], is_internal=is_internal)
        is_open_to_network = not is_private(address)
        if authenticator is None:
            identity = [middlewares.authorize_caller(by_certificate=is_open_to_network)]
        else:
            identity = [middlewares.authenticate(authenticator), middlewares.authorize, limit_rate(caller_rate)]
            if is_open_to_network:
                identity.insert(0, middlewares.only_from(EDGE))
        self._chain = Chain(
            policy,
            [
                middlewares.trace,
                middlewares.measure,
                middlewares.identify,
                middlewares.access_log,
                middlewares.limit_time,
                middlewares.admit(max_calls or MAX_CONCURRENT_CALLS, name),
                *identity,
                middlewares.validate,
                *([repeatable.middleware(services)] if repeatable is not None else []),
                middlewares.error_boundary,
            ],
        )
        self._name = SharedName(Path(address.removeprefix("unix:"))) if is_shared and is_private(address) else None
        self._address = address if self._name is None else f"unix:{self._name.own}"
        self._server = grpc.aio.server(interceptors=[self._chain], options=options.SERVER)
        self.health = health.aio.HealthServicer()
        health_pb2_grpc.add_HealthServicer_to_server(self.health, self._server)
        self._names = [s.descriptor.full_name for s in services]
        for service in services:
            service.add(service.servicer, self._server)
        if with_reflection:
            names = [*self._names, health.SERVICE_NAME, reflection.SERVICE_NAME]
            reflection.enable_server_reflection(names, self._server)

    async def start(self) -> None:
        """Listen, not yet serving as far as health is concerned. Raises what services.kit.rpc.listening raises."""
        await self.set_serving(False)
        listen(self._server, self._address)
        await self._server.start()
        if self._name is not None:
            self._name.clear()
            self._name.keep()

    def keep_name(self) -> None:
        """See to it that a shared address leads to somebody; to be called now and then."""
        if self._name is not None:
            self._name.keep()

    async def set_serving(self, serving: bool, *extra: str) -> None:
        """Tell health, overall and for each service; `extra` names parts of the role, such as a dependency."""
        state = health_pb2.HealthCheckResponse.SERVING if serving else health_pb2.HealthCheckResponse.NOT_SERVING
        for name in extra or ("", *self._names):
            await self.health.set(name, state)

    async def forget(self, part: str) -> None:
        """Tell health that a part of the role is not configured any more."""
        await self.health.set(part, health_pb2.HealthCheckResponse.SERVICE_UNKNOWN)

    async def stop(self, grace: float) -> None:
        """Refuse new calls, give those inside `grace` seconds, then cancel them."""
        await self.health.enter_graceful_shutdown()
        refusing = asyncio.create_task(self._server.stop(grace))
        drained = asyncio.create_task(self._chain.drained())
        await asyncio.wait([refusing, drained], return_when=asyncio.FIRST_COMPLETED)
        drained.cancel()
        self._chain.close()  # not a second stop(): two at a time crash the process (grpcio 1.85)
        await refusing
        if self._name is not None:
            self._name.release()
