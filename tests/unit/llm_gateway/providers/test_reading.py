"""Faults, pauses, redaction and JSON as they are read out of what providers and models write."""

import json
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.llm_gateway.providers import json_text
from services.llm_gateway.providers.faults import MAX_WORDS, MEANINGS, Fault, ProbeCode
from services.llm_gateway.providers.json_text import UnusableError
from services.llm_gateway.providers.reading import error_of_status
from services.llm_gateway.providers.redaction import shown

SECRET = "nv-Zx81Qq-0123456789abcdef"


def _date(seconds: float) -> str:
    return format_datetime(datetime.now(UTC) + timedelta(seconds=seconds), usegmt=True)


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"retry-after": "20"}, 20),
        ({"retry-after": "0"}, 0),
        ({"retry-after": "0.5"}, 0.5),
        ({"retry-after": "86400"}, 86400),
        ({"retry-after-ms": "1500", "retry-after": "60"}, 1.5),
        ({"retry-after": "-5"}, None),
        ({"retry-after": "soon"}, None),
        ({"retry-after": "nan"}, None),
        ({"retry-after": "inf"}, None),
        ({}, None),
    ],
)
def test_a_pause_that_a_header_asks_for(headers: dict[str, str], seconds: float | None) -> None:
    assert error_of_status(429, headers, b"{}").retry_after == seconds


@pytest.mark.parametrize(("offset", "expected"), [(600, 600), (-100, 0)])
def test_a_pause_until_a_date(offset: int, expected: int) -> None:
    found = error_of_status(429, {"retry-after": _date(offset)}, b"").retry_after
    assert found is not None and abs(found - expected) < 60


def test_googles_pause_stands_in_the_details() -> None:
    details = [{"@type": "x"}, {"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "37.5s"}]
    body = json.dumps([{"error": {"code": 429, "status": "RESOURCE_EXHAUSTED", "details": details}}])
    found = error_of_status(429, {}, body.encode())
    assert (found.fault, found.retry_after) == (Fault.RATE_LIMIT, 37.5)


@pytest.mark.parametrize(
    "body",
    [b"", b"null", b"[]", b"7", b'"x"', b"{", b"[" * 100_000, b"\xff", b'{"error": []}', b'{"error": {"code": {}}}',
     b'{"error": {"message": 7, "details": [1, {"reason": 2}]}}'],
)  # fmt: skip
@pytest.mark.parametrize("status", [302, 400, 401, 418, 429, 500, 599])
def test_no_body_is_too_odd_to_be_read(body: bytes, status: int) -> None:
    assert error_of_status(status, {}, body).status == status


@pytest.mark.parametrize(
    ("status", "error", "fault"),
    [
        (400, {"message": "This model's maximum context length is 8192 tokens"}, Fault.CONTEXT_TOO_LONG),
        (400, {"code": "context_length_exceeded"}, Fault.CONTEXT_TOO_LONG),
        (400, {"type": "invalid_request_error", "message": "prompt is too long: 3 tokens > 2"}, Fault.CONTEXT_TOO_LONG),
        (400, {"message": "Your credit balance is too low", "type": "billing_error"}, Fault.PAYMENT),
        (403, {"code": "not_enough_balance"}, Fault.PAYMENT),
        (400, {"message": "API key not valid. Please pass a valid API key."}, Fault.AUTH),
        (413, {"code": "rate_limit_exceeded", "type": "tokens"}, Fault.CONTEXT_TOO_LONG),
        (429, {"type": "insufficient_quota"}, Fault.PAYMENT),
        (429, {"code": "rate_limit_exceeded"}, Fault.RATE_LIMIT),
        (529, {"type": "overloaded_error"}, Fault.OVERLOADED),
        (500, {"type": "overloaded_error"}, Fault.OVERLOADED),
        (599, {}, Fault.SERVER_ERROR),
    ],
)
def test_what_a_status_and_an_error_object_mean(status: int, error: dict[str, Any], fault: Fault) -> None:
    assert error_of_status(status, {}, json.dumps({"error": error}).encode()).fault is fault


def test_every_fault_has_a_meaning_and_those_of_a_key_are_not_retried() -> None:
    assert set(MEANINGS) == set(Fault)
    for fault in (Fault.AUTH, Fault.PERMISSION, Fault.PAYMENT, Fault.NOT_FOUND, Fault.BAD_REQUEST, Fault.REFUSAL):
        assert not MEANINGS[fault].is_retryable
    assert {meaning.code for meaning in MEANINGS.values()} == set(ProbeCode) - {ProbeCode.OK}
    assert all(meaning.words.endswith((".", "?", ")")) for meaning in MEANINGS.values())


@pytest.mark.parametrize(
    "words",
    [
        f"Incorrect API key provided: {SECRET}.",
        f"key={SECRET[:14]}***",
        f"the key '{SECRET[:9]}' of {SECRET}",
        "Incorrect API key: sk-proj-0123456789abcdefghijkl",
        "Authorization: Bearer abcdef0123456789abcdef",
        "AIzaSyA-0123456789_0123456789012345678",
    ],
)
def test_no_secret_is_shown(words: str) -> None:
    found = shown(words, (SECRET,))
    assert "[masked" in found
    for part in (SECRET, SECRET[:9], "0123456789abcdef"):
        assert part not in found


@given(st.text(max_size=40), st.text(max_size=40), st.text(alphabet="abcXYZ019-_", min_size=6, max_size=60))
def test_a_secret_by_value_never_survives(before: str, after: str, secret: str) -> None:
    assert secret not in shown(f"{before}{secret}{after}", (secret,)).replace("[masked:key]", "")


def test_words_are_cut_and_of_one_line() -> None:
    found = shown("a\nb\x1b[31m\u202e c " + "x" * 10_000, ())
    assert len(found) == MAX_WORDS and "\n" not in found and "\x1b" not in found and "\u202e" not in found


@pytest.mark.parametrize(
    ("text", "plain"),
    [
        ('{"a": 1}', True),
        (' \n{"a": 1}\r\n', True),
        ('\ufeff{"a": 1}', True),
        ('```json\n{"a": 1}\n```', False),
        ('```\r\n{"a": 1}\r\n```', False),
        ('First:\n```python\nx = {}\n```\nthen\n```json\n{"a": 1}\n```', False),
        ('<think>{"b": 2}</think>{"a": 1}', False),
        ('<thinking>\n```json\n{"b": 2}\n```\n</thinking>\n\n{"a": 1} and {"c": 3}', False),
        ('Here {you} are: {"a": 1}. Bye {smile}', False),
    ],
)
def test_json_is_found_in_what_models_write(text: str, plain: bool) -> None:
    value, own, is_plain = json_text.find(text)
    assert value == json.loads(own) == {"a": 1}
    assert is_plain is plain


@pytest.mark.parametrize(
    "text",
    ["", "no", "null", "7", '"x"', "{", "{'a': 1}", '{"a": 1,}', '{"a": 1, "a": 2}', '{"a": NaN}', '{"a": Infinity}',
     "[" * 100_000, '{"a": ' * 100_000, "{" * 200_000, '{"a": ' + "9" * 5000 + "}", "```json\n```", "<think>{}"],
)  # fmt: skip
def test_what_is_no_json_is_not_guessed(text: str) -> None:
    with pytest.raises(UnusableError):
        json_text.find(text)


@given(
    st.recursive(st.none() | st.booleans() | st.integers() | st.text(), lambda inner: st.dictionaries(st.text(), inner))
)
def test_any_object_is_read_back(value: Any) -> None:
    text = json.dumps({"value": value})
    assert json_text.find(text)[0] == {"value": value}
    assert json_text.find(f"Well:\n```json\n{text}\n```")[0] == {"value": value} or "```" in text


def test_a_schema_is_held_against_but_for_additional_properties() -> None:
    schema = '{"type":"object","properties":{"a":{"type":"integer"}},"required":["a"],"additionalProperties":false}'
    assert json_text.problem({"a": 1, "b": 2}, schema) is None
    assert "at a: " in (json_text.problem({"a": "x"}, schema) or "")
    assert "required" in (json_text.problem({}, schema) or "")
    assert len(json_text.problem({"a": "x" * 10_000}, schema) or "") <= 300
