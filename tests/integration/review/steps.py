"""What tests of runs do again and again: an event, a claim, a look at the table."""

from typing import TypeAlias
from uuid import uuid4

import asyncpg

from services.review.domain import Change, PullRequestRef, Run
from services.review.runs import Runs

Owner: TypeAlias = "asyncpg.Connection[asyncpg.Record]"
ORGANIZATION = uuid4()
REF = PullRequestRef("github", "", "42", "acme/shop", 7)
A, B, C, D, E = (letter * 40 for letter in "abcde")


async def observe(runs: Runs, head: str, action: str = "synchronized", ref: PullRequestRef = REF) -> None:
    await runs.observe(ORGANIZATION, Change(ref, action, head, "main"), "")


async def claim(runs: Runs) -> Run:
    run = await runs.claim("test")
    assert run is not None
    return run


async def states(owner: Owner) -> list[tuple[str, str]]:
    return [(r["head_sha"], r["state"]) for r in await owner.fetch("SELECT * FROM review.runs ORDER BY id")]


async def one(owner: Owner, query: str) -> asyncpg.Record:
    row = await owner.fetchrow(query)
    assert row is not None
    return row
