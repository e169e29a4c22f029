"""Twenty claimers in four processes and a thousand runs: each is claimed once per epoch, none lost, none twice on."""

import asyncio
import json
import os
import signal
import sys
import uuid
from collections import Counter

import asyncpg

from cli.layout import ROOT
from tests.support.postgres import Database

RUNS, PROCESSES, CLAIMERS = 1000, 4, 5
# What happens to runs is written down by Postgres itself, whoever does it and whatever they say.
_WATCH = """
CREATE TABLE public.moves (at bigserial, run uuid, pull_request uuid, epoch bigint, was text, became text);
GRANT INSERT ON public.moves TO PUBLIC;
GRANT USAGE ON SEQUENCE public.moves_at_seq TO PUBLIC;
CREATE FUNCTION public.note_move() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO public.moves (run, pull_request, epoch, was, became)
    VALUES (NEW.id, NEW.pull_request_id, NEW.epoch, OLD.state, NEW.state);
    RETURN NEW;
END $$;
CREATE TRIGGER note AFTER UPDATE ON review.runs FOR EACH ROW WHEN (OLD.state <> NEW.state)
EXECUTE FUNCTION public.note_move();
-- The alarms are taken away: it is the claimers that must not do it.
DROP INDEX review.one_run_in_progress;
"""


async def _seed(connection: "asyncpg.Connection[asyncpg.Record]") -> None:
    organizations = [uuid.uuid4() for _ in range(3)]
    pulls = [(uuid.uuid4(), organizations[n % 3], str(n), n + 1) for n in range(RUNS)]
    await connection.executemany(
        "INSERT INTO review.pull_requests (id, organization_id, host, host_repository_id, repository, number) "
        "VALUES ($1, $2, 'github', $3, 'acme/shop', $4)",
        pulls,
    )
    await connection.executemany(
        "INSERT INTO review.runs (id, organization_id, pull_request_id, head_sha, base_ref) "
        "VALUES ($1, $2, $3, 'head', 'main')",
        [(uuid.uuid4(), organization, pull) for pull, organization, _, _ in pulls],
    )


async def test_each_run_is_claimed_once_per_epoch_and_none_is_lost(database: Database) -> None:
    connection = await asyncpg.connect(database.owner_dsn)
    await connection.execute(_WATCH)
    await _seed(connection)
    environment = {"PATH": os.environ.get("PATH", os.defpath), "PYTHONPATH": f"{ROOT}:{ROOT / 'protos' / 'gen'}"}
    argv = [sys.executable, "-m", "tests.chaos.claimers", database.app_dsn, str(CLAIMERS)]
    claims: list[tuple[str, int, str]] = []
    processes = [
        await asyncio.create_subprocess_exec(
            *argv, env=environment, cwd=ROOT, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE
        )
        for _ in range(PROCESSES + 1)
    ]

    async def listen(process: asyncio.subprocess.Process) -> None:
        assert process.stdout is not None
        async for line in process.stdout:
            if line.endswith(b"\n"):
                claims.append(tuple(json.loads(line)))

    listeners = [asyncio.create_task(listen(process)) for process in processes]
    victim, *others = processes
    try:
        async with asyncio.timeout(90):
            while len(claims) < RUNS // 4:
                await asyncio.sleep(0.02)
            victim.send_signal(signal.SIGKILL)  # with what it has claimed
            while await connection.fetchval("SELECT count(*) FROM review.runs WHERE state <> 'COMPLETED'"):
                await asyncio.sleep(0.1)
    finally:
        for process in others:
            assert process.stdin is not None
            process.stdin.write(b"\n")
        await asyncio.gather(*(process.wait() for process in processes), *listeners)
    twice = [key for key, count in Counter((run, epoch) for run, epoch, _ in claims).items() if count > 1]
    assert not twice
    moves = await connection.fetch("SELECT * FROM public.moves ORDER BY at")
    begun = Counter((row["run"], row["epoch"]) for row in moves if row["became"] == "RUNNING")
    assert max(begun.values()) == 1
    assert {(run, epoch) for run, epoch, _ in claims} <= {(run.hex, epoch) for run, epoch in begun}
    on: set[uuid.UUID] = set()
    for row in moves:
        if row["became"] == "RUNNING":
            assert row["pull_request"] not in on, "two runs of a pull request were in progress"
            on.add(row["pull_request"])
        else:
            on.discard(row["pull_request"])
    ended = Counter(row["run"] for row in moves if row["became"] == "COMPLETED")
    assert len(ended) == RUNS
    assert set(ended.values()) == {1}
    assert len({name for _, _, name in claims}) == (PROCESSES + 1) * CLAIMERS  # every claimer had its part
    assert len(begun) >= RUNS + RUNS // 10  # what was put back or dropped was claimed again
    await connection.close()
