"""Runs roles in one process: each is an async context manager that serves while it is entered and drains on exit."""

import asyncio
import contextlib
import json
import signal
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field

import uvloop
from pydantic import Field, field_validator

from services.kit.bus.address import BrokerSettings
from services.kit.bus.port import Bus
from services.kit.config import ConfigError, Settings, effective, load
from services.kit.errors import AppError
from services.kit.postgres.pool import Database
from services.kit.rpc.addresses import Addresses, AddressSettings, Target
from services.kit.rpc.policy import PolicyError
from services.kit.rpc.server import RpcServer
from services.kit.telemetry import export, log, metrics, trace

DRAIN_SECONDS = 8.0  # for calls that are inside; the supervisor waits ten before it kills
_HEALTH_SECONDS = 5.0


class MeshSettings(AddressSettings, BrokerSettings):
    """What every process of the mesh reads."""

    environment: str = Field("development", alias="API_NODE_ENV")
    log_level: str = Field("info", alias="API_LOG_LEVEL")
    log_pretty: bool = Field(False, alias="API_LOG_PRETTY")
    metrics_port: int | None = Field(None, alias="LINTEL_METRICS_PORT", ge=1, le=65535)

    @field_validator("log_level")
    @classmethod
    def _is_level(cls, value: str) -> str:
        if value.lower() not in log.LEVELS:
            raise ValueError(f"{value!r} is no log level; one of {', '.join(log.LEVELS)}")
        return value.lower()


@dataclass(frozen=True, slots=True)
class Mesh:
    """Where the roles of the system listen, and the bus between them."""

    addresses: Addresses
    bus: Bus
    environment: str = "development"
    stopping: asyncio.Event = field(default_factory=asyncio.Event)

    def internal(self, role: str) -> Target:
        """Address of a role's internal listener."""
        return self.addresses.internal(role)

    def public(self, role: str) -> Target:
        """Address of a role's public listener, which only the edge opens."""
        return self.addresses.public(role)

    async def broker(self) -> str | None:
        """What keeps this process from the broker (a `Check`)."""
        return self.bus.problem()

    @property
    def has_reflection(self) -> bool:
        """Reflection is answered everywhere but in production."""
        return self.environment != "production"


Serve = Callable[[Mesh], AbstractAsyncContextManager[None]]


@dataclass(frozen=True, slots=True)
class Role:
    """Something that can be run: `serve` is entered to start it and left to drain it; `settings` is what it reads."""

    serve: Serve
    settings: type[Settings]


# Answers what is wrong with something the role depends on: empty if nothing is, None where it is not configured.
Check = Callable[[], Awaitable[str | None]]


@asynccontextmanager
async def serving(
    servers: Sequence[RpcServer], database: Database | None = None, parts: Mapping[str, Check] | None = None
) -> AsyncIterator[None]:
    """Run gRPC servers, healthy while the database answers, and drain them at the end.

    Each of `parts` is told beside it, as a health service of that name; without one of them work waits, and the role
    serves.
    """
    async with AsyncExitStack() as stack:
        started: list[RpcServer] = []
        stack.push_async_callback(_drain, started)
        for server in servers:
            await server.start()
            started.append(server)
        poller = asyncio.create_task(_poll_health(servers, database, parts or {}))
        stack.push_async_callback(_cancel, poller)
        yield


async def _drain(servers: Sequence[RpcServer]) -> None:
    await asyncio.gather(*(server.stop(DRAIN_SECONDS) for server in servers))


async def _cancel(task: asyncio.Task[None]) -> None:
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task


async def _poll_health(servers: Sequence[RpcServer], database: Database | None, parts: Mapping[str, Check]) -> None:
    logger, was = log.get("health"), {"postgres": ""}
    while True:
        problems = {"postgres": await _problem(database)} if database is not None else {}
        problems |= {part: found for part, check in parts.items() if (found := await check()) is not None}
        for part in set(was) - set(problems) - {"postgres"}:
            del was[part]
            for server in servers:
                await server.forget(part)
        for part, problem in problems.items():
            if part in was and bool(problem) is not bool(was[part]):
                logger.warning("does not answer" if problem else "answers again", part=part, problem=problem)
            was[part] = problem
            for server in servers:
                await server.set_serving(not problem, part)
        for server in servers:
            await server.set_serving(not problems.get("postgres"))
            server.keep_name()
        await asyncio.sleep(_HEALTH_SECONDS)


async def _problem(database: Database) -> str:
    """Answer what is wrong with the database, empty if nothing is."""
    try:
        await database.ping()
    except AppError as error:
        return error.message
    return ""


def run(roles: Mapping[str, Role], make_bus: Callable[[BrokerSettings], Bus], *, check_only: bool = False) -> int:
    """Run roles until SIGTERM or SIGINT; answers the exit status: 0 drained, 1 could not start.

    The configuration of all of them is read before anything starts; `check_only` prints it, redacted, and ends.
    """
    try:
        settings = load(MeshSettings)
        configuration = effective([MeshSettings, export.ExportSettings, *(role.settings for role in roles.values())])
        if check_only:
            print(json.dumps(configuration, indent=2, default=str))
            return 0
        log.setup(settings.log_level, pretty=settings.log_pretty)
        log.get("app").info("configuration", **configuration)
        trace.setup("lintel", export.processors(load(export.ExportSettings)))
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            return runner.run(_run(roles, settings, make_bus))
    except (ConfigError, PolicyError, OSError, AppError) as error:
        print(f"lintel: {error}", file=sys.stderr)
        return 1


async def _run(roles: Mapping[str, Role], settings: MeshSettings, make_bus: Callable[[BrokerSettings], Bus]) -> int:
    logger = log.get("app")
    mesh = Mesh(Addresses.of(settings), make_bus(settings), settings.environment)
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, mesh.stopping.set)
    async with AsyncExitStack() as stack:
        stack.push_async_callback(mesh.bus.close)
        if settings.metrics_port is not None:
            stack.callback(metrics.serve(settings.metrics_port))
        for name, role in roles.items():
            await stack.enter_async_context(role.serve(mesh))
            logger.info("role started", role=name)
        logger.info("ready", roles=list(roles))
        await mesh.stopping.wait()
        logger.info("draining")
    logger.info("stopped")
    return 0
