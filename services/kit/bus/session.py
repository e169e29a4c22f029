"""A connection to the broker that is opened again for as long as it is wanted.

aio-pika's robust connection replays what was declared object by object, tells nobody why it can't connect, and makes a
publisher wait for it. Here each connection begins from nothing: it is prepared from the table of the topology, serves
until it, its channel or a consumer is lost, and is left whole. See docs/decisions/0015.
"""

import asyncio
import contextlib
import random
from collections.abc import Awaitable, Callable

import aio_pika
from aio_pika.abc import AbstractChannel, AbstractConnection
from aio_pika.exceptions import CONNECTION_EXCEPTIONS
from aiormq.exceptions import AMQPError
from yarl import URL

from services.kit.bus.address import place
from services.kit.telemetry import log

_BACK_OFF = (0.2, 0.5, 1.0, 2.0, 5.0)  # seconds after a failure, the last one from then on
_CONNECT_SECONDS = 15.0
PREPARE_SECONDS = 15.0  # for the topology, which `Serve` declares
_CLOSE_SECONDS = 2.0
_LOST = (*CONNECTION_EXCEPTIONS, AMQPError, OSError, TimeoutError, asyncio.CancelledError)
_logger = log.get("bus")

Serve = Callable[["Link"], Awaitable[None]]  # prepares the channel, calls `Link.is_ready`, then serves while it lasts


class Link:
    """One open connection with its channel; `lost` is done, with the reason in words, when either is gone."""

    def __init__(self, channel: AbstractChannel, lost: "asyncio.Future[str]", ready: Callable[[], None]) -> None:
        self.channel = channel
        self.lost = lost
        self.is_ready = ready

    def give_up(self, reason: str) -> None:
        """Have the connection opened anew."""
        if not self.lost.done():
            self.lost.set_result(reason)


class Session:
    """Keeps a link open: `run` connects, calls `serve`, and does so again when the link is lost, until cancelled."""

    def __init__(self, uri: URL, name: str, serve: Serve) -> None:
        self._uri = uri
        self._name = name
        self._serve = serve
        self.problem = "not connected yet"
        self.tried = asyncio.Event()  # set once it is known whether the broker is there

    async def run(self) -> None:
        """Serve link after link; a failure waits longer each time, is logged once, and never says the password."""
        failures = 0
        while True:
            began = self.problem
            reason = await self._once()
            failures = 1 if began and not self.problem else failures + 1
            if reason != self.problem:
                _logger.warning("broker lost", link=self._name, broker=place(self._uri), reason=reason)
            self.problem = reason
            self.tried.set()
            pause = _BACK_OFF[min(failures, len(_BACK_OFF)) - 1]
            await asyncio.sleep(pause * random.uniform(0.8, 1.2))  # noqa: S311

    async def _once(self) -> str:
        """Serve one link to its end and answer why it ended."""
        connection: AbstractConnection | None = None
        try:
            async with asyncio.timeout(_CONNECT_SECONDS):
                connection = await aio_pika.connect(self._uri, client_properties={"connection_name": self._name})
                link = await self._open(connection)
            serving = asyncio.ensure_future(self._serve(link))
            try:
                await asyncio.wait((serving, link.lost), return_when=asyncio.FIRST_COMPLETED)
                if link.lost.done():
                    return link.lost.result()
                await serving
                return "the link ended"
            finally:
                serving.cancel()
                await asyncio.gather(serving, return_exceptions=True)
        except asyncio.CancelledError:
            if (task := asyncio.current_task()) is not None and task.cancelling():
                raise
            return "the connection was closed"  # the library ends what waits on a lost channel like this
        except _LOST as error:
            return self._words(error)
        finally:
            if connection is not None:
                with contextlib.suppress(*_LOST):
                    await asyncio.wait_for(connection.close(), _CLOSE_SECONDS)

    async def _open(self, connection: AbstractConnection) -> Link:
        lost: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        channel = await connection.channel(on_return_raises=True)
        link = Link(channel, lost, self._ready)

        def on_close(_: object, error: BaseException | None) -> None:
            link.give_up(self._words(error) if error is not None else "the connection was closed")

        connection.close_callbacks.add(on_close)
        channel.close_callbacks.add(on_close)
        underlay = await channel.get_underlay_channel()
        underlay.on_consumer_cancel_callbacks.add(lambda _: link.give_up("the broker ended the consumer"))
        return link

    def _ready(self) -> None:
        _logger.info("broker connected", link=self._name, broker=place(self._uri))
        self.problem = ""
        self.tried.set()

    def _words(self, error: BaseException) -> str:
        if isinstance(error, TimeoutError):
            return "the broker does not answer"
        if isinstance(error.__cause__, ConnectionRefusedError) or isinstance(error, ConnectionRefusedError):
            return "nobody listens there"
        text = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
        password = self._uri.password
        return text.replace(password, "…") if password else text


async def reach(uri: URL) -> str:
    """Connect once; answer why that does not work, without the password, and nothing where it does."""
    reached = ""

    async def serve(_: Link) -> None:
        nonlocal reached
        reached = "yes"

    reason = await Session(uri, "doctor", serve)._once()
    return "" if reached else reason
