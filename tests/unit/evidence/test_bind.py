"""Merging, ordering, capping and counting of bound claims."""

import math
from dataclasses import replace

import pytest

from services.kit.diff.model import FileDiff, FileStatus, Hunk, Side
from services.review.domain import DropReason, Severity, Source, SourceKind
from services.review.evidence.bind import bind, merge
from services.review.evidence.shown import Part, Shown
from tests.unit.evidence.cases import masked
from tests.unit.evidence.scenes import SCENES, Change, claim, parsed

APP = parsed(SCENES["app"])
LINE = "    with open(path) as handle:"
RUFF = Source(SourceKind.ANALYZER, "ruff", "S101")


def test_a_claim_becomes_a_finding_with_the_diffs_own_numbers() -> None:
    said = claim("with open(path) as handle:\r\n", path="./App.py", replacement="x()", source=RUFF, title="T", body="B")
    bound = bind([said], APP)
    (found,) = bound.findings
    assert (found.path, found.side, found.start_line, found.end_line) == ("app.py", Side.RIGHT, 5, 5)
    assert (found.quote, found.replacement) == (LINE, "    x()")
    assert (found.title, found.body, found.source, found.category) == ("T", "B", RUFF, "bug")
    assert (bound.dropped, bound.summary_only) == ({}, ())


def test_the_gravest_duplicate_stays() -> None:
    claims = [
        claim(LINE, severity=Severity.LOW, title="low"),
        claim("+" + LINE, severity=Severity.HIGH, title="high", confidence=0.2),
        claim(LINE.strip(), severity=Severity.HIGH, title="surer", confidence=0.9),
        claim(LINE, severity=Severity.HIGH, title="with text", confidence=0.9, replacement="    x()"),
        claim(LINE, severity=Severity.HIGH, title="late", confidence=0.9, replacement="    y()"),
        claim(LINE, category="style", title="another rule"),
    ]
    bound = bind(claims, APP)
    assert [found.title for found in bound.findings] == ["with text", "another rule"]
    assert bound.dropped == {DropReason.DUPLICATE: 4}


def test_order_is_by_path_line_and_severity_whatever_the_order_of_claims() -> None:
    diff = parsed([Change("x\n", "a\nb\nc\n", path=path) for path in ("b.py", "a.py")])
    claims = [
        claim("c", path="b.py"),
        claim("a", path="b.py", category="style", severity=Severity.LOW),
        claim("a", path="b.py", severity=Severity.CRITICAL),
        claim("b", path="a.py"),
    ]
    there, back = bind(claims, diff).findings, bind(claims[::-1], diff).findings
    assert there == back
    assert [(found.path, found.start_line, found.severity.value) for found in there] == [
        ("a.py", 2, "medium"),
        ("b.py", 1, "critical"),
        ("b.py", 1, "low"),
        ("b.py", 3, "medium"),
    ]


def test_the_cap_keeps_the_gravest_and_counts_the_rest() -> None:
    diff = parsed([Change("x\n", "".join(f"line_{n}\n" for n in range(9)))])
    grave = {3: Severity.HIGH, 7: Severity.CRITICAL}
    bound = bind([claim(f"line_{n}", severity=grave.get(n, Severity.LOW)) for n in range(9)], diff, limit=3)
    assert [found.quote for found in bound.findings] == ["line_0", "line_3", "line_7"]
    assert bound.dropped == {DropReason.OVER_LIMIT: 6}


@pytest.mark.parametrize("limit", [0, -1])
def test_no_room_at_all(limit: int) -> None:
    bound = bind([claim(LINE)], APP, limit=limit)
    assert (bound.findings, bound.dropped) == ((), {DropReason.OVER_LIMIT: 1})


@pytest.mark.parametrize(
    ("said", "kept"), [(0.5, 0.5), (-1, 0.0), (7, 1.0), (math.inf, 1.0), (-math.inf, 0.0), (math.nan, 0.0)]
)
def test_confidence_is_clamped(said: float, kept: float) -> None:
    (found,) = bind([claim(LINE, confidence=said)], APP).findings
    assert found.confidence == kept


def test_each_reason_is_counted_and_a_good_claim_beside_them_stays() -> None:
    claims = [
        claim("invented()"),
        claim("also invented()"),
        claim(LINE, Side.LEFT),
        claim("# note 18"),
        claim("        return data\n    def load(path):"),
        claim("x", path="gone.py"),
        claim(LINE),
    ]
    bound = bind(claims, APP, contents=SCENES["app"][0].contents())
    assert [found.quote for found in bound.findings] == [LINE]
    assert bound.dropped == {
        DropReason.QUOTE_NOT_FOUND: 3,
        DropReason.SIDE_MISMATCH: 1,
        DropReason.OUTSIDE_DIFF: 1,
        DropReason.AMBIGUOUS: 1,
    }


def test_an_ambiguous_claim_goes_to_the_summary_with_stored_lines_only() -> None:
    twice = parsed(SCENES["repeat twice"])
    said = claim('  log("start")\n  invented()', path="./app.py", replacement="x", near_line=99, confidence=3)
    bound = bind([said, replace(said, title="again"), replace(said, category="style")], twice)
    assert bound.summary_only == (
        replace(said, path="app.py", quote='log("start")', replacement=None, near_line=None, confidence=1.0),
        replace(
            said,
            path="app.py",
            quote='log("start")',
            replacement=None,
            near_line=None,
            confidence=1.0,
            category="style",
        ),
    )
    assert bound.dropped == {DropReason.AMBIGUOUS: 2, DropReason.DUPLICATE: 1}


def test_what_was_masked_for_the_call_is_quoted_as_stored() -> None:
    (found,) = bind([claim("    with open(path, [secret]) as handle:")], APP, Shown(mask=masked)).findings
    assert found.quote == '    with open(path, "w") as handle:'


def test_the_fingerprint_does_not_depend_on_what_was_shown() -> None:
    diff = parsed(SCENES["repeat twice"])
    (part,) = bind([claim('log("start")\nd = 4')], diff, Shown((Part(0, 0, 3, 5),))).findings
    (whole,) = bind([claim('log("start")\nd = 4')], diff).findings
    assert part == whole


def test_paths_that_read_alike_are_never_chosen_between() -> None:
    hunks = [Hunk(0, 0, 1, 1, b"", b"+%s\n" % text) for text in (b"text", b"other")]
    names = (b"caf\xe9", b"caf\xe8")
    files = [FileDiff(None, name, FileStatus.ADDED, (hunk,)) for name, hunk in zip(names, hunks, strict=True)]
    bound = bind([claim("text", path="caf\ufffd")], files)
    assert (bound.findings, bound.dropped) == ((), {DropReason.AMBIGUOUS: 1})
    (found,) = bind([claim("text", path="caf\ufffd")], files[:1]).findings
    assert found.path == "caf\ufffd"


def test_findings_of_two_calls_are_merged_again() -> None:
    first = bind([claim(LINE, severity=Severity.LOW)], APP).findings
    second = bind([claim(LINE, severity=Severity.HIGH), claim("def main():")], APP).findings
    kept, lost = merge([*first, *second], limit=10)
    assert [(found.start_line, found.severity) for found in kept] == [(5, Severity.HIGH), (25, Severity.MEDIUM)]
    assert lost == {DropReason.DUPLICATE: 1}


def test_nothing_in_nothing_out() -> None:
    assert bind([], []).findings == ()
    assert bind([claim("x")], []).dropped == {DropReason.QUOTE_NOT_FOUND: 1}
    assert bind([], APP) == bind([], [])
