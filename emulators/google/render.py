"""What a model says, and how a server fails, in the shapes of generateContent."""

from __future__ import annotations

from typing import Any

from emulators.google.shapes import GenerateRequest
from emulators.models.core import as_event, json_reply, pieces_of, stream_reply, text_of
from emulators.models.said import Failed, Reply, Said

_REASONS = {
    "stop": "STOP",
    "length": "MAX_TOKENS",
    "filter": "SAFETY",
    "refusal": "PROHIBITED_CONTENT",
    "tool": "UNEXPECTED_TOOL_CALL",
}
_STATES = {
    "auth": "INVALID_ARGUMENT",
    "permission": "PERMISSION_DENIED",
    "payment": "FAILED_PRECONDITION",
    "quota": "RESOURCE_EXHAUSTED",
    "not_found": "NOT_FOUND",
    "context": "INVALID_ARGUMENT",
    "filter": "INVALID_ARGUMENT",
    "rate_limit": "RESOURCE_EXHAUSTED",
    "overloaded": "UNAVAILABLE",
    "server": "INTERNAL",
    "bad_request": "INVALID_ARGUMENT",
}
_TYPE = "type.googleapis.com/google.rpc."


def failure(failed: Failed) -> Reply:
    """Answer an error under its status; a pause is asked for in the details, not by a header."""
    return json_reply(error_object(failed), failed.status, dict(failed.headers))


def error_object(failed: Failed) -> dict[str, Any]:
    """Answer the whole error, as it also comes in a stream."""
    message, details = failed.message, []
    if failed.kind == "auth":
        details.append({"@type": f"{_TYPE}ErrorInfo", "reason": "API_KEY_INVALID", "domain": "googleapis.com"})
    if failed.kind == "context":
        message = f"The input token count (2000000) exceeds the maximum number of tokens allowed (1048576). {message}"
    if failed.retry is not None:
        details.append({"@type": f"{_TYPE}RetryInfo", "retryDelay": f"{failed.retry}s"})
    error: dict[str, Any] = {"code": failed.status, "message": message, "status": _STATES[failed.kind]}
    return {"error": error | ({"details": details} if details else {})}


def whole(said: Said, asked: GenerateRequest) -> Reply:
    """Answer a response; a refused prompt has no candidate at all."""
    body = _frame(asked)
    if said.counted:
        body["usageMetadata"] = usage_of(said, asked)
    if said.finish == "refusal":
        return json_reply(body | {"promptFeedback": {"blockReason": "PROHIBITED_CONTENT"}})
    parts = [{"text": said.thought, "thought": True}] if said.thought else []
    parts += [{"text": text_of(said)}] if text_of(said) else []
    return json_reply(body | {"candidates": [_candidate(parts, said)]})


def stream(said: Said, asked: GenerateRequest) -> Reply:
    """Answer the events of a response; each is one of its own, the last has the finish and the usage."""
    frame = _frame(asked)
    parts = [{"text": said.thought, "thought": True}] if said.thought else []
    parts += [{"text": piece} for piece in pieces_of(text_of(said))]
    events = [
        as_event(frame | {"candidates": [{"index": 0, "content": {"role": "model", "parts": [part]}}]})
        for part in parts
    ]
    last: dict[str, Any] = {"candidates": [_candidate([], said)]}
    if said.finish == "refusal":
        events, last = [], {"promptFeedback": {"blockReason": "PROHIBITED_CONTENT"}}
    if said.counted:
        last["usageMetadata"] = usage_of(said, asked)
    return stream_reply(said, events, [as_event(frame | last)], as_event(error_object(Failed(503, said.error))))


def usage_of(said: Said, asked: GenerateRequest) -> dict[str, Any]:
    """Answer the usage: cached tokens are among the prompt's, thoughts beside the candidates'."""
    sent = said.input if said.input is not None else (len(asked.instructions) + len(asked.user)) // 4 + 1
    return {
        "promptTokenCount": sent,
        "cachedContentTokenCount": said.cached,
        "candidatesTokenCount": said.output - said.reasoning,
        "thoughtsTokenCount": said.reasoning,
        "totalTokenCount": sent + said.output,
    }


def _frame(asked: GenerateRequest) -> dict[str, Any]:
    return {"modelVersion": asked.model, "responseId": "emulated"}


def _candidate(parts: list[dict[str, Any]], said: Said) -> dict[str, Any]:
    reason = _REASONS.get(said.finish)
    found: dict[str, Any] = {"index": 0, "content": {"role": "model", "parts": parts}}
    return found | ({"finishReason": reason} if reason else {})
