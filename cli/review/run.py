"""One review, from the upload to what was found."""

import contextlib
import os
import queue
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import click
from lintel.review.v1.code_review_service_pb2 import GetReviewResponse
from lintel.review.v1.review_pb2 import (
    ANALYZER_FATE_FAILED,
    ANALYZER_FATE_PARTIAL,
    REVIEW_STATE_COMPLETED,
    REVIEW_STATE_PUBLISHED,
    Review,
)

from cli.review.change import Change
from cli.review.system import reviewing
from cli.review.upload import pieces
from client.errors import LintelError
from client.reviews import ReviewClient
from client.shape import review_state

_TICK_SECONDS = 0.1
_SOURCE_INVALID = "SOURCE_INVALID"  # how the server begins the reason of a review whose diff it can't read

Watcher = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of a review: `failures` say what was not done, `notes` what was not read."""

    answer: GetReviewResponse
    failures: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    place: str = ""


@contextlib.contextmanager
def reviewed(change: Change, sarif: bytes, *, no_model: bool, dry_run: bool, watch: Watcher) -> Iterator[Outcome]:
    """Have a change reviewed; what was started for it stops after the block, so that nobody waits for that.

    Raises ConfigurationError, NotCompletedError, and click.UsageError for a diff that the server can't read.
    """
    with reviewing(os.environ, watch) as (client, place):
        watch("sending the change")
        began = client.upload(pieces(change, sarif, no_model=no_model, dry_run=dry_run))
        try:
            _wait(client, began.id, watch)
        except KeyboardInterrupt:
            with contextlib.suppress(LintelError):
                client.cancel(began.id)
            raise
        answer = client.get(began.id)
        if answer.review.state_reason.startswith(_SOURCE_INVALID):
            raise click.UsageError(answer.review.state_reason)
        yield Outcome(answer, failures(answer), change.notes, place)


def failures(answer: GetReviewResponse) -> tuple[str, ...]:
    """Say what of a review was not done, so that silence is never taken for a clean bill."""
    found = []
    if answer.review.state not in (REVIEW_STATE_COMPLETED, REVIEW_STATE_PUBLISHED):
        state = review_state(answer.review)
        found.append(f"the review is {state}: {answer.review.state_reason or 'no reason was given'}")
    if answer.receipt.model_failure:
        found.append(f"the model did not look at everything: {answer.receipt.model_failure}")
    found += [
        f"{analyzer.name} failed: {analyzer.reason or 'no reason was given'}"
        for analyzer in answer.receipt.analyzers
        if analyzer.fate == ANALYZER_FATE_FAILED
    ]
    return tuple(found)


def unread(answer: GetReviewResponse) -> tuple[str, ...]:
    """Say which analyzers did not read everything: a diff alone, for one, shows them no whole file."""
    return tuple(
        f"{analyzer.name} did not read everything: {analyzer.reason}"
        for analyzer in answer.receipt.analyzers
        if analyzer.fate == ANALYZER_FATE_PARTIAL
    )


def _wait(client: ReviewClient, review_id: str, watch: Watcher) -> None:
    """Follow the review to its end; the stream is read in a thread, so that progress goes on while nothing comes."""
    changes: queue.SimpleQueue[Review | BaseException | None] = queue.SimpleQueue()

    def follow() -> None:
        try:
            for seen in client.watch(review_id):
                changes.put(seen)
            changes.put(None)
        except BaseException as error:  # handed over whole: it is raised in the thread that waits
            changes.put(error)

    threading.Thread(target=follow, daemon=True).start()
    step = "the review waits"
    while True:
        watch(step)
        try:
            change = changes.get(timeout=_TICK_SECONDS)
        except queue.Empty:
            continue
        if change is None:
            return
        if isinstance(change, BaseException):
            raise change
        step = f"the review is {review_state(change)}"
