"""What providers have in common when their answers are read: bodies, error objects, statuses, pauses, counts."""

import json
import re
from collections.abc import Mapping
from typing import Any

from services.llm_gateway.providers.faults import Fault, ProviderError
from services.llm_gateway.providers.waiting import retry_after

_PAYMENT = (
    "insufficient_quota", "billing_hard_limit_reached", "credit", "billing", "insufficient_balance", "payment",
    "insufficient_funds", "not_enough_balance",
)  # fmt: skip
_TOO_LONG = re.compile(
    r"context[ _]length|context window|prompt is too long|maximum context|input token count|too many tokens"
    r"|request_too_large|request too large",
    re.IGNORECASE,
)
_FILTERED = ("content_filter", "content_policy_violation", "prohibited_content", "safety")
_KEY_REFUSED = frozenset({"api_key_invalid", "invalid_api_key", "authentication_error"})
_BY_STATUS = {
    401: Fault.AUTH,
    402: Fault.PAYMENT,
    403: Fault.PERMISSION,
    404: Fault.NOT_FOUND,
    408: Fault.SERVER_ERROR,
    409: Fault.SERVER_ERROR,
    413: Fault.CONTEXT_TOO_LONG,
    429: Fault.RATE_LIMIT,
    503: Fault.OVERLOADED,
    529: Fault.OVERLOADED,
}
# The words of OpenAI, Anthropic and Google for what has no HTTP status of its own, as inside a stream.
_BY_KIND = {
    "authentication_error": 401,
    "invalid_api_key": 401,
    "unauthenticated": 401,
    "api_key_invalid": 401,
    "billing_error": 402,
    "permission_error": 403,
    "permission_denied": 403,
    "not_found_error": 404,
    "model_not_found": 404,
    "not_found": 404,
    "request_too_large": 413,
    "rate_limit_error": 429,
    "rate_limit_exceeded": 429,
    "resource_exhausted": 429,
    "api_error": 500,
    "server_error": 500,
    "internal": 500,
    "deadline_exceeded": 504,
    "unavailable": 503,
    "overloaded_error": 529,
    "invalid_request_error": 400,
    "invalid_argument": 400,
    "failed_precondition": 400,
}


def parse_object(body: bytes | str) -> Mapping[str, Any]:
    """Answer the JSON object of a whole answer; NOT_JSON for anything else, and what an error object in it says."""
    try:
        found = json.loads(body)
    except (ValueError, RecursionError):
        raise ProviderError(Fault.NOT_JSON) from None
    if not isinstance(found, dict):
        raise ProviderError(Fault.NOT_JSON)
    if found.get("error"):
        raise error_of(found["error"])
    return found


def error_of_status(status: int, headers: Mapping[str, str], body: bytes) -> ProviderError:
    """Answer what an HTTP answer that is no success means; the words are the provider's, not masked yet."""
    if 300 <= status < 400:
        return ProviderError(Fault.REDIRECT, status=status)
    try:
        found = json.loads(body)
    except (ValueError, RecursionError):
        found = None
    found = found[0] if isinstance(found, list) and found else found
    found = found if isinstance(found, dict) else {}
    error = error_of(found.get("error") or found, status)
    pause = retry_after(headers)
    error.retry_after = pause if pause is not None else error.retry_after
    return error


def error_of(error: object, status: int = 0) -> ProviderError:
    """Answer what an error object means, on its own or under an HTTP status."""
    found = error if isinstance(error, dict) else {"message": error}
    code, kind = _text(found.get("code")), _text(found.get("type"))
    state, words, param = _text(found.get("status")), _text(found.get("message")), _text(found.get("param"))
    reasons = [_text(d.get("reason")) for d in _dicts(found.get("details"))]
    names = [name.lower() for name in (code, kind, state, *reasons) if name]
    told = status or _status_in(names)
    return ProviderError(
        _fault(told, names, words),
        status=told if status or told in _status_numbers(names) else 0,
        retry_after=_retry_delay(found.get("details")),
        words=words,
        param=param or None,
    )


def count(value: object) -> int:
    """Answer a number of tokens, 0 for what is none."""
    fine = isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 2**31
    return value if fine and isinstance(value, int) else 0


def _fault(status: int, names: list[str], words: str) -> Fault:
    joined = " ".join(names)
    if status in (400, 403, 429, 0) and any(word in joined for word in _PAYMENT):
        return Fault.PAYMENT
    if status in (400, 403, 0) and any(word in names for word in _FILTERED):
        return Fault.CONTENT_FILTER
    if not _KEY_REFUSED.isdisjoint(names) or (status == 400 and "api key not valid" in words.lower()):
        return Fault.AUTH
    if status in (400, 422) and (_TOO_LONG.search(joined) or _TOO_LONG.search(words)):
        return Fault.CONTEXT_TOO_LONG
    if status == 400 and "model_not_found" in names:
        return Fault.NOT_FOUND
    if status in _BY_STATUS:
        return _BY_STATUS[status]
    if status >= 500:
        return Fault.OVERLOADED if "overloaded" in joined else Fault.SERVER_ERROR
    return Fault.BAD_REQUEST if status else Fault.ERROR_IN_ANSWER


def _status_numbers(names: list[str]) -> list[int]:
    return [int(name) for name in names if re.fullmatch(r"[45]\d\d", name)]


def _status_in(names: list[str]) -> int:
    numbers = _status_numbers(names)
    return numbers[0] if numbers else next((_BY_KIND[name] for name in names if name in _BY_KIND), 0)


def _retry_delay(details: object) -> float | None:
    """Google's RetryInfo: "37s" or "1.5s"."""
    for entry in _dicts(details):
        if found := re.fullmatch(r"(\d{1,7}(?:\.\d{1,9})?)s", _text(entry.get("retryDelay"))):
            return float(found[1])
    return None


def _dicts(value: object) -> list[dict[str, Any]]:
    return [entry for entry in value if isinstance(entry, dict)] if isinstance(value, list) else []


def _text(value: object) -> str:
    if isinstance(value, bool) or value is None:
        return ""
    return str(value) if isinstance(value, (str, int)) else ""
