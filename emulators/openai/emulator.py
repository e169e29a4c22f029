"""The emulator: checks each request, answers as scripted, and remembers what was asked."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self

from pydantic import ValidationError

from emulators.github.answers import RefusedError
from emulators.github.incoming import ConnectionCutError, Incoming, Message, Receive, Send
from emulators.github.listener import Listener
from emulators.openai.replies import Reply, completion, error
from emulators.openai.shapes import ChatRequest, Dialect

Script = Callable[[ChatRequest], Any]
_PROMISED = 1 << 20  # bytes that the head of an unfinished answer speaks of


class StrictnessError(AssertionError):
    """A client sent what a real server refuses; the message lists it."""


@dataclass(frozen=True)
class RequestRecord:
    """A request as it came; `chat` is None where it was not understood, headers come without the key."""

    method: str
    path: str
    headers: dict[str, str]
    chat: ChatRequest | None


class OpenAIEmulator:
    """Serves `/v1/models` and `/v1/chat/completions` on loopback, as an asynchronous context manager.

    `answers` is called with each request, or is a list that is used up; either gives Replies, text, or what is sent as
    JSON text. An exhausted list is a violation and a 500. Without a key none is asked for.
    """

    def __init__(
        self,
        answers: Script | Iterable[Any] = (),
        *,
        key: str | None = "emulated-key",
        models: Sequence[str] = ("test-model",),
        dialect: Dialect | None = None,
    ) -> None:
        self._script = answers if callable(answers) else None
        self._queue = [] if callable(answers) else list(answers)
        self.key = key
        self._models = tuple(models)
        self.dialect = dialect or Dialect()
        self.models_reply: Reply | None = None
        self.requests: list[RequestRecord] = []
        self.violations: list[str] = []
        self.reached = asyncio.Event()  # set by each request
        self._listener = Listener()
        self._stopping = asyncio.Event()

    @property
    def url(self) -> str:
        """The base URL that clients are given."""
        return f"{self._listener.url}/v1"

    @property
    def chats(self) -> list[ChatRequest]:
        """The chat requests that were understood, in order."""
        return [record.chat for record in self.requests if record.chat is not None]

    async def start(self, host: str = "127.0.0.1", port: int = 0) -> str:
        """Listen; answers the base URL."""
        await self._listener.start(self, host, port)
        return self.url

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

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """Serve one request."""
        try:
            incoming = await Incoming.read(scope, receive)
        except (RefusedError, ConnectionCutError):
            return
        reply, chat = self._reply(incoming)
        headers = {n: v for n, v in incoming.headers.items() if n not in ("authorization", "api-key")}
        self.requests.append(RequestRecord(incoming.method, incoming.path, headers, chat))
        self.reached.set()
        await self._send(reply, incoming, receive, send)

    async def _send(self, reply: Reply, incoming: Incoming, receive: Receive, send: Send) -> None:
        whole = reply.end == "whole"
        if not reply.silent:
            length = len(reply.body) if whole else _PROMISED
            head = [(n.lower().encode(), v.encode("latin-1")) for n, v in reply.headers.items()]
            head.append((b"content-length", str(length).encode()))
            await send({"type": "http.response.start", "status": reply.status, "headers": head})
            await send({"type": "http.response.body", "body": reply.body, "more_body": not whole})
        if whole:
            return
        if reply.end == "stall":
            gone, stopping = asyncio.ensure_future(receive()), asyncio.create_task(self._stopping.wait())
            await asyncio.wait({gone, stopping}, return_when=asyncio.FIRST_COMPLETED)
            gone.cancel()
            stopping.cancel()
            await asyncio.gather(gone, stopping, return_exceptions=True)
        if incoming.peer is not None:
            self._listener.cut(incoming.peer)

    def _reply(self, incoming: Incoming) -> tuple[Reply, ChatRequest | None]:
        if self.key is not None and incoming.headers.get("authorization") != f"Bearer {self.key}":
            return error(401, "Incorrect API key provided", code="invalid_api_key"), None
        if (incoming.method, incoming.path) == ("GET", "/v1/models"):
            listed = [{"id": m, "object": "model", "created": 1, "owned_by": "emulator"} for m in self._models]
            return self.models_reply or Reply(200, json.dumps({"object": "list", "data": listed}).encode()), None
        if (incoming.method, incoming.path) != ("POST", "/v1/chat/completions"):
            return self._refuse(404, f"no such route: {incoming.method} {incoming.path}"), None
        return self._chat(incoming)

    def _chat(self, incoming: Incoming) -> tuple[Reply, ChatRequest | None]:
        if incoming.headers.get("content-type", "").partition(";")[0] != "application/json":
            return self._refuse(415, "the body is not declared as JSON"), None
        try:
            chat = ChatRequest.model_validate_json(incoming.body)
        except ValidationError as invalid:
            places = ", ".join(".".join(map(str, e["loc"])) + f" ({e['type']})" for e in invalid.errors())
            return self._refuse(400, f"invalid request: {places}"), None
        if chat.model not in self._models:
            return error(404, f"The model '{chat.model}' does not exist", code="model_not_found"), chat
        problem = self.dialect.problem(chat)
        if problem is not None:
            code, param, message = problem
            return error(400, message, code=code, param=param), chat
        return self._scripted(chat), chat

    def _scripted(self, chat: ChatRequest) -> Reply:
        if self._script is not None:
            answer = self._script(chat)
        elif self._queue:
            answer = self._queue.pop(0)
            answer = answer(chat) if callable(answer) else answer
        else:
            return self._refuse(500, "no answer is left in the script")
        if isinstance(answer, Reply):
            return answer
        return completion(answer, model=chat.model, prompt_tokens=(len(chat.system) + len(chat.user)) // 4 + 1)

    def _refuse(self, status: int, message: str) -> Reply:
        self.violations.append(message)
        return error(status, message)
