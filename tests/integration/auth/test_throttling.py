"""Guessing is slow: by account and by address, also after a restart; and the right password works after the wait."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import timedelta

import pytest

from services.auth import throttle
from services.auth.domain import NOBODY
from services.auth.throttle import ADDRESS, FIRST_WAIT, LONGEST_WAIT, Limit, Throttle
from services.auth.throttle_store import ThrottleStore
from services.kit.errors import AppError, Reason
from services.kit.postgres.pool import Database as Pool
from tests.integration.auth.conftest import EMAIL, PASSWORD, Clock, World, problem, running_world
from tests.support.postgres import Database


async def test_the_eleventh_wrong_password_is_a_429_and_the_right_one_works_after_the_wait(world: World) -> None:
    await world.register()
    for _ in range(10):
        assert problem(await world.post("/auth/login", email=EMAIL, password="wrong")) == (401, "LOGIN_FAILED")
    refused = await world.post("/auth/login", email=EMAIL, password="wrong")
    assert problem(refused) == (429, "TOO_MANY_ATTEMPTS")
    wait = int(refused.headers["retry-after"])
    assert 0 < wait <= FIRST_WAIT.total_seconds()
    assert problem(await world.post("/auth/login", email=EMAIL, password=PASSWORD)) == (429, "TOO_MANY_ATTEMPTS")
    world.clock.ahead = timedelta(seconds=wait)
    await world.login()
    for _ in range(10):  # what succeeded begins anew
        assert (await world.post("/auth/login", email=EMAIL, password="wrong")).status_code == 401


async def test_a_restart_forgets_nothing(database: Database) -> None:
    async with running_world(database) as world:
        await world.register()
        for _ in range(10):
            await world.post("/auth/login", email=EMAIL, password="wrong")
        assert (await world.post("/auth/login", email=EMAIL, password=PASSWORD)).status_code == 429
        await world.owner.execute("UPDATE auth.api_keys SET delete_time = now()")  # the next start makes the local one
    async with running_world(database) as world:
        assert (await world.post("/auth/login", email=EMAIL, password=PASSWORD)).status_code == 429


async def test_an_account_that_is_none_is_throttled_alike(world: World) -> None:
    await world.register()
    for email in ("nobody@example.com", EMAIL):
        statuses = [(await world.post("/auth/login", email=email, password="wrong")).status_code for _ in range(11)]
        assert statuses == [401] * 10 + [429]


async def test_guesses_at_once_are_no_way_around(world: World) -> None:
    await world.register()
    answers = await asyncio.gather(*(world.post("/auth/login", email=EMAIL, password=f"guess {i}") for i in range(25)))
    assert sorted(a.status_code for a in answers) == [401] * 10 + [429] * 15


async def test_an_address_that_guesses_at_many_accounts_waits(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(throttle, "ADDRESS", Limit(ADDRESS.kind, 5))
    statuses = [
        (await world.post("/auth/login", email=f"u{i}@example.com", password="wrong")).status_code for i in range(6)
    ]
    assert statuses == [401] * 5 + [429]
    header = {"x-lintel-client-address": "10.9.8.7", "x-forwarded-for": "10.9.8.7"}
    spoofed = await world.api.post("/auth/login", json={"email": "v@example.com", "password": "x"}, headers=header)
    assert spoofed.status_code == 429


@dataclass
class Gate:
    """A throttle on a database, with a clock of its own."""

    clock: Clock
    pool: Pool
    throttle: Throttle


@pytest.fixture
async def gate(database: Database) -> AsyncIterator[Gate]:
    clock = Clock()
    async with Pool(database.app_dsn, "auth", max_size=4) as pool:
        yield Gate(clock, pool, Throttle(ThrottleStore(pool), clock))


async def wait_of(gate: Gate, email: str = EMAIL, address: str = "10.0.0.1") -> timedelta | None:
    try:
        await gate.throttle.login(email, address)
    except AppError as error:
        assert error.reason is Reason.TOO_MANY_ATTEMPTS
        return error.retry_after
    return None


async def test_each_further_failure_waits_longer_up_to_a_quarter_of_an_hour(gate: Gate) -> None:
    clock = gate.clock
    for _ in range(10):
        assert await wait_of(gate) is None
    minutes = []
    for _ in range(7):
        wait = await wait_of(gate)
        assert wait is not None
        minutes.append(round(wait.total_seconds() / 60))
        clock.ahead += wait
        assert await wait_of(gate) is None  # one more guess
    assert minutes == [1, 2, 4, 8, 15, 15, 15]
    clock.ahead += LONGEST_WAIT + timedelta(hours=1)
    assert [await wait_of(gate) for _ in range(10)] == [None] * 10  # nobody guessed for an hour


async def test_a_good_account_does_not_unlock_guessing_at_others(gate: Gate) -> None:
    for index in range(ADDRESS.attempts + 1):
        await wait_of(gate, f"u{index}@example.com", "10.0.0.1")
    # Even if an own login had been let in before the address was blocked:
    await gate.throttle.succeeded("own@example.com", "10.0.0.1")
    assert await wait_of(gate, "other@example.com", "10.0.0.1") is None
    assert await wait_of(gate, "more@example.com", "10.0.0.1") is not None


@pytest.mark.parametrize(
    ("first", "second", "is_same"),
    [
        ("10.0.0.1", "10.0.0.2", False),
        ("2001:db8:1:2::1", "2001:db8:1:2:ffff::9", True),
        ("2001:db8:1:2::1", "2001:db8:1:3::1", False),
        ("::ffff:10.0.0.1", "10.0.0.1", True),
        ("", "", None),
        ("unix", "unix", None),
    ],
)
async def test_addresses(gate: Gate, first: str, second: str, is_same: bool | None) -> None:
    for index in range(ADDRESS.attempts):
        await wait_of(gate, f"u{index}@example.com", first)
    blocked = await wait_of(gate, "last@example.com", second) is not None
    assert blocked is bool(is_same)


async def test_neither_e_mails_nor_addresses_are_stored(gate: Gate) -> None:
    await wait_of(gate)
    async with gate.pool.tenant(NOBODY) as connection:
        text = str([tuple(row) for row in await connection.fetch("SELECT * FROM auth.throttles")])
    assert EMAIL not in text
    assert "10.0.0.1" not in text
