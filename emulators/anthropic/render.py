"""What a model says, and how a server fails, in the shapes of Anthropic's messages."""

from __future__ import annotations

from typing import Any

from emulators.anthropic.shapes import MessagesRequest
from emulators.models.core import as_event, json_reply, pieces_of, stream_reply, text_of
from emulators.models.said import Failed, Reply, Said

_REASONS = {"length": "max_tokens", "refusal": "refusal", "filter": "refusal", "tool": "tool_use", "none": None}
_KINDS = {
    "auth": "authentication_error",
    "permission": "permission_error",
    "payment": "billing_error",
    "quota": "billing_error",
    "not_found": "not_found_error",
    "context": "invalid_request_error",
    "filter": "invalid_request_error",
    "rate_limit": "rate_limit_error",
    "overloaded": "overloaded_error",
    "server": "api_error",
    "bad_request": "invalid_request_error",
}


def failure(failed: Failed) -> Reply:
    """Answer an error under its status."""
    headers = dict(failed.headers) | ({"retry-after": failed.retry} if failed.retry is not None else {})
    return json_reply(error_object(failed), failed.status, headers | {"request-id": "req_emulated"})


def error_object(failed: Failed) -> dict[str, Any]:
    """Answer the whole error, as it also comes in a stream."""
    message = failed.message
    if failed.kind == "context":
        message = f"prompt is too long: 300000 tokens > 200000 maximum ({message})"
    return {
        "type": "error",
        "error": {"type": _KINDS[failed.kind], "message": message},
        "request_id": "req_emulated",
    }


def whole(said: Said, asked: MessagesRequest) -> Reply:
    """Answer a message."""
    content: list[dict[str, Any]] = [{"type": "text", "text": text_of(said)}] if text_of(said) else []
    if said.thought:
        content.insert(0, {"type": "thinking", "thinking": said.thought, "signature": "emulated"})
    body = _message(asked) | {"content": content, "stop_reason": reason_of(said)}
    if said.counted:
        body["usage"] = _input(said, asked) | _output(said)
    return json_reply(body, headers={"request-id": "req_emulated"})


def stream(said: Said, asked: MessagesRequest) -> Reply:
    """Answer the events of a message."""
    start = _message(asked) | {"content": [], "stop_reason": None}
    if said.counted:
        start["usage"] = _input(said, asked) | {"output_tokens": 1}
    events = [_event("message_start", message=start), as_event({"type": "ping"}, "ping")]
    blocks: list[tuple[str, list[str]]] = [("thinking", pieces_of(said.thought))] if said.thought else []
    for index, (kind, pieces) in enumerate([*blocks, ("text", pieces_of(text_of(said)))]):
        events.append(_event("content_block_start", index=index, content_block={"type": kind, kind: ""}))
        for piece in pieces:
            events.append(_event("content_block_delta", index=index, delta={"type": f"{kind}_delta", kind: piece}))
        events.append(_event("content_block_stop", index=index))
    delta = {"stop_reason": reason_of(said), "stop_sequence": None}
    counted = {"usage": _output(said)} if said.counted else {}
    marks = [_event("message_delta", delta=delta, **counted), _event("message_stop")]
    return stream_reply(said, events, marks, as_event(error_object(Failed(529, said.error)), "error"))


def reason_of(said: Said) -> str | None:
    """Answer the stop reason."""
    return _REASONS.get(said.finish, "end_turn")


def _message(asked: MessagesRequest) -> dict[str, Any]:
    return {"id": "msg_emulated", "type": "message", "role": "assistant", "model": asked.model, "stop_sequence": None}


def _input(said: Said, asked: MessagesRequest) -> dict[str, Any]:
    """Input tokens without those that the cache read or wrote, which is Anthropic's convention."""
    sent = said.input if said.input is not None else (len(asked.instructions) + len(asked.user)) // 4 + 1
    return {
        "input_tokens": sent - said.cached - said.written,
        "cache_read_input_tokens": said.cached,
        "cache_creation_input_tokens": said.written,
    }


def _output(said: Said) -> dict[str, Any]:
    return {"output_tokens": said.output, "output_tokens_details": {"thinking_tokens": said.reasoning}}


def _event(kind: str, **fields: Any) -> bytes:
    return as_event({"type": kind} | fields, kind)
