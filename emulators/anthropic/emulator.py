"""The Anthropic API: what each request must be like."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from pydantic import ValidationError

from emulators.anthropic import render
from emulators.anthropic.shapes import VERSIONS, Abilities, MessagesRequest
from emulators.github.incoming import Incoming
from emulators.models.core import ModelEmulator, json_reply
from emulators.models.said import Failed, Reply, Said
from emulators.openai.shapes import schema_problem


class AnthropicEmulator(ModelEmulator):
    """Serves `/v1/messages` and `/v1/models`."""

    def __init__(
        self,
        answers: Callable[[MessagesRequest], Any] | Iterable[Any] = (),
        *,
        key: str | None = "emulated-key",
        models: Sequence[str] = ("claude-test",),
        abilities: Abilities | None = None,
    ) -> None:
        super().__init__(answers, key=key, models=models)
        self.abilities = abilities or Abilities()

    def respond(self, incoming: Incoming) -> tuple[Reply, Any]:
        """Answer a request, and what was understood of it."""
        proofs = (incoming.headers.get("authorization"), incoming.headers.get("x-api-key"))
        if self.key is not None and f"Bearer {self.key}" != proofs[0] and self.key != proofs[1]:
            return self.fail(Failed(401, "auth", "invalid x-api-key")), None
        if incoming.headers.get("anthropic-version") not in VERSIONS:
            return self.refuse(400, "bad_request", "anthropic-version: header is required"), None
        if (incoming.method, incoming.path) == ("GET", "/v1/models"):
            return self._listed(), None
        if (incoming.method, incoming.path) != ("POST", "/v1/messages"):
            return self.refuse(404, "not_found", f"no such route: {incoming.method} {incoming.path}"), None
        return self.messages(incoming, "")

    def messages(self, incoming: Incoming, model: str) -> tuple[Reply, Any]:
        """Answer a request for a message; `model` is that of a path."""
        try:
            asked = MessagesRequest.model_validate_json(incoming.body)
        except ValidationError as invalid:
            first = invalid.errors()[0]
            place = ".".join(map(str, first["loc"]))
            words = "Extra inputs are not permitted" if first["type"] == "extra_forbidden" else first["msg"]
            return self.refuse(400, "bad_request", f"{place}: {words}"), None
        if bool(model) == bool(asked.model) or bool(model) != (asked.anthropic_version in VERSIONS):
            return self.refuse(400, "bad_request", "model or anthropic_version: not where they belong"), None
        asked.model = asked.model or model
        if asked.model not in self.models:
            return self.fail(Failed(404, "not_found", f"model: {asked.model}")), asked
        if problem := self.abilities.problem(asked):
            return self.fail(Failed(400, "bad_request", problem)), asked
        if asked.output_config and asked.output_config.format:
            wrong = schema_problem(asked.output_config.format.schema_)
            if wrong:
                return self.refuse(400, "bad_request", f"output_config.format.schema: {wrong}"), asked
        return self.scripted(asked), asked

    def render(self, said: Said, asked: MessagesRequest) -> Reply:
        """Answer what a model says in the wire's shape."""
        return render.stream(said, asked) if asked.stream else render.whole(said, asked)

    def fail(self, failed: Failed) -> Reply:
        """Answer a failure in Anthropic's shape."""
        return render.failure(failed)

    def _listed(self) -> Reply:
        reply = self.models_reply
        if reply is not None:
            return self.fail(reply) if isinstance(reply, Failed) else reply
        listed = [
            {"id": m, "type": "model", "display_name": m, "created_at": "2026-01-01T00:00:00Z"} for m in self.models
        ]
        return json_reply({"data": listed, "has_more": False, "first_id": listed[0]["id"], "last_id": listed[-1]["id"]})
