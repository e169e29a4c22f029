"""What the parent refuses to believe of a child that has read an upload, shown it, or bound claims to it."""

from typing import Any

import pytest

from services.kit.diff.model import Side
from services.review.analyzers.binding import decode_bound
from services.review.analyzers.frames import FrameError
from services.review.analyzers.upload import MAX_FILES, decode_invalid, decode_listing
from services.review.analyzers.view import decode_view
from services.review.analyzers.wire import imported_name
from services.review.domain import Claim, Severity, Source, SourceFile, SourceKind

FILES = [SourceFile(b"a.py", "added"), SourceFile(b"b.py", "added")]
PATHS = frozenset({"a.py", "b.py"})
CLAIM = Claim("a.py", Side.RIGHT, "x", Severity.LOW, "bug", "T", "B", Source(SourceKind.MODEL, "p", None, "m"))
PLACE = [0, "0" * 32, "a.py", "RIGHT", 1, 1, "x", None]


@pytest.mark.parametrize(
    "files",
    [
        None,
        [["a.py"]],
        [["a.py", "gone"]],
        [["", "added"]],
        [["a\0b", "added"]],
        [["p" * 5000, "added"]],
        [[5, "added"]],
        [["a", "added"]] * (MAX_FILES + 1),
    ],
)
def test_a_forged_listing(files: Any) -> None:
    with pytest.raises(FrameError):
        decode_listing({"files": files})


def test_a_path_of_half_a_character_becomes_a_whole_one() -> None:
    (file,) = decode_listing({"files": [["a\ud800", "added"]]})
    assert file.path == b"a?"


@pytest.mark.parametrize("reason", [None, "", "x" * 401, "two\nlines", "\u202e"])
def test_a_forged_reason(reason: Any) -> None:
    with pytest.raises(FrameError):
        decode_invalid({"reason": reason})


@pytest.mark.parametrize(
    ("files", "left_out"),
    [
        (None, []),
        ([], None),
        ([], [2]),
        ([], [-1]),
        ([], [True]),
        ([[0, None, []], [0, None, []]], []),
        ([[0, None, []]], [0]),
        ([[0, 5, []]], []),
        ([[0, None, [[1, 1, "", "x"]]]], []),
        ([[0, None, [[-1, 1, "", []]]]], []),
        ([[0, None, [[2**31, 1, "", []]]]], []),
        ([[0, None, [[1, 1, "", [""]]]]], []),
        ([[0, None, [[1, 1, "", ["?x"]]]]], []),
        ([[0, None, [[1, 1, "", [5]]]]], []),
        ([[0, None, [[1, 1, "", ["+a\n-b"]]]]], []),
    ],
)
def test_a_forged_view(files: Any, left_out: Any) -> None:
    with pytest.raises(FrameError):
        decode_view({"files": files, "left_out": left_out}, FILES)


def bound(**values: Any) -> dict[str, Any]:
    return {"type": "bound", "findings": [], "summary": [], "dropped": {}} | values


@pytest.mark.parametrize(
    "message",
    [
        None,
        bound(type="done"),
        bound(dropped=None),
        bound(dropped={"other": 1}),
        bound(findings=[PLACE, PLACE]),
        bound(findings=[PLACE[:-1]]),
        bound(findings=[[1, *PLACE[1:]]]),
        bound(findings=[[0, "no digest", *PLACE[2:]]]),
        bound(findings=[[*PLACE[:2], "c.py", *PLACE[3:]]]),
        bound(findings=[[*PLACE[:3], "LEFT", *PLACE[4:]]]),
        bound(findings=[[*PLACE[:5], 2, "x", None]]),
        bound(findings=[[*PLACE[:-1], "a replacement that nobody proposed"]]),
        bound(findings=[PLACE], summary=[[0, "a.py", "x"]]),
        bound(summary=[[0, "c.py", "x"]]),
    ],
)
def test_forged_places(message: Any) -> None:
    with pytest.raises(FrameError):
        decode_bound(message, [CLAIM], PATHS)


def test_a_place_is_all_that_is_taken_from_an_answer() -> None:
    (finding,) = decode_bound(bound(findings=[PLACE]), [CLAIM], PATHS).findings
    assert (finding.title, finding.body, finding.severity, finding.source) == ("T", "B", Severity.LOW, CLAIM.source)


@pytest.mark.parametrize("name", [None, "", "x" * 81, "a\nb", "a\u202eb"])
def test_a_forged_tool(name: Any) -> None:
    with pytest.raises(FrameError):
        imported_name({"name": name})
