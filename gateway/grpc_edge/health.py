"""The standard health service of the edge: overall and for each public service, as the roles really are."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc

from gateway.health import CACHE_SECONDS, Monitor, State

_Response = health_pb2.HealthCheckResponse


class EdgeHealth(health_pb2_grpc.HealthServicer):  # type: ignore[misc]
    """Asks the monitor; `stop` ends the watchers, which would else hold up the server's shutdown."""

    def __init__(self, monitor: Monitor) -> None:
        self._monitor = monitor
        self._stopping = asyncio.Event()

    def stop(self) -> None:
        """Answer NOT_SERVING from now on and end every watch."""
        self._stopping.set()

    async def Check(self, request: health_pb2.HealthCheckRequest, context: Any) -> health_pb2.HealthCheckResponse:  # noqa: N802
        """Answer the state of the whole or of a service. NOT_FOUND for a name that is not public."""
        status = await self._status(request.service)
        if status == _Response.SERVICE_UNKNOWN:
            await context.abort(grpc.StatusCode.NOT_FOUND, "unknown service")
        return _Response(status=status)

    async def Watch(  # noqa: N802
        self, request: health_pb2.HealthCheckRequest, context: Any
    ) -> AsyncIterator[health_pb2.HealthCheckResponse]:
        """Answer the state now and at each change, until the edge stops."""
        last = None
        while True:
            status = await self._status(request.service)
            if status != last:
                yield _Response(status=status)
                last = status
            if self._stopping.is_set():
                return
            try:
                async with asyncio.timeout(CACHE_SECONDS):
                    await self._stopping.wait()
            except TimeoutError:
                continue

    async def _status(self, service: str) -> int:
        if self._stopping.is_set():
            return int(_Response.NOT_SERVING)
        await self._monitor.refresh()
        if service == "":
            return int(_Response.SERVING if self._monitor.is_ready() else _Response.NOT_SERVING)
        state = self._monitor.service(service)
        if state is None:
            return int(_Response.SERVICE_UNKNOWN)
        return int(_Response.SERVING if state is State.UP else _Response.NOT_SERVING)
