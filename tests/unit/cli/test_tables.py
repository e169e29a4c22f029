"""Tables on terminals of any width."""

from cli.tables import lay_out

HEAD = ("ID", "NAME", "REASON")
ROWS = [("1" * 10, "ada", "the lock is gone"), ("2" * 10, "a\x1bb", "-")]


def test_what_fits_is_one_line_for_each_row() -> None:
    assert lay_out(HEAD, ROWS, 80) == [
        "ID          NAME  REASON",
        "1111111111  ada   the lock is gone",
        "2222222222  a\ufffdb   -",
    ]


def test_what_does_not_fit_goes_below_and_is_not_lost() -> None:
    lines = lay_out(HEAD, ROWS, 22)
    assert lines == [
        "ID          NAME",
        "    REASON",
        "1111111111  ada",
        "    the lock is gone",
        "2222222222  a\ufffdb",
        "    -",
    ]
    assert all(len(line) <= 22 for line in lines)


def test_one_cell_that_is_too_wide_is_cut() -> None:
    assert lay_out(("REASON",), [("x" * 30,)], 10) == ["REASON", "x" * 9 + "…"]
