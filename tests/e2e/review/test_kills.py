"""`kill -9` of each process while a review is on its way: at rest there is exactly one review, and nothing is lost."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator

import asyncpg
import httpx2
import pytest

from cli.embedded import Embedded
from emulators.github import GitHubEmulator, deliver
from tests.e2e.review.steps import BAD
from tests.support.system import SECRET, TOKEN, Repository, until

# Where the code host holds the review up, so that the kill meets it there: (operation, before or after its effect).
MOMENTS = {
    "while reading": ("pulls/list-files", "before"),
    "while the draft is made": ("pulls/create-review", "after"),
    "while the draft is submitted": ("pulls/submit-review", "after"),
}


@pytest.fixture(scope="module")
async def world(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[tuple[Embedded, GitHubEmulator, Repository]]:
    repository = Repository(tmp_path_factory.mktemp("repository"))
    repository.commit({"app.py": "x = 1\n"}, "start")
    async with GitHubEmulator(repository.path, "acme", "shop", TOKEN) as emulator:
        environment = {"GITHUB_TOKEN": TOKEN, "LINTEL_GITHUB_API_URL": emulator.url, "GITHUB_WEBHOOK_SECRET": SECRET}
        system = Embedded(tmp_path_factory.mktemp("state"), env=environment)
        await asyncio.to_thread(system.__enter__)
        try:
            yield system, emulator, repository
        finally:
            await asyncio.to_thread(system.__exit__, None, None, None)


@pytest.mark.parametrize("victim", ["application", "postgres", "envoy"])
@pytest.mark.parametrize("moment", MOMENTS)
async def test_one_review_whatever_is_killed(
    world: tuple[Embedded, GitHubEmulator, Repository], victim: str, moment: str
) -> None:
    system, emulator, repository = world
    base = repository.git("rev-parse", "HEAD")
    head = repository.commit({f"{victim}-{moment.replace(' ', '-')}.py": BAD})
    pull = await emulator.open_pull(head=head, base=base)
    operation, when = MOMENTS[moment]
    hold = emulator.fail(operation, action="stall", when="after" if when == "after" else "before")
    await send(system, emulator, pull.number)
    await asyncio.wait_for(hold.reached.wait(), 30)
    restarts = await kill(system, victim)
    hold.release()
    await until(lambda: is_back(system, victim, restarts))
    await until(lambda: end_leases(system))
    await until(lambda: is_published(system, pull.number), seconds=90)
    assert len(emulator.reviews(pull.number)) == 1
    assert emulator.reviews(pull.number, pending=True) == []
    assert [c.path for c in emulator.review_comments(pull.number)] == [f"{victim}-{moment.replace(' ', '-')}.py"]


async def test_a_run_that_is_on_goes_back_when_the_application_is_asked_to_stop(
    world: tuple[Embedded, GitHubEmulator, Repository],
) -> None:
    system, emulator, repository = world
    base = repository.git("rev-parse", "HEAD")
    pull = await emulator.open_pull(head=repository.commit({"stopped.py": BAD}), base=base)
    hold = emulator.fail("pulls/list-files", action="stall")
    await send(system, emulator, pull.number)
    await asyncio.wait_for(hold.reached.wait(), 30)
    asked_at = asyncio.get_running_loop().time()
    restarts = await kill(system, "application", signal.SIGTERM)
    await until(lambda: is_back(system, "application", restarts))
    assert asyncio.get_running_loop().time() - asked_at < 10  # then the supervisor kills what it asked itself
    hold.release()
    await until(lambda: is_published(system, pull.number))
    connection = await connect(system)
    crashes = await connection.fetchval(
        "SELECT sum(crashes + errors) FROM review.runs r JOIN review.pull_requests p "
        "ON p.id = r.pull_request_id WHERE p.number = $1",
        pull.number,
    )
    await connection.close()
    assert crashes == 0
    assert len(emulator.reviews(pull.number)) == 1


async def send(system: Embedded, emulator: GitHubEmulator, number: int) -> None:
    """Send the webhook once the edge listens: the test before may have killed it a moment ago."""

    async def listens() -> bool:
        try:
            async with httpx2.AsyncClient(trust_env=False) as client:
                return (await client.get(f"{system.webhooks_url}/health/live")).status_code < 500
        except httpx2.TransportError:
            return False

    await until(listens)
    answer = await deliver(f"{system.webhooks_url}/github/webhook", emulator.webhook("opened", number, secret=SECRET))
    assert answer.status == 202


async def kill(system: Embedded, victim: str, how: signal.Signals = signal.SIGKILL) -> int:
    child = next(c for c in system.status.children if c.name == victim)
    assert child.pid
    os.kill(child.pid, how)
    return child.restarts


async def is_back(system: Embedded, victim: str, restarts: int) -> bool:
    child = next(c for c in system.status.children if c.name == victim)
    return child.restarts > restarts and child.state == "running"


async def end_leases(system: Embedded) -> bool:
    """End the leases that the dead held, instead of waiting a minute for them; False while Postgres is on its way."""
    try:
        connection = await connect(system)
        try:
            await connection.execute(
                "UPDATE review.runs SET lease_expire_time = clock_timestamp() WHERE state = 'RUNNING'"
            )
            await connection.execute(
                "UPDATE webhooks.publication_fences SET lease_expire_time = clock_timestamp() "
                "WHERE lease_token IS NOT NULL"
            )
        finally:
            connection.terminate()
    except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError):
        return False
    return True


async def is_published(system: Embedded, number: int) -> bool:
    """Whether the review is published; lets time pass quickly for retries."""
    connection = await connect(system)
    try:
        await connection.execute("UPDATE review.runs SET available_at = clock_timestamp() WHERE state = 'QUEUED'")
        found = await connection.fetchval(
            "SELECT r.state FROM review.runs r JOIN review.pull_requests p ON p.id = r.pull_request_id "
            "WHERE p.number = $1 ORDER BY r.id DESC LIMIT 1",
            number,
        )
        return bool(found == "PUBLISHED")
    finally:
        connection.terminate()


async def connect(system: Embedded) -> "asyncpg.Connection[asyncpg.Record]":
    dsn = system.status.postgres_dsn
    assert dsn
    return await asyncpg.connect(dsn, timeout=2)
