"""Anthropic's messages, as the Anthropic API and Vertex have them, through the official SDK."""

from collections.abc import AsyncIterator, Mapping
from typing import Any

import anthropic
import httpx2

from services.llm_gateway.providers.faults import Fault, ProviderError
from services.llm_gateway.providers.reading import count, parse_object
from services.llm_gateway.providers.types import Effort, Rung
from services.llm_gateway.providers.usage import Usage
from services.llm_gateway.providers.wire import Ask, Connection, Reply

_FINISHED = frozenset({"end_turn", "stop_sequence"})
_LENGTH = frozenset({"max_tokens", "model_context_window_exceeded"})
_EFFORT = {Effort.MINIMAL: "low"}


async def complete(connection: Connection, ask: Ask) -> Reply:
    """Ask once for a whole answer."""
    response = await connection.sdk.post("/v1/messages", body=_body(ask), cast_to=httpx2.Response)
    answer = parse_object(response.content)
    if answer.get("type") == "error":
        raise ProviderError(Fault.ERROR_IN_ANSWER)
    content = answer.get("content")
    if not isinstance(content, list):
        raise ProviderError(Fault.NO_COMPLETION)
    texts = [b.get("text") for b in content if isinstance(b, dict) and b.get("type") == "text"]
    usage = read_usage(answer.get("usage"))
    finish = _finished(answer.get("stop_reason"), usage)
    return Reply("".join(t for t in texts if isinstance(t, str)), finish, _name(answer), usage)


async def stream(connection: Connection, ask: Ask) -> AsyncIterator[str | Reply]:
    """Ask once for pieces of text and, last, the Reply; usage comes in the first and the last events."""
    pieces: list[str] = []
    told: dict[str, Any] = {}
    stopped, is_closed, name = None, False, ""
    async with await connection.sdk.post(
        "/v1/messages",
        body=_body(ask) | {"stream": True},
        cast_to=object,
        stream=True,
        stream_cls=anthropic.AsyncStream[object],
    ) as events:
        async for event in events:
            if not isinstance(event, dict):
                raise ProviderError(Fault.NO_COMPLETION)
            kind, delta = event.get("type"), _inner(event, "delta")
            if kind == "message_start":
                message = _inner(event, "message")
                told, name = dict(_inner(message, "usage")), _name(message)
            elif kind == "content_block_delta" and isinstance(delta.get("text"), str) and delta["text"]:
                pieces.append(delta["text"])
                yield delta["text"]
            elif kind == "message_delta":
                stopped = delta.get("stop_reason") or stopped
                told |= {k: v for k, v in _inner(event, "usage").items() if v is not None}
            elif kind == "message_stop":
                is_closed = True
    usage = read_usage(told)
    if not is_closed:
        raise ProviderError(Fault.NO_FINISH, usage=usage)
    yield Reply("".join(pieces), _finished(stopped, usage), name, usage)


def read_usage(found: object) -> Usage | None:
    """Answer the tokens; Anthropic's input leaves out what the cache read and wrote, ours does not."""
    if not isinstance(found, Mapping) or not isinstance(found.get("input_tokens"), int):
        return None
    cached, written = count(found.get("cache_read_input_tokens")), count(found.get("cache_creation_input_tokens"))
    sent, received = count(found["input_tokens"]) + cached + written, count(found.get("output_tokens"))
    if not sent:
        return None
    return Usage(sent, cached, written, received, count(_inner(found, "output_tokens_details").get("thinking_tokens")))


def _body(ask: Ask) -> dict[str, Any]:
    # The prefix is the same byte for byte from call to call, so it is worth a place in the provider's cache.
    system = [{"type": "text", "text": ask.instructions, "cache_control": {"type": "ephemeral"}}]
    messages = [{"role": turn.role, "content": turn.text} for turn in ask.turns]
    body: dict[str, Any] = {
        "model": ask.model,
        "max_tokens": ask.max_output_tokens,
        "system": system,
        "messages": messages,
    }
    output: dict[str, Any] = {}
    if ask.effort is Effort.NONE:
        body["thinking"] = {"type": "disabled"}
    elif ask.effort is not None:
        output["effort"] = _EFFORT.get(ask.effort, ask.effort.value)
    if ask.schema is not None and ask.shape.rung is Rung.JSON_SCHEMA:
        output["format"] = {"type": "json_schema", "schema": ask.schema}
    return body | ({"output_config": output} if output else {})


def _finished(reason: object, usage: Usage | None) -> str:
    if reason == "refusal":
        raise ProviderError(Fault.REFUSAL, usage=usage)
    if reason in _LENGTH:
        raise ProviderError(Fault.INCOMPLETE, usage=usage)
    if reason not in _FINISHED:
        raise ProviderError(Fault.NO_FINISH, usage=usage)
    return str(reason)


def _inner(found: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    inner = found.get(name)
    return inner if isinstance(inner, dict) else {}


def _name(answer: Mapping[str, Any]) -> str:
    name = answer.get("model")
    return name if isinstance(name, str) else ""
