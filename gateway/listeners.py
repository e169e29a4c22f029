"""Serves an ASGI application on unix sockets or TCP ports by uvicorn, without its signal handlers."""

import asyncio
import contextlib
import socket
import stat
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import uvicorn
from starlette.types import ASGIApp

BACKLOG = 1024
IDLE_SECONDS = 75  # longer than the proxy keeps an idle connection, so that the proxy is who closes it
DRAIN_SECONDS = 8
MAX_HEAD = 32 * 1024  # bytes of request line and headers, the same as Envoy's limit


class _Server(uvicorn.Server):
    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.listening = asyncio.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start, and say so."""
        await super().startup(sockets)
        self.listening.set()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave signals to the process; several servers share it."""
        yield


def unix_listener(path: Path) -> socket.socket:
    """Listen on a socket that only its owner may open; one left behind by a dead process is replaced.

    Raises OSError if a living process listens there.
    """
    remove_leftover(path)
    listener = socket.socket(socket.AF_UNIX)
    try:
        listener.bind(str(path))
        path.chmod(0o600)
        listener.listen(BACKLOG)
        listener.setblocking(False)
    except OSError:
        listener.close()
        raise
    return listener


def remove_leftover(path: Path) -> None:
    """Remove the socket of a process that is gone; one that somebody answers stays."""
    if not (path.exists() and stat.S_ISSOCK(path.stat().st_mode)):
        return
    with socket.socket(socket.AF_UNIX) as probe:
        try:
            probe.connect(str(path))
        except ConnectionRefusedError:
            path.unlink()


def tcp_listener(address: str, port: int) -> socket.socket:
    """Listen on an address and port, 0 for a free one. Raises OSError if it is taken."""
    listener = socket.create_server(
        (address, port), family=socket.AF_INET6 if ":" in address else socket.AF_INET, backlog=BACKLOG
    )
    listener.setblocking(False)
    return listener


@asynccontextmanager
async def serving(app: ASGIApp, listeners: Sequence[socket.socket], *, is_exposed: bool) -> AsyncIterator[None]:
    """Serve while entered; at the end the requests inside get some seconds, then the sockets are closed.

    Where strangers reach us without a proxy, h11 parses: it bounds the size of the head; httptools, the faster one,
    does not.
    """
    config = uvicorn.Config(
        app,
        loop="none",
        http="h11" if is_exposed else "httptools",
        h11_max_incomplete_event_size=MAX_HEAD,
        ws="none",
        lifespan="off",
        interface="asgi3",
        log_config=None,
        access_log=False,
        proxy_headers=False,
        server_header=False,
        backlog=BACKLOG,
        timeout_keep_alive=IDLE_SECONDS,
        timeout_graceful_shutdown=DRAIN_SECONDS,
    )
    server = _Server(config)
    task = asyncio.create_task(server.serve(sockets=list(listeners)))
    try:
        await server.listening.wait()
        yield
    finally:
        server.should_exit = True
        await task
        for listener in listeners:
            listener.close()
