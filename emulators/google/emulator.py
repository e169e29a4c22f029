"""The Gemini API: what each request must be like."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from typing import Any
from urllib.parse import parse_qs

from pydantic import ValidationError

from emulators.github.incoming import Incoming
from emulators.google import render
from emulators.google.shapes import GenerateRequest, Knows
from emulators.models.core import ModelEmulator, json_reply
from emulators.models.said import Failed, Reply, Said
from emulators.openai.shapes import schema_problem

_ROUTE = re.compile(r"/v1/models/([^/:]+):(generateContent|streamGenerateContent)")


class GeminiEmulator(ModelEmulator):
    """Serves `/v1/models` and `:generateContent`, `:streamGenerateContent` of each."""

    def __init__(
        self,
        answers: Callable[[GenerateRequest], Any] | Iterable[Any] = (),
        *,
        key: str | None = "emulated-key",
        models: Sequence[str] = ("gemini-test",),
        knows: Knows | None = None,
    ) -> None:
        super().__init__(answers, key=key, models=models)
        self.knows = knows or Knows()

    def respond(self, incoming: Incoming) -> tuple[Reply, Any]:
        """Answer a request, and what was understood of it."""
        if self.key is not None and incoming.headers.get("x-goog-api-key") != self.key:
            return self.fail(Failed(400, "auth", "API key not valid. Please pass a valid API key.")), None
        if (incoming.method, incoming.path) == ("GET", "/v1/models"):
            return self.listed("models/"), None
        found = _ROUTE.fullmatch(incoming.path)
        if incoming.method != "POST" or found is None:
            return self.refuse(404, "not_found", f"no such route: {incoming.method} {incoming.path}"), None
        return self.generate(incoming, found[1], found[2])

    def generate(self, incoming: Incoming, model: str, method: str) -> tuple[Reply, Any]:
        """Answer a request for content."""
        is_stream = method == "streamGenerateContent"
        if is_stream and parse_qs(incoming.query).get("alt") != ["sse"]:
            return self.refuse(400, "bad_request", "a stream that is no server-sent events is not emulated"), None
        try:
            asked = GenerateRequest.model_validate_json(incoming.body)
        except ValidationError as invalid:
            first = invalid.errors()[0]
            place = ".".join(map(str, first["loc"]))
            words = f'Invalid JSON payload received. Unknown name "{place}"'
            if first["type"] != "extra_forbidden":
                words = f"Invalid value at '{place}': {first['msg']}"
            return self.refuse(400, "bad_request", words), None
        if asked.model or asked.stream:
            return self.refuse(400, "bad_request", 'Unknown name "model" or "stream"'), None
        asked.model, asked.stream = model, is_stream
        if model not in self.models:
            return self.fail(Failed(404, "not_found", f"models/{model} is not found for API version v1")), asked
        if problem := self.knows.problem(asked):
            return self.fail(Failed(400, "bad_request", problem)), asked
        schema = asked.generationConfig.responseJsonSchema
        wrong = self.knows.violation(asked) or (schema_problem(schema) if schema is not None else None)
        if wrong:
            return self.refuse(400, "bad_request", wrong), asked
        return self.scripted(asked), asked

    def listed(self, prefix: str) -> Reply:
        """Answer the list of models."""
        reply = self.models_reply
        if reply is not None:
            return self.fail(reply) if isinstance(reply, Failed) else reply
        listed = [{"name": f"{prefix}{m}", "supportedGenerationMethods": ["generateContent"]} for m in self.models]
        other = {"name": f"{prefix}embedding-test", "supportedGenerationMethods": ["embedContent"]}
        return json_reply({"models": [*listed, other]})

    def render(self, said: Said, asked: GenerateRequest) -> Reply:
        """Answer what a model says in the wire's shape."""
        return render.stream(said, asked) if asked.stream else render.whole(said, asked)

    def fail(self, failed: Failed) -> Reply:
        """Answer a failure in Google's shape."""
        return render.failure(failed)
