"""Google's generateContent, as the Gemini API and Vertex have it, through the official SDK."""

import re
from collections.abc import AsyncIterator, Mapping
from typing import Any

import httpx2
from google import genai
from google.genai import types

from services.llm_gateway.providers.faults import Fault, ProviderError
from services.llm_gateway.providers.reading import count, parse_object
from services.llm_gateway.providers.transport import tls
from services.llm_gateway.providers.types import Effort, Rung
from services.llm_gateway.providers.usage import Usage
from services.llm_gateway.providers.wire import Ask, Connection, Reply

RUNGS = (Rung.JSON_SCHEMA, Rung.JSON_OBJECT, Rung.INSTRUCTIONS)
_FILTERED = frozenset(
    {"SAFETY", "RECITATION", "BLOCKLIST", "PROHIBITED_CONTENT", "SPII", "MODEL_ARMOR", "ESCALATION", "LANGUAGE"}
)
_MAX_MODELS = 1000
# Tokens of thinking for models before Gemini 3, which know a budget and no level.
_BUDGETS = {
    Effort.NONE: 0,
    Effort.MINIMAL: 512,
    Effort.LOW: 2048,
    Effort.MEDIUM: 8192,
    Effort.HIGH: 24_576,
    Effort.XHIGH: 24_576,
    Effort.MAX: 24_576,
}
_LEVELS = {Effort.NONE: "MINIMAL", Effort.MINIMAL: "MINIMAL", Effort.LOW: "LOW", Effort.MEDIUM: "MEDIUM"}
_OLD = re.compile(r"gemini-[12]\b")


def build(http: httpx2.AsyncClient, **settings: Any) -> Any:
    """Build the SDK's client around ours; `options` are those of its HTTP."""
    # Without a client of its own the SDK would make one for calls that we never make.
    unused = httpx2.Client(transport=httpx2.MockTransport(lambda request: httpx2.Response(500)), trust_env=False)
    # Nor would it do without certificates for web sockets, which it reads for each client unless it is given some.
    certificates = {"ssl": tls()}
    options = types.HttpOptions(
        httpx_async_client=http, httpx_client=unused, async_client_args=certificates, **settings.pop("options")
    )
    return genai.Client(http_options=options, **settings)


async def complete(connection: Connection, ask: Ask) -> Reply:
    """Ask once for a whole answer."""
    config = _config(ask)
    config.should_return_http_response = True
    found = await connection.sdk.aio.models.generate_content(model=ask.model, contents=_contents(ask), config=config)
    answer = parse_object((found.sdk_http_response and found.sdk_http_response.body) or "")
    reading = _Reading()
    reading.take(answer)
    return reading.reply()


async def stream(connection: Connection, ask: Ask) -> AsyncIterator[str | Reply]:
    """Ask once for pieces of text and, last, the Reply."""
    reading = _Reading()
    events = await connection.sdk.aio.models.generate_content_stream(
        model=ask.model, contents=_contents(ask), config=_config(ask)
    )
    try:
        async for event in events:
            text = reading.take(event.model_dump(mode="json", by_alias=True, exclude_none=True))
            if text:
                yield text
    except RecursionError:  # the SDK parses each text as JSON where a schema was sent
        raise ProviderError(Fault.SCHEMA_MISMATCH) from None
    finally:
        await events.aclose()
    yield reading.reply()


async def list_models(connection: Connection, config: Mapping[str, Any] | None = None) -> list[str]:
    """Answer the names of the models that can generate text."""
    names: list[str] = []
    async for model in await connection.sdk.aio.models.list(config=dict(config or {})):
        actions = model.supported_actions
        if model.name and (not actions or "generateContent" in actions):
            names.append(model.name.removeprefix("publishers/google/").removeprefix("models/"))
        if len(names) >= _MAX_MODELS:
            break
    return names


def read_usage(found: object) -> Usage | None:
    """Answer the tokens; Google's input has the cached ones in it, its output leaves out the thoughts."""
    if not isinstance(found, Mapping) or not count(found.get("promptTokenCount")):
        return None
    thoughts = count(found.get("thoughtsTokenCount"))
    return Usage(
        count(found["promptTokenCount"]) + count(found.get("toolUsePromptTokenCount")),
        count(found.get("cachedContentTokenCount")),
        0,
        count(found.get("candidatesTokenCount")) + thoughts,
        thoughts,
    )


class _Reading:
    """Collects what one answer, or the events of a stream, say."""

    def __init__(self) -> None:
        self._pieces: list[str] = []
        self._usage: Usage | None = None
        self._finish = ""
        self._name = ""
        self._is_blocked = False
        self._has_candidate = False

    def take(self, answer: Mapping[str, Any]) -> str:
        """Take one event; answers the text in it, without thoughts."""
        self._usage = read_usage(answer.get("usageMetadata")) or self._usage
        name = answer.get("modelVersion")
        self._name = name if isinstance(name, str) else self._name
        feedback = answer.get("promptFeedback")
        self._is_blocked |= isinstance(feedback, dict) and bool(feedback.get("blockReason"))
        candidates = answer.get("candidates")
        candidate = candidates[0] if isinstance(candidates, list) and candidates else None
        if not isinstance(candidate, dict):
            return ""
        self._has_candidate = True
        finish = candidate.get("finishReason")
        self._finish = finish if isinstance(finish, str) else self._finish
        content = candidate.get("content")
        parts = content.get("parts") if isinstance(content, dict) else None
        texts = [p.get("text") for p in parts or () if isinstance(p, dict) and not p.get("thought")]
        text = "".join(t for t in texts if isinstance(t, str))
        self._pieces.append(text)
        return text

    def reply(self) -> Reply:
        """Answer the whole, or what is wrong with it: much of what Google refuses comes as a silent success."""
        usage = self._usage
        if self._is_blocked or self._finish in _FILTERED:
            raise ProviderError(Fault.CONTENT_FILTER, usage=usage, words=self._finish)
        if not self._has_candidate:
            raise ProviderError(Fault.NO_COMPLETION, usage=usage)
        if self._finish in ("MAX_TOKENS", "CONTINUATION"):
            raise ProviderError(Fault.INCOMPLETE, usage=usage)
        if self._finish != "STOP":
            raise ProviderError(Fault.NO_FINISH, usage=usage, words=self._finish)
        return Reply("".join(self._pieces), self._finish, self._name, usage)


def _contents(ask: Ask) -> list[types.Content]:
    roles = {"user": "user", "assistant": "model"}
    return [types.Content(role=roles[turn.role], parts=[types.Part(text=turn.text)]) for turn in ask.turns]


def _config(ask: Ask) -> types.GenerateContentConfig:
    config = types.GenerateContentConfig(
        system_instruction=ask.instructions,
        max_output_tokens=ask.max_output_tokens,
        temperature=ask.temperature,
        automatic_function_calling=types.AutomaticFunctionCallingConfig(disable=True),
    )
    if ask.effort is not None:
        if _OLD.match(ask.model):
            config.thinking_config = types.ThinkingConfig(thinking_budget=_BUDGETS[ask.effort])
        else:
            level = types.ThinkingLevel(_LEVELS.get(ask.effort, "HIGH"))
            config.thinking_config = types.ThinkingConfig(thinking_level=level)
    if ask.schema is not None and ask.shape.rung in (Rung.JSON_SCHEMA, Rung.JSON_OBJECT):
        config.response_mime_type = "application/json"
    if ask.schema is not None and ask.shape.rung is Rung.JSON_SCHEMA:
        config.response_json_schema = dict(ask.schema)
    return config
