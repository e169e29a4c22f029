"""Builds the two gRPC servers of a role: public (reached through the edge only) and internal (the mesh only)."""

import asyncio
import errno
import os
import socket
import stat
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
from services.kit.rpc.policy import Policy, check
from services.kit.rpc.rate import CALLER_RATE, Rate, limit_rate

MAX_SOCKET_PATH = 107  # bytes; Linux keeps 108 for the path and its final zero
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
        max_calls: int = MAX_CONCURRENT_CALLS,
    ) -> None:
        """Without an authenticator the listener is internal: the mesh's roles are let in, and nobody else.

        On a public one `Idempotency-Key` is honoured where `repeatable` is given, and each credential has its rate.
        """
        is_internal = authenticator is None
        check(policy, [s.descriptor for s in services], is_internal=is_internal)
        if not address.startswith("unix:"):
            raise ValueError(f"{name} would listen on {address} without TLS; only unix sockets are allowed here")
        identity = (
            [middlewares.authorize_caller]
            if authenticator is None
            else [middlewares.authenticate(authenticator), middlewares.authorize, limit_rate(caller_rate)]
        )
        self._chain = Chain(
            policy,
            [
                middlewares.trace,
                middlewares.measure,
                middlewares.identify,
                middlewares.access_log,
                middlewares.limit_time,
                middlewares.admit(max_calls, name),
                *identity,
                middlewares.validate,
                *([repeatable.middleware(services)] if repeatable is not None else []),
                middlewares.error_boundary,
            ],
        )
        self._address = address
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
        """Listen, not yet serving as far as health is concerned.

        Raises OSError if the address is taken, too long, or in a directory that others may enter.
        """
        await self.set_serving(False)
        _claim(Path(self._address.removeprefix("unix:")))
        try:
            self._server.add_insecure_port(self._address)
        except RuntimeError as error:
            raise OSError(errno.EADDRNOTAVAIL, f"cannot listen on {self._address}: {error}") from None
        await self._server.start()

    async def set_serving(self, serving: bool, *extra: str) -> None:
        """Tell health, overall and for each service; `extra` names parts of the role, such as a dependency."""
        state = health_pb2.HealthCheckResponse.SERVING if serving else health_pb2.HealthCheckResponse.NOT_SERVING
        for name in extra or ("", *self._names):
            await self.health.set(name, state)

    async def stop(self, grace: float) -> None:
        """Refuse new calls, give those inside `grace` seconds, then cancel them."""
        await self.health.enter_graceful_shutdown()
        refusing = asyncio.create_task(self._server.stop(grace))
        drained = asyncio.create_task(self._chain.drained())
        await asyncio.wait([refusing, drained], return_when=asyncio.FIRST_COMPLETED)
        drained.cancel()
        self._chain.close()  # not a second stop(): two at a time crash the process (grpcio 1.85)
        await refusing


def _claim(path: Path) -> None:
    """Make way for a socket: what a dead process left is removed, a living one's socket is not."""
    if len(os.fsencode(path)) > MAX_SOCKET_PATH:
        raise OSError(
            errno.ENAMETOOLONG, f"longer than {MAX_SOCKET_PATH} bytes, set a shorter LINTEL_RUN_DIR", str(path)
        )
    if path.parent.stat().st_mode & (stat.S_IRWXG | stat.S_IRWXO):
        raise OSError(
            errno.EACCES, "others may enter the directory of the sockets; give it mode 0700", str(path.parent)
        )
    if not path.exists():
        return
    if not path.is_socket():
        raise OSError(errno.EEXIST, "is in the way and is not a socket", str(path))
    with socket.socket(socket.AF_UNIX) as probe:
        probe.settimeout(1)
        try:
            probe.connect(str(path))
        except ConnectionRefusedError:
            path.unlink(missing_ok=True)
        else:
            raise OSError(errno.EADDRINUSE, "another process serves this socket", str(path))
