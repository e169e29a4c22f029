import json
from typing import Any

import pytest

from services.kit.diff.model import Side
from services.review.domain import Severity
from services.review.model.answers import CONFIDENCE, Claims, read_claims, read_verdicts
from services.review.model.strict_json import InvalidAnswerError
from services.review.model.templates import MAX_BODY, MAX_FINDINGS, MAX_TITLE

GOOD: dict[str, Any] = {
    "path": "a.py",
    "side": "RIGHT",
    "quote": "x = 1",
    "severity": "high",
    "category": "bug",
    "title": "It is wrong",
    "body": "Because.",
    "replacement": None,
}


def read(*findings: Any, paths: dict[str, str] | None = None) -> Claims:
    return read_claims(json.dumps({"findings": list(findings)}), paths or {}, "m-1")


def test_a_good_finding_becomes_a_claim_of_the_model() -> None:
    (claim,) = read(GOOD | {"replacement": "x = 2"}).claims
    assert (claim.path, claim.side, claim.quote, claim.severity) == ("a.py", Side.RIGHT, "x = 1", Severity.HIGH)
    assert (claim.source.kind, claim.source.model, claim.confidence) == ("model", "m-1", CONFIDENCE)
    assert claim.replacement == "x = 2" and claim.near_line is None


def test_no_findings_are_none() -> None:
    assert read() == Claims((), 0, 0)


@pytest.mark.parametrize(
    "text",
    [
        "",
        " ",
        "null",
        "{}",
        "[]",
        "7",
        '"findings"',
        '{"findings": null}',
        '{"findings": {}}',
        '{"findings": []',
        '{"findings": [],}',
        "{'findings': []}",
        '```json\n{"findings": []}\n```',
        '{"findings": []} I hope this helps',
        '{"findings": [], "findings": []}',
        '{"findings": [{"path": "a", "path": "b"}]}',
        '{"findings": NaN}',
        '{"findings": [-Infinity]}',
        '{"findings": [1e999999]' + "}",
        '{"findings": [' + "9" * 5000 + "]}",
        '{"findings": ' + "[" * 100_000,
        '{"findings": [1, "x", null]}',
        '{"findings": [{}]}',
        "<html>",
        "I cannot help with that.",
    ],
)
def test_what_cannot_be_used_is_never_no_findings(text: str) -> None:
    with pytest.raises(InvalidAnswerError) as caught:
        read_claims(text, {}, "m")
    assert len(str(caught.value)) < 120


@pytest.mark.parametrize(
    "change",
    [
        {"path": ""},
        {"path": 3},
        {"path": "x" * 5000},
        {"side": "BOTH"},
        {"side": "right"},
        {"quote": " \n"},
        {"quote": ["x"]},
        {"quote": "x" * 9000},
        {"severity": "blocker"},
        {"category": "vibes"},
        {"title": None},
        {"body": ""},
        {"replacement": 3},
    ],
    ids=str,
)
def test_a_wrong_field_drops_that_finding_and_counts_it(change: dict[str, Any]) -> None:
    found = read(GOOD, GOOD | change)
    assert (len(found.claims), found.malformed) == (1, 1)


def test_extra_fields_are_not_minded() -> None:
    assert len(read(GOOD | {"line": 3, "__proto__": {}}).claims) == 1


def test_five_thousand_findings_are_cut_to_the_gravest() -> None:
    low = [GOOD | {"severity": "low", "quote": f"x{n}"} for n in range(5000)]
    found = read(*low, GOOD | {"severity": "critical"})
    assert len(found.claims) == MAX_FINDINGS and found.over_limit == 5001 - MAX_FINDINGS
    assert found.claims[0].severity is Severity.CRITICAL


def test_texts_are_cut_flattened_and_made_storable() -> None:
    (claim,) = read(GOOD | {"title": "a\nb\u2028" + "t" * 300, "body": "\x00\ud800" + "b" * 9000}).claims
    assert len(claim.title) == MAX_TITLE and "\n" not in claim.title
    assert len(claim.body) == MAX_BODY
    claim.body.encode()
    assert "\0" not in claim.body


def test_a_quote_is_cut_to_ten_lines_and_then_has_no_replacement() -> None:
    (claim,) = read(GOOD | {"quote": "\n".join(map(str, range(20))), "replacement": "x"}).claims
    assert claim.quote.count("\n") == 9 and claim.replacement is None


@pytest.mark.parametrize(
    "change",
    [{"replacement": "x = '[masked:jwt]'"}, {"replacement": "x⟨U+200B⟩"}, {"side": "LEFT", "replacement": "x"}],
)
def test_no_suggestion_of_what_was_masked_hidden_or_removed(change: dict[str, Any]) -> None:
    assert read(GOOD | change).claims[0].replacement is None


def test_names_and_quotes_come_back_as_they_are() -> None:
    (claim,) = read(GOOD | {"path": "⟨U+202E⟩a", "quote": "x⟨U+200B⟩ = 1"}, paths={"⟨U+202E⟩a": "\u202ea"}).claims
    assert (claim.path, claim.quote) == ("\u202ea", "x\u200b = 1")


def verdicts(*items: Any) -> str:
    return json.dumps({"verdicts": list(items)})


def test_verdicts_in_any_order() -> None:
    text = verdicts({"index": 1, "keep": False, "reason": "r"}, {"index": 0, "keep": True, "reason": "r"})
    assert read_verdicts(text, 2) == [True, False]


@pytest.mark.parametrize(
    "text",
    [
        "{}",
        verdicts(),
        verdicts({"index": 0, "keep": True}),
        verdicts({"index": 0, "keep": True}, {"index": 2, "keep": True}),
        verdicts({"index": 0, "keep": "yes"}, {"index": 1, "keep": True}),
        verdicts({"index": True, "keep": True}, {"index": 0, "keep": True}),
        verdicts({"index": 0, "keep": True}, {"index": 0, "keep": False}, {"index": 1, "keep": True}),
        verdicts(0, 1),
    ],
)
def test_a_missing_or_contradicting_verdict_is_none(text: str) -> None:
    with pytest.raises(InvalidAnswerError):
        read_verdicts(text, 2)
