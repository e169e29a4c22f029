"""What a model says, and how a server fails, in the shapes of chat completions."""

from __future__ import annotations

from typing import Any

from emulators.models.core import as_event, json_reply, pieces_of, stream_reply, text_of
from emulators.models.said import Failed, Reply, Said
from emulators.openai.shapes import ChatRequest

_FINISH = {"length": "length", "filter": "content_filter", "tool": "tool_calls", "none": None}
# code and type of an error object
_KINDS = {
    "auth": ("invalid_api_key", "invalid_request_error"),
    "permission": ("permission_denied", "invalid_request_error"),
    "payment": ("billing_not_active", "billing_not_active"),
    "quota": ("insufficient_quota", "insufficient_quota"),
    "not_found": ("model_not_found", "invalid_request_error"),
    "context": ("context_length_exceeded", "invalid_request_error"),
    "filter": ("content_filter", "invalid_request_error"),
    "rate_limit": ("rate_limit_exceeded", "requests"),
    "overloaded": ("overloaded", "server_error"),
    "server": (None, "server_error"),
    "bad_request": (None, "invalid_request_error"),
}


def failure(failed: Failed, code: str | None = None) -> Reply:
    """Answer an error object under its status."""
    headers = dict(failed.headers) | ({"retry-after": failed.retry} if failed.retry is not None else {})
    return json_reply({"error": error_object(failed, code)}, failed.status, headers | {"x-request-id": "req-emulated"})


def error_object(failed: Failed, code: str | None = None) -> dict[str, Any]:
    """Answer the error object alone."""
    told, kind = _KINDS[failed.kind]
    return {"message": failed.message, "type": kind, "param": failed.param, "code": code or told}


def whole(said: Said, asked: ChatRequest) -> Reply:
    """Answer a completion."""
    message: dict[str, Any] = {"role": "assistant", "content": text_of(said), "refusal": None}
    if said.finish == "refusal":
        message |= {"content": None, "refusal": text_of(said)}
    if said.thought:
        message["reasoning_content"] = said.thought
    choice = {"index": 0, "message": message, "finish_reason": finish_of(said), "logprobs": None}
    body = _frame(asked, "chat.completion") | {"choices": [choice]}
    if said.counted:
        body["usage"] = usage_of(said, asked)
    return json_reply(body, headers={"x-request-id": "req-emulated"})


def stream(said: Said, asked: ChatRequest) -> Reply:
    """Answer the events of a completion."""
    frame = _frame(asked, "chat.completion.chunk")
    field = "refusal" if said.finish == "refusal" else "content"
    deltas: list[dict[str, Any]] = [{"role": "assistant", "content": ""}]
    deltas += [{"reasoning_content": said.thought}] if said.thought else []
    deltas += [{field: piece} for piece in pieces_of(text_of(said))]
    events = [as_event(frame | {"choices": [_choice(delta)]}) for delta in deltas]
    marks = [as_event(frame | {"choices": [_choice({}, finish_of(said))]})]
    if said.counted and asked.stream_options is not None:
        marks.append(as_event(frame | {"choices": [], "usage": usage_of(said, asked)}))
    error = as_event({"error": error_object(Failed(500, said.error))})
    return stream_reply(said, events, [*marks, as_event("[DONE]")], error)


def finish_of(said: Said) -> str | None:
    """Answer the finish reason."""
    return _FINISH.get(said.finish, "stop")


def usage_of(said: Said, asked: ChatRequest) -> dict[str, Any]:
    """Answer the usage; cached tokens are among those of the prompt."""
    sent = said.input if said.input is not None else asked.length // 4 + 1
    return {
        "prompt_tokens": sent,
        "completion_tokens": said.output,
        "total_tokens": sent + said.output,
        "prompt_tokens_details": {"cached_tokens": said.cached, "cache_write_tokens": said.written},
        "completion_tokens_details": {"reasoning_tokens": said.reasoning},
    }


def _frame(asked: ChatRequest, kind: str) -> dict[str, Any]:
    return {"id": "chatcmpl-emulated", "object": kind, "created": 1_700_000_000, "model": asked.model}


def _choice(delta: dict[str, Any], finish: str | None = None) -> dict[str, Any]:
    return {"index": 0, "delta": delta, "finish_reason": finish, "logprobs": None}
