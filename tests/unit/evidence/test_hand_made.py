"""Every row of cases.py, each as a test of its own."""

import pytest

from services.review.domain import DropReason
from services.review.evidence.locate import Located, Locator, Missed
from services.review.evidence.shown import Shown
from tests.unit.evidence.cases import LIES, TRUTHS, Case
from tests.unit.evidence.scenes import SCENES, claim, parsed, raw


def outcome(case: Case) -> Located | Missed:
    changes = SCENES[case.scene]
    contents = {key: text for change in changes for key, text in change.contents().items()}
    locator = Locator(parsed(changes), Shown(case.parts, case.mask), contents)
    return locator.locate(
        claim(case.quote, case.side, changes[0].path if case.path is None else case.path, near_line=case.near)
    )


@pytest.mark.parametrize("case", TRUTHS, ids=lambda case: case.name)
def test_truth_is_bound(case: Case) -> None:
    found = outcome(case)
    assert isinstance(found, Located), found
    assert (found.start, found.end, found.match) == case.expected
    assert found.side is case.side
    names = {change.path: change for change in SCENES[case.scene]}
    stored = names[found.path].new if case.side == "RIGHT" else names[found.path].old
    lines = raw(stored or b"").split(b"\n")[found.start - 1 : found.end]
    assert found.quote == "\n".join(line.decode("utf-8", "replace") for line in lines)


@pytest.mark.parametrize("case", LIES, ids=lambda case: case.name)
def test_lie_is_dropped_or_demoted(case: Case) -> None:
    found = outcome(case)
    assert isinstance(found, Missed), found
    assert found.reason is case.expected
    assert (found.quote is None) == (found.reason is not DropReason.AMBIGUOUS)


def test_there_are_a_hundred_of_each_and_no_two_alike() -> None:
    for table in (TRUTHS, LIES):
        assert len(table) >= 100
        assert len({case.name for case in table}) == len(table)
