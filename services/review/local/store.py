"""SQL of local reviews."""

from collections.abc import Sequence
from uuid import UUID

from services.kit.postgres.pool import Connection
from services.review.domain import LOCAL, PullRequestRef, RunState
from services.review.local.options import Options
from services.review.run_store import lock_pull_request


async def begin(
    connection: Connection, organization_id: UUID, run_id: UUID, creator: str, options: Options, traceparent: str
) -> None:
    """Begin a run that waits, of a change of its own."""
    change = PullRequestRef(LOCAL, "", str(run_id), options.repository, 0)
    row = await lock_pull_request(connection, organization_id, change)
    await connection.execute(
        "INSERT INTO review.runs (id, organization_id, pull_request_id, head_sha, base_ref, base_sha, creator, "
        "no_model, dry_run, traceparent) VALUES ($1, $2, $3, $4, '', $5, $6, $7, $8, $9)",
        run_id,
        organization_id,
        row["id"],
        options.head_sha,
        options.base_sha,
        creator,
        options.no_model,
        options.dry_run,
        traceparent,
    )
    await connection.execute("NOTIFY review_runs")


async def states(connection: Connection, run_ids: Sequence[UUID]) -> dict[UUID, RunState]:
    """Answer where these runs stand, of whatever organisation; those that are not there are left out."""
    rows = await connection.fetch("SELECT id, state FROM review.runs WHERE id = ANY($1::uuid[])", list(run_ids))
    return {row["id"]: RunState(row["state"]) for row in rows}
