"""The position map: membership, anchors, text and pairing of lines."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.kit.diff.model import Hunk, Side
from services.kit.diff.parser import parse_patch
from services.kit.diff.positions import PositionMap

PATCH = b"""@@ -3,4 +3,5 @@ first
 three
-four
+4
+4.5
 five\r
 six
@@ -20,0 +22,2 @@
+new one
+new two
@@ -31,2 +33,0 @@
-gone
-also
"""
MAP = PositionMap(parse_patch(PATCH))
L, R = Side.LEFT, Side.RIGHT


def test_lines_are_found_in_their_hunk_on_their_side() -> None:
    assert [line for line in range(-1, 60) if MAP.hunk_of(L, line) is not None] == [3, 4, 5, 6, 31, 32]
    assert [line for line in range(-1, 60) if MAP.hunk_of(R, line) is not None] == [3, 4, 5, 6, 7, 22, 23]
    assert (MAP.hunk_of(R, 7), MAP.hunk_of(R, 22), MAP.hunk_of(L, 31)) == (0, 1, 2)


@pytest.mark.parametrize(
    ("side", "start", "end", "hunk"),
    [(R, 3, 7, 0), (R, 22, 23, 1), (L, 31, 32, 2), (L, 6, 6, 0), (R, 7, 8, None), (R, 7, 22, None), (R, 34, 34, None),
     (L, 20, 20, None), (L, 21, 21, None), (R, 5, 4, None), (R, 0, 3, None), (L, -3, 3, None)],
)  # fmt: skip
def test_anchors(side: Side, start: int, end: int, hunk: int | None) -> None:
    assert MAP.anchor_hunk(side, start, end) == hunk
    assert MAP.valid_anchor(side, start, end) is (hunk is not None)


def test_text_is_verbatim_without_a_final_line_feed() -> None:
    assert MAP.text(R, 3, 6) == b"three\n4\n4.5\nfive\r"
    assert MAP.text(L, 4, 5) == b"four\nfive\r"
    assert MAP.text(R, 6, 6) == b"five\r"
    assert PositionMap(parse_patch(b"@@ -1,3 +1,3 @@\n-a\n+b\n\n ")).text(R, 1, 3) == b"b\n\n"


def test_changed_lines() -> None:
    assert (list(MAP.changed_lines(L)), list(MAP.changed_lines(R))) == ([4, 31, 32], [4, 5, 22, 23])
    assert [line for line in range(40) if MAP.is_changed(R, line)] == [4, 5, 22, 23]
    assert [line for line in range(40) if MAP.is_changed(L, line)] == [4, 31, 32]


def test_unchanged_lines_are_paired() -> None:
    pairs = {1: 1, 2: 2, 3: 3, 4: None, 5: 6, 6: 7, 7: 8, 20: 21, 21: 24, 30: 33, 31: None, 32: None, 33: 34, 900: 901}
    assert {old: MAP.to_new(old) for old in pairs} == pairs
    assert all(MAP.to_old(new) == old for old, new in pairs.items() if new is not None)
    assert [MAP.to_old(new) for new in (4, 5, 22, 23, 0, -1)] == [None] * 6


def test_a_gap_that_hides_a_change_pairs_nothing() -> None:
    """As after "git diff -I": somewhere between the hunks there is one more new line than old ones."""
    positions = PositionMap(parse_patch(b"@@ -1 +1 @@\n-a\n+b\n@@ -10 +11 @@\n-c\n+d\n"))
    assert [positions.to_new(old) for old in (5, 9, 12)] == [None, None, 13]
    assert positions.to_old(5) is None


def test_no_hunks() -> None:
    empty = PositionMap(())
    assert empty.to_new(5) == empty.to_old(5) == 5
    assert list(empty.changed_lines(R)) == []
    assert empty.hunk_of(R, 1) is None


@given(st.lists(st.sampled_from(b" +-"), min_size=1, max_size=60), st.integers(1, 10**12), st.integers(0, 2**32))
def test_any_hunk_agrees_with_its_lines(marks: list[int], start: int, seed: int) -> None:
    chance = random.Random(seed)
    body = b"".join(bytes([mark]) + b"x" * chance.randrange(3) + b"\n" for mark in marks)
    old, new = sum(mark != ord("+") for mark in marks), sum(mark != ord("-") for mark in marks)
    hunk = Hunk(start, old, start, new, b"", body)
    positions = PositionMap([hunk])
    for side in Side:
        lines = {line.number(side): line for line in hunk.lines() if line.number(side) is not None}
        for number, line in lines.items():
            assert number is not None
            assert positions.text(side, number, number) == line.text
            translate, there = (positions.to_new, R) if side is L else (positions.to_old, L)
            assert translate(number) == line.number(there)
            assert positions.is_changed(side, number) is (line.number(there) is None)
