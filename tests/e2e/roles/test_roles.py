"""Roles on their own, workers several at once: reached, killed, drained, and honest about themselves."""

import asyncio
import json
import shutil
import signal
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path

import asyncpg
import pytest

from cli.engines.mongodb import MongoDbEngine
from cli.engines.postgres import PostgresEngine
from cli.engines.rabbitmq import RabbitMqEngine
from cli.supervisor.ports import find_free
from emulators.github import GitHubEmulator, deliver
from migrations import documents
from services.bootstrap import bootstrap
from services.kit.bus.address import parse
from services.kit.bus.topology import Topology
from tests.e2e.review.steps import BAD
from tests.e2e.roles.processes import ROLES, WORKERS, Fleet
from tests.support.mesh import CRYPTO_KEY, JWT_SECRET
from tests.support.postgres import APPLICATION_ROLE, administer
from tests.support.rabbitmq import forget
from tests.support.system import SECRET, TOKEN, Repository, until

DATABASE = "roles_on_their_own"


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Repository:
    made = Repository(tmp_path_factory.mktemp("repository"))
    made.commit({"app.py": "x = 1\n"}, "start")
    return made


@pytest.fixture(scope="module")
async def emulator(repository: Repository) -> AsyncIterator[GitHubEmulator]:
    async with GitHubEmulator(repository.path, "acme", "shop", TOKEN) as made:
        yield made


@pytest.fixture(scope="module")
async def fleet(
    postgres_server: PostgresEngine,
    postgres_template: str,
    rabbitmq_engine: RabbitMqEngine,
    mongodb_engine: MongoDbEngine,
    emulator: GitHubEmulator,
    repository: Repository,
) -> AsyncIterator[Fleet]:
    await administer(postgres_server, f"CREATE DATABASE {DATABASE} TEMPLATE {postgres_template}")
    await forget(rabbitmq_engine.uri, Topology())  # what an earlier test left under the names of production
    directory = Path(tempfile.mkdtemp(prefix="lt-"))
    mongodb_uri = mongodb_engine.uri.replace("/?", f"/{DATABASE}?")
    await documents.run(mongodb_uri)
    dsn = postgres_server.dsn(DATABASE, APPLICATION_ROLE)
    await bootstrap(dsn)
    owner = await asyncpg.create_pool(postgres_server.dsn(DATABASE), min_size=0, max_size=3)
    edge, webhooks, grpc = find_free(set()), find_free(set()), find_free(set())
    environment = {
        "LINTEL_RUN_DIR": str(directory),
        "LINTEL_EDGE": "direct",
        "API_PORT": str(edge),
        "API_WEBHOOKS_PORT": str(webhooks),
        "LINTEL_GRPC_PORT": str(grpc),
        "DATABASE_URL": dsn,
        "API_RABBITMQ_URI": rabbitmq_engine.uri,
        "MONGODB_URI": mongodb_uri,
        "API_CRYPTO_KEY": CRYPTO_KEY,
        "API_JWT_SECRET": JWT_SECRET,
        "GITHUB_WEBHOOK_SECRET": SECRET,
        "GITHUB_TOKEN": TOKEN,
        "LINTEL_GITHUB_API_URL": emulator.url,
        "LINTEL_OUTBOX_ASK_SECONDS": "1",
    }
    made = Fleet(directory, environment, f"http://127.0.0.1:{edge}", f"http://127.0.0.1:{webhooks}", owner, repository)
    try:
        for role in (*ROLES, *WORKERS, *WORKERS):
            made.start(role)
        for process in made.processes:
            await process.ready()
        yield made
    finally:
        await made.stop()
        await owner.close()
        shutil.rmtree(directory, ignore_errors=True)
        await administer(postgres_server, f"DROP DATABASE {DATABASE} WITH (FORCE)")


async def review(fleet: Fleet, emulator: GitHubEmulator, name: str) -> tuple[int, str]:
    """Open a pull request and announce it; answers its number and head."""
    repository = fleet.repository
    base = repository.git("rev-parse", "HEAD")
    head = repository.commit({f"{name}.py": BAD})
    pull = await emulator.open_pull(head=head, base=base)
    answer = await deliver(f"{fleet.webhooks}/github/webhook", emulator.webhook("opened", pull.number, secret=SECRET))
    assert answer.status == 202
    return pull.number, head


async def test_a_webhook_is_reviewed_once_and_every_part_is_up(fleet: Fleet, emulator: GitHubEmulator) -> None:
    await fleet.says(application="up", broker="up", worker="up", postgres="up", mongodb="up")
    number, head = await review(fleet, emulator, "plain")
    await fleet.published(number, head)
    assert len(emulator.reviews(number)) == 1
    assert [c.path for c in emulator.review_comments(number)] == ["plain.py"]


@pytest.mark.parametrize("role", ["review", "orgs"])
async def test_a_second_one_of_a_serving_role_refuses_and_says_what_it_needs(fleet: Fleet, role: str) -> None:
    second = fleet.start(role)
    assert await second.ended() == 1
    assert b"another process serves this socket; a second instance of the role needs" in second.said
    assert b"Traceback" not in second.said
    assert len(fleet.running(role)) == 1


@pytest.mark.parametrize("role", WORKERS)
async def test_when_one_of_two_workers_is_killed_the_other_goes_on_and_answers_for_it(
    fleet: Fleet, emulator: GitHubEmulator, role: str
) -> None:
    holder = fleet.directory / f"{role}.sock"
    first, _ = fleet.running(role)[:2]
    before = holder.readlink()
    for process in fleet.running(role):
        if process is not first:
            continue
        process.stop()
        await process.ended()
    await fleet.says(worker="up", broker="up")
    number, head = await review(fleet, emulator, f"without-a-{role}")
    await fleet.published(number, head)
    fleet.start(role)
    await fleet.processes[-1].ready()
    for process in fleet.running(role)[:1]:  # the other one too, so that the name was held by both
        process.stop()
        await process.ended()
    await fleet.says(worker="up")
    assert holder.readlink() != before
    fleet.start(role)
    await fleet.processes[-1].ready()
    assert len(emulator.reviews(number)) == 1


async def test_a_worker_that_is_asked_to_stop_puts_its_run_back_in_time(fleet: Fleet, emulator: GitHubEmulator) -> None:
    hold = emulator.fail("pulls/list-files", action="stall")
    number, head = await review(fleet, emulator, "stopped")
    await asyncio.wait_for(hold.reached.wait(), 60)
    asked = fleet.running("review_worker")
    for process in asked:
        process.stop(signal.SIGTERM)
    assert [await process.ended(20) for process in asked] == [0, 0]
    for process in asked:
        assert json.loads(process.said.splitlines()[-1])["event"] == "stopped"
    row = await fleet.owner.fetchrow(
        "SELECT r.state, r.errors, r.crashes FROM review.runs r JOIN review.pull_requests p "
        "ON p.id = r.pull_request_id WHERE p.number = $1",
        number,
    )
    assert row is not None
    assert tuple(row) == ("QUEUED", 0, 0)
    hold.release()
    for _ in asked:
        await fleet.start("review_worker").ready()
    await fleet.published(number, head)
    assert len(emulator.reviews(number)) == 1


async def test_live_is_not_ready(fleet: Fleet) -> None:
    (process,) = fleet.running("llm_gateway")
    process.stop()
    await process.ended()
    await fleet.says(application="down")
    live, ready = await fleet.health("/health/live"), await fleet.health("/health/ready")
    assert (live.status_code, ready.status_code) == (200, 503)
    assert ready.json()["roles"]["llm_gateway"] == "down"
    await fleet.start("llm_gateway").ready()
    await fleet.says(application="up")


async def test_while_the_broker_is_away_webhooks_are_taken_and_reviewed_when_it_is_back(
    fleet: Fleet, emulator: GitHubEmulator, rabbitmq_engine: RabbitMqEngine
) -> None:
    rabbitmq_engine.kill()
    try:
        rabbitmq_engine.delete_disk()
        number, head = await review(fleet, emulator, "brokerless")
        await fleet.says(broker="down", application="up", worker="up")
        assert (await fleet.health()).status_code == 503
        assert (await fleet.health("/health/ready")).status_code == 200
    finally:
        await asyncio.to_thread(rabbitmq_engine.start)
    await fleet.published(number, head)
    await fleet.says(broker="up")
    assert len(emulator.reviews(number)) == 1


async def test_while_the_document_store_is_away_that_is_said(fleet: Fleet, mongodb_engine: MongoDbEngine) -> None:
    mongodb_engine.kill()
    try:
        await fleet.says(mongodb="down", application="up", worker="up")
    finally:
        await asyncio.to_thread(mongodb_engine.start)
    await fleet.says(mongodb="up")


async def test_no_password_is_in_any_log(fleet: Fleet, rabbitmq_engine: RabbitMqEngine) -> None:
    password = parse(rabbitmq_engine.uri).password
    assert password
    assert not [p.role for p in fleet.processes if password.encode() in p.said]
    lost = b"".join(p.said for p in fleet.processes)
    await until(lambda: _true(b"broker lost" in lost and b"broker connected" in lost))


async def _true(value: bool) -> bool:
    return value
