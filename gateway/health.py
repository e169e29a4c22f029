"""Is the system well? Asked of the roles over gRPC health, at most once a second, and answered as the contract says."""

import asyncio
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

import grpc
from grpc_health.v1 import health_pb2
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp

from gateway import problems
from gateway.mesh import WORKERS, Mesh
from gateway.public import PUBLIC_SERVICES, ROLES
from gateway.routing import Route

CACHE_SECONDS = 1.0
CHECK_SECONDS = 1.0
# A part of the system, and the roles that report it as a health service of that name.
PARTS: Mapping[str, tuple[str, ...]] = {
    "postgres": ("auth", "orgs", "llm_gateway", "webhooks", "review"),
    "mongodb": ("review", "review_worker"),
    "broker": ("webhooks_worker", "review_worker"),  # a serving role neither sends nor takes
    "llm": ("llm_gateway",),
}


class State(StrEnum):
    """What is known of a part; one that no role reports is not configured."""

    UP = "up"
    DOWN = "down"
    DISABLED = "disabled"


_STATES = {
    health_pb2.HealthCheckResponse.SERVING: State.UP,
    health_pb2.HealthCheckResponse.SERVICE_UNKNOWN: State.DISABLED,  # it was configured before
}


class Monitor:
    """What the roles say of themselves, by (role, health service)."""

    def __init__(self, mesh: Mesh, clock: Callable[[], float] = time.monotonic) -> None:
        self._mesh = mesh
        self._clock = clock
        self._states: dict[tuple[str, str], State] = {}
        self._until = 0.0
        self._asking = asyncio.Lock()

    async def refresh(self) -> None:
        """Ask every role, unless that was done within the last second."""
        async with self._asking:
            if self._clock() < self._until:
                return
            questions = [(role, "") for role in ROLES]
            questions += [(s.role, s.name) for s in PUBLIC_SERVICES]
            questions += [(role, part) for part, roles in PARTS.items() for role in roles]
            questions += [(role, "") for role in WORKERS]
            answers = await asyncio.gather(*(self._ask(role, service) for role, service in questions))
            self._states = dict(zip(questions, answers, strict=True))
            self._until = self._clock() + CACHE_SECONDS

    def role(self, role: str) -> State:
        """Answer whether a role serves."""
        return self._states.get((role, ""), State.DOWN)

    def service(self, name: str) -> State | None:
        """Answer whether a public service is served, None if there is no such service."""
        role = next((s.role for s in PUBLIC_SERVICES if s.name == name), None)
        return None if role is None else self._states.get((role, name), State.DOWN)

    def part(self, part: str) -> State:
        """Answer the worst that any role says of a part; a role that says nothing of it does not count."""
        found = {self._states.get((role, part), State.DOWN) for role in PARTS[part]}
        return next((s for s in (State.DOWN, State.UP) if s in found), State.DISABLED)

    def workers(self) -> State:
        """Answer whether every worker serves; what is taken in is not reviewed without them."""
        return State.UP if all(self.role(role) is State.UP for role in WORKERS) else State.DOWN

    def is_ready(self) -> bool:
        """Tell whether every role serves."""
        return all(self.role(role) is State.UP for role in ROLES)

    async def _ask(self, role: str, service: str) -> State:
        channel = self._mesh.internal(role) if role in WORKERS else self._mesh.public(role)
        call: Any = channel.unary_unary(
            "/grpc.health.v1.Health/Check",
            request_serializer=health_pb2.HealthCheckRequest.SerializeToString,
            response_deserializer=health_pb2.HealthCheckResponse.FromString,
        )
        try:
            answer = await call(health_pb2.HealthCheckRequest(service=service), timeout=CHECK_SECONDS)
        except grpc.aio.AioRpcError as error:
            return State.DISABLED if error.code() is grpc.StatusCode.NOT_FOUND else State.DOWN
        return _STATES.get(answer.status, State.DOWN)


class HealthReport:
    """The three health routes."""

    def __init__(self, monitor: Monitor, environment: str, clock: Callable[[], float] = time.monotonic) -> None:
        self._monitor = monitor
        self._environment = environment
        self._clock = clock
        self._started = clock()

    def routes(self) -> list[Route]:
        """Answer the routes of contract section 4."""
        return [
            Route("GET", "/health", self.overall),
            Route("GET", "/health/live", self.live),
            Route("GET", "/health/ready", self.ready),
        ]

    async def overall(self, _: Request) -> ASGIApp:
        """Answer the whole report; 503 when a configured part is down, or a role."""
        await self._monitor.refresh()
        postgres, mongodb, broker, llm = (self._monitor.part(part) for part in PARTS)
        worker = self._monitor.workers()
        database = State.DOWN if State.DOWN in (postgres, mongodb) else State.UP
        application = State.UP if self._monitor.is_ready() else State.DOWN
        healthy = State.DOWN not in (application, database, broker, worker, llm)
        report = {
            "status": "ok" if healthy else "error",
            "timestamp": datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            "details": {
                "application": {
                    "status": application,
                    "uptime": uptime(self._clock() - self._started),
                    "environment": self._environment,
                },
                "database": {"status": database, "postgres": {"status": postgres}, "mongodb": {"status": mongodb}},
                "broker": {"status": broker},
                "worker": {"status": worker},
                "llm": {"status": llm},
            },
        }
        return _answer(report, healthy)

    async def live(self, _: Request) -> ASGIApp:
        """Answer 200 while this process answers at all."""
        return _answer({"status": "ok"}, healthy=True)

    async def ready(self, _: Request) -> ASGIApp:
        """Answer 200 when every role serves, and which do."""
        await self._monitor.refresh()
        healthy = self._monitor.is_ready()
        roles = {role: self._monitor.role(role) for role in ROLES}
        return _answer({"status": "ok" if healthy else "error", "roles": roles}, healthy)


def uptime(seconds: float) -> str:
    """Answer a time span as the install document writes it: `11m 29s`, with hours and days where there are any."""
    left = int(seconds)
    days, left = divmod(left, 86_400)
    hours, left = divmod(left, 3_600)
    minutes, left = divmod(left, 60)
    parts = [(days, "d"), (hours, "h"), (minutes, "m"), (left, "s")]
    while len(parts) > 1 and parts[0][0] == 0:
        parts.pop(0)
    return " ".join(f"{number}{unit}" for number, unit in parts)


def _answer(report: dict[str, Any], healthy: bool) -> Response:
    return Response(problems.to_bytes(report), 200 if healthy else 503, media_type="application/json")
