"""Chat completions: what each request must be like, at the addresses of OpenAI, of its imitators and of Azure."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from typing import Any
from urllib.parse import parse_qs

from pydantic import ValidationError

from emulators.github.incoming import Incoming
from emulators.models.core import ModelEmulator, json_reply
from emulators.models.said import Failed, Reply, Said
from emulators.openai import render
from emulators.openai.shapes import ChatRequest, Dialect

_AZURE = re.compile(r"/openai/deployments/([^/]+)/chat/completions")
_AZURE_VERSIONS = ("2024-10-21", "2024-06-01")


class OpenAIEmulator(ModelEmulator):
    """Serves `/v1/models` and `/v1/chat/completions`; with a dialect for Azure its two forms of address instead."""

    def __init__(
        self,
        answers: Callable[[ChatRequest], Any] | Iterable[Any] = (),
        *,
        key: str | None = "emulated-key",
        models: Sequence[str] = ("test-model",),
        dialect: Dialect | None = None,
    ) -> None:
        super().__init__(answers, key=key, models=models)
        self.dialect = dialect or Dialect()

    @property
    def url(self) -> str:
        """The base URL that clients are given; Azure's dated form for a dialect of Azure."""
        if self.dialect.azure:
            return f"{self.origin}/openai/deployments/{self.models[0]}"
        return f"{self.origin}/v1"

    async def start(self, host: str = "127.0.0.1", port: int = 0) -> str:
        """Listen; answers the base URL."""
        await super().start(host, port)
        return self.url

    @property
    def chats(self) -> list[ChatRequest]:
        """The chat requests that were understood, in order."""
        return self.asked

    def respond(self, incoming: Incoming) -> tuple[Reply, Any]:
        """Answer a request, and what was understood of it."""
        if not self._is_allowed(incoming):
            return self.fail(Failed(401, "auth", "Incorrect API key provided")), None
        deployment = self._deployment(incoming)
        if (incoming.method, incoming.path) in (("GET", "/v1/models"), ("GET", "/openai/v1/models")):
            return self._listed(), None
        if incoming.method != "POST" or deployment is None:
            return self.refuse(404, "not_found", f"no such route: {incoming.method} {incoming.path}"), None
        return self._chat(incoming, deployment)

    def render(self, said: Said, asked: ChatRequest) -> Reply:
        """Answer what a model says in the wire's shape."""
        return render.stream(said, asked) if asked.stream else render.whole(said, asked)

    def fail(self, failed: Failed) -> Reply:
        """Answer a failure in OpenAI's shape."""
        return render.failure(failed)

    def _is_allowed(self, incoming: Incoming) -> bool:
        if self.key is None:
            return True
        proofs = {incoming.headers.get("authorization") == f"Bearer {self.key}"}
        if self.dialect.azure:
            proofs.add(incoming.headers.get("api-key") == self.key)
        return True in proofs

    def _deployment(self, incoming: Incoming) -> str | None:
        """The model that an address is for, "" for one that leaves it to the body; None for no address."""
        if not self.dialect.azure:
            return "" if incoming.path == "/v1/chat/completions" else None
        if incoming.path == "/openai/v1/chat/completions":
            return ""
        found = _AZURE.fullmatch(incoming.path)
        version = parse_qs(incoming.query).get("api-version", [""])[0]
        return found[1] if found and version in _AZURE_VERSIONS else None

    def _listed(self) -> Reply:
        reply = self.models_reply
        if reply is not None:
            return self.fail(reply) if isinstance(reply, Failed) else reply
        listed = [{"id": m, "object": "model", "created": 1, "owned_by": "emulator"} for m in self.models]
        return json_reply({"object": "list", "data": listed})

    def _chat(self, incoming: Incoming, deployment: str) -> tuple[Reply, ChatRequest | None]:
        if incoming.headers.get("content-type", "").partition(";")[0] != "application/json":
            return self.refuse(415, "bad_request", "the body is not declared as JSON"), None
        try:
            chat = ChatRequest.model_validate_json(incoming.body)
        except ValidationError as invalid:
            places = ", ".join(".".join(map(str, e["loc"])) + f" ({e['type']})" for e in invalid.errors())
            return self.refuse(400, "bad_request", f"invalid request: {places}"), None
        if (deployment or chat.model) not in self.models:
            return self.fail(Failed(404, "not_found", f"The model '{chat.model}' does not exist")), chat
        problem = self.dialect.problem(chat)
        if problem is not None:
            code, param, message = problem
            return render.failure(Failed(400, "bad_request", message, param), code=code), chat
        if wrong := self.dialect.violation(chat):
            return self.refuse(400, "bad_request", wrong), chat
        return self.scripted(chat), chat
