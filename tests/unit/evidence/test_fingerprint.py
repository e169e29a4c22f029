"""What a finding's identity survives, what it tells apart, and its limits."""

from dataclasses import replace

import pytest

from services.kit.diff.model import Side
from services.review.domain import Finding, Source, SourceKind
from services.review.evidence.bind import bind
from services.review.evidence.fingerprint import fingerprint, normalised
from tests.unit.evidence.scenes import MODEL, Change, claim, parsed

R = Side.RIGHT
RUFF = Source(SourceKind.ANALYZER, "ruff", "S101")
BASE = "def f():\n    pass\n\n\ndef g():\n    pass\n"
HEAD = BASE + "\n\ndef h(x):\n    assert x\n    return x\n"


def one(old: str, new: str, quote: str = "    assert x", **more: object) -> Finding:
    (finding,) = bind([claim(quote, **more)], parsed([Change(old, new)])).findings  # type: ignore[arg-type]
    return finding


def test_it_is_32_hexadecimal_digits_and_pinned() -> None:
    # Pinned: a change of this value orphans every stored finding, and asks for a new FINGERPRINT_VERSION.
    assert fingerprint("app.py", R, MODEL, "bug", "    assert x") == "5654b12cd6d4e113960bbae6fc28d6ce"


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("# one\n# two\n" + BASE, "# one\n# two\n" + HEAD),
        (BASE, HEAD.replace("return x", "return x + 1")),
        (BASE, HEAD.replace("def h(x):", "def h(x, y):")),
        (BASE, HEAD.replace("def f():\n    pass", "def f():\n    return 1")),
        (BASE, "if True:\n" + "".join(f"    {line}\n" if line else "\n" for line in HEAD.split("\n"))),
        (BASE, HEAD.replace("    ", "\t")),
        (BASE, HEAD.replace("\n", "\r\n")),
    ],
    ids=["rebase", "edit after", "edit before", "edit far off", "re-indented", "tabs", "CRLF"],
)
def test_it_survives(old: str, new: str) -> None:
    quote = next(line for line in new.split("\n") if "assert" in line)
    assert one(old, new, quote).fingerprint == one(BASE, HEAD).fingerprint


def test_it_survives_other_words_and_another_model() -> None:
    other = replace(MODEL, name="pass-2", model="other")
    again = one(BASE, HEAD, title="Asserts vanish", body="under -O", source=other, confidence=0.5)
    assert again.fingerprint == one(BASE, HEAD).fingerprint


def test_it_tells_apart() -> None:
    text = "    assert x"
    prints = [
        fingerprint("app.py", R, MODEL, "bug", text),
        fingerprint("lib.py", R, MODEL, "bug", text),
        fingerprint("app.py", Side.LEFT, MODEL, "bug", text),
        fingerprint("app.py", R, MODEL, "style", text),
        fingerprint("app.py", R, RUFF, "bug", text),
        fingerprint("app.py", R, replace(RUFF, rule_id="S102"), "bug", text),
        fingerprint("app.py", R, replace(RUFF, kind=SourceKind.IMPORT), "bug", text),
        fingerprint("app.py", R, replace(RUFF, rule_id=None), "bug", text),
        fingerprint("app.py", R, MODEL, "bug", "    assert y"),
        fingerprint("app.py", R, MODEL, "bug", "    assert\n    x"),
        fingerprint("app.py", R, MODEL, "bug", text, ("a", "", "0")),
        fingerprint("app.py", R, MODEL, "bug", text, ("", "a", "0")),
    ]
    assert len(set(prints)) == len(prints)


def test_an_analyzer_is_known_by_its_rule_not_by_the_category() -> None:
    assert fingerprint("a", R, RUFF, "bug", "x") == fingerprint("a", R, RUFF, "security", "x")


COPIES = "log()\na()\nlog()\nb()\nlog()\n"


def test_copies_are_told_apart_by_their_neighbours_wherever_they_go() -> None:
    first = {near: one("z\n", COPIES + "z\n", "log()", near_line=near).fingerprint for near in (1, 3, 5)}
    assert len(set(first.values())) == 3
    shifted = {
        near: one("z\n", "new()\n\n" + COPIES + "z\n", "log()", near_line=near + 2).fingerprint for near in (3, 5)
    }
    assert shifted == {near: first[near] for near in (3, 5)}


def test_limit_a_second_copy_of_the_text_changes_the_identity() -> None:
    alone = one("z\n", "log()\nz\n", "log()").fingerprint
    assert one("z\n", "log()\nz\nlog()\n", "log()", near_line=1).fingerprint != alone


def test_twins_with_the_same_neighbours_are_counted() -> None:
    text = "a\nlog()\nb\n" * 3
    prints = [one("z\n", text, "log()", near_line=near).fingerprint for near in (2, 5, 8)]
    assert len(set(prints)) == 3


def test_blanks_and_blank_lines_are_not_part_of_the_text() -> None:
    assert normalised("\tif  x :\r\n\n   y\t= 1 ") == ("if x :", "y = 1")
