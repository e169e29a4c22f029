"""Turns between organisations: the one that was served longest ago is served next, whatever the others have queued."""


def turns(table: str, waits: str) -> str:
    """Answer the beginning of a query: `turn` has the organisations with rows that wait, in the order of their turns.

    `waits` is the condition of a partial index, such as `state = 'RECEIVED'`.

    It steps through an index on (organization_id, available_at) of these rows from one organisation to the next, and
    reads `served`, the time of an organisation's last claim, from one on (organization_id, claim_time): the cost grows
    with the number of organisations that wait, not with the number of rows.
    """
    first = f"SELECT organization_id FROM {table} WHERE {waits}"
    served = f"SELECT max(claim_time) FROM {table} AS own WHERE own.organization_id = waiting.organization_id"
    return (
        f"WITH RECURSIVE waiting AS (({first} ORDER BY organization_id LIMIT 1) UNION ALL "
        f"SELECT ({first} AND organization_id > waiting.organization_id ORDER BY organization_id LIMIT 1) "
        "FROM waiting WHERE waiting.organization_id IS NOT NULL), "
        f"turn AS MATERIALIZED (SELECT organization_id, ({served}) AS served FROM waiting "
        "WHERE organization_id IS NOT NULL ORDER BY served NULLS FIRST) "
    )


def claim_next(table: str, waits: str) -> str:
    """Answer the statement that claims a row for the interval $1, counting the attempt.

    It returns the row, and as `was_claimed` whether somebody claimed it before and never settled it.
    """
    name = table.rpartition(".")[2]
    return (
        f"{turns(table, waits)}, next AS MATERIALIZED (SELECT due.* FROM turn CROSS JOIN LATERAL "
        f"(SELECT id, is_claimed AS was_claimed FROM {table} WHERE organization_id = turn.organization_id "
        f"AND {waits} AND available_at <= clock_timestamp() ORDER BY available_at LIMIT 1 "
        f"FOR UPDATE SKIP LOCKED) AS due LIMIT 1) UPDATE {table} SET attempts = attempts + 1, is_claimed = true, "
        "claim_time = clock_timestamp(), available_at = clock_timestamp() + $1::interval FROM next "
        f"WHERE {name}.id = next.id RETURNING {name}.*, next.was_claimed"
    )
