"""One pool per service, and the two ways in: one organisation's rows, or the queue tables of all."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Self, TypeAlias
from uuid import UUID

import asyncpg

from services.kit.errors import AppError, Reason
from services.kit.telemetry import log as logs
from services.kit.worker import Loop

if TYPE_CHECKING:
    Connection: TypeAlias = asyncpg.pool.PoolConnectionProxy[asyncpg.Record]
else:
    Connection: TypeAlias = Any
Row: TypeAlias = asyncpg.Record
DatabaseError: TypeAlias = asyncpg.PostgresError

_SOON = timedelta(seconds=1)
_CLOSE_SECONDS = 2.0  # for transactions that are open; the supervisor kills ten seconds after it asked to stop
_LOST = (  # what passes by itself, so that trying again helps
    TimeoutError,
    asyncpg.PostgresConnectionError,
    asyncpg.OperatorInterventionError,  # starting up, shutting down, a statement over its time
    asyncpg.InsufficientResourcesError,  # too many connections, memory, disk
    asyncpg.TransactionRollbackError,  # a deadlock
    asyncpg.IdleInTransactionSessionTimeoutError,
)
_logger = logs.get("postgres")


class Database:
    """A service's view of Postgres: it logs in as a role that owns nothing and takes the service's role.

    Open it, and close it at the end, or use it as an async context manager.
    """

    def __init__(
        self, dsn: str, service: str, *, max_size: int = 10, settings: Mapping[str, str] | None = None
    ) -> None:
        """Log in by `dsn` for a service; `settings` are parameters of Postgres for all of its sessions."""
        self._dsn = dsn
        self._settings = dict(settings or {})
        self._role = f"lintel_{service}"
        self._max_size = max_size
        self._pool: asyncpg.Pool[asyncpg.Record] | None = None
        self._listener: asyncpg.Connection[asyncpg.Record] | None = None

    async def __aenter__(self) -> Self:
        await self.open()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def open(self) -> None:
        """Make the pool; it connects when there is something to do, so the database may come later."""
        self._pool = await asyncpg.create_pool(
            self._dsn,
            min_size=0,
            max_size=self._max_size,
            timeout=5,
            command_timeout=30,
            max_inactive_connection_lifetime=60,
            server_settings={
                "role": self._role,
                "application_name": self._role,
                "statement_timeout": "30s",
                "idle_in_transaction_session_timeout": "60s",
                **self._settings,
            },
        )

    async def close(self) -> None:
        """Give the connections back; those in use are ended after two seconds."""
        if self._listener is not None:
            self._listener.terminate()
        if self._pool is not None:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._pool.close(), _CLOSE_SECONDS)  # terminates what is left when cancelled

    @asynccontextmanager
    async def tenant(self, organization_id: UUID | str) -> AsyncIterator[Connection]:
        """A transaction that sees and writes the rows of one organisation only (row-level security)."""
        async with self._acquire() as connection, connection.transaction():
            await connection.execute("SELECT set_config('lintel.organization_id', $1, true)", str(organization_id))
            yield connection

    @asynccontextmanager
    async def queue(self) -> AsyncIterator[Connection]:
        """A transaction that sees every organisation, but only the queue tables of the service."""
        async with self._acquire() as connection, connection.transaction():
            await connection.execute(f"SET LOCAL ROLE {self._role}_queue")
            yield connection

    async def ping(self) -> None:
        """Answer if the database does; raises AppError(UNAVAILABLE) if not, or not to us."""
        try:
            async with self._acquire() as connection:
                await connection.execute("SELECT 1", timeout=2)
        except DatabaseError as error:  # no such database, no such role
            raise _unavailable(error) from None

    def listen(self, channels: Mapping[str, Callable[[], None]]) -> Loop:
        """Answer a loop that calls a channel's function on each NOTIFY; a lost connection is opened again."""

        async def connect() -> bool:
            if self._listener is None or self._listener.is_closed():
                try:
                    self._listener = await asyncpg.connect(
                        self._dsn, timeout=5, server_settings={"role": self._role, "application_name": self._role}
                    )
                    for channel, wake in channels.items():
                        await self._listener.add_listener(channel, lambda *_, wake=wake: wake())
                except (*_LOST, OSError, asyncpg.InterfaceError) as error:
                    if self._listener is not None:
                        self._listener.terminate()  # half of the channels would look like all of them
                    raise AppError(Reason.UNAVAILABLE, type(error).__name__) from None
                for wake in channels.values():
                    wake()  # what was announced while nobody listened
            return False

        return Loop(f"listen {self._role}", connect, idle=_SOON.total_seconds())

    @asynccontextmanager
    async def _acquire(self) -> AsyncIterator[Connection]:
        assert self._pool is not None, "open() comes first"
        try:
            connection = await self._pool.acquire(timeout=10)
        except (*_LOST, OSError, asyncpg.InterfaceError) as error:
            raise _unavailable(error) from None
        try:
            yield connection
        except _LOST as error:
            raise _unavailable(error) from None
        except asyncpg.InternalClientError as error:
            # A server that crashes says so on each connection, and the driver reads on until it hangs up: until then
            # nothing can be sent, nor the connection be used again.
            connection.terminate()
            raise _unavailable(error) from None
        except (OSError, asyncpg.InterfaceError) as error:
            if _is_gone(connection):
                raise _unavailable(error) from None
            raise  # a fault of ours, such as an argument of the wrong type: trying again would not help
        finally:
            await self._give_back(connection)

    async def _give_back(self, connection: Connection) -> None:
        """Return a connection; what was committed on it is done, also if it breaks on its way back to the pool."""
        assert self._pool is not None, "it came from there"
        try:
            await self._pool.release(connection)
        except (*_LOST, OSError, asyncpg.InterfaceError, asyncpg.InternalClientError) as error:
            # the pool has ended the connection
            _logger.warning("connection lost on its way back", error=type(error).__name__)


def _is_gone(connection: Connection) -> bool:
    try:
        return bool(connection.is_closed())
    except asyncpg.InterfaceError:  # the pool has taken it back, as it does when a connection ends
        return True


def _unavailable(error: Exception) -> AppError:
    _logger.warning("database lost", error=type(error).__name__)
    return AppError(Reason.UNAVAILABLE, "The database does not answer.", retry_after=_SOON)
