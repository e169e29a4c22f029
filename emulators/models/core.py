"""A server on loopback that checks each request, answers as scripted, and remembers what was asked."""

from __future__ import annotations

import asyncio
import json
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self

from emulators.github.answers import RefusedError
from emulators.github.incoming import ConnectionCutError, Incoming, Message, Receive, Send
from emulators.github.listener import Listener
from emulators.models.said import EVENTS, JSON, Failed, Reply, Said

_PROMISED = 1 << 20  # bytes that the head of an unfinished answer speaks of
_SECRET_HEADERS = ("authorization", "api-key", "x-api-key", "x-goog-api-key")


class StrictnessError(AssertionError):
    """A client sent what a real server refuses; the message lists it."""


@dataclass(frozen=True)
class RequestRecord:
    """A request as it came; `asked` is None where it was not understood, headers come without the key."""

    method: str
    path: str
    headers: dict[str, str]
    asked: Any
    query: str = ""
    body: bytes = b""


class ModelEmulator(ABC):
    """Serves one wire format on loopback, as an asynchronous context manager.

    `answers` is called with each request that was understood, or is a list that is used up; either gives Said, Failed,
    Reply, text, or what is sent as JSON text. An exhausted list is a violation and a 500. Without a key none is wanted.
    """

    def __init__(
        self,
        answers: Callable[[Any], Any] | Iterable[Any] = (),
        *,
        key: str | None = "emulated-key",
        models: Sequence[str] = ("test-model",),
    ) -> None:
        self._script = answers if callable(answers) else None
        self._queue = [] if callable(answers) else list(answers)
        self.key = key
        self.models = tuple(models)
        self.models_reply: Reply | Failed | None = None
        self.requests: list[RequestRecord] = []
        self.violations: list[str] = []
        self.reached = asyncio.Event()  # set by each request
        self.hung_up = asyncio.Event()  # set when a client goes while an answer stalls
        self._listener = Listener()
        self._stopping = asyncio.Event()

    @abstractmethod
    def respond(self, incoming: Incoming) -> tuple[Reply, Any]:
        """Answer a request, and what was understood of it."""

    @abstractmethod
    def render(self, said: Said, asked: Any) -> Reply:
        """Answer what a model says in the wire's shape, as a stream where one was asked for."""

    @abstractmethod
    def fail(self, failed: Failed) -> Reply:
        """Answer a failure in the wire's shape."""

    @property
    def origin(self) -> str:
        """Scheme, host and port."""
        return self._listener.url

    @property
    def asked(self) -> list[Any]:
        """The requests that were understood, in order."""
        return [record.asked for record in self.requests if record.asked is not None]

    async def start(self, host: str = "127.0.0.1", port: int = 0) -> str:
        """Listen; answers the base URL."""
        await self._listener.start(self, host, port)
        return self.origin

    async def stop(self) -> None:
        """Let go of stalled requests, and stop."""
        self._stopping.set()
        await self._listener.stop()

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.stop()

    def check(self) -> None:
        """Raise StrictnessError where a client sent what a real server refuses."""
        if self.violations:
            raise StrictnessError("; ".join(self.violations))

    def share(self, other: ModelEmulator) -> None:
        """Answer by the script of another, and tell it of violations."""
        self._script, self._queue, self.violations = other._script, other._queue, other.violations

    def scripted(self, asked: Any) -> Reply:
        """Answer as the script says."""
        if self._script is not None:
            answer = self._script(asked)
        elif self._queue:
            answer = self._queue.pop(0)
            answer = answer(asked) if callable(answer) else answer
        else:
            return self.refuse(500, "server", "no answer is left in the script")
        if isinstance(answer, Reply):
            return answer
        if isinstance(answer, Failed):
            return self.fail(answer)
        return self.render(answer if isinstance(answer, Said) else Said(answer), asked)

    def refuse(self, status: int, kind: str, message: str, param: str | None = None) -> Reply:
        """Answer a failure that no well-behaved client runs into, and remember it."""
        self.violations.append(message)
        return self.fail(Failed(status, kind, message, param))

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """Serve one request."""
        try:
            incoming = await Incoming.read(scope, receive)
        except (RefusedError, ConnectionCutError):
            return
        reply, asked = self.respond(incoming)
        headers = {n: v for n, v in incoming.headers.items() if n not in _SECRET_HEADERS}
        self.requests.append(
            RequestRecord(incoming.method, incoming.path, headers, asked, incoming.query, incoming.body)
        )
        self.reached.set()
        await self._send(reply, incoming, receive, send)

    async def _send(self, reply: Reply, incoming: Incoming, receive: Receive, send: Send) -> None:
        whole = reply.end == "whole"
        if not reply.silent:
            length = len(reply.body) if whole else _PROMISED
            head = [(n.lower().encode(), v.encode("latin-1")) for n, v in reply.headers.items()]
            if not reply.chunked:
                head.append((b"content-length", str(length).encode()))
            await send({"type": "http.response.start", "status": reply.status, "headers": head})
            await send({"type": "http.response.body", "body": reply.body, "more_body": not whole})
        if whole:
            return
        if reply.end == "stall":
            gone, stopping = asyncio.ensure_future(receive()), asyncio.create_task(self._stopping.wait())
            await asyncio.wait({gone, stopping}, return_when=asyncio.FIRST_COMPLETED)
            if gone.done():
                self.hung_up.set()
            gone.cancel()
            stopping.cancel()
            await asyncio.gather(gone, stopping, return_exceptions=True)
        if incoming.peer is not None:
            self._listener.cut(incoming.peer)


def text_of(said: Said) -> str:
    """Answer what is said as text."""
    return said.text if isinstance(said.text, str) else json.dumps(said.text)


def pieces_of(text: str, count: int = 4) -> list[str]:
    """Cut a text into some pieces, as a stream would; none for no text."""
    size = max(1, -(-len(text) // count))
    return [text[at : at + size] for at in range(0, len(text), size)]


def json_reply(value: Any, status: int = 200, headers: dict[str, str] | None = None) -> Reply:
    """Answer a JSON value."""
    return Reply(status, json.dumps(value).encode(), JSON | (headers or {}))


def stream_reply(said: Said, events: Sequence[bytes], marks: Sequence[bytes], error: bytes) -> Reply:
    """Answer the events of a stream and then its end as ordered; `marks` are those that say that it is complete."""
    body = b"".join(events)
    if said.comments:
        body = b": processing\n\n" + b": processing\n\n".join(events) + b"\n\n"
    if said.end == "whole":
        body += b"".join(marks)
    elif said.end == "half_line":
        body += marks[0][: len(marks[0]) // 2]
    elif said.end == "error":
        body += error
    end = said.end if said.end in ("cut", "stall") else "whole"
    return Reply(200, body, EVENTS, end=end, chunked=True)


def as_event(value: Any, name: str = "") -> bytes:
    """Answer one server-sent event."""
    head = f"event: {name}\n" if name else ""
    return f"{head}data: {value if isinstance(value, str) else json.dumps(value)}\n\n".encode()
