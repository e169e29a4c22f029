"""Hostile sizes cost a bounded number of comparisons; counted, not timed."""

from collections.abc import Sequence

import pytest

from services.kit.diff.model import FileDiff, FileStatus, Hunk, Side
from services.review.domain import DropReason
from services.review.evidence.bind import bind
from services.review.evidence.index import MAX_PARTIAL_PLACES, MAX_PLACES
from services.review.evidence.locate import Located, Locator, Missed
from services.review.evidence.quote import MAX_QUOTE_LINES, TAB_WIDTHS
from services.review.evidence.shown import Shown
from tests.unit.evidence.scenes import claim

# Two readings of the quote, on the claimed side, the other one and in the content; parts on both sides, two anchors.
PER_CLAIM = 2 * 3 * (MAX_PLACES + 1) + 2 * 2 * 2 * len(TAB_WIDTHS) * MAX_PARTIAL_PLACES


def added(lines: list[bytes]) -> list[FileDiff]:
    body = b"".join(b"+" + line + b"\n" for line in lines)
    hunk = Hunk(0, 0, 1, len(lines), b"", body)
    return [FileDiff(None, b"app.py", FileStatus.ADDED, (hunk,), new_mode="100644")]


REPEATED = added([b"same()"] * 20_000)


def test_a_line_repeated_20000_times_is_compared_at_few_places() -> None:
    locator = Locator(REPEATED, contents={("app.py", Side.RIGHT): b"same()\n" * 20_000})
    for length in range(1, 60):
        found = locator.locate(claim("\n".join(["same()"] * length)))
        assert isinstance(found, Missed)
        assert found.reason is DropReason.AMBIGUOUS
    assert locator.compared <= 59 * PER_CLAIM
    before = locator.compared
    near = locator.locate(claim("same()", near_line=19_999))
    assert isinstance(near, Located)
    assert near.start == 19_999
    assert locator.compared - before <= PER_CLAIM


def test_5000_claims_about_one_repeated_line_stay_linear() -> None:
    locator = Locator(REPEATED)
    for number in range(5_000):
        quote = "\n".join(["same()"] * (number % 3 + 1) + [f"lie_{number}()"] * (number % 2))
        assert isinstance(locator.locate(claim(quote)), Missed)
    assert locator.compared <= 5_000 * PER_CLAIM


@pytest.mark.parametrize("rows", [2_000, 20_000])
def test_the_work_per_claim_does_not_grow_with_the_file(rows: int) -> None:
    period = [b"a()", b"b()", b"  a()", b"c()"]
    locator = Locator(added([period[row % 4] for row in range(rows)]))
    for quote in ("a()\nb()\nc()", "a()\nc()\n  a()", "b()\n  a()\nc()\na()\nlie()", "c()\nc()"):
        locator.locate(claim(quote))
    assert locator.compared <= 4 * PER_CLAIM


def test_a_line_of_5_megabytes_is_bound_and_its_substring_is_not() -> None:
    long = "x" * 5_000_000
    locator = Locator(added([b"first", long.encode(), b"last"]))
    found = locator.locate(claim(long))
    assert isinstance(found, Located)
    assert (found.start, found.quote) == (2, long)
    for lie in (long[:-1], long + "x", "  " + long[1:], "." * 5_000_000):
        missed = locator.locate(claim(lie))
        assert isinstance(missed, Missed)
        assert missed.reason is DropReason.QUOTE_NOT_FOUND
    assert locator.compared <= 5 * PER_CLAIM


def test_each_side_is_read_once_however_many_claims() -> None:
    read: list[int] = []

    def counting(lines: Sequence[str]) -> Sequence[str]:
        read.append(len(lines))
        return lines

    locator = Locator(added([f"line_{number}()".encode() for number in range(500)]), Shown(mask=counting))
    for number in range(500):
        assert isinstance(locator.locate(claim(f"line_{number}()")), Located)
        assert isinstance(locator.locate(claim(f"lie_{number}()")), Missed)
    assert read == [500]  # an added file has no other side to read


def test_quotes_longer_than_the_limit_are_not_looked_for() -> None:
    lines = [f"line_{number}()" for number in range(MAX_QUOTE_LINES + 1)]
    locator = Locator(added([line.encode() for line in lines]))
    whole = locator.locate(claim("\n".join(lines[:MAX_QUOTE_LINES]) + "\n"))
    assert isinstance(whole, Located)
    assert whole.end == MAX_QUOTE_LINES
    before = locator.compared
    assert isinstance(locator.locate(claim("\n".join(lines) + "\n")), Missed)
    assert locator.compared == before


def test_a_place_is_not_called_the_only_one_when_not_all_were_compared() -> None:
    rows = [b"a()", b"b()"] + [b"a()", b"x()", b"b()"] * (MAX_PLACES + 1) + [b"a()", b"b()"]
    found = Locator(added(rows)).locate(claim("a()\nb()"))
    assert isinstance(found, Missed)
    assert found.reason is DropReason.AMBIGUOUS


def test_5000_ambiguous_and_5000_bound_claims_are_merged_and_capped() -> None:
    diff = added([b"same()"] * 2_000 + [f"line_{number}()".encode() for number in range(2_000)])
    claims = [claim("same()", category=f"c{number}") for number in range(5_000)]
    claims += [claim(f"line_{number % 2_000}()") for number in range(5_000)]
    bound = bind(claims, diff, limit=50)
    assert (len(bound.findings), len(bound.summary_only)) == (50, 50)
    assert bound.dropped == {
        DropReason.AMBIGUOUS: 50,
        DropReason.DUPLICATE: 3_000,
        DropReason.OVER_LIMIT: 4_950 + 1_950,
    }


def test_5000_findings_on_copies_of_one_line_are_told_apart_in_one_pass() -> None:
    claims = [claim("same()", near_line=number + 1) for number in range(5_000)]
    bound = bind(claims, REPEATED, limit=10_000)
    assert len({finding.fingerprint for finding in bound.findings}) == 5_000
    assert [finding.start_line for finding in bound.findings] == list(range(1, 5_001))


def test_a_mask_that_changes_the_number_of_lines_is_refused() -> None:
    for mask in (lambda lines: lines[:-1], lambda lines: ["a\nb" for _ in lines]):
        locator = Locator(added([b"a", b"b"]), Shown(mask=mask))
        with pytest.raises(ValueError, match="one line for each line"):
            locator.locate(claim("a"))
