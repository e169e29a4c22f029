"""docs/state-machine.md, its picture and the code say the same."""

import re
from pathlib import Path

from services.review.domain import RunState
from services.review.machine import TRANSITIONS

DOCUMENT = Path(__file__).resolve().parents[3] / "docs" / "state-machine.md"
STATES = "|".join(RunState)


def test_the_table_is_the_one_in_the_code() -> None:
    rows = re.findall(rf"^\| (–|{STATES}) \| ({STATES}) \| (.+) \|$", DOCUMENT.read_text(), re.M)
    assert rows == [(t.source.value if t.source else "–", t.target.value, t.who) for t in TRANSITIONS]


def test_the_picture_has_the_same_arrows() -> None:
    arrows = re.findall(rf"^ +(\[\*\]|{STATES}) --> (\[\*\]|{STATES})", DOCUMENT.read_text(), re.M)
    drawn = {(a, b) for a, b in arrows}
    made = {(t.source.value if t.source else "[*]", t.target.value) for t in TRANSITIONS}
    ends = {(state.value, "[*]") for state in RunState if state.is_final}
    assert drawn == made | ends


def test_no_arrow_leaves_a_final_state() -> None:
    assert not [t for t in TRANSITIONS if t.source is not None and t.source.is_final]
