"""Budgets are reserved before, settled after, and hold across callers and processes; usage adds up what was used."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import grpc
import pytest
from lintel.llm.v1 import usage_service_pb2 as usage_pb2

from emulators.openai import completion
from services.kit.errors import AppError, Reason
from services.kit.ids import new_id
from services.kit.postgres.pool import Database
from services.kit.rpc.status import from_rpc_error, rpc_errors
from services.llm_gateway.accounting import Claimed, Purpose, Reservation, Spent
from services.llm_gateway.store import CallStore
from tests.integration.llm_gateway.conftest import Make, World

MILLION = {"prompt_tokens": 1_000_000, "completion_tokens": 0, "total_tokens": 1_000_000}  # one dollar


async def limit(world: World, *limits: tuple[str, str, str, float]) -> usage_pb2.Budget:
    request = usage_pb2.UpdateBudgetRequest(
        budgets=[usage_pb2.BudgetLimit(scope=s, id=i, period=p, limit_usd=usd) for s, i, p, usd in limits]
    )
    with rpc_errors():
        return await world.usage.UpdateBudget(request, metadata=world.mesh.local.metadata)


async def budget(world: World) -> usage_pb2.Budget:
    with rpc_errors():
        return await world.usage.GetBudget(usage_pb2.GetBudgetRequest(), metadata=world.mesh.local.metadata)


async def report(world: World, **wanted: Any) -> usage_pb2.GetTokenUsageResponse:
    with rpc_errors():
        request = usage_pb2.GetTokenUsageRequest(**wanted)
        return await world.usage.GetTokenUsage(request, metadata=world.mesh.local.metadata)


async def test_a_spent_budget_refuses_and_says_until_when(world: Make) -> None:
    made = await world([completion("{}", usage=MILLION)])
    before = await limit(made, ("organization", "", "day", 1.0))
    assert before.budgets[0].spent_usd == 0
    await made.complete()
    with pytest.raises(AppError) as refused:
        await made.complete()
    error = refused.value
    assert error.reason is Reason.BUDGET_SPENT
    midnight = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0) + timedelta(days=1)
    assert error.metadata["renew_time"] == midnight.strftime("%Y-%m-%dT%H:%M:%SZ")
    assert (error.metadata["scope"], error.metadata["period"]) == ("organization", "day")
    assert error.retry_after is not None and error.retry_after <= timedelta(days=1)
    assert len(made.emulator.chats) == 1
    (found,) = (await budget(made)).budgets
    assert found.spent_usd == pytest.approx(1.0) and found.reserved_usd == 0
    assert found.renew_time.ToDatetime(UTC) == midnight


async def test_an_answer_that_is_paid_is_given_again_whatever_the_budget(world: Make) -> None:
    made = await world([completion("{}", usage=MILLION)])
    await limit(made, ("organization", "", "month", 1.0))
    await made.complete(request_id="paid")
    assert (await made.complete(request_id="paid")).stored


async def test_what_is_reserved_is_given_back_when_it_is_settled(world: Make) -> None:
    cheap = {"prompt_tokens": 10, "completion_tokens": 1, "total_tokens": 11}
    made = await world(lambda chat: completion("{}", usage=cheap))
    # Each call sets aside 0.02 dollars for 10,000 tokens of output and costs a thousandth of that.
    await limit(made, ("organization", "", "day", 0.03))
    for _ in range(5):
        await made.complete(max_output_tokens=10_000)
    with pytest.raises(AppError):
        await made.complete(max_output_tokens=20_000)
    assert (await budget(made)).budgets[0].reserved_usd == 0


@pytest.mark.parametrize(
    ("scope", "subject", "same", "other"),
    [
        ("repository", "", {"repository": "acme/a"}, {"repository": "acme/b"}),
        ("repository", "acme/a", {"repository": "acme/a"}, {"repository": "acme/b"}),
        (
            "pullRequest",
            "",
            {"repository": "acme/a", "pull_request_number": 1},
            {"repository": "acme/a", "pull_request_number": 2},
        ),
        ("user", "", {"person": "ada"}, {"person": "ben"}),
        ("user", "", {"person": "ada"}, {}),
    ],
)
async def test_a_budget_is_of_its_scope(
    world: Make, scope: str, subject: str, same: dict[str, Any], other: dict[str, Any]
) -> None:
    made = await world([completion("{}", usage=MILLION), "{}"])
    await limit(made, (scope, subject, "day", 1.0))
    await made.complete(**same)
    with pytest.raises(AppError) as refused:
        await made.complete(**same)
    assert (refused.value.reason, refused.value.metadata["scope"]) == (Reason.BUDGET_SPENT, scope)
    await made.complete(**other)


async def test_an_unknown_price_is_said_and_counts_as_the_ceiling(world: Make) -> None:
    made = await world(
        [completion("{}", usage=MILLION)],
        environ={"LINTEL_MODEL_PRICES": "", "LINTEL_UNKNOWN_MODEL_PRICE": "3/9"},
    )
    await limit(made, ("organization", "", "day", 100.0))
    done = await made.complete()
    assert not done.HasField("cost_usd")
    found = await budget(made)
    assert found.budgets[0].spent_usd == pytest.approx(3.0)
    assert (found.unknown_price_input_usd, found.unknown_price_output_usd) == (3, 9)
    assert (await report(made)).total.unpriced_calls == 1


async def test_two_processes_cannot_both_take_the_last_of_a_budget(world: Make) -> None:
    made = await world()
    await limit(made, ("organization", "", "day", 1.0))
    databases = [Database(made.mesh.database.app_dsn, "llm_gateway", max_size=4) for _ in range(2)]
    for database in databases:
        await database.open()
    stores = [CallStore(database) for database in databases]

    async def reserve(index: int) -> object:
        reservation = Reservation(new_id(), f"race-{index}", Purpose(made.organization_id), 400_000, 0, 60)
        return (await stores[index % 2].claim(made.organization_id, [reservation]))[0]

    results = await asyncio.gather(*map(reserve, range(8)))
    for database in databases:
        await database.close()
    assert sum(isinstance(r, Claimed) for r in results) == 2  # 2 x 0.40 fit into 1.00
    assert sum(isinstance(r, Spent) for r in results) == 6


async def test_a_reservation_that_nobody_settles_expires(world: Make) -> None:
    made = await world(["{}"])
    await limit(made, ("organization", "", "day", 1.0))
    await made.sql(
        "INSERT INTO llm_gateway.calls (organization_id, id, request_id, purpose, charged_micros, in_doubt_micros, "
        "lease_expire_time) VALUES ($1, gen_random_uuid(), 'dead', 'review', 1000000, 7, now() + interval '1 hour')",
        made.organization_id,
    )
    assert (await budget(made)).budgets[0].reserved_usd == pytest.approx(1.0)
    with pytest.raises(AppError):
        await made.complete()
    await made.sql(
        "UPDATE llm_gateway.calls SET lease_expire_time = now() - interval '1 second' WHERE state = 'PENDING'"
    )
    assert (await made.complete()).text == "{}"


async def test_usage_adds_up_by_what_is_asked(world: Make) -> None:
    usage = {
        "prompt_tokens": 1000,
        "completion_tokens": 100,
        "total_tokens": 1100,
        "prompt_tokens_details": {"cached_tokens": 400},
        "completion_tokens_details": {"reasoning_tokens": 60},
    }
    made = await world(lambda chat: completion("{}", usage=usage))
    await made.complete(repository="acme/a", pull_request_number=1, person="ada")
    await made.complete(repository="acme/a", pull_request_number=2, person="ada", request_id="again")
    await made.complete(repository="acme/a", pull_request_number=2, person="ada", request_id="again")
    await made.complete(repository="acme/b", purpose="verify")
    total = (await report(made)).total
    assert (total.calls, total.input_tokens, total.cached_tokens) == (3, 3000, 1200)
    assert (total.output_tokens, total.reasoning_tokens, total.failed_calls) == (300, 180, 0)
    assert total.cost_usd == pytest.approx(3 * 1200e-6)

    async def keys(group_by: str) -> dict[str, int]:
        return {group.key: group.calls for group in (await report(made, group_by=group_by)).groups}

    assert await keys("repository") == {"acme/a": 2, "acme/b": 1}
    assert await keys("pullRequest") == {"acme/a#1": 1, "acme/a#2": 1, "": 1}
    assert await keys("user") == {"ada": 2, "": 1}
    assert await keys("model") == {"openai_compatible:test-model": 3}
    assert await keys("day") == {datetime.now(UTC).date().isoformat(): 3}
    past = await report(made, from_time="2020-01-01", to_time="2020-12-31")
    assert past.total.calls == 0 and past.groups == []
    assert past.to_time.ToDatetime(UTC) == datetime(2021, 1, 1, tzinfo=UTC)


@pytest.mark.parametrize(
    ("wanted", "field"),
    [
        ({"from_time": "yesterday"}, "from"),
        ({"to_time": "2026-13-01"}, "to"),
        ({"from_time": "2026-02-02", "to_time": "2026-01-01"}, "from"),
        ({"from_time": "2001-01-01"}, "from"),
        ({"group_by": "colour"}, "group_by"),
    ],
)
async def test_a_report_that_cannot_be_made_names_the_field(world: Make, wanted: dict[str, Any], field: str) -> None:
    made = await world()
    with pytest.raises(AppError) as refused:
        await report(made, **wanted)
    assert refused.value.reason is Reason.INVALID_REQUEST
    assert [violation.field for violation in refused.value.violations] == [field]


@pytest.mark.parametrize(
    "limits",
    [
        [("organization", "x", "day", 1)],
        [("user", "a", "day", 1), ("user", "a", "day", 2)],
        [("user", "a", "day", -1)],
        [("user", "a", "day", float("nan"))],
        [("team", "a", "day", 1)],
        [("user", "a", "year", 1)],
    ],
)
async def test_a_budget_that_makes_no_sense_is_refused(world: Make, limits: Any) -> None:
    made = await world()
    with pytest.raises(AppError) as refused:
        await limit(made, *limits)
    assert refused.value.reason is Reason.INVALID_REQUEST


async def test_budgets_are_the_organisation_s_own(world: Make) -> None:
    made = await world(["{}"])
    await limit(made, ("organization", "", "day", 0))
    stranger = await made.mesh.caller("owner", new_id())
    request = usage_pb2.GetBudgetRequest()
    try:
        found = await made.usage.GetBudget(request, metadata=stranger.metadata)
    except grpc.aio.AioRpcError as error:  # an organisation that nobody belongs to has no owner
        assert from_rpc_error(error).reason in (Reason.UNAUTHENTICATED, Reason.NOT_FOUND)
    else:
        assert found.budgets == []
    assert (await made.complete(organization_id=str(stranger.organization_id))).text == "{}"
