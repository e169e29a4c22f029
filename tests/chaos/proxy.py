"""A proxy on a unix socket or a port of ours: it can freeze and cut, and reads along where it carries Postgres."""

import asyncio
import contextlib
import socket
import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

Address = Path | int  # a unix socket, or a port on loopback
_CHUNK = 1 << 16
_STARTUP_HEAD = 4
_HEAD = 5


class Proxy:
    """Carries connections from `listen` to `upstream` while it runs; `watch` makes what reads along with each."""

    def __init__(self, listen: Address, upstream: Address, watch: "Callable[[Proxy], Tap] | None" = None) -> None:
        self.listen = listen
        self.upstream = upstream
        self.rules: list[CommitRule] = []
        self._watch = watch
        self._server: asyncio.Server | None = None
        self._thawed = asyncio.Event()
        self._thawed.set()
        self._refusing = False
        self._links: set[_Link] = set()

    async def start(self) -> None:
        if isinstance(self.listen, Path):
            self.listen.unlink(missing_ok=True)
            self._server = await asyncio.start_unix_server(self._accept, str(self.listen))
            self.listen.chmod(0o777)
        else:
            self._server = await asyncio.start_server(self._accept, "127.0.0.1", self.listen)
            self.listen = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        if self._server is not None:
            self._server.close()
        self.cut()
        self.thaw()
        await asyncio.gather(*(link.ended.wait() for link in self._links))

    def freeze(self) -> None:
        """Carry nothing more, and close nothing: a network that swallows everything."""
        self._thawed.clear()

    def thaw(self) -> None:
        self._thawed.set()

    def cut(self) -> int:
        """Reset every connection that is on; answers how many there were."""
        for link in self._links:
            link.cut()
        return len(self._links)

    @property
    def busy(self) -> bool:
        """Whether a client is inside a transaction or waits for an answer; only where somebody reads along."""
        return any(link.tap is not None and link.tap.busy for link in self._links)

    @property
    def backends(self) -> list[int]:
        """The server's process ids of the connections that are on."""
        return [link.tap.backend for link in self._links if link.tap is not None and link.tap.backend]

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        link = _Link(self, reader, writer, self._watch(self) if self._watch else None)
        self._links.add(link)
        try:
            await link.run()
        finally:
            self._links.discard(link)
            link.ended.set()

    async def pass_on(self) -> None:
        """Wait while the proxy is frozen."""
        await self._thawed.wait()


class _Link:
    def __init__(
        self, proxy: Proxy, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, tap: "Tap | None"
    ) -> None:
        self.tap = tap
        self.ended = asyncio.Event()
        self._proxy = proxy
        self._client = reader, writer
        self._writers = [writer]
        self._pumps: asyncio.Future[tuple[None, None]] | None = None
        self._is_cut = False

    def cut(self) -> None:
        self._is_cut = True
        for writer in self._writers:
            transport = writer.transport
            raw = transport.get_extra_info("socket")
            if raw is not None and raw.family != socket.AF_UNIX:
                with contextlib.suppress(OSError):
                    raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            transport.abort()
        if self._pumps is not None:
            self._pumps.cancel()

    async def run(self) -> None:
        try:
            await self._proxy.pass_on()
            up_reader, up_writer = await self._connect()
            self._writers.append(up_writer)
            if self._is_cut:
                raise EOFError
            reader, writer = self._client
            to_server = self.tap.from_client if self.tap else None
            to_client = self.tap.from_server if self.tap else None
            pumps = asyncio.gather(self._pump(reader, up_writer, to_server), self._pump(up_reader, writer, to_client))
            self._pumps = pumps
            await pumps
        except (OSError, asyncio.CancelledError, EOFError):
            pass
        finally:
            self.cut()

    async def _connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        upstream = self._proxy.upstream
        if isinstance(upstream, Path):
            return await asyncio.open_unix_connection(str(upstream))
        return await asyncio.open_connection("127.0.0.1", upstream)

    async def _pump(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, see: Callable[[bytes], bytes] | None
    ) -> None:
        """Carry one direction; its end ends the other, as no client of ours half-closes."""
        while data := await reader.read(_CHUNK):
            await self._proxy.pass_on()
            writer.write(see(data) if see else data)
            await writer.drain()
        raise EOFError


@dataclass(frozen=True, slots=True)
class Statement:
    """SQL as the client sent it, and its arguments as they travel, NULL as None."""

    sql: str
    arguments: tuple[bytes | None, ...] = ()


@dataclass(eq=False)
class CommitRule:
    """Something to do right before or after the first commit whose transaction `matches`, on whichever proxy has it."""

    matches: Callable[[list[Statement]], bool]
    when: Literal["before", "after"]
    act: Callable[[Proxy], None]
    hit: asyncio.Event = field(default_factory=asyncio.Event)
    taken: bool = False

    def fire(self, proxy: Proxy) -> None:
        self.act(proxy)
        self.hit.set()


class Tap:
    """Reads one Postgres connection (protocol 3.0): which statements its transaction made, and when it commits.

    A commit that a rule waits for is withheld before, or its answer after; whoever asked is to be dead by then.
    """

    def __init__(self, proxy: Proxy) -> None:
        self.backend = 0
        self.busy = False
        self._proxy = proxy
        self._started = False
        self._up, self._down = bytearray(), bytearray()
        self._named: dict[bytes, str] = {}
        self._transaction: list[Statement] = []
        self._after: CommitRule | None = None
        self._withheld = False

    def from_client(self, data: bytes) -> bytes:
        """Answer what goes on to the server."""
        self._up += data
        passed = bytearray()
        for kind, message in self._messages(self._up, client=True):
            self.busy = True
            if kind == b"P":
                name, _, rest = message[_HEAD:].partition(b"\0")
                self._named[name] = rest.partition(b"\0")[0].decode(errors="replace")
            elif kind == b"B":
                _, _, rest = message[_HEAD:].partition(b"\0")
                name, _, arguments = rest.partition(b"\0")
                self._transaction.append(Statement(self._named.get(name, ""), _arguments(arguments)))
            elif kind == b"Q":
                sql = message[_HEAD:-1].decode(errors="replace")
                if sql.upper().startswith("COMMIT") and self._is_withheld():
                    break
                self._transaction.append(Statement(sql))
            passed += message
        return b"" if self._withheld else bytes(passed)

    def from_server(self, data: bytes) -> bytes:
        """Answer what goes on to the client."""
        self._down += data
        passed = bytearray()
        for kind, message in self._messages(self._down, client=False):
            if kind == b"K":
                self.backend = struct.unpack("!i", message[_HEAD : _HEAD + 4])[0]
            elif kind == b"Z":
                idle = message[_HEAD:] == b"I"
                self.busy = not idle
                if idle:
                    self._transaction.clear()
                if idle and self._after is not None:
                    rule, self._after, self._withheld = self._after, None, True
                    rule.fire(self._proxy)
            passed += message
        return b"" if self._withheld else bytes(passed)

    def _is_withheld(self) -> bool:
        for rule in self._proxy.rules:
            if not rule.taken and rule.matches(self._transaction):
                rule.taken = True
                if rule.when == "after":
                    self._after = rule
                    return False
                self._withheld = True
                rule.fire(self._proxy)
                return True
        return False

    def _messages(self, buffer: bytearray, *, client: bool) -> Iterator[tuple[bytes, bytes]]:
        while True:
            if client and not self._started:
                if len(buffer) < _STARTUP_HEAD:
                    return
                size = struct.unpack_from("!i", buffer)[0]
                kind = b""
            elif len(buffer) < _HEAD:
                return
            else:
                kind = bytes(buffer[:1])
                size = struct.unpack_from("!i", buffer, 1)[0] + 1
            if len(buffer) < size:
                return
            message = bytes(buffer[:size])
            del buffer[:size]
            if client and not self._started:
                self._started = struct.unpack_from("!i", message, 4)[0] == 3 << 16
            yield kind, message


def _arguments(data: bytes) -> tuple[bytes | None, ...]:
    """Read the arguments of a Bind message, from behind its names."""
    formats = struct.unpack_from("!h", data)[0]
    at = 2 + 2 * formats
    count = struct.unpack_from("!h", data, at)[0]
    at += 2
    found: list[bytes | None] = []
    for _ in range(count):
        size = struct.unpack_from("!i", data, at)[0]
        at += 4
        found.append(None if size < 0 else data[at : at + size])
        at += max(size, 0)
    return tuple(found)
