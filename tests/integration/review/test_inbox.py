"""The inbox on a real Postgres: each envelope acts once, poison is set aside with its reason, and nothing is lost."""

from uuid import UUID, uuid4

import pytest
from lintel.events.v1 import envelope_pb2, pull_request_pb2

from services.kit import retries
from services.kit.bus.port import Envelope
from services.kit.bus.wire import PULL_REQUEST_CHANGED, seal
from services.kit.errors import AppError
from services.kit.ids import new_id
from services.kit.postgres import inbox
from services.kit.postgres.pool import Database
from services.review.consumers import Inbox
from services.review.runs import Runs
from tests.integration.review.steps import ORGANIZATION, A, B, Owner, one, states

MAX_ATTEMPTS = retries.ENVELOPE_ERROR.attempts


def event(head: str = A, number: int = 7) -> Envelope:
    ref = pull_request_pb2.PullRequestRef(host="github", repository_id="42", repository="acme/shop", number=number)
    change = pull_request_pb2.PullRequestChanged(ref=ref, action="opened", head_sha=head, base_ref="main")
    return seal(ORGANIZATION, PULL_REQUEST_CHANGED, change)


@pytest.fixture
def consumer(db: Database, runs: Runs) -> Inbox:
    return Inbox(db, runs)


async def arrive(db: Database, *envelopes: Envelope) -> None:
    await inbox.acceptor(db, "review")(envelopes)


async def drained(consumer: Inbox) -> int:
    handled = 0
    while await consumer.handle_next():
        handled += 1
    return handled


async def test_what_arrives_twice_and_out_of_order_is_one_run_and_handled_once(
    consumer: Inbox, db: Database, owner: Owner
) -> None:
    first, second = event(A), event(B)
    await arrive(db, second, first, second)
    await arrive(db, first)
    assert await drained(consumer) == 2
    assert len(await states(owner)) == 1
    rows = await owner.fetch("SELECT state, attempts FROM review.inbox")
    assert [tuple(row) for row in rows] == [("HANDLED", 1)] * 2


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"\xff\xff", "not an envelope"),
        (envelope_pb2.Envelope(topic="somebody.else").SerializeToString(), "unknown topic 'somebody.else'"),
        (envelope_pb2.Envelope(topic=PULL_REQUEST_CHANGED, payload=b"\xff").SerializeToString(), "not an envelope"),
    ],
    ids=["rubbish", "topic", "payload"],
)
async def test_what_nobody_can_read_is_dead_at_once_and_holds_nothing_up(
    consumer: Inbox, db: Database, owner: Owner, data: bytes, reason: str
) -> None:
    await arrive(db, Envelope(new_id(), ORGANIZATION, PULL_REQUEST_CHANGED, data), event(A))
    assert await drained(consumer) == 2
    row = await one(owner, "SELECT reason, attempts FROM review.inbox WHERE state = 'DEAD'")
    assert row["reason"].startswith(reason)
    assert row["attempts"] == 1
    assert await states(owner) == [(A, "QUEUED")]


async def test_what_fails_each_time_is_tried_again_later_and_then_dead(
    consumer: Inbox, db: Database, owner: Owner
) -> None:
    await owner.execute("ALTER TABLE review.pull_requests ADD CONSTRAINT lucky CHECK (number <> 13)")
    bad = event(number=13)
    await arrive(db, bad, event(number=14))
    await consumer.handle_next()
    await consumer.handle_next()
    row = await one(
        owner, "SELECT id, available_at > create_time + interval '1 s' FROM review.inbox WHERE state = 'RECEIVED'"
    )
    assert tuple(row) == (bad.id, True)
    await owner.execute(
        "UPDATE review.inbox SET available_at = clock_timestamp(), attempts = $1 WHERE state = 'RECEIVED'",
        MAX_ATTEMPTS - 1,
    )
    await drained(consumer)
    row = await one(owner, "SELECT id, reason, attempts FROM review.inbox WHERE state = 'DEAD'")
    assert tuple(row) == (bad.id, "CheckViolationError", MAX_ATTEMPTS)


async def test_what_stops_its_worker_each_time_is_dead_after_some_attempts(
    consumer: Inbox, db: Database, owner: Owner
) -> None:
    await arrive(db, event())
    await owner.execute("UPDATE review.inbox SET attempts = $1", MAX_ATTEMPTS)  # claimed, and never settled
    assert await drained(consumer) == 1
    row = await one(owner, "SELECT state, reason FROM review.inbox")
    assert tuple(row) == ("DEAD", "its worker stopped each time it was tried")
    assert await states(owner) == []


async def test_what_was_being_handled_when_the_database_went_comes_back_soon(
    consumer: Inbox, db: Database, owner: Owner
) -> None:
    await arrive(db, event())
    away = Database("postgresql://lintel@127.0.0.1:1/nowhere", "review")
    await away.open()
    with pytest.raises(AppError):
        await Inbox(db, Runs(away)).handle_next()
    await away.close()
    row = await one(
        owner, "SELECT state, available_at < clock_timestamp() + interval '20 seconds' AS soon FROM review.inbox"
    )
    assert tuple(row) == ("RECEIVED", True)
    await owner.execute("UPDATE review.inbox SET available_at = clock_timestamp()")
    assert await drained(consumer) == 1
    assert await states(owner) == [(A, "QUEUED")]


async def test_a_sender_learns_what_is_not_here(db: Database) -> None:
    here, missing = event(), uuid4()
    await arrive(db, here)
    asked: list[UUID] = [here.id, missing]
    assert await inbox.find_missing(db, "review", asked) == [missing]
