"""The reader says what is wrong: each broken promise, made by hand, is found by the check that is there for it."""

import json
from collections.abc import Callable
from copy import deepcopy
from typing import Any
from uuid import UUID

import pytest
from lintel.events.v1 import envelope_pb2, pull_request_pb2

from tests.chaos.reader import CHECKS, Sent, World

HEAD = "a" * 40
MARK = "<!-- lintel:1:{kind}:{key}:" + "0" * 32 + " -->"
RUN = "018f00000000700080000000000000a1"
SUMMARY = {
    "id": 7,
    "state": "COMMENTED",
    "user": "bot",
    "commit": HEAD,
    "body": f"No findings · 1 file read at `{HEAD[:12]}`.\n\n" + MARK.format(kind="summary", key=f"{RUN}.x"),
}
COMMENT = {"id": 8, "review": 7, "path": "a.py", "line": 1, "body": "Text.\n\n" + MARK.format(kind="finding", key="f1")}


def whole() -> World:
    """A world in which one delivery became one review, by two model calls."""
    event = pull_request_pb2.PullRequestChanged(head_sha=HEAD)
    event.ref.number = 1
    envelope = envelope_pb2.Envelope(payload=event.SerializeToString()).SerializeToString()
    body = json.dumps({"number": 1, "pull_request": {"head": {"sha": HEAD}}})
    pull = {"head": HEAD, "open": True, "reviews": [SUMMARY], "comments": [COMMENT], "issue_comments": []}
    run = {"id": RUN, "state": "PUBLISHED", "state_reason": "", "head_sha": HEAD, "number": 1, "host": "github"}
    call = {"what": "w", "number": 1, "push": 0, "time": 1.0}
    return World(
        sent={"d": Sent(1, HEAD, answers=[(202, "stored")])},
        host={"bot": "bot", "pulls": {"1": deepcopy(pull)}, "violations": []},
        model={"calls": [call], "violations": []},
        hits=0,
        heads={1: (HEAD,)},
        uploads=["u"],
        tables={
            "deliveries": [{"host_delivery_id": "d", "state": "PROCESSED", "reason": "", "body": body.encode()}],
            "outbox": [],
            "ends": [{"run_id": RUN, "epoch": 1, "was": "RUNNING", "became": "PUBLISHED"}],
            "inbox": [{"id": UUID(RUN), "state": "HANDLED", "reason": "", "envelope": envelope}],
            "runs": [run, {**run, "id": "u", "state": "COMPLETED", "number": 0, "host": "local"}],
            "publications": [{"run_id": RUN, "number": 1, "head_sha": HEAD, "state": "PUBLISHED"}],
            "effects": [{"run_id": RUN, "kind": "SUMMARY_REVIEW", "state": "POSTED", "host_id": "7", "attempts": 1}],
            "completions": [{"run_id": RUN, "step": "model/review-0", "begun": 1, "recorded": 1}],
        },
    )


def found(world: World) -> set[str]:
    return {violation.check for check in CHECKS for violation in check(world)}


def test_a_whole_world_has_no_violation() -> None:
    assert found(whole()) == set()


def _pull(world: World) -> Any:
    return world.host["pulls"]["1"]


def _tables(world: World, name: str) -> Any:
    return world.tables[name]


def _second_review(world: World) -> None:
    body = f"1 new finding at `{HEAD[:12]}`. …\n\n" + MARK.format(kind="findings", key=f"{RUN}.y")
    _pull(world)["reviews"].append({**SUMMARY, "id": 9, "body": body})


def _ask_again(world: World) -> None:
    world.model["calls"].append(dict(world.model["calls"][0]))
    _tables(world, "completions")[0]["begun"] = 2


BROKEN: list[tuple[str, str, Callable[[World], object]]] = [
    ("a delivery that is lost", "delivery", lambda w: _tables(w, "deliveries").clear()),
    ("a delivery that is there twice", "delivery", lambda w: _tables(w, "deliveries").extend(_tables(w, "deliveries"))),
    ("a delivery without an outcome", "delivery", lambda w: _tables(w, "deliveries")[0].update(state="RECEIVED")),
    ("a delivery that failed", "delivery", lambda w: _tables(w, "deliveries")[0].update(state="FAILED")),
    ("an event that is lost", "event", lambda w: _tables(w, "inbox").clear()),
    ("an event that came twice", "event", lambda w: _tables(w, "inbox").extend(_tables(w, "inbox"))),
    ("an envelope that is dead", "inbox", lambda w: _tables(w, "inbox")[0].update(state="DEAD")),
    ("an envelope that is left", "outbox", lambda w: _tables(w, "outbox").append({"id": 1, "sent_time": None})),
    ("a run that goes on for ever", "run stuck", lambda w: _tables(w, "runs")[0].update(state="RUNNING")),
    ("a run that was given up", "run failed", lambda w: _tables(w, "runs")[0].update(state="FAILED")),
    ("a run that ended twice", "run ended twice", lambda w: _tables(w, "ends").extend(_tables(w, "ends"))),
    ("a run that the dead ended", "run ended twice", lambda w: _tables(w, "ends")[0].update(was="QUEUED")),
    ("an upload without its review", "upload", lambda w: _tables(w, "runs").pop()),
    ("a head without its review", "review missing", lambda w: _pull(w)["reviews"].clear()),
    ("a review that nobody sees", "review missing", lambda w: _pull(w)["reviews"][0].update(state="PENDING")),
    ("a second review of a head", "review twice", _second_review),
    ("a second summary", "review twice", lambda w: _pull(w)["reviews"].append({**SUMMARY, "id": 9})),
    ("a comment that is there twice", "comment twice", lambda w: _pull(w)["comments"].append({**COMMENT, "id": 9})),
    ("a completion that was bought again", "completion", _ask_again),
    ("a call that nobody noted", "completion", lambda w: w.model["calls"].append({**w.model["calls"][0], "what": "v"})),
    ("a client that broke the protocol", "protocol", lambda w: w.host["violations"].append("a token in the path")),
]


@pytest.mark.parametrize(("check", "breaks"), [(c, b) for _, c, b in BROKEN], ids=[name for name, _, _ in BROKEN])
def test_a_broken_promise_is_found(check: str, breaks: Callable[[World], object]) -> None:
    world = whole()
    world.host["pulls"]["1"]["reviews"] = [dict(SUMMARY)]
    breaks(world)
    assert check in found(world)
