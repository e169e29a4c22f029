"""Answers in OpenAI's own words, for tests that speak of nothing else."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from emulators.models.said import JSON, Reply, cut, raw, stall

__all__ = ["Reply", "completion", "cut", "error", "raw", "stall"]


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
