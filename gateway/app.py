"""Builds the edge and runs it: REST, webhooks, health and documentation over HTTP, and gRPC beside it."""

import asyncio
import socket
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass

from fastapi import FastAPI
from fastapi.telemetry import TelemetryConfig

from gateway.config import GatewayConfig
from gateway.documentation import documentation_routes
from gateway.envelope import Envelope
from gateway.grpc_edge.server import grpc_edge
from gateway.health import HealthReport, Monitor
from gateway.listeners import remove_leftover, serving, tcp_listener, unix_listener
from gateway.mesh import Mesh
from gateway.openapi.document import build_document
from gateway.public import PUBLIC_SERVICES
from gateway.reset_page import reset_page_routes
from gateway.routing import Route, RouteTable
from gateway.transcode.endpoints import derived_routes
from gateway.transcode.rules import read_rules
from gateway.webhooks import ByteBudget, WebhookIntake
from services.kit import app as kit
from services.kit.config import load
from services.kit.rpc.addresses import Addresses
from services.kit.telemetry import log

HTTP_SOCKET = "gateway.sock"
GRPC_SOCKET = "edge.sock"
_logger = log.get("gateway")


@dataclass(frozen=True, slots=True)
class Edge:
    """The two HTTP applications: everything, and the webhook port's share of it."""

    api: FastAPI
    webhooks: FastAPI
    monitor: Monitor


def build(config: GatewayConfig, mesh: Mesh, clock: Callable[[], float] = time.monotonic) -> Edge:
    """Derive every route; `clock` counts seconds. Raises RuleError or ValueError for protos that cannot be served."""
    monitor = Monitor(mesh, clock)
    health = HealthReport(monitor, config.environment, clock).routes()
    intake = WebhookIntake(mesh, ByteBudget(config.webhook_bytes_in_flight)).routes()
    rules = read_rules(PUBLIC_SERVICES)
    api = [
        *derived_routes(rules, mesh),
        *intake,
        *health,
        *documentation_routes(build_document(rules)),
        *reset_page_routes(),
    ]
    return Edge(_application(api), _application([*intake, *health]), monitor)


@dataclass(frozen=True, slots=True)
class Running:
    """Where a running edge listens; ports are None where it listens on unix sockets."""

    port: int | None = None
    webhooks_port: int | None = None
    grpc_port: int | None = None


@asynccontextmanager
async def running(config: GatewayConfig) -> AsyncIterator[Running]:
    """Serve the edge while entered. Raises OSError if an address is taken."""
    async with AsyncExitStack() as stack:
        mesh = await stack.enter_async_context(Mesh(Addresses.of(config)))
        edge = build(config, mesh)
        if config.edge == "envoy":
            path = config.run_dir / GRPC_SOCKET
            remove_leftover(path)
            await stack.enter_async_context(
                grpc_edge(
                    f"unix:{path}", mesh, edge.monitor, with_proxy=False, with_reflection=not config.is_production
                )
            )
            await stack.enter_async_context(
                serving(edge.api, [unix_listener(config.run_dir / HTTP_SOCKET)], is_exposed=False)
            )
            yield Running()
            return
        yield await _listen_directly(stack, config, mesh, edge)


async def _listen_directly(stack: AsyncExitStack, config: GatewayConfig, mesh: Mesh, edge: Edge) -> Running:
    address = config.bind_address
    host = f"[{address}]" if ":" in address else address
    grpc_port = await stack.enter_async_context(
        grpc_edge(
            f"{host}:{config.grpc_port}",
            mesh,
            edge.monitor,
            with_proxy=True,
            with_reflection=not config.is_production,
        )
    )
    listeners = [tcp_listener(address, config.port)]
    if config.legacy_port is not None:
        listeners += _if_free(address, config.legacy_port)
    await stack.enter_async_context(serving(edge.api, listeners, is_exposed=True))
    webhooks = tcp_listener(address, config.webhooks_port)
    await stack.enter_async_context(serving(edge.webhooks, [webhooks], is_exposed=True))
    return Running(listeners[0].getsockname()[1], webhooks.getsockname()[1], grpc_port)


@asynccontextmanager
async def serve(_: kit.Mesh) -> AsyncIterator[None]:
    """The gateway role: reads its own configuration, serves while entered."""
    async with running(load(GatewayConfig)) as listening:
        _logger.info("listening", port=listening.port, webhooks=listening.webhooks_port, grpc=listening.grpc_port)
        yield


async def run(config: GatewayConfig, stopping: asyncio.Event) -> None:
    """Serve the edge until `stopping` is set."""
    async with running(config):
        await stopping.wait()


def _application(routes: Sequence[Route]) -> FastAPI:
    # The envelope makes the span. FastAPI's own would be a second one beside it, with the query string in it.
    silent: TelemetryConfig = {"tracing": False, "metrics": False, "logs": False}
    app = FastAPI(openapi_url=None, docs_url=None, redoc_url=None, redirect_slashes=False, telemetry=silent)
    app.router.routes.append(RouteTable(routes))
    app.add_middleware(Envelope)
    return app


def _if_free(address: str, port: int) -> list[socket.socket]:
    try:
        return [tcp_listener(address, port)]
    except OSError:
        _logger.info("the older port is taken and not served", port=port)
        return []
