from pathlib import Path

import pytest

from services.review.analyzers.conflicts import Conflicts
from services.review.analyzers.target import AddedLine, Deadline, Target
from tests.unit.analyzers.support import target

CONFLICT = "a = 1\n<<<<<<< HEAD\nb = 2\n=======\nb = 3\n>>>>>>> topic\nc = 4\n"


def lines(path: str, source: str) -> list[int | None]:
    return [claim.near_line for claim in Conflicts().run([target(path, source)], Path(), Deadline(30)).claims]


@pytest.mark.parametrize("path", ["a.py", "a/b.c", "Makefile", "docs/index.html", "README.md", "tests/test_a.py"])
def test_a_conflict_is_told_at_its_first_marker(path: str) -> None:
    assert lines(path, CONFLICT) == [2]
    assert lines(path, CONFLICT.replace("\n", "\r\n")) == [2]


def test_each_conflict_is_told_and_the_common_ancestor_is_part_of_one() -> None:
    diff3 = CONFLICT.replace("=======\n", "||||||| base\nb = 1\n=======\n")
    assert lines("a.py", CONFLICT + diff3) == [2, 9]


@pytest.mark.parametrize(
    "source",
    [
        "Title\n=======\n\ntext\n",
        "<<<<<<< HEAD\nb = 2\n>>>>>>> topic\n",
        "=======\n<<<<<<< HEAD\n>>>>>>> x\n",
        ">>>>>>> x\n=======\n<<<<<<< HEAD\n",
        "  <<<<<<< HEAD\n  =======\n  >>>>>>> x\n",
        "<<<<<<<< HEAD\n========\n>>>>>>>> x\n",
        '<<<<<<<"HEAD"\n=======\n>>>>>>>"x"\n',
        "<<<<<<< HEAD\n" + "x\n" * 3000 + "=======\n>>>>>>> x\n",
    ],
)
def test_what_only_looks_like_one_is_left_alone(source: str) -> None:
    assert lines("a.txt", source) == []


def test_documents_explain_conflicts_in_blocks_of_code_and_tests_keep_samples() -> None:
    assert lines("docs/merge.md", f"Look:\n```\n{CONFLICT}```\n") == []
    assert lines("docs/merge.md", f"```\ncode\n```\n{CONFLICT}") == [5]
    assert lines("tests/fixtures/merge.txt", CONFLICT) == []


def test_markers_that_were_there_before_are_not_told() -> None:
    whole = target("a.py", CONFLICT)
    part = Target("a.py", "py", tuple(line for line in whole.added if line.number != 4), whole.head)
    assert Conflicts().run([part], Path(), Deadline(30)).claims == ()


def test_prose_without_its_surroundings_is_left_alone() -> None:
    added = tuple(AddedLine(number, text) for number, text in enumerate(CONFLICT.split("\n"), 1))
    assert Conflicts().run([Target("a.md", "md", added)], Path(), Deadline(30)).claims == ()
