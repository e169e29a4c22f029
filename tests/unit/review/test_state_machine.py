"""docs/state-machine.md, its pictures and the code say the same."""

import re
from collections.abc import Iterable
from datetime import timedelta
from pathlib import Path

import pytest

from services.kit import retries
from services.kit.retries import Retry
from services.review.domain import RunState
from services.review.machine import ENVELOPES, TRANSITIONS
from services.webhooks.machine import DELIVERIES, EFFECTS, OUTBOX, PUBLICATIONS

DOCUMENT = (Path(__file__).resolve().parents[3] / "docs" / "state-machine.md").read_text()
RUNS = [(t.source or "", t.target, t.who) for t in TRANSITIONS]
TABLES = {
    "The life of a review": RUNS,
    "Deliveries": DELIVERIES,
    "The outbox": OUTBOX,
    "The inbox of review": ENVELOPES,
    "Publications": PUBLICATIONS,
    "Effects on the host": EFFECTS,
}
PICTURES = {"The life of a review": RUNS, "Deliveries": DELIVERIES, "The inbox of review": ENVELOPES}


def section(title: str) -> str:
    """The text below a heading, to the next one."""
    found = re.search(rf"^##? {title}$(.+?)(?=^## |\Z)", DOCUMENT, re.M | re.S)
    assert found, f"there is no section {title}"
    return found[1]


@pytest.mark.parametrize("title", TABLES)
def test_the_table_is_the_one_in_the_code(title: str) -> None:
    rows = re.findall(r"^\| (–|[A-Z_]+) \| (–|[A-Z_]+) \| (.+) \|$", section(title), re.M)
    assert rows == [(a or "–", b or "–", who) for a, b, who in TABLES[title]]


@pytest.mark.parametrize("title", PICTURES)
def test_the_picture_has_the_same_arrows(title: str) -> None:
    drawn = set(re.findall(r"^ +(\[\*\]|[A-Z_]+) --> (\[\*\]|[A-Z_]+)", section(title), re.M))
    made = {(a or "[*]", b or "[*]") for a, b, _ in PICTURES[title]}
    ends = {(state.value, "[*]") for state in RunState if state.is_final} if PICTURES[title] is RUNS else set()
    assert drawn == made | ends


def test_no_arrow_leaves_a_final_state() -> None:
    assert not [t for t in TRANSITIONS if t.source is not None and t.source.is_final]


def words(time: timedelta) -> str:
    seconds = time.total_seconds()
    if seconds < 60:
        return f"{seconds:g} s"
    return f"{seconds / 60:g} min" if seconds < 3600 else f"{seconds / 3600:g} h"


def shown(retry: Retry) -> tuple[str, ...]:
    """A class as the document tells it."""
    if retry.attempts == 1:
        how, how_long = "not tried again", "at once"
    else:
        grows = f"after {words(retry.first)}, doubled up to {words(retry.longest)}"
        how = f"every {words(retry.first)}" if retry.first == retry.longest else grows
        how_long = f"{retry.attempts} times" if retry.attempts else words(retry.lasting) if retry.end else "–"
    return retry.subject, retry.failure, retry.when, how, how_long, retry.end or "–"


def test_the_table_of_retries_is_the_one_in_the_code() -> None:
    rows = re.findall(r"^\| ([a-z].+) \|$", section("What is tried again"), re.M)
    told = [tuple(row.split(" | ")) for row in rows if not row.startswith("what |")]
    assert told == [shown(retry) for retry in retries.TABLE]


@pytest.mark.parametrize(
    "retry", [r for r in retries.TABLE if r.attempts != 1], ids=lambda r: f"{r.subject} {r.failure}"
)
def test_pauses_grow_are_spread_and_never_shorter_than_asked(retry: Retry) -> None:
    middle = [retry.pause(times, 0.5) for times in range(30)]
    assert middle == sorted(middle) and middle[0] == retry.first and middle[-1] in (retry.longest, timedelta())
    assert spread(retry.pause(3, luck) for luck in (0.0, 0.5, 1.0)) or retry.first == timedelta()
    for asked in (timedelta(seconds=1), timedelta(hours=1)):
        waits = [retry.pause(0, luck, asked) for luck in (0.0, 0.5, 1.0)]
        assert waits[0] == asked and spread(waits) and waits[-1] <= asked + timedelta(seconds=10)


def spread(pauses: Iterable[timedelta]) -> bool:
    found = list(pauses)
    return found == sorted(found) and len(set(found)) == len(found)
