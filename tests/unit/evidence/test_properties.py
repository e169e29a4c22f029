"""What holds for any change and any claim, repeated lines and blank ones included."""

from hypothesis import assume, given, settings
from hypothesis import strategies as st

from services.kit.diff.model import FileDiff, Line, LineKind, Side
from services.review.domain import Claim, DropReason
from services.review.evidence.bind import bind
from services.review.evidence.fingerprint import Surroundings
from services.review.evidence.locate import Located, Locator, Match
from services.review.evidence.shown import Part, Shown
from tests.unit.evidence.scenes import Change, claim, parsed

LINES = st.sampled_from(
    ["a", "b", "c()", "  a", "    a", "\tb", "", " ", "}", "+ a", "-b", "a\r", "ab", "x\xe9", "\ufffd", "..."]
)
FILES = st.lists(LINES, max_size=14).map("\n".join)
SIDES = st.sampled_from(list(Side))
CHANGES = st.builds(Change, FILES, FILES, context=st.integers(0, 3)).filter(lambda change: change.old != change.new)
QUOTES = st.lists(LINES, min_size=1, max_size=5).map("\n".join)


def lines_of(file: FileDiff, hunk: int, side: Side) -> list[Line]:
    return [line for line in file.hunks[hunk].lines() if line.number(side) is not None]


@st.composite
def true_runs(draw: st.DrawFn) -> tuple[list[FileDiff], Side, int, list[Line]]:
    """A change and consecutive lines of one side of one of its hunks."""
    diff = parsed([draw(CHANGES)])
    side = draw(SIDES)
    hunk = draw(st.integers(0, len(diff[0].hunks) - 1))
    lines = lines_of(diff[0], hunk, side)
    assume(lines)
    first = draw(st.integers(0, len(lines) - 1))
    return diff, side, hunk, lines[first : first + draw(st.integers(1, 5))]


@given(CHANGES, SIDES, QUOTES, st.none() | st.integers(-2, 16))
@settings(max_examples=400, deadline=None)
def test_what_is_bound_is_the_diffs_own_text_in_one_hunk_of_the_claimed_side(
    change: Change, side: Side, quote: str, near: int | None
) -> None:
    diff = parsed([change])
    found = Locator(diff, contents=change.contents()).locate(claim(quote, side, near_line=near))
    if not isinstance(found, Located):
        return
    inside = [
        line for line in lines_of(diff[0], found.hunk, side) if line.number(side) in range(found.start, found.end + 1)
    ]
    assert found.side is side
    assert [line.number(side) for line in inside] == list(range(found.start, found.end + 1))
    assert found.quote == b"\n".join(line.text for line in inside).decode("utf-8", "replace")
    assert found.quote.strip()
    bare = [line.strip() for line in quote.split("\n")]
    marked = [line[1:].strip() for line in quote.split("\n")]
    for line in found.quote.split("\n"):
        assert line.strip() in bare or line.strip() in marked


@given(true_runs())
@settings(max_examples=400, deadline=None)
def test_a_run_that_stands_once_is_found_where_it_is(case: tuple[list[FileDiff], Side, int, list[Line]]) -> None:
    diff, side, hunk, run = case
    texts = [line.text for line in run]
    assume(texts[0].strip() and texts[-1].strip() and any(line.kind is not LineKind.CONTEXT for line in run))
    places = 0
    for number in range(len(diff[0].hunks)):
        all_texts = [line.text for line in lines_of(diff[0], number, side)]
        places += sum(all_texts[at : at + len(texts)] == texts for at in range(len(all_texts)))
    assume(places == 1)
    found = Locator(diff).locate(claim(b"\n".join(texts).decode(), side))
    assert isinstance(found, Located)
    assert (found.hunk, found.start, found.end) == (hunk, run[0].number(side), run[-1].number(side))
    assert found.match is Match.EXACT


@given(true_runs(), st.data())
@settings(max_examples=300, deadline=None)
def test_one_edited_line_is_never_bound(
    case: tuple[list[FileDiff], Side, int, list[Line]], data: st.DataObject
) -> None:
    diff, side, _, run = case
    line = run[0].text.decode()
    assume(line.strip())
    at = data.draw(st.integers(0, len(line)))
    lie = line[:at] + data.draw(st.sampled_from(["z", "é", "Ω", "\u200b", ";"])) + line[at:]
    found = Locator(diff).locate(claim(lie, side))
    assert not isinstance(found, Located)
    assert found.reason is DropReason.QUOTE_NOT_FOUND


@given(true_runs(), st.integers(0, 12), st.integers(0, 12))
@settings(max_examples=300, deadline=None)
def test_nothing_that_was_not_shown_is_bound(
    case: tuple[list[FileDiff], Side, int, list[Line]], start: int, stop: int
) -> None:
    diff, side, hunk, run = case
    shown = Shown((Part(0, hunk, start, stop),))
    found = Locator(diff, shown).locate(claim("\n".join(line.text.decode() for line in run), side))
    if isinstance(found, Located):
        numbers = {line.number(side) for line in list(diff[0].hunks[hunk].lines())[start:stop]}
        assert found.hunk == hunk
        assert set(range(found.start, found.end + 1)) <= numbers


@given(CHANGES, st.lists(st.builds(claim, QUOTES, SIDES), max_size=12), st.integers(0, 6))
@settings(max_examples=200, deadline=None)
def test_no_claim_is_lost_uncounted(change: Change, claims: list[Claim], limit: int) -> None:
    bound = bind(claims, parsed([change]), contents=change.contents(), limit=limit)
    assert len(bound.findings) + sum(bound.dropped.values()) == len(claims)
    assert len({finding.fingerprint for finding in bound.findings}) == len(bound.findings) <= limit
    assert len(bound.summary_only) == bound.dropped.get(DropReason.AMBIGUOUS, 0) <= limit


@given(true_runs())
@settings(max_examples=200, deadline=None)
def test_copies_of_one_text_are_told_apart(case: tuple[list[FileDiff], Side, int, list[Line]]) -> None:
    diff, side, _, run = case
    quote = run[0].text.decode()
    assume(quote.strip())
    surroundings = Surroundings(diff[0], side)
    alike = [
        line
        for hunk in range(len(diff[0].hunks))
        for line in lines_of(diff[0], hunk, side)
        if line.text.split() == run[0].text.split()
    ]
    told = {surroundings.discriminator(line.number(side) or 0, quote) for line in alike}
    assert len(told) == len(alike)
    assert (told == {()}) == (len(alike) == 1)
