"""Calls in Postgres: claimed and reserved before, settled after, added up. All SQL about calls."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from services.kit.postgres import audit
from services.kit.postgres.pool import Connection, Database
from services.llm_gateway.accounting import (
    Budget,
    Busy,
    Claimed,
    ClaimResult,
    Period,
    Purpose,
    Report,
    Reservation,
    Scope,
    Settlement,
    Spent,
    Standing,
    Stored,
    Used,
)
from services.llm_gateway.providers.usage import Usage

MAX_GROUPS = 1000
SETTINGS: Mapping[str, str] = {
    # A machine that loses power may forget the last half second: no wait for the disk on the way of each call.
    "synchronous_commit": "off",
    # A plan that is made while the table is empty, and kept, reads all of it later on.
    "plan_cache_mode": "force_custom_plan",
}
_CLAIM = """
INSERT INTO llm_gateway.calls (organization_id, id, request_id, cache_key, purpose, repository, pull_request_number,
    person, charged_micros, in_doubt_micros, lease_expire_time)
SELECT $1, n.id, n.request_id, n.cache_key, n.purpose, n.repository, n.pull_request_number, n.person, n.charged,
    n.in_doubt, clock_timestamp() + make_interval(secs => n.seconds)
FROM unnest($2::uuid[], $3::text[], $4::bytea[], $5::text[], $6::text[], $7::integer[], $8::text[], $9::bigint[],
    $10::bigint[], $11::double precision[]) AS n (id, request_id, cache_key, purpose, repository, pull_request_number,
    person, charged, in_doubt, seconds)
ON CONFLICT (organization_id, request_id) WHERE state IN ('PENDING', 'DONE') DO NOTHING
RETURNING id, EXISTS (SELECT FROM llm_gateway.budget_locks) AS is_limited
"""
_STORED = (
    "id, answer, provider, model, input_tokens, cached_tokens, output_tokens, reasoning_tokens, reported, cost_micros, "
    "attempts, fallback_reason"
)
_SETTLE = """
UPDATE llm_gateway.calls SET state = CASE WHEN $2 THEN 'DONE' ELSE 'FAILED' END, outcome = $3, provider = $4,
    model = $5, input_tokens = $6, cached_tokens = $7, output_tokens = $8, reasoning_tokens = $9, reported = $10,
    cost_micros = $11, charged_micros = $12, latency_ms = $13, attempts = $14, fallback_reason = $15, answer = $16
WHERE id = $1 AND state NOT IN ('DONE', 'FAILED', 'LOST')
"""
# What a call takes of budgets: what it cost, what it may cost, or, once nobody can say, what it cost at least.
_CHARGED = (
    "CASE WHEN state = 'PENDING' AND lease_expire_time < clock_timestamp() THEN in_doubt_micros ELSE charged_micros END"
)
_SUBJECTS: Mapping[Scope, str] = {
    Scope.ORGANIZATION: "''::text",
    Scope.REPOSITORY: "repository",
    Scope.PULL_REQUEST: "CASE WHEN pull_request_number = 0 THEN '' ELSE repository || '#' || pull_request_number END",
    Scope.USER: "person",
}
_KEYS: Mapping[str, str] = {  # groupBy of the contract
    "day": "to_char(create_time AT TIME ZONE 'UTC', 'YYYY-MM-DD')",
    "model": "CASE WHEN model = '' THEN '' ELSE provider || ':' || model END",
    "repository": _SUBJECTS[Scope.REPOSITORY],
    "pullRequest": _SUBJECTS[Scope.PULL_REQUEST],
    "user": _SUBJECTS[Scope.USER],
}
_USED = """
count(*) AS calls, count(*) FILTER (WHERE state <> 'DONE') AS failed_calls,
coalesce(sum(input_tokens), 0)::bigint AS input_tokens, coalesce(sum(cached_tokens), 0)::bigint AS cached_tokens,
coalesce(sum(output_tokens), 0)::bigint AS output_tokens,
coalesce(sum(reasoning_tokens), 0)::bigint AS reasoning_tokens,
coalesce(sum(cost_micros), 0)::bigint AS cost_micros,
count(*) FILTER (WHERE cost_micros IS NULL AND input_tokens + output_tokens > 0) AS unpriced_calls
"""


class CallStore:
    """One row for each call of an organisation; its database is opened with SETTINGS."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._limited = set[UUID]()  # organisations with budgets, as far as is known

    async def claim(self, organization_id: UUID, wanted: Sequence[Reservation]) -> list[ClaimResult]:
        """Claim calls of one organisation and reserve their money; answers in their order.

        Where budgets limit the organisation its reservations are made one after the other, under the lock of its row.
        """
        if len(wanted) > 1 and organization_id in self._limited:
            return [(await self.claim(organization_id, [each]))[0] for each in wanted]
        try:
            return await self._claim(organization_id, wanted)
        except _LimitedError:
            self._limited.add(organization_id)
            return await self.claim(organization_id, wanted)

    async def _claim(self, organization_id: UUID, wanted: Sequence[Reservation]) -> list[ClaimResult]:
        async with self._database.tenant(organization_id) as connection:
            made = {row["id"]: row["is_limited"] for row in await connection.fetch(_CLAIM, *_columns(wanted))}
            if len(wanted) > 1 and any(made.values()):
                raise _LimitedError  # each would be counted against the others
            results: list[ClaimResult] = []
            for each in wanted:
                result: ClaimResult = Claimed()
                if each.id not in made:
                    result = await _taken(connection, each)
                if isinstance(result, Claimed) and made.get(each.id, True):
                    result = await _within_budgets(connection, each)
                results.append(result)
        return results

    async def settle(self, organization_id: UUID, done: Sequence[Settlement]) -> None:
        """Write down how calls went."""
        async with self._database.tenant(organization_id) as connection:
            await connection.executemany(_SETTLE, [_settled(each) for each in done])

    async def find_answer(self, organization_id: UUID, cache_key: bytes, since: datetime) -> Stored | None:
        """Answer the newest answer to a question of the organisation."""
        async with self._database.tenant(organization_id) as connection:
            row = await connection.fetchrow(
                f"SELECT {_STORED} FROM llm_gateway.calls WHERE cache_key = $1 AND answer IS NOT NULL "  # noqa: S608
                "AND state = 'DONE' AND create_time > $2 ORDER BY create_time DESC LIMIT 1",
                cache_key,
                since,
            )
        return _stored(row) if row else None

    async def forget(self, organization_id: UUID, call_id: UUID) -> None:
        """Take the answer of a call away."""
        async with self._database.tenant(organization_id) as connection:
            await connection.execute("UPDATE llm_gateway.calls SET answer = NULL WHERE id = $1", call_id)

    async def usage(self, organization_id: UUID, group_by: str, begin: datetime, end: datetime) -> Report:
        """Add up what calls took that began in a time; KeyError for a `group_by` that is none."""
        within = (
            "FROM llm_gateway.calls WHERE create_time >= $1 AND create_time < $2 "
            "AND state <> 'PENDING' AND outcome <> 'budget'"
        )
        order = "key" if group_by == "day" else "cost_micros DESC, key"
        async with self._database.tenant(organization_id) as connection:
            groups = await connection.fetch(
                f"SELECT {_KEYS[group_by]} AS key, {_USED} {within} GROUP BY 1 ORDER BY {order} LIMIT {MAX_GROUPS}",
                begin,
                end,
            )
            total = await connection.fetchrow(f"SELECT '' AS key, {_USED} {within}", begin, end)
        assert total is not None
        return Report(tuple(Used(**dict(row)) for row in groups), Used(**dict(total)), begin, end)

    async def standings(self, organization_id: UUID) -> list[Standing]:
        """Answer every budget; of one that is for each, the one that has spent most."""
        async with self._database.tenant(organization_id) as connection:
            now = await connection.fetchval("SELECT clock_timestamp()")
            return [await _standing(connection, budget, now) for budget in await _budgets(connection)]

    async def replace_budgets(self, organization_id: UUID, budgets: Sequence[Budget], actor: audit.Actor) -> None:
        """Make these the budgets, under the lock that reservations take; who did it is in the audit log."""
        async with self._database.tenant(organization_id) as connection:
            await connection.execute("SET LOCAL synchronous_commit = on")
            await connection.execute(
                "INSERT INTO llm_gateway.budget_locks (organization_id) VALUES ($1) "
                "ON CONFLICT (organization_id) DO UPDATE SET update_time = clock_timestamp()",
                organization_id,
            )
            before = await _budgets(connection)
            await connection.execute("DELETE FROM llm_gateway.budgets")
            await connection.executemany(
                "INSERT INTO llm_gateway.budgets (organization_id, scope, subject, period, limit_micros) "
                "VALUES ($1, $2, $3, $4, $5)",
                [(organization_id, b.scope.value, b.subject, b.period.value, b.limit_micros) for b in budgets],
            )
            changes = [audit.Change("budgets", _told(before), _told(budgets))]
            await audit.record(connection, organization_id, actor, "budget.update", ("budgets", ""), changes)

    async def forget_answers(self, before: datetime, limit: int) -> int:
        """Take the text of old answers away and name calls lost that nobody settled; answers how many."""
        async with self._database.queue() as connection:
            done = await connection.execute(
                "UPDATE llm_gateway.calls SET answer = NULL WHERE (organization_id, id) IN (SELECT organization_id, id "
                "FROM llm_gateway.calls WHERE answer IS NOT NULL AND create_time < $1 ORDER BY create_time LIMIT $2)",
                before,
                limit,
            )
            lost = await connection.execute(
                "UPDATE llm_gateway.calls SET state = 'LOST', outcome = 'lost', charged_micros = in_doubt_micros "
                "WHERE state = 'PENDING' AND lease_expire_time < clock_timestamp()"
            )
        return int(done.split()[-1]) + int(lost.split()[-1])


class _LimitedError(Exception):
    """The organisation has budgets."""


async def _taken(connection: Connection, wanted: Reservation) -> ClaimResult:
    """Answer for a request id that somebody has: the answer, or that it is on its way, or that it is free after all."""
    row = await connection.fetchrow(
        f"SELECT {_STORED}, state, lease_expire_time < clock_timestamp() AS is_over FROM llm_gateway.calls "  # noqa: S608
        "WHERE request_id = $1 AND state IN ('PENDING', 'DONE') FOR UPDATE",
        wanted.request_id,
    )
    if row is not None and row["state"] == "PENDING" and not row["is_over"]:
        return Busy()
    if row is not None and row["state"] == "DONE" and row["answer"] is not None:
        return _stored(row)
    if row is not None:  # nobody will settle it, or its answer is forgotten
        state = "LOST" if row["state"] == "PENDING" else "FAILED"
        await connection.execute(
            "UPDATE llm_gateway.calls SET state = $2, outcome = CASE WHEN $2 = 'LOST' THEN 'lost' ELSE outcome END, "
            "charged_micros = CASE WHEN $2 = 'LOST' THEN in_doubt_micros ELSE charged_micros END WHERE id = $1",
            row["id"],
            state,
        )
    made = await connection.fetch(_CLAIM, *_columns([wanted]))
    return Claimed() if made else Busy()


async def _within_budgets(connection: Connection, wanted: Reservation) -> ClaimResult:
    """Hold the reservation, which is among the calls already, against the budgets; one too many is taken back."""
    if not await connection.fetchval("SELECT count(*) FROM (SELECT FROM llm_gateway.budget_locks FOR UPDATE) AS l"):
        return Claimed()
    now = await connection.fetchval("SELECT clock_timestamp()")
    for budget in await _budgets(connection):
        if not budget.concerns(wanted.purpose):
            continue
        subject = wanted.purpose.subject(budget.scope)
        found = await _standing(connection, budget, now, subject)
        if found.spent_micros + found.reserved_micros > budget.limit_micros:
            await connection.execute(
                "UPDATE llm_gateway.calls SET state = 'FAILED', outcome = 'budget', charged_micros = 0 WHERE id = $1",
                wanted.id,
            )
            return Spent(Standing(budget, found.spent_micros, found.reserved_micros, found.renew_time))
    return Claimed()


def _told(budgets: Sequence[Budget]) -> str | None:
    """Answer budgets as the audit log tells them, in dollars."""
    each = []
    for budget in budgets:
        dollars = f"{budget.limit_micros / 1e6:g}"
        each.append(" ".join(filter(None, (budget.scope.value, budget.subject, budget.period.value, dollars))))
    return ", ".join(sorted(each)) or None


async def _budgets(connection: Connection) -> list[Budget]:
    rows = await connection.fetch(
        "SELECT scope, subject, period, limit_micros FROM llm_gateway.budgets ORDER BY scope, subject, period"
    )
    return [Budget(Scope(r["scope"]), r["subject"], Period(r["period"]), r["limit_micros"]) for r in rows]


async def _standing(connection: Connection, budget: Budget, now: datetime, subject: str | None = None) -> Standing:
    """Answer where a budget stands for one subject; for the one that has spent most where none is given."""
    one = budget.subject or subject
    key = _SUBJECTS[budget.scope]
    row = await connection.fetchrow(
        f"SELECT coalesce(sum({_CHARGED}) FILTER (WHERE state <> 'PENDING'), 0)::bigint AS spent, "  # noqa: S608
        f"coalesce(sum({_CHARGED}) FILTER (WHERE state = 'PENDING'), 0)::bigint AS reserved FROM llm_gateway.calls "
        f"WHERE create_time >= $1 AND ($2::text IS NULL OR {key} = $2) AND ({key} <> '' OR $3) "
        f"GROUP BY {key} ORDER BY 1 DESC LIMIT 1",
        budget.period.start(now),
        one if budget.scope is not Scope.ORGANIZATION else None,
        budget.scope is Scope.ORGANIZATION,
    )
    spent, reserved = (row["spent"], row["reserved"]) if row else (0, 0)
    return Standing(budget, spent, reserved, budget.period.end(now))


def _columns(wanted: Sequence[Reservation]) -> tuple[Any, ...]:
    purposes: list[Purpose] = [each.purpose for each in wanted]
    return (
        purposes[0].organization_id,
        [each.id for each in wanted],
        [each.request_id for each in wanted],
        [each.cache_key for each in wanted],
        [p.purpose for p in purposes],
        [p.repository for p in purposes],
        [p.pull_request_number for p in purposes],
        [p.person for p in purposes],
        [each.charged_micros for each in wanted],
        [each.in_doubt_micros for each in wanted],
        [each.seconds for each in wanted],
    )


def _settled(done: Settlement) -> tuple[Any, ...]:
    usage = done.usage
    return (
        done.id,
        done.is_done,
        done.outcome,
        done.provider,
        done.model,
        usage.input,
        usage.cached,
        usage.output,
        usage.reasoning,
        usage.reported,
        done.cost_micros,
        done.charged_micros,
        done.latency_ms,
        done.attempts,
        done.fallback_reason,
        done.answer,
    )


def _stored(row: Mapping[str, Any]) -> Stored:
    usage = Usage(
        row["input_tokens"], row["cached_tokens"], 0, row["output_tokens"], row["reasoning_tokens"], row["reported"]
    )
    return Stored(
        row["id"],
        row["answer"],
        row["provider"],
        row["model"],
        usage,
        row["cost_micros"],
        row["attempts"],
        row["fallback_reason"],
    )
