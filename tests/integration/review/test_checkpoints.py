"""What a model answered is bought once: a worker that takes a run over finds it, and counts what was under way."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import pytest

from emulators.openai import ChatRequest, OpenAIEmulator, error, stall
from services.kit.app import Mesh
from services.kit.bus.in_process import InProcessBus
from services.kit.diff.model import LineKind
from services.kit.postgres.pool import Database
from services.kit.rpc.addresses import Addresses
from services.kit.rpc.channel import open_channel
from services.llm_gateway import app
from services.orgs import app as orgs
from services.review.checkpoints import StepCheckpoints
from services.review.domain import Run
from services.review.model.clients import RemoteModels
from services.review.model.review_pass import TwoCallPass
from services.review.model_port import CheckpointError, ShownFile, ShownHunk, ShownLine, SourceView
from services.review.run_store import LeaseLostError
from services.review.runs import Runs
from tests.integration.review.steps import A, Owner, claim, observe
from tests.support.mesh import CRYPTO_KEY
from tests.support.rpc import short_directory

KEY = "emulated-key-Zx81Qq"
LINES = ("def total(items):", "    return sum(items) / len(items)")
VIEW = SourceView(
    (
        ShownFile(
            "src/a.py",
            "modified",
            None,
            (ShownHunk("", tuple(ShownLine(LineKind.ADDED, None, n, t) for n, t in enumerate(LINES, 1))),),
        ),
    )
)
CLAIM = {
    "path": "src/a.py",
    "side": "RIGHT",
    "quote": LINES[1],
    "severity": "high",
    "category": "bug",
    "title": "Divides by zero",
    "body": "An empty list has no mean.",
    "replacement": None,
}
FOUND = {"findings": [CLAIM]}
KEPT = {"verdicts": [{"index": 0, "keep": True, "reason": "it does"}]}


@asynccontextmanager
async def asking(emulator: OpenAIEmulator, db: Database, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[TwoCallPass]:
    """A pass over a model gateway of its own; at the end the gateway stops too, and breaks off what it asks."""
    monkeypatch.setenv("DATABASE_URL", db._dsn)
    monkeypatch.setenv("API_CRYPTO_KEY", CRYPTO_KEY)
    monkeypatch.setenv("API_OPENAI_FORCE_BASE_URL", emulator.url)
    monkeypatch.setenv("API_OPEN_AI_API_KEY", KEY)
    monkeypatch.setenv("API_LLM_PROVIDER_MODEL", "test-model")
    with short_directory() as directory:
        mesh = Mesh(Addresses(directory), InProcessBus())
        async with (
            orgs.serve(mesh),
            app.serve(mesh),
            open_channel(mesh.internal("llm_gateway"), "review_worker") as channel,
        ):
            yield TwoCallPass(RemoteModels(channel), StepCheckpoints(db))


async def taken_over(runs: Runs, owner: Owner) -> Run:
    """The run in the hands of another worker, the first one having stopped."""
    await owner.execute(
        "UPDATE review.runs SET lease_expire_time = clock_timestamp() - interval '1 second' WHERE state = 'RUNNING'"
    )
    assert await runs.rescue()
    await owner.execute("UPDATE review.runs SET available_at = clock_timestamp() WHERE state = 'QUEUED'")
    return await claim(runs)


async def reached(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(30):
        while not condition():  # noqa: ASYNC110 - the emulator is on the other side of a socket
            await asyncio.sleep(0.01)


async def stopped_while(emulator: OpenAIEmulator, asks: TwoCallPass, run: Run, requests: int) -> None:
    """Carry the run until the emulator has so many requests, then stop as a process that is killed does."""
    carrying = asyncio.create_task(asks.claims(run, VIEW))
    await reached(lambda: len(emulator.requests) == requests)
    carrying.cancel()
    await asyncio.gather(carrying, return_exceptions=True)


async def test_a_recorded_answer_is_not_bought_again_and_what_was_under_way_is_counted(
    db: Database, runs: Runs, owner: Owner, monkeypatch: pytest.MonkeyPatch
) -> None:
    await observe(runs, A)
    async with OpenAIEmulator([FOUND, stall(silent=True), stall(silent=True), KEPT], key=KEY) as emulator:
        async with asking(emulator, db, monkeypatch) as asks:
            await stopped_while(emulator, asks, await claim(runs), 2)  # the first is recorded, the second under way
        async with asking(emulator, db, monkeypatch) as asks:
            await stopped_while(emulator, asks, await taken_over(runs, owner), 3)
        run = await taken_over(runs, owner)
        async with asking(emulator, db, monkeypatch) as asks:
            result = await asks.claims(run, VIEW)
            again = await asks.claims(run, VIEW)  # everything is recorded by now
        assert [c.quote for c in result.claims] == [LINES[1]] and not result.failed
        bought = [("### claim" in chat.user) for chat in emulator.chats]
        assert bought == [False, True, True, True]
        (use,) = result.uses
        assert (use.calls, use.in_doubt_calls) == (4, 2)
        assert any("2 calls of the model were under way" in note for note in result.notes)
        assert (again.claims, again.uses) == (result.claims, result.uses)
        assert len(emulator.requests) == 4
        emulator.check()


async def test_what_the_provider_refused_is_asked_again_and_not_in_doubt(
    db: Database, runs: Runs, owner: Owner, monkeypatch: pytest.MonkeyPatch
) -> None:
    await observe(runs, A)
    async with (
        OpenAIEmulator([error(404), {"findings": []}], key=KEY) as emulator,
        asking(emulator, db, monkeypatch) as asks,
    ):
        assert (await asks.claims(await claim(runs), VIEW)).failed
        result = await asks.claims(await taken_over(runs, owner), VIEW)
        assert not result.failed
        assert [(use.calls, use.in_doubt_calls) for use in result.uses] == [(1, 0)]


async def test_a_worker_that_lost_the_run_calls_nobody(
    db: Database, runs: Runs, owner: Owner, monkeypatch: pytest.MonkeyPatch
) -> None:
    await observe(runs, A)
    async with OpenAIEmulator([], key=KEY) as emulator, asking(emulator, db, monkeypatch) as asks:
        late = await claim(runs)
        await taken_over(runs, owner)
        with pytest.raises(CheckpointError) as refused:
            await asks.claims(late, VIEW)
        assert isinstance(refused.value.cause, LeaseLostError)
        assert emulator.requests == []


async def test_what_goes_on_without_its_worker_is_joined_by_the_next_one(
    db: Database, runs: Runs, owner: Owner, monkeypatch: pytest.MonkeyPatch
) -> None:
    await observe(runs, A)

    def answer(chat: ChatRequest) -> object:
        return FOUND if len(emulator.chats) == 0 else KEPT

    async with OpenAIEmulator(answer, key=KEY) as emulator, asking(emulator, db, monkeypatch) as asks:
        await stopped_while(emulator, asks, await claim(runs), 2)  # the gateway asks on, and records the answer
        result = await asks.claims(await taken_over(runs, owner), VIEW)
        assert [c.quote for c in result.claims] == [LINES[1]] and not result.failed
        assert len(emulator.requests) == 2
        (use,) = result.uses
        assert use.calls == 2
