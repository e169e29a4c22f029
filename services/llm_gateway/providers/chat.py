"""Chat completions, as OpenAI, Azure and every compatible server have them, through the official SDK."""

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import httpx2
import openai

from services.llm_gateway.providers.faults import Fault, ProviderError
from services.llm_gateway.providers.reading import count, error_of, parse_object
from services.llm_gateway.providers.types import Effort, Model, Rung
from services.llm_gateway.providers.usage import Usage
from services.llm_gateway.providers.wire import Ask, Connection, Network, Reply

RUNGS = (Rung.JSON_SCHEMA, Rung.JSON_OBJECT, Rung.INSTRUCTIONS)
_FINISHED = frozenset({"stop", "eos", "end_turn", "stop_sequence", "STOP"})
_MAX_MODELS = 1000


@dataclass(frozen=True, slots=True)
class Dialect:
    """What one server of this wire has of its own: a name for the effort, settings that each request carries."""

    effort: str = "reasoning_effort"  # or "reasoning": an object with `effort`
    extra: Mapping[str, Any] = field(default_factory=dict)


def connect(
    model: Model,
    network: Network,
    base_url: str,
    *,
    headers: Mapping[str, str] | None = None,
    query: Mapping[str, str] | None = None,
    style: str = "bearer",
) -> Connection:
    """Build the SDK's client; `style` of the credential is bearer or api-key, and without a key nothing is sent."""
    key = model.api_key
    proof = {} if not key else {"api-key": key} if style == "api-key" else {"Authorization": f"Bearer {key}"}

    async def credential() -> Mapping[str, str]:
        return proof

    http = network.open_client(model, credential)
    sdk = openai.AsyncOpenAI(
        api_key="set by the transport",
        base_url=base_url,
        max_retries=0,
        timeout=None,
        http_client=http,
        default_headers=headers,
        default_query=query,
    )
    return Connection(sdk, http, (key,) if key else ())


async def complete(connection: Connection, ask: Ask, dialect: Dialect) -> Reply:
    """Ask once for a whole answer."""
    response = await connection.sdk.post("/chat/completions", body=_body(ask, dialect), cast_to=httpx2.Response)
    answer = parse_object(response.content)
    choice = _first(answer)
    message = choice.get("message") if choice else None
    if choice is None or not isinstance(message, dict):
        raise ProviderError(Fault.NO_COMPLETION)
    content = message.get("content")
    if content is not None and not isinstance(content, str):
        raise ProviderError(Fault.NO_COMPLETION)
    usage = read_usage(answer.get("usage"))
    finish = _finished(choice, message.get("refusal"), usage)
    return Reply(content or "", finish, _name(answer), usage)


async def stream(connection: Connection, ask: Ask, dialect: Dialect) -> AsyncIterator[str | Reply]:
    """Ask once for pieces of text and, last, the Reply."""
    body = _body(ask, dialect) | {"stream": True}
    if ask.shape.stream_usage:
        body["stream_options"] = {"include_usage": True}
    pieces: list[str] = []
    refused, finish, name = "", "", ""
    last: Mapping[str, Any] = {}
    usage: Usage | None = None
    async with await connection.sdk.post(
        "/chat/completions", body=body, cast_to=object, stream=True, stream_cls=openai.AsyncStream[object]
    ) as events:
        async for event in events:
            if not isinstance(event, dict):
                raise ProviderError(Fault.NO_COMPLETION)
            usage, name = read_usage(event.get("usage")) or usage, _name(event) or name
            choice = _first(event)
            if choice is None:
                continue
            delta = choice.get("delta")
            delta = delta if isinstance(delta, dict) else {}
            if isinstance(delta.get("refusal"), str):
                refused += delta["refusal"]
            if isinstance(delta.get("content"), str) and delta["content"]:
                pieces.append(delta["content"])
                yield delta["content"]
            if choice.get("finish_reason") or choice.get("error"):
                last = choice
    finish = _finished(last, refused, usage)
    yield Reply("".join(pieces), finish, name, usage)


async def list_models(connection: Connection) -> list[str]:
    """Answer the names in the order of the server's GET /models."""
    answer = parse_object((await connection.sdk.get("/models", cast_to=httpx2.Response)).content)
    data = answer.get("data")
    if not isinstance(data, list):
        raise ProviderError(Fault.NO_COMPLETION)
    names = [entry.get("id") for entry in data[:_MAX_MODELS] if isinstance(entry, dict)]
    return [name for name in names if isinstance(name, str) and name]


def read_usage(found: object) -> Usage | None:
    """Answer the tokens, cached ones always among the input; None where the server does not tell."""
    if not isinstance(found, dict) or not count(found.get("prompt_tokens")):
        return None
    sent, received = count(found["prompt_tokens"]), count(found.get("completion_tokens"))
    inputs, outputs = _inner(found, "prompt_tokens_details"), _inner(found, "completion_tokens_details")
    cached = (
        count(inputs.get("cached_tokens"))
        or count(found.get("prompt_cache_hit_tokens"))
        or count(found.get("cache_read_input_tokens"))
    )
    if cached > sent:  # a server that counts cached tokens apart
        sent += cached
    written, reasoning = count(inputs.get("cache_write_tokens")), count(outputs.get("reasoning_tokens"))
    return Usage(sent, cached, written, max(received, reasoning), reasoning)


def _body(ask: Ask, dialect: Dialect) -> dict[str, Any]:
    messages = [{"role": "system", "content": ask.instructions}]
    messages += [{"role": turn.role, "content": turn.text} for turn in ask.turns]
    body: dict[str, Any] = {"model": ask.model, "messages": messages, ask.shape.limit: ask.max_output_tokens}
    if ask.temperature is not None:
        body["temperature"] = ask.temperature
    if ask.effort is not None:
        value = "xhigh" if dialect.effort == "reasoning" and ask.effort is Effort.MAX else ask.effort.value
        body |= {"reasoning": {"effort": value}} if dialect.effort == "reasoning" else {"reasoning_effort": value}
    if ask.schema is not None and ask.shape.rung is Rung.JSON_SCHEMA:
        schema = {"name": "answer", "strict": True, "schema": ask.schema}
        body["response_format"] = {"type": "json_schema", "json_schema": schema}
    elif ask.schema is not None and ask.shape.rung is Rung.JSON_OBJECT:
        body["response_format"] = {"type": "json_object"}
    return body | dict(dialect.extra)


def _finished(choice: Mapping[str, Any], refusal: object, usage: Usage | None) -> str:
    finish = choice.get("finish_reason")
    if choice.get("error"):
        error = error_of(choice["error"])
        error.usage = usage
        raise error
    if finish == "content_filter":
        raise ProviderError(Fault.CONTENT_FILTER, usage=usage)
    if refusal:
        words = refusal if isinstance(refusal, str) else ""
        raise ProviderError(Fault.REFUSAL, words=words, usage=usage)
    if finish == "length":
        raise ProviderError(Fault.INCOMPLETE, usage=usage)
    if finish == "error":
        raise ProviderError(Fault.ERROR_IN_ANSWER, usage=usage)
    if finish not in _FINISHED:
        raise ProviderError(Fault.NO_FINISH, usage=usage)
    return str(finish)


def _first(answer: Mapping[str, Any]) -> Mapping[str, Any] | None:
    choices = answer.get("choices")
    choice = choices[0] if isinstance(choices, list) and choices else None
    return choice if isinstance(choice, dict) else None


def _inner(found: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    inner = found.get(name)
    return inner if isinstance(inner, dict) else {}


def _name(answer: Mapping[str, Any]) -> str:
    name = answer.get("model")
    return name if isinstance(name, str) else ""
