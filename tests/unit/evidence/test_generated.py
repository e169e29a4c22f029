"""Quotes and lies cut from generated changes in which no two lines are alike, so that the right answer is known."""

import random
from collections.abc import Callable
from dataclasses import dataclass, field

import pytest

from services.kit.diff.model import FileDiff, Line, LineKind, Side
from services.review.domain import Claim, DropReason
from services.review.evidence.locate import Located, Locator, Match, Missed
from tests.unit.evidence.scenes import Change, claim, parsed

SEEDS = range(14)
WORDS = ("alpha", "beta", "gamma", "delta", "value", "handle", "count", "total")


@dataclass
class World:
    """A generated change of one file, and what can be drawn from it."""

    seed: int
    rng: random.Random = field(init=False)
    change: Change = field(init=False)
    diff: list[FileDiff] = field(init=False)

    def __post_init__(self) -> None:
        self.rng = random.Random(self.seed)
        self._made = 0
        old = [self.line() for _ in range(self.rng.randint(60, 120))]
        new = list(old)
        for _ in range(self.rng.randint(2, 5)):
            at = self.rng.randrange(4, len(new) - 4)
            new[at : at + self.rng.randint(1, 4)] = [self.line() for _ in range(self.rng.randint(3, 6))]
        self.change = Change("\n".join(old) + "\n", "\n".join(new) + "\n")
        self.diff = parsed([self.change])

    def line(self) -> str:
        self._made += 1
        indent = self.rng.choice(("", "    ", "        ", "\t"))
        return f"{indent}{self.rng.choice(WORDS)}_{self._made} = {self.rng.choice(WORDS)}({self.rng.randint(0, 99)})"

    def lines(self, hunk: int, side: Side) -> list[Line]:
        return [line for line in self.diff[0].hunks[hunk].lines() if line.number(side) is not None]

    def run(self, side: Side, least: int = 1, most: int = 6, changed: bool = False) -> list[Line]:
        """Consecutive lines of one side of one hunk."""
        while True:
            lines = self.lines(self.rng.randrange(len(self.diff[0].hunks)), side)
            length = self.rng.randint(least, most)
            first = self.rng.randint(0, max(0, len(lines) - length))
            run = lines[first : first + length]
            if len(run) == length and (not changed or all(line.kind is not LineKind.CONTEXT for line in run)):
                return run

    def side(self) -> Side:
        return self.rng.choice((Side.LEFT, Side.RIGHT))

    def locate(self, wanted: Claim) -> Located | Missed:
        return Locator(self.diff, contents=self.change.contents()).locate(wanted)


def text(run: list[Line]) -> str:
    return "\n".join(line.text.decode() for line in run)


def shift(quote: str, by: str) -> str:
    return "\n".join(by + line for line in quote.split("\n"))


def with_marks(run: list[Line]) -> str:
    return "\n".join(line.kind.value + line.text.decode() for line in run)


DISGUISES: dict[str, tuple[Callable[[str], str], Match]] = {
    "verbatim": (lambda quote: quote, Match.EXACT),
    "final newline": (lambda quote: quote + "\n", Match.EXACT),
    "blank lines around": (lambda quote: "\n  \n" + quote + "\n\n\n", Match.EXACT),
    "CRLF": (lambda quote: quote.replace("\n", "\r\n") + "\r\n", Match.SHIFTED),
    "trailing blanks": (lambda quote: quote.replace("\n", " \t\n") + "  ", Match.SHIFTED),
    "two more spaces": (lambda quote: shift(quote, "  "), Match.SHIFTED),
    "one more tab": (lambda quote: shift(quote, "\t"), Match.SHIFTED),
    "tabs as eight spaces": (lambda quote: quote.expandtabs(8) + " ", Match.SHIFTED),
}


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("disguise", DISGUISES)
def test_a_true_run_is_bound_whatever_its_blanks(disguise: str, seed: int) -> None:
    world = World(seed)
    side = world.side()
    run = world.run(side)
    change, match = DISGUISES[disguise]
    found = world.locate(claim(change(text(run)), side))
    assert isinstance(found, Located), found
    assert (found.start, found.end, found.match) == (run[0].number(side), run[-1].number(side), match)
    assert (found.side, found.quote) == (side, text(run))


@pytest.mark.parametrize("seed", SEEDS)
def test_a_true_run_with_diff_marks_is_bound(seed: int) -> None:
    world = World(seed)
    side = world.side()
    run = world.run(side, changed=True, least=1, most=3)
    found = world.locate(claim(with_marks(run), side, "b/app.py"))
    assert isinstance(found, Located), found
    assert (found.start, found.quote, found.match) == (run[0].number(side), text(run), Match.EXACT)


@pytest.mark.parametrize("seed", SEEDS)
def test_the_true_part_of_a_half_true_quote_is_bound(seed: int) -> None:
    world = World(seed)
    side = world.side()
    run = world.run(side, least=2)
    lies = [world.line() for _ in range(world.rng.randint(1, len(run)))]
    cut = world.rng.randint(0, len(lies))
    found = world.locate(claim("\n".join([*lies[:cut], text(run), *lies[cut:]]), side))
    assert isinstance(found, Located), found
    assert (found.start, found.quote, found.match) == (run[0].number(side), text(run), Match.PARTIAL)


def edited(world: World) -> Claim:
    line = text(world.run(side := world.side(), 1, 1)).strip()
    at = world.rng.randrange(len(line))
    return claim(line[:at] + "#" + line[at + 1 :], side)


def substring(world: World) -> Claim:
    line = text(world.run(side := world.side(), 1, 1)).strip()
    return claim(line[: world.rng.randint(3, len(line) - 1)], side)


def joined(world: World) -> Claim:
    run = world.run(side := world.side(), 2, 4)
    return claim(" ".join(line.text.decode().strip() for line in run), side)


def look_alike(world: World) -> Claim:
    line = text(world.run(side := world.side(), 1, 1))
    return claim(line.replace("a", "\u0430").replace("e", "\u0435"), side)


def mostly_lies(world: World) -> Claim:
    run = world.run(side := world.side(), 1, 3)
    return claim("\n".join([*(world.line() for _ in range(len(run) + 1)), text(run)]), side)


def other_side(world: World) -> Claim:
    run = world.run(Side.RIGHT, 1, 3, changed=True)
    return claim(text(run), Side.LEFT)


def other_side_marked(world: World) -> Claim:
    run = world.run(Side.RIGHT, 1, 3, changed=True)
    return claim(with_marks(run), Side.LEFT)


def not_in_a_hunk(world: World) -> Claim:
    side = world.side()
    stored = (world.change.old if side is Side.LEFT else world.change.new) or ""
    lines = str(stored).split("\n")
    in_hunks = {line.number(side) for hunk in world.diff[0].hunks for line in hunk.lines()}
    free = [number for number in range(1, len(lines)) if number not in in_hunks]
    return claim(lines[world.rng.choice(free) - 1], side)


def scrambled(world: World) -> Claim:
    run = world.run(side := world.side(), 3, 6)
    return claim(text(run[::-1]), side)


def elided(world: World) -> Claim:
    run = world.run(side := world.side(), 3, 6)
    return claim(f"{run[0].text.decode()}\n...\n{run[-1].text.decode()}", side)


def equal_halves(world: World) -> Claim:
    side = world.side()
    ends = [world.lines(hunk, side) for hunk in (0, len(world.diff[0].hunks) - 1)]
    return claim(f"{ends[0][-1].text.decode()}\n{ends[1][0].text.decode()}", side)


def other_file(world: World) -> Claim:
    return claim(text(world.run(side := world.side())), side, path=f"lib/{world.seed}.py")


KINDS_OF_LIE: dict[Callable[[World], Claim], DropReason] = {
    edited: DropReason.QUOTE_NOT_FOUND,
    substring: DropReason.QUOTE_NOT_FOUND,
    joined: DropReason.QUOTE_NOT_FOUND,
    look_alike: DropReason.QUOTE_NOT_FOUND,
    mostly_lies: DropReason.QUOTE_NOT_FOUND,
    scrambled: DropReason.QUOTE_NOT_FOUND,
    elided: DropReason.QUOTE_NOT_FOUND,
    other_file: DropReason.QUOTE_NOT_FOUND,
    other_side: DropReason.SIDE_MISMATCH,
    other_side_marked: DropReason.SIDE_MISMATCH,
    not_in_a_hunk: DropReason.OUTSIDE_DIFF,
    equal_halves: DropReason.AMBIGUOUS,
}


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("lie", KINDS_OF_LIE, ids=lambda lie: lie.__name__)
def test_a_lie_is_not_bound(lie: Callable[[World], Claim], seed: int) -> None:
    world = World(seed)
    found = world.locate(lie(world))
    assert isinstance(found, Missed), found
    assert found.reason is KINDS_OF_LIE[lie]
