"""The ledger of effects: all SQL of publications. Each change is made under the fence row's lock and a held lease."""

from collections.abc import AsyncIterator, Collection, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import timedelta
from uuid import UUID, uuid4

import asyncpg

from services.kit.errors import AppError, Reason
from services.kit.postgres.pool import Connection, Database
from services.webhooks.hosts.base import PullRequestRef
from services.webhooks.ledger import (
    Begun,
    Effect,
    EffectKind,
    EffectState,
    Lease,
    LeaseLostError,
    Publication,
    PublicationState,
)

LEASE = timedelta(seconds=60)  # three times the longest call to a host; renewed before each write


_ENSURE_FENCE = (
    "INSERT INTO webhooks.publication_fences (organization_id, host, repository_id, number, epoch) "
    "VALUES ($1, $2, $3, $4, $5) ON CONFLICT DO NOTHING"
)
_LOCK_FENCE = (
    "SELECT epoch, summary_review_id, lease_token, lease_expire_time, lease_expire_time > clock_timestamp() AS held "
    "FROM webhooks.publication_fences "
    "WHERE organization_id = $1 AND host = $2 AND repository_id = $3 AND number = $4 FOR UPDATE"
)
_RAISE_EPOCH = (
    "UPDATE webhooks.publication_fences SET epoch = $5, update_time = clock_timestamp() "
    "WHERE organization_id = $1 AND host = $2 AND repository_id = $3 AND number = $4 AND epoch < $5"
)
_TAKE_LEASE = (
    "UPDATE webhooks.publication_fences SET lease_token = $5, lease_expire_time = clock_timestamp() + $6, "
    "update_time = clock_timestamp() "
    "WHERE organization_id = $1 AND host = $2 AND repository_id = $3 AND number = $4"
)
_FREEZE = (
    "INSERT INTO webhooks.publications (organization_id, run_id, host, connection_id, repository_id, number, epoch, "
    "head_sha, base_ref, items) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10) ON CONFLICT DO NOTHING"
)
_PUBLICATION = (
    "SELECT host, repository_id, number, run_id, head_sha, base_ref, items, state, visible, reason, url, failures "
    "FROM webhooks.publications WHERE organization_id = $1 AND run_id = $2"
)
_EFFECTS = (
    "SELECT kind, state, findings, refused, pin_commit, host_id FROM webhooks.effects "
    "WHERE organization_id = $1 AND run_id = $2 ORDER BY kind"
)
_POSTED_REVIEWS = (
    "SELECT DISTINCT host_id FROM webhooks.effects JOIN webhooks.publications USING (organization_id, run_id) "
    "WHERE organization_id = $1 AND host = $2 AND repository_id = $3 AND number = $4 AND effects.state = 'POSTED'"
)
_FOUND_POSTED = (
    "UPDATE webhooks.effects SET state = 'POSTED', update_time = clock_timestamp() FROM webhooks.publications "
    "WHERE effects.organization_id = $1 AND publications.organization_id = $1 AND host = $2 AND repository_id = $3 "
    "AND number = $4 AND effects.run_id = publications.run_id AND kind <> 'SUMMARY_EDIT' AND host_id = ANY($5)"
)
_PLAN = (
    "INSERT INTO webhooks.effects (organization_id, run_id, kind, findings, refused) VALUES ($1, $2, $3, $4, $5) "
    "ON CONFLICT (organization_id, run_id, kind) DO UPDATE SET state = 'PLANNED', findings = excluded.findings, "
    "refused = excluded.refused, pin_commit = true, host_id = '', last_error = '', update_time = clock_timestamp()"
)
_UNPLAN = (
    "UPDATE webhooks.effects SET state = 'REJECTED', refused = '{}', last_error = $4, update_time = clock_timestamp() "
    "WHERE organization_id = $1 AND run_id = $2 AND NOT kind = ANY($3)"
)
_SAVE_EFFECT = (
    "UPDATE webhooks.effects SET state = $4, refused = $5, pin_commit = $6, host_id = $7, last_error = $8, "
    "attempts = attempts + $9, update_time = clock_timestamp() "
    "WHERE organization_id = $1 AND run_id = $2 AND kind = $3"
)
_SHOW = (
    "UPDATE webhooks.publications SET visible = true, url = CASE WHEN $3 = '' THEN url ELSE $3 END, failures = 0, "
    "update_time = clock_timestamp() WHERE organization_id = $1 AND run_id = $2"
)
_REMEMBER = (
    "INSERT INTO webhooks.posted_findings (organization_id, host, repository_id, number, finding) "
    "SELECT $1, $2, $3, $4, unnest($5::text[]) ON CONFLICT DO NOTHING"
)
_SET_SUMMARY = (
    "UPDATE webhooks.publication_fences SET summary_review_id = $5 "
    "WHERE organization_id = $1 AND host = $2 AND repository_id = $3 AND number = $4"
)
_POSTED = (
    "SELECT finding FROM webhooks.posted_findings "
    "WHERE organization_id = $1 AND host = $2 AND repository_id = $3 AND number = $4"
)
_FINISH = (
    "UPDATE webhooks.publications SET state = $3, reason = $4, update_time = clock_timestamp() "
    "WHERE organization_id = $1 AND run_id = $2"
)
_CLOSE_EFFECTS = (
    "UPDATE webhooks.effects SET state = 'REJECTED', last_error = $3, update_time = clock_timestamp() "
    "WHERE organization_id = $1 AND run_id = $2 AND state = ANY($4)"
)
_POSTPONE = (
    "UPDATE webhooks.publications SET failures = failures + $3, reason = $4, update_time = clock_timestamp() "
    "WHERE organization_id = $1 AND run_id = $2"
)
_RELEASE = (
    "UPDATE webhooks.publication_fences SET lease_token = NULL, lease_expire_time = NULL "
    "WHERE organization_id = $1 AND host = $2 AND repository_id = $3 AND number = $4 AND lease_token = $5"
)


class LedgerStore:
    """Reads and writes the ledger. Methods raise AppError(FENCED) once a higher epoch was seen, LeaseLostError, or
    AppError(UNAVAILABLE)."""

    def __init__(self, database: Database, lease: timedelta = LEASE) -> None:
        self._database = database
        self._length = lease

    async def begin(
        self,
        organization_id: UUID,
        ref: PullRequestRef,
        run_id: UUID,
        epoch: int,
        *,
        head_sha: str,
        base_ref: str,
        items: bytes,
    ) -> Begun:
        """Raise the fence, freeze the items on the first call, and take the lease if there is work and it is free."""
        lease = Lease(organization_id, ref, run_id, epoch, uuid4())
        async with self._database.tenant(organization_id) as connection:
            await connection.execute(_ENSURE_FENCE, *lease.pull_request, epoch)
            fence = await connection.fetchrow(_LOCK_FENCE, *lease.pull_request)
            assert fence is not None
            if epoch < fence["epoch"]:
                raise _fenced()
            await connection.execute(_RAISE_EPOCH, *lease.pull_request, epoch)
            await connection.execute(
                _FREEZE,
                *(organization_id, run_id, ref.host, ref.connection_id, ref.repository_id, ref.number, epoch),
                *(head_sha, base_ref, items),
            )
            publication = await self._publication(connection, lease)
            if publication.state is not PublicationState.OPEN:
                return Begun(publication)
            if fence["held"]:
                return Begun(publication, busy_until=fence["lease_expire_time"])
            await connection.execute(_TAKE_LEASE, *lease.pull_request, lease.token, self._length)
        return Begun(publication, lease, summary_review_id=fence["summary_review_id"])

    async def renew(self, lease: Lease) -> None:
        """Make sure that the claim is still the newest and the lease ours, and lengthen it."""
        async with self._held(lease):
            return

    async def posted_findings(self, lease: Lease) -> set[str]:
        """Answer the digests of all findings that were ever posted on the pull request."""
        async with self._database.tenant(lease.organization_id) as connection:
            rows = await connection.fetch(_POSTED, *lease.pull_request)
        return {row["finding"] for row in rows}

    async def posted_reviews(self, lease: Lease) -> set[str]:
        """Answer the ids of all reviews that the ledger knows to be visible on the pull request."""
        async with self._database.tenant(lease.organization_id) as connection:
            rows = await connection.fetch(_POSTED_REVIEWS, *lease.pull_request)
        return {row["host_id"] for row in rows}

    async def learn(
        self, lease: Lease, summary_review_id: str, review_ids: Collection[str], digests: Collection[str]
    ) -> None:
        """Record what the host shows and the ledger missed: where the summary is, reviews of other runs, findings."""
        async with self._held(lease) as connection:
            await connection.execute(_SET_SUMMARY, *lease.pull_request, summary_review_id)
            await connection.execute(_FOUND_POSTED, *lease.pull_request, list(review_ids))
            await connection.execute(_REMEMBER, *lease.pull_request, list(digests))

    async def plan(self, lease: Lease, effects: Sequence[Effect], dropped: str) -> None:
        """Write down these effects as the only ones to make; earlier plans are closed with `dropped` as the reason."""
        async with self._held(lease) as connection:
            await connection.execute(
                _UNPLAN, lease.organization_id, lease.run_id, [effect.kind for effect in effects], dropped
            )
            for effect in effects:
                await connection.execute(
                    _PLAN, lease.organization_id, lease.run_id, effect.kind, effect.findings, effect.refused
                )

    async def save(self, lease: Lease, effect: Effect, *, error: str = "", attempt: bool = False) -> Effect:
        """Write down how an effect stands; `attempt` counts a call that is about to be made."""
        async with self._held(lease) as connection:
            await self._save(connection, lease, effect, error, attempt=attempt)
        return effect

    async def post(
        self, lease: Lease, effect: Effect, *, url: str, digests: Collection[str], summary_review_id: str
    ) -> Effect:
        """Record that an effect is visible on the host, with what nobody may post again."""
        effect = replace(effect, state=EffectState.POSTED)
        async with self._held(lease) as connection:
            await self._save(connection, lease, effect, "", attempt=False)
            await connection.execute(_SHOW, lease.organization_id, lease.run_id, url)
            await connection.execute(_REMEMBER, *lease.pull_request, list(digests))
            if summary_review_id:
                await connection.execute(_SET_SUMMARY, *lease.pull_request, summary_review_id)
        return effect

    async def finish(self, lease: Lease, state: PublicationState, reason: str) -> Publication:
        """End the publication and give the lease back; what is in doubt stays so unless none of it can be visible."""
        closed = [EffectState.PLANNED]
        if state is PublicationState.SUPERSEDED:
            closed.append(EffectState.IN_DOUBT)
        reason = _storable(reason)
        async with self._held(lease) as connection:
            await connection.execute(_FINISH, lease.organization_id, lease.run_id, state, reason)
            await connection.execute(_CLOSE_EFFECTS, lease.organization_id, lease.run_id, reason, closed)
            await connection.execute(_RELEASE, *lease.pull_request, lease.token)
            return await self._publication(connection, lease)

    async def postpone(self, lease: Lease, reason: str, *, failed: bool) -> Publication:
        """Give the lease back with the work undone; `failed` spaces the next attempt further."""
        async with self._held(lease) as connection:
            await connection.execute(_POSTPONE, lease.organization_id, lease.run_id, int(failed), _storable(reason))
            await connection.execute(_RELEASE, *lease.pull_request, lease.token)
            return await self._publication(connection, lease)

    async def release(self, lease: Lease) -> None:
        """Give the lease back if it is still ours."""
        async with self._database.tenant(lease.organization_id) as connection:
            await connection.execute(_RELEASE, *lease.pull_request, lease.token)

    @asynccontextmanager
    async def _held(self, lease: Lease) -> AsyncIterator[Connection]:
        """A transaction that holds the fence row's lock; its commit lengthens the lease."""
        async with self._database.tenant(lease.organization_id) as connection:
            fence = await connection.fetchrow(_LOCK_FENCE, *lease.pull_request)
            if fence is None or fence["epoch"] > lease.epoch:
                raise _fenced()
            if fence["lease_token"] != lease.token:
                raise LeaseLostError
            await connection.execute(_TAKE_LEASE, *lease.pull_request, lease.token, self._length)
            yield connection

    @staticmethod
    async def _save(connection: Connection, lease: Lease, effect: Effect, error: str, *, attempt: bool) -> None:
        await connection.execute(
            _SAVE_EFFECT,
            *(lease.organization_id, lease.run_id, effect.kind, effect.state, effect.refused, effect.pin_commit),
            *(effect.host_id, _storable(error), int(attempt)),
        )

    @staticmethod
    async def _publication(connection: Connection, lease: Lease) -> Publication:
        row = await connection.fetchrow(_PUBLICATION, lease.organization_id, lease.run_id)
        assert row is not None
        if (lease.organization_id, row["host"], row["repository_id"], row["number"]) != lease.pull_request:
            raise AppError(Reason.WRONG_STATE, "This run was published to another pull request.")
        rows = await connection.fetch(_EFFECTS, lease.organization_id, lease.run_id)
        return Publication(
            run_id=row["run_id"],
            head_sha=row["head_sha"],
            base_ref=row["base_ref"],
            items=row["items"],
            state=PublicationState(row["state"]),
            visible=row["visible"],
            reason=row["reason"],
            url=row["url"],
            failures=row["failures"],
            effects=tuple(_effect(one) for one in rows),
        )


def _effect(row: asyncpg.Record) -> Effect:
    return Effect(
        kind=EffectKind(row["kind"]),
        state=EffectState(row["state"]),
        findings=tuple(row["findings"]),
        refused=tuple(row["refused"]),
        pin_commit=row["pin_commit"],
        host_id=row["host_id"],
    )


def _fenced() -> AppError:
    return AppError(Reason.FENCED, "A newer claim of this pull request was seen.")


def _storable(text: str) -> str:
    return text.replace("\0", "")[:1000]
