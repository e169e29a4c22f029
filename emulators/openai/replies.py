"""What the emulator can answer: a completion, an error, any bytes, half an answer, or nothing at all."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

JSON = {"content-type": "application/json"}


@dataclass(frozen=True)
class Reply:
    """One answer. With `end` cut or stall only `body` is sent, of which the head promises more."""

    status: int = 200
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=lambda: dict(JSON))
    end: Literal["whole", "cut", "stall"] = "whole"
    silent: bool = False  # with cut or stall: not even the head is sent


def completion(
    content: Any,
    *,
    model: str = "test-model",
    finish_reason: str | None = "stop",
    refusal: str | None = None,
    usage: Mapping[str, Any] | None = None,
    prompt_tokens: int = 1000,
    **extra: Any,
) -> Reply:
    """Answer a completion; what is no text is sent as JSON, `usage` {} leaves it out, `extra` goes to the top level."""
    text = content if isinstance(content, str) or content is None else json.dumps(content)
    counted = {"prompt_tokens": prompt_tokens, "completion_tokens": max(1, len(text or "") // 4)}
    counted["total_tokens"] = sum(counted.values())
    body: dict[str, Any] = {
        "id": "chatcmpl-emulated",
        "object": "chat.completion",
        "created": 1_700_000_000,
        "model": model,
        "choices": [
            {
                "index": 0,
                "message": {"role": "assistant", "content": text, "refusal": refusal},
                "finish_reason": finish_reason,
                "logprobs": None,
            }
        ],
        "usage": counted if usage is None else dict(usage),
    }
    if usage == {}:
        del body["usage"]
    return Reply(200, json.dumps(body | extra).encode())


def error(
    status: int,
    message: str = "the emulator was told to fail",
    *,
    code: str | None = None,
    kind: str = "invalid_request_error",
    param: str | None = None,
    headers: Mapping[str, str] | None = None,
) -> Reply:
    """Answer an error in OpenAI's shape."""
    body = {"error": {"message": message, "type": kind, "param": param, "code": code}}
    return Reply(status, json.dumps(body).encode(), JSON | dict(headers or {}))


def raw(body: bytes | str, status: int = 200, headers: Mapping[str, str] | None = None) -> Reply:
    """Answer any bytes."""
    data = body.encode() if isinstance(body, str) else body
    return Reply(status, data, dict(JSON if headers is None else headers))


def cut(body: bytes = b"", *, silent: bool = False) -> Reply:
    """Reset the connection after the first bytes of an answer, or before any with `silent`."""
    return Reply(200, body, end="cut", silent=silent)


def stall(body: bytes = b"", *, silent: bool = False) -> Reply:
    """Send the first bytes and then nothing until the emulator stops or the client goes."""
    return Reply(200, body, end="stall", silent=silent)
