"""A uvicorn server inside the running loop, on loopback only, that can cut a connection."""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import socket
from typing import Any, cast

import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

_STOP_SECONDS = 5


class Listener:
    """Listens for one ASGI application; start and stop belong to the same loop."""

    def __init__(self) -> None:
        self._transports: dict[tuple[str, int], asyncio.Transport] = {}
        self._server: uvicorn.Server | None = None
        self._socket: socket.socket | None = None
        self._ticking: asyncio.Task[None] | None = None
        self._url: str | None = None
        self._idle = asyncio.Event()
        self._idle.set()

    @property
    def url(self) -> str:
        """The address; RuntimeError before the start."""
        if self._url is None:
            raise RuntimeError("the emulator isn't started")
        return self._url

    def cut(self, peer: tuple[str, int]) -> None:
        """Resets the connection of that peer."""
        transport = self._transports.get(peer)
        if transport is not None:
            transport.abort()

    async def start(self, app: Any, host: str, port: int) -> str:
        """Starts and returns the address; ValueError outside loopback, OSError when the port is taken."""
        if not ipaddress.ip_address(host).is_loopback:
            raise ValueError(f"the emulator listens on loopback only, not on {host}")
        if self._server is not None:
            raise RuntimeError("the emulator is started already")
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        self._socket = socket.socket(family, socket.SOCK_STREAM)
        try:
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            self._socket.bind((host, port))
        except OSError:
            self._socket.close()
            raise
        config = uvicorn.Config(
            app,
            http=self._protocol(),
            lifespan="off",
            log_config=None,
            access_log=False,
            server_header=False,
            proxy_headers=False,
            timeout_graceful_shutdown=_STOP_SECONDS,
        )
        config.load()
        # The steps of Server.serve() without its signal handlers, which belong to the process we are a guest of.
        server = uvicorn.Server(config)
        server.lifespan = config.lifespan_class(config)
        await server.startup(sockets=[self._socket])
        self._server, self._ticking = server, asyncio.create_task(server.main_loop())
        name = f"[{host}]" if family == socket.AF_INET6 else host
        self._url = f"http://{name}:{self._socket.getsockname()[1]}"
        return self._url

    async def stop(self) -> None:
        """Stops listening and waits a little for requests in flight; does nothing when not started."""
        if self._server is None or self._socket is None or self._ticking is None:
            return
        # Not uvicorn's own shutdown: it looks only once in a tick whether connections are gone.
        self._ticking.cancel()
        for listening in self._server.servers:
            listening.close()
        for connection in list(self._server.server_state.connections):
            connection.shutdown()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_STOP_SECONDS):
                await self._idle.wait()
        for transport in list(self._transports.values()):
            transport.abort()
        await self._finish({self._ticking, *self._server.server_state.tasks})
        self._socket.close()
        self._server = self._socket = self._ticking = self._url = None

    @staticmethod
    async def _finish(tasks: set[asyncio.Task[None]]) -> None:
        _, late = await asyncio.wait(tasks, timeout=_STOP_SECONDS)
        for task in late:
            task.cancel()
        if late:
            await asyncio.wait(late)

    def _protocol(self) -> type[asyncio.Protocol]:
        transports, idle = self._transports, self._idle

        class Tracked(H11Protocol):
            """Remembers the transport of each peer, so that it can be cut."""

            def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
                super().connection_made(transport)
                transports[tuple(transport.get_extra_info("peername")[:2])] = transport
                idle.clear()

            def connection_lost(self, exc: Exception | None) -> None:
                transports.pop(tuple(self.transport.get_extra_info("peername")[:2]), None)
                super().connection_lost(exc)
                if not transports:
                    idle.set()

        return cast("type[asyncio.Protocol]", Tracked)
