"""SQL of reviews as they are read, of what a run found, and of the inbox."""

import json
from collections.abc import Iterable, Mapping, Sequence
from datetime import timedelta
from typing import Any
from uuid import UUID

from services.kit.ids import new_id
from services.kit.postgres.pool import Connection, Row
from services.kit.postgres.turns import claim_next
from services.kit.retries import ENVELOPE_CRASH
from services.review.domain import LOCAL, Finding, Report, Run

ALL = 10_000  # findings of a review; the analysis gives fewer
_REVIEW = (
    "SELECT r.id, r.state, r.state_reason, r.head_sha, r.base_sha, r.create_time, r.finish_time, r.summary, r.url, "
    "r.receipt, r.creator, p.host, p.connection_id, p.host_repository_id, p.repository, p.number "
    "FROM review.runs r JOIN review.pull_requests p ON p.id = r.pull_request_id "
)
_STEP = "run_id = $1 AND step = $2 AND input_sha256 = $3"
_CLAIM_ENVELOPE = claim_next("review.inbox", "state = 'RECEIVED'")

_DEAD = "id, topic, reason, attempts, octet_length(envelope) AS size, create_time, state, organization_id"
_MEASURE = (
    "SELECT (SELECT count(*) FROM (SELECT FROM review.inbox WHERE state = 'RECEIVED' LIMIT $1) i) AS inbox_received, "
    "(SELECT count(*) FROM (SELECT FROM review.inbox WHERE state = 'DEAD' AND organization_id <> "
    "'00000000-0000-0000-0000-000000000000' LIMIT $1) i) AS events_dead, "
    "(SELECT count(*) FROM (SELECT FROM review.inbox WHERE state = 'DEAD' AND organization_id = "
    "'00000000-0000-0000-0000-000000000000' LIMIT $1) i) AS messages_dead, "
    "(SELECT count(*) FROM (SELECT FROM review.runs WHERE state = 'QUEUED' LIMIT $1) r) AS runs_queued, "
    "(SELECT count(*) FROM (SELECT FROM review.runs WHERE state = 'RUNNING' LIMIT $1) r) AS runs_running, "
    "(SELECT extract(epoch FROM greatest(clock_timestamp() - min(available_at), interval '0'))::float8 "
    "FROM review.inbox WHERE state = 'RECEIVED') AS inbox_oldest, "
    "(SELECT extract(epoch FROM greatest(clock_timestamp() - min(available_at), interval '0'))::float8 "
    "FROM review.runs WHERE state = 'QUEUED') AS runs_oldest"
)


async def get_review(connection: Connection, review_id: UUID) -> Row | None:
    """Answer one review."""
    return await connection.fetchrow(_REVIEW + "WHERE r.id = $1", review_id)


async def list_reviews(
    connection: Connection,
    before: UUID | None,
    repository: str,
    number: int,
    own: str,
    repositories: Iterable[str] | None,
    limit: int,
) -> list[Row]:
    """Answer reviews, newest first, those older than `before`; of local ones those of `own`, all if it is empty.

    Of the others those of `repositories` (ids as in services.kit.repositories), all if it is None.
    """
    rows: list[Row] = await connection.fetch(
        _REVIEW + "WHERE ($1::uuid IS NULL OR r.id < $1) AND ($2 = '' OR p.repository = $2) "
        "AND ($3 = 0 OR p.number = $3) AND ($4 = '' OR p.host <> $5 OR r.creator = $4) "
        "AND ($6::text[] IS NULL OR p.host = $5 OR concat_ws(':', p.host, nullif(p.connection_id, ''), "
        "p.host_repository_id) = ANY ($6)) ORDER BY r.id DESC LIMIT $7",
        before,
        repository,
        number,
        own,
        LOCAL,
        None if repositories is None else list(repositories),
        limit,
    )
    return rows


async def list_findings(connection: Connection, run_id: UUID, after: int, limit: int) -> list[Row]:
    """Answer findings in the order of the diff, those behind position `after`."""
    rows: list[Row] = await connection.fetch(
        "SELECT * FROM review.findings WHERE run_id = $1 AND position > $2 ORDER BY position LIMIT $3",
        run_id,
        after,
        limit,
    )
    return rows


async def has_checkpoint(connection: Connection, run_id: UUID, step: str, input_sha256: str) -> bool:
    """Whether a step was done with this input."""
    done: bool = await connection.fetchval(
        "SELECT EXISTS (SELECT FROM review.checkpoints WHERE run_id = $1 AND step = $2 AND input_sha256 = $3)",
        run_id,
        step,
        input_sha256,
    )
    return done


async def save_report(connection: Connection, run: Run, report: Report, receipt: Mapping[str, Any]) -> None:
    """Keep what a run found; in the caller's transaction, which holds the run."""
    await connection.execute(
        "UPDATE review.runs SET base_sha = $2, summary = $3, receipt = $4::jsonb WHERE id = $1",
        run.id,
        report.base_sha,
        _storable(report.summary),
        json.dumps(_storable(receipt)),
    )
    await connection.execute("DELETE FROM review.findings WHERE run_id = $1", run.id)
    await connection.executemany(
        "INSERT INTO review.findings (id, organization_id, run_id, position, fingerprint, path, side, start_line, "
        "end_line, quote, severity, category, confidence, title, body, replacement, source_kind, source_name, "
        "source_rule_id, source_model) "
        "VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20)",
        [(new_id(), run.organization_id, run.id, *_columns(i, f)) for i, f in enumerate(report.analysis.findings)],
    )


async def add_checkpoint(connection: Connection, run: Run, step: str, input_sha256: str) -> None:
    """Note that a step is done for this input; its result stands in tables of its own."""
    await connection.execute(
        "INSERT INTO review.checkpoints (run_id, organization_id, step, input_sha256, result) "
        "VALUES ($1, $2, $3, $4, '') ON CONFLICT DO NOTHING",
        run.id,
        run.organization_id,
        step,
        input_sha256,
    )


async def checkpoint(connection: Connection, run_id: UUID, step: str, input_sha256: str) -> Row | None:
    """Answer `result` of a step with this input, and how often it was `begun`; None where it has none yet."""
    return await connection.fetchrow(
        f"SELECT result, begun FROM review.checkpoints WHERE {_STEP} AND is_done",  # noqa: S608
        run_id,
        step,
        input_sha256,
    )


async def begin_step(connection: Connection, run: Run, step: str, input_sha256: str) -> int:
    """Note that a step without a result begins; answers how many of its beginnings have no known end, this included."""
    begun: int = await connection.fetchval(
        "INSERT INTO review.checkpoints (run_id, organization_id, step, input_sha256, result, is_done) "
        "VALUES ($1, $2, $3, $4, '', false) ON CONFLICT (run_id, step, input_sha256) "
        "DO UPDATE SET begun = checkpoints.begun + 1 RETURNING begun",
        run.id,
        run.organization_id,
        step,
        input_sha256,
    )
    return begun


async def finish_step(connection: Connection, run_id: UUID, step: str, input_sha256: str, result: bytes) -> None:
    """Record the result of a step that was begun."""
    await connection.execute(
        f"UPDATE review.checkpoints SET result = $4, is_done = true WHERE {_STEP}",  # noqa: S608
        run_id,
        step,
        input_sha256,
        result,
    )


async def give_up_step(connection: Connection, run_id: UUID, step: str, input_sha256: str) -> None:
    """Take the last beginning of a step back."""
    await connection.execute(
        f"UPDATE review.checkpoints SET begun = begun - 1 WHERE {_STEP} AND NOT is_done",  # noqa: S608
        run_id,
        step,
        input_sha256,
    )


async def claim_envelope(connection: Connection) -> Row | None:
    """Take an envelope from the inbox, counting the attempt; it comes back by itself unless it is settled in time.

    Organisations take turns. `was_claimed` says that somebody took it before and never settled it.
    """
    return await connection.fetchrow(_CLAIM_ENVELOPE, ENVELOPE_CRASH.longest)


async def settle_envelope(
    connection: Connection, envelope_id: UUID, attempts: int, state: str, reason: str, delay: timedelta
) -> None:
    """Say what became of a claimed envelope, unless it has been claimed again since; RECEIVED puts it back."""
    await connection.execute(
        "UPDATE review.inbox SET state = $3, reason = $4, available_at = clock_timestamp() + $5::interval, "
        "is_claimed = false, handle_time = CASE WHEN $3 = 'RECEIVED' THEN NULL ELSE clock_timestamp() END "
        "WHERE id = $1 AND attempts = $2 AND state = 'RECEIVED'",
        envelope_id,
        attempts,
        state,
        reason,
        delay,
    )


async def list_dead(connection: Connection, owners: Sequence[UUID], before: UUID | None, limit: int) -> list[Row]:
    """Answer dead envelopes of these organisations without their content, newest first."""
    rows: list[Row] = await connection.fetch(
        f"SELECT {_DEAD} FROM review.inbox WHERE organization_id = ANY($1) AND state = 'DEAD' "  # noqa: S608
        "AND ($2::uuid IS NULL OR id < $2) ORDER BY id DESC LIMIT $3",
        list(owners),
        before,
        limit,
    )
    return rows


async def lock_envelope(connection: Connection, owners: Sequence[UUID], envelope_id: UUID) -> Row | None:
    """Lock an envelope of these organisations and answer it without its content."""
    return await connection.fetchrow(
        f"SELECT {_DEAD} FROM review.inbox WHERE organization_id = ANY($1) AND id = $2 FOR UPDATE",  # noqa: S608
        list(owners),
        envelope_id,
    )


async def revive_envelope(connection: Connection, envelope_id: UUID) -> None:
    """Have a dead envelope handled again."""
    await connection.execute(
        "UPDATE review.inbox SET state = 'RECEIVED', reason = '', attempts = 0, is_claimed = false, "
        "available_at = clock_timestamp(), handle_time = NULL WHERE id = $1",
        envelope_id,
    )
    await connection.execute("NOTIFY review_inbox")


async def prune_envelopes(connection: Connection, limit: int, *, handled: timedelta, dead: timedelta) -> int:
    """Forget up to `limit` envelopes that were settled so long ago; answers how many."""
    done: str = await connection.execute(
        "DELETE FROM review.inbox WHERE id IN (SELECT id FROM review.inbox WHERE state <> 'RECEIVED' "
        "AND handle_time < clock_timestamp() - $1::interval "
        "AND (state = 'HANDLED' OR handle_time < clock_timestamp() - $2::interval) "
        "ORDER BY handle_time LIMIT $3 FOR UPDATE SKIP LOCKED)",
        handled,
        dead,
        limit,
    )
    return int(done.rpartition(" ")[2])


async def prune_checkpoints(connection: Connection, limit: int, *, age: timedelta) -> int:
    """Forget up to `limit` checkpoints of runs that ended so long ago; answers how many."""
    done: str = await connection.execute(
        "DELETE FROM review.checkpoints c USING (SELECT run_id, step, input_sha256 FROM review.checkpoints k "
        "JOIN review.runs r ON r.id = k.run_id WHERE k.create_time < clock_timestamp() - $1::interval "
        "AND r.finish_time < clock_timestamp() - $1::interval ORDER BY k.create_time LIMIT $2) AS old "
        "WHERE (c.run_id, c.step, c.input_sha256) = (old.run_id, old.step, old.input_sha256)",
        age,
        limit,
    )
    return int(done.rpartition(" ")[2])


async def measure(connection: Connection, most: int) -> Row:
    """Answer how many rows of each queue wait, counted up to `most`, and for how many seconds the oldest is due."""
    row = await connection.fetchrow(_MEASURE, most)
    assert row is not None, "a query without FROM has one row"
    return row


def _storable(value: Any) -> Any:
    """Answer plain JSON with U+FFFD for each NUL, which Postgres does not take in text."""
    if isinstance(value, str):
        return value.replace("\0", "\ufffd")
    if isinstance(value, Mapping):
        return {key: _storable(item) for key, item in value.items()}
    return [_storable(item) for item in value] if isinstance(value, list) else value


def _columns(position: int, finding: Finding) -> list[Any]:
    columns = [
        position,
        finding.fingerprint,
        finding.path,
        finding.side.value,
        finding.start_line,
        finding.end_line,
        finding.quote,
        finding.severity.value,
        finding.category,
        finding.confidence,
        finding.title,
        finding.body,
        finding.replacement,
        finding.source.kind.value,
        finding.source.name,
        finding.source.rule_id,
        finding.source.model,
    ]
    return [_storable(column) for column in columns]
