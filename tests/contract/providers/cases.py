"""The table of misbehaviour: what a provider does, and the fault that comes of it, whole and streamed."""

import json
from dataclasses import dataclass
from typing import Any

from emulators.models import Failed, Reply, Said, cut, raw, stall
from services.llm_gateway.providers.faults import Fault

GOOD = {"findings": ["a"], "kind": "a"}
CANARY = "canary-of-the-upstream"
HTML = {"content-type": "text/html"}


@dataclass(frozen=True)
class Case:
    """`answer` is given to each request; the faults are None where an answer comes of it, absent where not meant.

    `hasty` cases are asked with short waits; `wires` are those whose fault is another.
    """

    answer: Any
    whole: Fault | str | None = "not meant"
    streamed: Fault | str | None = "not meant"
    hasty: bool = False
    wires: tuple[tuple[str, Fault], ...] = ()

    def expected(self, wire: str, is_stream: bool) -> Fault | str | None:
        """Answer the fault for a wire."""
        told = self.streamed if is_stream else self.whole
        return told if told == "not meant" else dict(self.wires).get(wire, told)


def both(answer: Any, fault: Fault, *wires: tuple[str, Fault], hasty: bool = False) -> Case:
    return Case(answer, fault, fault, hasty, wires)


def failed(status: int, kind: str, fault: Fault, *wires: tuple[str, Fault]) -> Case:
    return both(Failed(status, kind, f"{CANARY} said so"), fault, *wires)


_SAID = json.dumps(GOOD)
GOOGLE_FILTER, CLAUDE_REFUSAL = ("google", Fault.CONTENT_FILTER), ("anthropic", Fault.REFUSAL)
CASES: dict[str, Case] = {
    # 200 that is none
    "html": both(raw(f"<html>{CANARY}</html>", headers=HTML), Fault.NOT_JSON),
    "html said to be JSON": both(raw("<html>"), Fault.NOT_JSON),
    "empty body": both(raw(b""), Fault.NOT_JSON),
    "cut JSON": both(raw(b'{"choices": [{"mess'), Fault.NOT_JSON),
    "null": both(raw("null"), Fault.NOT_JSON),
    "array": both(raw("[]"), Fault.NOT_JSON),
    "deep nesting": both(raw("[" * 100_000), Fault.NOT_JSON),
    "not UTF-8": both(raw(b"\xff\xfe{}"), Fault.NOT_JSON),
    "empty object": both(raw("{}"), Fault.NO_COMPLETION),
    "wrong types": both(
        raw('{"choices": {"a": 1}, "content": 7, "candidates": "x", "usage": [], "model": 3}'), Fault.NO_COMPLETION
    ),
    "error with 200": both(raw(json.dumps({"error": {"message": CANARY}})), Fault.ERROR_IN_ANSWER),
    "error text with 200": both(raw(json.dumps({"error": CANARY})), Fault.ERROR_IN_ANSWER),
    "error 402 with 200": both(raw('{"error": {"code": 402, "message": "x"}}'), Fault.PAYMENT),
    "quota with 200": both(raw('{"error": {"code": "insufficient_quota"}}'), Fault.PAYMENT),
    "overloaded with 200": both(raw('{"type": "error", "error": {"type": "overloaded_error"}}'), Fault.OVERLOADED),
    "compressed": both(Reply(200, b"\x1f\x8b", {"content-encoding": "gzip"}), Fault.OVERSIZED),
    "eleven megabytes": both(Said("x" * (11 << 20)), Fault.OVERSIZED),
    # connections
    "redirect to metadata": both(raw(b"", 302, {"location": "http://169.254.169.254/"}), Fault.REDIRECT),
    "redirect 307": both(raw(b"", 307, {"location": "/elsewhere"}), Fault.REDIRECT),
    "cut before anything": both(cut(silent=True), Fault.NETWORK),
    "cut half-way": Case(cut(b'{"choices": ['), Fault.NETWORK),
    "silence": both(stall(silent=True), Fault.TIMEOUT, hasty=True),
    "stall half-way": both(stall(b'{"choices": ['), Fault.TIMEOUT, hasty=True),
    # statuses
    "401": failed(401, "auth", Fault.AUTH),
    "400 for a bad key": failed(400, "auth", Fault.AUTH),
    "402": failed(402, "payment", Fault.PAYMENT),
    "403": failed(403, "permission", Fault.PERMISSION),
    "404": failed(404, "not_found", Fault.NOT_FOUND),
    "404 in HTML": both(raw(CANARY, 404, HTML), Fault.NOT_FOUND),
    "408": failed(408, "server", Fault.SERVER_ERROR),
    "409": failed(409, "server", Fault.SERVER_ERROR),
    "413": failed(413, "context", Fault.CONTEXT_TOO_LONG),
    "context length": failed(400, "context", Fault.CONTEXT_TOO_LONG),
    "400": failed(400, "bad_request", Fault.BAD_REQUEST),
    "422": failed(422, "bad_request", Fault.BAD_REQUEST),
    "prompt filtered": failed(
        400, "filter", Fault.CONTENT_FILTER, ("anthropic", Fault.BAD_REQUEST), ("google", Fault.BAD_REQUEST)
    ),
    "429": failed(429, "rate_limit", Fault.RATE_LIMIT),
    "429 in HTML": both(raw(CANARY, 429, HTML), Fault.RATE_LIMIT),
    "429 without money": failed(429, "quota", Fault.PAYMENT, ("google", Fault.RATE_LIMIT)),
    "500": failed(500, "server", Fault.SERVER_ERROR),
    "500 cut off": both(Reply(500, b'{"err', end="cut"), Fault.SERVER_ERROR),
    "502 in HTML": both(raw(CANARY, 502, HTML), Fault.SERVER_ERROR),
    "503": failed(503, "overloaded", Fault.OVERLOADED),
    "504": failed(504, "server", Fault.SERVER_ERROR),
    "529": failed(529, "overloaded", Fault.OVERLOADED),
    # answers that must not be used
    "length": both(Said('{"fin', finish="length"), Fault.INCOMPLETE),
    "refusal": both(Said(CANARY, finish="refusal"), Fault.REFUSAL, GOOGLE_FILTER),
    "filtered": both(Said("", finish="filter"), Fault.CONTENT_FILTER, CLAUDE_REFUSAL),
    "tool call": both(Said(GOOD, finish="tool"), Fault.NO_FINISH),
    "no finish": both(Said(GOOD, finish="none"), Fault.NO_FINISH),
    "no text": both(Said(""), Fault.EMPTY),
    "blank text": both(Said(" \n "), Fault.EMPTY),
    "only thinking": both(Said("", thought="hm"), Fault.EMPTY),
    # streams
    "ends without a mark": Case(Said(GOOD, end="no_mark"), streamed=Fault.NO_FINISH),
    "ends in half a line": Case(Said(GOOD, end="half_line"), streamed=Fault.CUT_STREAM, wires=(
        ("openai", Fault.NO_FINISH), ("anthropic", Fault.NO_FINISH))),
    "cut in a stream": Case(Said(GOOD, end="cut"), streamed=Fault.CUT_STREAM),
    "stalls in a stream": Case(Said(GOOD, end="stall"), streamed=Fault.TIMEOUT, hasty=True),
    "error event": Case(Said(GOOD, end="error"), streamed=Fault.OVERLOADED),
    "rate limit as an event": Case(Said(GOOD, end="error", error="rate_limit"), streamed=Fault.RATE_LIMIT, wires=(
        ("google", Fault.OVERLOADED),)),
    "error event first": Case(Said("", end="error"), Fault.EMPTY, Fault.OVERLOADED),
    # Google sends none, and its SDK takes them for text.
    "comments": Case(Said(GOOD, comments=True), streamed=None, wires=(("google", Fault.NOT_JSON),)),
    # answers that real models write
    "good": Case(Said(GOOD), None, None),
    "fenced": Case(Said(f"```json\n{_SAID}\n```"), None, None),
    "fenced without a language": Case(Said(f"```\n{_SAID}\n```"), None, None),
    "prose around": Case(Said(f"Sure {{smile}} [1]!\n{_SAID}\nHope this helps {{smile}}"), None, None),
    "thinking before": Case(Said(f"<think>a {{brace}} and ```code```</think>\n{_SAID}"), None, None),
    "thinking apart": Case(Said(GOOD, thought="I think {"), None, None),
    "blanks around": Case(Said(f"\ufeff\n {_SAID} \n"), None, None),
    "extra fields": Case(Said(GOOD | {"approve": True}), None, None),
    "usage missing": Case(Said(GOOD, counted=False), None, None),
    # answers that are none
    "not JSON": both(Said("I found nothing."), Fault.SCHEMA_MISMATCH),
    "trailing comma": both(Said('{"findings": ["a"], "kind": "a",}'), Fault.SCHEMA_MISMATCH),
    "single quotes": both(Said("{'findings': ['a'], 'kind': 'a'}"), Fault.SCHEMA_MISMATCH),
    "cut off without saying so": both(Said('{"findings": ["a'), Fault.SCHEMA_MISMATCH),
    "empty object said": both(Said("{}"), Fault.SCHEMA_MISMATCH),
    "null said": both(Said("null"), Fault.SCHEMA_MISMATCH),
    "array said": both(Said("[]"), Fault.SCHEMA_MISMATCH),
    "same key twice": both(Said('{"findings": ["a"], "findings": [], "kind": "a"}'), Fault.SCHEMA_MISMATCH),
    "NaN": both(Said('{"findings": [NaN], "kind": "a"}'), Fault.SCHEMA_MISMATCH),
    "huge number": both(Said('{"findings": [' + "9" * 5000 + '], "kind": "a"}'), Fault.SCHEMA_MISMATCH),
    "wrong type": both(Said({"findings": "a", "kind": "a"}), Fault.SCHEMA_MISMATCH),
    "wrong enum": both(Said({"findings": ["a"], "kind": "c"}), Fault.SCHEMA_MISMATCH),
    "deep nesting said": both(Said("[" * 50_000), Fault.SCHEMA_MISMATCH),
}  # fmt: skip
