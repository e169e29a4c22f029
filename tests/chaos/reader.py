"""The independent reader: looks at the databases and at the emulators' records at rest, and says what is wrong there.

It imports nothing of the system but the generated messages of its contract, so that a fault of the system is not
repeated here. What it checks is promise 1: nothing lost, nothing doubled.
"""

import json
import re
from collections import Counter, defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import asyncpg
from lintel.events.v1 import envelope_pb2, pull_request_pb2

# Marks and texts as people can see them on the host.
_MARK = re.compile(r"<!-- lintel:1:([a-z]+):([A-Za-z0-9.-]+):([0-9a-f]{32}) -->\s*\Z")
_OF_THE_SWEEP = 5  # the version of ids that follow from what is said; those of deliveries' events are of version 7
_SAID_HEAD = re.compile(r"(?:read at|new findings? at) `([0-9a-f]{12})`")


@dataclass(slots=True)
class Sent:
    """What was sent to the webhook port under one delivery id, and what was answered to each attempt."""

    number: int
    head: str
    hostile: str = ""  # what is wrong with it, empty for an honest one
    answers: list[tuple[int, str]] = field(default_factory=list)  # status and outcome; (0, "") without an answer

    @property
    def stored(self) -> bool:
        """Whether the sender was told that it is stored: then it is owed a review."""
        return any(200 <= status < 300 and outcome in ("stored", "duplicate") for status, outcome in self.answers)


@dataclass(frozen=True, slots=True)
class Violation:
    """A broken promise: which check found it, and what it saw."""

    check: str
    words: str

    def __str__(self) -> str:
        return f"{self.check}: {self.words}"


@dataclass(slots=True)
class World:
    """Everything that is read; `hits` counts the crashes that met a model call on its way."""

    sent: Mapping[str, Sent]
    host: Mapping[str, Any]
    model: Mapping[str, Any]
    hits: int
    heads: Mapping[int, Sequence[str]]  # of each pull request, in the order of its pushes
    uploads: Sequence[str] = ()  # ids of reviews that were accepted and are nowhere on the host
    tables: dict[str, list[dict[str, Any]]] = field(default_factory=dict)


_TABLES = {
    "deliveries": "SELECT host_delivery_id, state, reason, body FROM webhooks.deliveries",
    "outbox": "SELECT id, attempts, sent_time, available_at, clock_timestamp() AS now FROM webhooks.outbox",
    "inbox": "SELECT id, state, reason, envelope FROM review.inbox",
    "runs": "SELECT r.id, r.state, r.state_reason, r.head_sha, r.errors, r.crashes, r.waits, p.number, p.host "
    "FROM review.runs r JOIN review.pull_requests p ON p.id = r.pull_request_id",
    "publications": "SELECT run_id, number, head_sha, state FROM webhooks.publications",
    "ends": "SELECT run_id, epoch, was, became FROM public.ends",
    "completions": "SELECT run_id, step, input_sha256, begun, is_done::int AS recorded FROM review.checkpoints "
    "WHERE step LIKE 'model/%'",
    "effects": "SELECT run_id, kind, state, host_id, attempts FROM webhooks.effects",
}


async def read(
    dsn: str,
    sent: Mapping[str, Sent],
    host: Mapping[str, Any],
    model: Mapping[str, Any],
    hits: int,
    heads: Mapping[int, Sequence[str]],
    uploads: Sequence[str] = (),
) -> tuple[list[Violation], World]:
    """Read everything and answer what is wrong, with what was read."""
    world = World(sent, host, model, hits, heads, uploads)
    connection = await asyncpg.connect(dsn)
    try:
        async with connection.transaction(isolation="repeatable_read", readonly=True):
            for name, sql in _TABLES.items():
                world.tables[name] = [dict(row) for row in await connection.fetch(sql)]
    finally:
        await connection.close()
    return [violation for check in CHECKS for violation in check(world)], world


def _deliveries(world: World) -> Iterator[Violation]:
    """Every 2xx delivery is there once, with one terminal outcome, and nothing is there that was refused."""
    rows: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for row in world.tables["deliveries"]:
        rows[row["host_delivery_id"]].append(row)
    for delivery_id, sent in world.sent.items():
        found = rows.pop(delivery_id, [])
        if not sent.stored:
            if found and sent.hostile == "forged":
                yield Violation("delivery", f"{delivery_id} has a wrong signature and was stored")
            continue
        if len(found) != 1:
            yield Violation("delivery", f"{delivery_id} was answered 2xx and is stored {len(found)} times")
            continue
        state = found[0]["state"]
        if state not in ("PROCESSED", "IGNORED", "FAILED"):
            yield Violation("delivery", f"{delivery_id} is {state} at rest")
        elif state == "FAILED" and not sent.hostile:
            yield Violation("delivery", f"{delivery_id} is FAILED: {found[0]['reason']}")
    for delivery_id in rows:
        yield Violation("delivery", f"{delivery_id} is stored and was never sent under this id")


def _events(world: World) -> Iterator[Violation]:
    """Each processed delivery has become one event, which was handled; none is left over, and none is dead.

    The sweep adds events of its own; they have no delivery.
    """
    told: Counter[tuple[int, str]] = Counter()
    for row in world.tables["deliveries"]:
        if row["state"] == "PROCESSED":
            sent = world.sent.get(row["host_delivery_id"])
            if sent is not None and sent.hostile:
                yield Violation("event", f"{sent.hostile!r} was taken for an event")
                continue
            body = json.loads(row["body"])
            told[body["number"], body["pull_request"]["head"]["sha"]] += 1
    arrived: Counter[tuple[int, str]] = Counter()
    for row in world.tables["inbox"]:
        if row["state"] != "HANDLED":
            yield Violation("inbox", f"an envelope is {row['state']}: {row['reason']}")
        if row["id"].version == _OF_THE_SWEEP:
            continue
        envelope = envelope_pb2.Envelope.FromString(row["envelope"])
        event = pull_request_pb2.PullRequestChanged.FromString(envelope.payload)
        arrived[event.ref.number, event.head_sha] += 1
    for key in told.keys() | arrived.keys():
        if told[key] != arrived[key]:
            yield Violation("event", f"{told[key]} deliveries about {key} became {arrived[key]} envelopes")
    if world.tables["outbox"]:
        rows = [{name: str(value) for name, value in row.items()} for row in world.tables["outbox"]]
        yield Violation("outbox", f"{len(rows)} envelopes are left: {rows}")


def _runs(world: World) -> Iterator[Violation]:
    """No run is stuck, and none was given up."""
    for row in world.tables["runs"]:
        if row["state"] in ("QUEUED", "RUNNING"):
            yield Violation("run stuck", f"of #{row['number']} {row['head_sha'][:12]}: {row['state_reason']}")
        if row["state"] == "FAILED":
            yield Violation("run failed", f"of #{row['number']} {row['head_sha'][:12]}: {row['state_reason']}")


def _ends(world: World) -> Iterator[Violation]:
    """A run ends once, by the hand that has it: what was given up for dead ends nothing."""
    for run, count in Counter(row["run_id"] for row in world.tables["ends"]).items():
        if count > 1:
            yield Violation("run ended twice", f"{run} ended {count} times")
    for row in world.tables["ends"]:
        if row["became"] in ("PUBLISHED", "COMPLETED") and row["was"] != "RUNNING":
            yield Violation("run ended twice", f"{row['run_id']} became {row['became']} from {row['was']}")


def _uploads(world: World) -> Iterator[Violation]:
    """Every accepted upload is reviewed, once."""
    states = {str(row["id"]): (row["state"], row["state_reason"]) for row in world.tables["runs"]}
    for upload in world.uploads:
        state, reason = states.get(upload, ("not there", ""))
        if state != "COMPLETED":
            yield Violation("upload", f"{upload} is {state}: {reason}")
    if len(set(world.uploads)) != len(world.uploads):
        yield Violation("upload", "one answered two")


def _reviews(world: World) -> Iterator[Violation]:
    """The newest head of an open pull request has exactly one visible review, no head has two, nobody reads twice."""
    publications = {row["run_id"]: row for row in world.tables["publications"]}
    first_heads = {
        row["host_id"]: publications[row["run_id"]]["head_sha"]
        for row in world.tables["effects"]
        if row["kind"] == "SUMMARY_REVIEW" and row["host_id"]
    }
    owed: dict[int, set[str]] = defaultdict(set)
    for sent in world.sent.values():
        if sent.stored and not sent.hostile:
            owed[sent.number].add(sent.head)
    for name, pull in world.host["pulls"].items():
        number, head = int(name), pull["head"]
        ours = [r for r in pull["reviews"] if r["user"] == world.host["bot"] and r["state"] != "PENDING"]
        summaries = [r for r in ours if _mark(r["body"])[0] == "summary"]
        if len(summaries) > 1:
            yield Violation("review twice", f"#{number} has {len(summaries)} summaries")
        heads = Counter(_head(review, first_heads) for review in ours)
        for about, count in heads.items():
            if count > 1:
                yield Violation("review twice", f"#{number} has {count} reviews of {about[:12]}")
        if pull["open"] and head in owed[number]:
            if not heads[head[:12]]:
                yield Violation("review missing", f"#{number} has none of its newest head {head[:12]}")
            elif not any(_said(r["body"]) == head[:12] for r in summaries):
                yield Violation("review missing", f"the summary of #{number} is not about {head[:12]}")
        yield from _comments(number, pull, {r["id"] for r in ours})
        if pull["issue_comments"]:
            yield Violation("comment twice", f"#{number} has comments outside its review")


def _comments(number: int, pull: Mapping[str, Any], visible: Collection[int]) -> Iterator[Violation]:
    said: Counter[tuple[str, str]] = Counter()
    marks: Counter[str] = Counter()
    for comment in pull["comments"]:
        if comment["review"] in visible:
            said[comment["path"], _MARK.sub("", comment["body"])] += 1
            marks[_mark(comment["body"])[1]] += 1
    for (path, _), count in said.items():
        if count > 1:
            yield Violation("comment twice", f"#{number} says the same {count} times in {path}")
    for mark, count in marks.items():
        if count > 1 and mark:
            yield Violation("comment twice", f"#{number} has the finding {mark} {count} times")


def _host_strictness(world: World) -> Iterator[Violation]:
    for words in [*world.host["violations"], *world.model["violations"]]:
        yield Violation("protocol", words)


def _completions(world: World) -> Iterator[Violation]:
    """No recorded completion is bought again, and no more are in doubt than crashes hit one."""
    again, doubtful = bought_again(world), unrecorded(world)
    if again > world.hits:
        yield Violation("completion", f"{again} were bought again, and {world.hits} crashes hit one")
    if doubtful > world.hits:
        yield Violation("completion", f"{doubtful} are not recorded, and {world.hits} crashes hit one")
    begun = sum(row["begun"] for row in world.tables["completions"])
    if len(world.model["calls"]) > begun:
        yield Violation("completion", f"the model was asked {len(world.model['calls'])} times, and {begun} are noted")


CHECKS = (_deliveries, _events, _runs, _ends, _uploads, _reviews, _host_strictness, _completions)


def bought_again(world: World) -> int:
    """How many completions were bought more often than there were runs that could want them."""
    runs = Counter((row["number"], row["head_sha"]) for row in world.tables["runs"])
    bought = Counter(call["what"] for call in world.model["calls"])
    about = {call["what"]: (call["number"], world.heads[call["number"]][call["push"]]) for call in world.model["calls"]}
    return sum(max(count - max(runs[about[what]], 1), 0) for what, count in bought.items())


def unrecorded(world: World) -> int:
    """How many completions of published heads the model gave and nobody wrote down: in doubt, as the model counts.

    A run that a newer head ends in the middle of a call leaves one too, and no crash is needed for that.
    """
    heads = {row["id"]: (row["number"], row["head_sha"]) for row in world.tables["runs"]}
    published = {heads[row["id"]] for row in world.tables["runs"] if row["state"] == "PUBLISHED"}
    given = Counter((call["number"], world.heads[call["number"]][call["push"]]) for call in world.model["calls"])
    kept = Counter(heads[row["run_id"]] for row in world.tables["completions"] if row["recorded"])
    return sum(max(given[head] - kept[head], 0) for head in published)


def in_doubt(world: World) -> int:
    """How many the system itself holds for doubtful: also those that may never have reached the model."""
    return sum(row["begun"] - row["recorded"] for row in world.tables["completions"])


def drafts_left(world: World) -> int:
    """How many unfinished reviews are left on the host; nobody but our account sees them."""
    return sum(r["state"] == "PENDING" for pull in world.host["pulls"].values() for r in pull["reviews"])


def totals(world: World) -> dict[str, int]:
    """What it took to get here."""
    runs: Sequence[dict[str, Any]] = world.tables["runs"]
    return {
        "runs": len(runs),
        "published": sum(row["state"] == "PUBLISHED" for row in runs),
        "superseded": sum(row["state"] == "SUPERSEDED" for row in runs),
        "errors": sum(row["errors"] for row in runs),
        "crashes": sum(row["crashes"] for row in runs),
        "waits": sum(row["waits"] for row in runs),
        "completions": len(world.model["calls"]),
        "completions not recorded": unrecorded(world),
        "completions noted as in doubt": in_doubt(world),
        "completions bought again": bought_again(world),
        "drafts left": drafts_left(world),
        "reviews visible": sum(r["state"] != "PENDING" for p in world.host["pulls"].values() for r in p["reviews"]),
    }


def _mark(text: str) -> tuple[str, str]:
    found = _MARK.search(text)
    return (found[1], found[2]) if found else ("", "")


def _said(text: str) -> str:
    found = _SAID_HEAD.search(text)
    return found[1] if found else ""


def _head(review: Mapping[str, Any], first_heads: Mapping[str, str]) -> str:
    """Which head a review was made for: a summary's text changes with later heads, so the ledger tells its first."""
    if _mark(review["body"])[0] == "summary":
        found: str = first_heads.get(str(review["id"]), review["commit"])
        return found[:12]
    return _said(review["body"]) or review["commit"][:12]
