"""The commits between which a process can die, each known by the SQL of its transaction."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from tests.chaos.proxy import Statement


@dataclass(frozen=True, slots=True)
class Part:
    """A statement of a transaction: a piece of its SQL, and some of its arguments, wherever they stand."""

    sql: str
    said: tuple[bytes, ...] = ()
    filled: int = 0  # the number of an argument that is not empty
    empty: int = 0  # the number of one that is

    def is_in(self, transaction: Sequence[Statement]) -> bool:
        return any(self._is(statement) for statement in transaction)

    def _is(self, statement: Statement) -> bool:
        given = statement.arguments
        right = self.sql in statement.sql and set(self.said).issubset(given)
        right = right and (not self.filled or bool(given[self.filled - 1]))
        return right and (not self.empty or not given[self.empty - 1])


@dataclass(frozen=True, slots=True)
class Point:
    """A commit: who makes it, how it is known, and what it takes to get there."""

    name: str
    who: Literal["intake", "worker"]
    parts: tuple[Part, ...]
    alone: bool = False  # the transaction changes nothing else
    push: bool = False  # it comes with the second head of a pull request
    hold: str = ""  # the host's operation to be held up meanwhile, so that the point is reached

    def matches(self, transaction: Sequence[Statement]) -> bool:
        """Whether a transaction is the one."""
        if not all(part.is_in(transaction) for part in self.parts):
            return False
        return not self.alone or sum(s.sql.startswith(("INSERT", "UPDATE", "DELETE")) for s in transaction) == 1


def _effect(kind: str, state: str, **host_id: int) -> Part:
    """The ledger's row of an effect; the seventh argument is the review's id on the host."""
    return Part("UPDATE webhooks.effects SET state = $4", (kind.encode(), state.encode()), **host_id)


_SHOWN = Part("SET visible = true")
POINTS = (
    Point("a delivery is stored", "intake", (Part("INSERT INTO webhooks.deliveries"),)),
    Point("a delivery is handled", "worker", (Part("INSERT INTO webhooks.outbox"),)),
    Point("an envelope arrives", "worker", (Part("INSERT INTO review.inbox"),)),
    Point("an envelope is sent", "worker", (Part("SET sent_time = clock_timestamp()"),)),
    Point("a run begins", "worker", (Part("INSERT INTO review.runs"),)),
    Point("an envelope is handled", "worker", (Part("UPDATE review.inbox", (b"HANDLED",)),)),
    Point("claim", "worker", (Part("SET epoch = epoch + 1"),)),
    Point("renew", "worker", (Part("SET lease_expire_time = clock_timestamp() + $2"),), hold="pulls/list-files"),
    Point("a model is asked", "worker", (Part("DO UPDATE SET begun = checkpoints.begun + 1"),)),
    Point("a model has answered", "worker", (Part("UPDATE review.checkpoints"),)),
    Point("the report is kept", "worker", (Part("INSERT INTO review.checkpoints", (b"report",)),)),
    Point("finish", "worker", (Part("finish_time = clock_timestamp()"),)),
    Point("publication: frozen", "intake", (Part("INSERT INTO webhooks.publications"),)),
    Point("publication: planned", "intake", (Part("INSERT INTO webhooks.effects"),)),
    Point("publication: fenced", "intake", (Part("SET lease_token = $5"),), alone=True),
    Point("publication: in doubt", "intake", (_effect("SUMMARY_REVIEW", "IN_DOUBT", empty=7),)),
    Point("publication: draft made", "intake", (_effect("SUMMARY_REVIEW", "IN_DOUBT", filled=7),)),
    Point("publication: submitted, then posted", "intake", (_SHOWN, _effect("SUMMARY_REVIEW", "POSTED"))),
    Point("publication: finished", "intake", (Part("UPDATE webhooks.publications SET state", (b"PUBLISHED",)),)),
    Point("publication: more findings", "intake", (_SHOWN, _effect("FINDINGS_REVIEW", "POSTED")), push=True),
    Point("publication: edit in doubt", "intake", (_effect("SUMMARY_EDIT", "IN_DOUBT"),), push=True),
    Point("publication: edit posted", "intake", (_SHOWN, _effect("SUMMARY_EDIT", "POSTED")), push=True),
)
