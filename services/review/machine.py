"""The states of runs and envelopes, and who may move them; docs/state-machine.md draws these tables."""

from typing import NamedTuple

from services.review.domain import RunState


class Transition(NamedTuple):
    """One arrow: from (None: the run begins), to, and who makes it for which reason."""

    source: RunState | None
    target: RunState
    who: str


TRANSITIONS = (
    Transition(None, RunState.QUEUED, "inbox: an event names a head that has no run; or an upload is whole"),
    Transition(RunState.QUEUED, RunState.RUNNING, "claimer: it is due, and no other run of the pull request is on"),
    Transition(RunState.QUEUED, RunState.SUPERSEDED, "inbox: a newer head, and some of this one may be on the host"),
    Transition(RunState.QUEUED, RunState.CANCELLED, "a person"),
    Transition(RunState.RUNNING, RunState.PUBLISHED, "worker: the review is on the host"),
    Transition(RunState.RUNNING, RunState.COMPLETED, "worker: there is nothing to publish to (a draft, an upload)"),
    Transition(RunState.RUNNING, RunState.SUPERSEDED, "worker: a newer head, a closed pull request, or a review there"),
    Transition(RunState.RUNNING, RunState.CANCELLED, "worker: a person asked for it"),
    Transition(
        RunState.RUNNING,
        RunState.QUEUED,
        "worker or rescuer: an error, a crash, a wait, a shutdown, or to ask the host again",
    ),
    Transition(
        RunState.RUNNING,
        RunState.FAILED,
        "worker or rescuer: the host refuses, an upload can't be read, or the attempts are spent",
    ),
)
ALLOWED = frozenset((t.source, t.target) for t in TRANSITIONS)

# Of the inbox: from (empty: it arrives), to (empty: it is forgotten), and who.
ENVELOPES = (
    ("", "RECEIVED", "bus: the id is new"),
    ("", "DEAD", "bus: a message that is no envelope, before it is dropped"),
    ("RECEIVED", "HANDLED", "inbox: it has acted"),
    ("RECEIVED", "DEAD", "inbox: it can't be read, or its attempts are spent"),
    ("DEAD", "RECEIVED", "a person"),
    ("HANDLED", "", "pruning: after 7 days"),
    ("DEAD", "", "pruning: after 90 days"),
)
