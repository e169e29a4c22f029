"""A replacement is carried only where the quote was found whole, and made to fit its place, or left out."""

from dataclasses import dataclass

import pytest

from services.kit.diff.model import Side
from services.review.evidence.locate import Located, Locator
from services.review.evidence.shown import Mask, Shown
from tests.unit.evidence.cases import masked
from tests.unit.evidence.scenes import SCENES, claim, parsed

L, R = Side.LEFT, Side.RIGHT
WITH = "    with open(path) as handle:\n        data = handle.read()"
LINE = "    with open(path) as handle:"


@dataclass(frozen=True)
class Row:
    name: str
    scene: str
    quote: str
    replacement: str
    expected: str | None
    side: Side = R
    mask: Mask | None = None


ROWS = (
    Row("exact", "app", LINE, "    with opened(path) as h:", "    with opened(path) as h:"),
    Row("exact, one line by two", "app", LINE, "    log()\n" + LINE, "    log()\n" + LINE),
    Row("final newline of the replacement", "app", LINE, "    log()\n", "    log()"),
    Row("final newline of both", "app", LINE + "\n", "    log()\n", "    log()"),
    Row("deletion", "app", LINE, "", ""),
    Row("one blank line", "app", LINE, "\n", None),
    Row("blanks only", "app", LINE, "  \n\t", None),
    Row("changes nothing", "app", LINE, LINE, None),
    Row("changes nothing but a newline", "app", LINE, LINE + "\n", None),
    Row(
        "dedented quote",
        "app",
        "with open(path) as handle:\n    data = handle.read()",
        "x()\n\nif y:\n    z()",
        "    x()\n\n    if y:\n        z()",
    ),
    Row("indented quote", "app", "      with open(path) as handle:", "      x()\n        y()", "    x()\n      y()"),
    Row("indented quote, replacement is not", "app", "      with open(path) as handle:", "x()", None),
    Row("one space, which may be a mark", "app", " " + LINE, "     x()", None),
    Row("trailing blanks", "app", LINE + "  ", "    x()", "    x()"),
    Row("part of the quote", "app", WITH + "\n        lie()", "    x()", None),
    Row("half of the quote", "app", LINE + "\n    lie()", "    x()", None),
    Row("old side", "app", "    handle = open(path)", "    x()", None, side=L),
    Row("old side, context", "app", "def main():", "def run():", None, side=L),
    Row("new side, context", "app", "def main():", "def run():", "def run():"),
    Row("marks on the quote only", "app", "+" + LINE, "    x()", "    x()"),
    Row("marks on both", "app", "+" + LINE, "+    x()\n+\n+    y()", "    x()\n\n    y()"),
    Row("marks on some lines", "app", "+" + LINE, "+    x()\n     y()", None),
    Row("a removed line in the replacement", "app", "+" + LINE, "-    x()\n+    y()", None),
    Row("blank lines around the quote", "app", "\n" + LINE + "\n\n\n", "\n    x()\n\n", "    x()"),
    Row("blank lines that the quote has not", "app", LINE, "\n    x()\n\n", "\n    x()\n"),
    Row("tabs", "tabs", "\tx()\n\ty()", "\tz()", "\t\tz()"),
    Row("tabs as spaces", "tabs", "    if ok {\n        x()", "    if fine {\n        x()", None),
    Row("CRLF kept", "crlf", "two!\r\nthree!\r", "2\r\n3\r", "2\r\n3\r"),
    Row("CRLF lost in both", "crlf", "two!\nthree!", "2\n3", "2\r\n3\r"),
    Row("CRLF in the answer only", "app", LINE + "\r\n", "    x()\r\n    y()\r\n", "    x()\n    y()"),
    Row("mixed line ends", "mixed ends", "two?\nthree?", "2\n3", None),
    Row("one line of mixed ends", "mixed ends", "two?", "2", "2\r"),
    Row("last line without newline", "no newline", "three", "3\n4", "3\n4"),
    Row(
        "masked line",
        "app",
        "    with open(path, [secret]) as handle:",
        "    with open(path, [secret]):",
        None,
        mask=masked,
    ),
    Row("line beside a masked one", "app", "        handle.write(data)", "        x()", "        x()", mask=masked),
    Row("invalid bytes", "bytes", 'name = "caf\ufffd"', 'name = "tea"', None),
    Row("line beside invalid bytes", "bytes", "rest = 1", "rest = 2", "rest = 2"),
    Row("lone surrogate", "app", LINE, "    x = '\ud800'", None),
    Row("re-indentation of the diff", "spaces only", "  go()", "  stop()", "    stop()"),
)


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_replacement(row: Row) -> None:
    changes = SCENES[row.scene]
    locator = Locator(parsed(changes), Shown(mask=row.mask))
    found = locator.locate(claim(row.quote, row.side, changes[0].path, replacement=row.replacement))
    assert isinstance(found, Located), found
    assert found.replacement == row.expected


def test_no_replacement_stays_none() -> None:
    found = Locator(parsed(SCENES["app"])).locate(claim(LINE))
    assert isinstance(found, Located)
    assert found.replacement is None
