"""The parent believes nothing that is malformed or out of bounds."""

import copy
import math
from typing import Any

import pytest

from services.review.analyzers import frames, wire
from services.review.analyzers.frames import FrameError
from services.review.analyzers.limits import Limits
from services.review.domain import Fate, SourceFile

FILES = (SourceFile(b"a.py", "modified", patch=b"p", head=b"h"), SourceFile(b"b\xff.py", "renamed", b"old.py"))
PATHS = frozenset({"a.py", "b\ufffd.py"})
FINDING: list[Any] = [
    "0" * 32, "a.py", "RIGHT", 3, 4, "x\ny", "high", "security", 0.9, "title", "body", "rule-1"
]  # fmt: skip
SUMMARY: list[Any] = ["a.py", "LEFT", "x", "low", "bug", 1, "title", "body", "rule-1"]
DONE: dict[str, Any] = {
    "type": "done", "name": "ruff", "version": "1", "fate": "ran", "reason": None, "ms": 5,
    "dropped": {"duplicate": 2}, "findings": [FINDING], "summary": [SUMMARY],
}  # fmt: skip


def decode(message: dict[str, Any]) -> wire.Done:
    return wire.decode_done(message, "ruff", PATHS, Limits(findings=3))


def test_files_make_the_trip() -> None:
    request, blobs = wire.encode_request(FILES, Limits())
    received = frames.parse_json(frames.pack_json(request)[4:])
    assert tuple(wire.decode_files(received, blobs)) == FILES


def test_a_well_formed_answer_is_taken() -> None:
    done = decode(copy.deepcopy(DONE))
    (finding,) = done.findings
    assert (finding.path, finding.start_line, finding.end_line, finding.quote) == ("a.py", 3, 4, "x\ny")
    assert (finding.source.name, finding.source.rule_id) == ("ruff", "rule-1")
    assert done.report.fate is Fate.RAN
    assert len(done.summary) == 1


@pytest.mark.parametrize(
    ("place", "value"),
    [
        (0, "short"), (0, 7), (0, "g" * 32), (1, "other.py"), (1, None), (1, ["a.py"]), (2, "MIDDLE"), (2, []), (3, 0),
        (3, True), (3, 2.0), (3, 5), (3, -1), (4, 2**31), (4, 9), (5, "one line"), (5, "x" * 300_000), (5, None),
        (6, "huge"), (6, {}), (7, "a b"), (7, "x" * 65), (8, -0.1), (8, 1.1), (8, math.nan), (8, math.inf), (8, True),
        (8, "1"), (9, "t" * 81), (9, 1), (10, "b" * 2001), (10, None), (11, None), (11, "rule\n"), (11, ""),
    ],
)  # fmt: skip
def test_a_finding_with_one_thing_wrong_is_refused(place: int, value: object) -> None:
    message = copy.deepcopy(DONE)
    message["findings"][0][place] = value
    with pytest.raises(FrameError):
        decode(message)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("name", "secrets"), ("version", 1), ("version", "v" * 81), ("fate", "reviewed"), ("fate", None), ("ms", -1),
        ("reason", "r" * 401), ("reason", 1), ("dropped", None), ("dropped", {"unknown": 1}),
        ("dropped", {"duplicate": -1}),
        ("findings", None), ("findings", {}), ("findings", [FINDING[:-1]]), ("findings", [FINDING] * 4),
        ("findings", [7]),
        ("summary", [SUMMARY] * 4), ("summary", [FINDING]), ("summary", "x"),
    ],
)  # fmt: skip
def test_an_answer_with_one_thing_wrong_is_refused(key: str, value: object) -> None:
    with pytest.raises(FrameError):
        decode({**copy.deepcopy(DONE), key: value})


def test_lone_surrogates_do_not_get_through() -> None:
    message = copy.deepcopy(DONE)
    message["findings"][0][9] = "a\ud800b"
    assert decode(message).findings[0].title == "a?b"


@pytest.mark.parametrize(
    "rows",
    [
        [], [["reviewed", None, 1, 1, []]], [["reviewed", None, 1, 1, []]] * 3, [["ran", None, 1, 1, []]] * 2,
        [["reviewed", None, 1, 2, []]] * 2, [["reviewed", None, 1, 1, ["n"] * 9]] * 2,
        [["reviewed", 1, 1, 1, []]] * 2, "xy",
    ],
)  # fmt: skip
def test_fates_must_be_those_of_the_files_given(rows: object) -> None:
    with pytest.raises(FrameError):
        wire.decode_reports({"files": rows}, FILES)


def test_paths_come_from_the_parent() -> None:
    reports = wire.decode_reports({"files": [["skipped", "binary", 0, 0, []]] * 2}, FILES)
    assert [report.path for report in reports] == ["a.py", "b\ufffd.py"]


@pytest.mark.parametrize("payload", [b"", b"{", b"[" * 100_000, b"NaN", b'{"a": Infinity}', b"\xff", b"9" * 10_000])
def test_what_is_no_json_is_refused(payload: bytes) -> None:
    with pytest.raises(FrameError):
        frames.parse_json(payload)
