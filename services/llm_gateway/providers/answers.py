"""Reads an OpenAI-shaped answer that may be anything: whole and usable, or a named fault."""

import json
import re
from collections.abc import Mapping
from typing import Any

from services.kit.tokens import estimate
from services.llm_gateway.domain import Completion, Fault, Prompt, ProviderError, TokenUsage

_FENCE = re.compile(r"```[A-Za-z]*[ \t]*\n(.*?)\n[ \t]*```", re.DOTALL)
_QUOTA = ("insufficient_quota", "billing_hard_limit_reached", "credit", "billing_not_active", "insufficient_balance")
_REPEATED = re.compile(r"(\W)\1+|\s+")
# A prompt counted at less than one token in this many characters, blanks aside, was not read whole.
_LEAST_CHARS_PER_TOKEN = 10


def read(answer: Mapping[str, Any], prompt: Prompt, *, as_instructions: bool) -> Completion:
    """Answer the completion in the JSON of a 200; raises ProviderError naming what is wrong with it."""
    if answer.get("error"):
        raise _error_body(answer["error"])
    choices = answer.get("choices")
    choice = choices[0] if isinstance(choices, list) and choices else None
    message = choice.get("message") if isinstance(choice, dict) else None
    if not isinstance(choice, dict) or not isinstance(message, dict):
        raise ProviderError(Fault.NO_CHOICE)
    finish = choice.get("finish_reason")
    if finish == "content_filter":
        raise ProviderError(Fault.CONTENT_FILTER)
    if message.get("refusal"):
        raise ProviderError(Fault.REFUSAL)
    if finish == "length":
        raise ProviderError(Fault.CUT_OFF)
    if finish != "stop":
        raise ProviderError(Fault.NO_FINISH)
    content = message.get("content")
    if content is not None and not isinstance(content, str):
        raise ProviderError(Fault.NO_CHOICE)
    if not content or not content.strip():
        raise ProviderError(Fault.EMPTY)
    usage = read_usage(answer.get("usage"), prompt, content)
    if usage.reported and usage.input * _LEAST_CHARS_PER_TOKEN < _dense_length(prompt):
        raise ProviderError(Fault.TRUNCATED_PROMPT)
    model = answer.get("model")
    text = json_value(content) if as_instructions else content
    return Completion(text, model if isinstance(model, str) else "", usage)


def read_usage(usage: object, prompt: Prompt, content: str) -> TokenUsage:
    """Answer the tokens as reported, cached ones always among the input; an estimate where they are missing."""
    found = usage if isinstance(usage, dict) else {}
    sent, received = _count(found.get("prompt_tokens")), _count(found.get("completion_tokens"))
    if not sent:
        return TokenUsage(estimate(prompt.instructions + prompt.input), 0, estimate(content), reported=False)
    details = found.get("prompt_tokens_details")
    cached = _count(details.get("cached_tokens")) if isinstance(details, dict) else 0
    cached = cached or _count(found.get("prompt_cache_hit_tokens")) or _count(found.get("cache_read_input_tokens"))
    if cached > sent:  # a server that counts cached tokens apart
        sent += cached
    return TokenUsage(sent, cached, received or estimate(content), reported=True)


def json_value(content: str) -> str:
    """Cut one JSON object out of an answer that was only asked in words for it; the text itself where there is none."""
    fenced = _FENCE.search(content)
    text = fenced[1] if fenced else content
    start = text.find("{")
    if start < 0:
        return text.strip()
    try:
        _, end = json.JSONDecoder().raw_decode(text, start)
    except (ValueError, RecursionError):
        return text[start:].strip()
    return text[start:end]


def is_quota(code: str | None, kind: str | None) -> bool:
    """Whether a 429 means that there is no money left, which no waiting cures."""
    return any(word in f"{code or ''} {kind or ''}".lower() for word in _QUOTA)


def fault_of_status(status: int, code: str | None = None, kind: str | None = None) -> Fault:
    """Answer what an HTTP status of a provider means."""
    if status == 429:
        return Fault.QUOTA if is_quota(code, kind) else Fault.RATE_LIMITED
    if code in ("context_length_exceeded", "request_too_large"):
        return Fault.TOO_LARGE
    if code in ("content_filter", "content_policy_violation"):
        return Fault.CONTENT_FILTER
    known = {
        401: Fault.KEY,
        402: Fault.QUOTA,
        403: Fault.FORBIDDEN,
        404: Fault.NOT_FOUND,
        408: Fault.SERVER_ERROR,
        409: Fault.SERVER_ERROR,
        413: Fault.TOO_LARGE,
    }
    if status in known:
        return known[status]
    if 300 <= status < 400:
        return Fault.REDIRECT
    return Fault.SERVER_ERROR if status >= 500 else Fault.BAD_REQUEST


def _error_body(error: object) -> ProviderError:
    found = error if isinstance(error, dict) else {}
    code, kind = found.get("code"), found.get("type")
    text, word = str(code) if code is not None else None, kind if isinstance(kind, str) else None
    if text is not None and text.isdecimal() and len(text) == 3 and 400 <= int(text) < 600:
        return ProviderError(fault_of_status(int(text), text, word), status=int(text))
    if is_quota(text, word):
        return ProviderError(Fault.QUOTA)
    return ProviderError(Fault.ERROR_BODY)


def _count(value: object) -> int:
    fine = isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 2**31
    return value if fine and isinstance(value, int) else 0


def _dense_length(prompt: Prompt) -> int:
    return len(_REPEATED.sub(" ", prompt.instructions)) + len(_REPEATED.sub(" ", prompt.input))
