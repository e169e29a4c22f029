"""One answer for each request id, paid for once; retries, fallback and what is told of them."""

import asyncio
from typing import Any

import asyncpg
import pytest
from lintel.llm.v1 import llm_service_pb2 as pb

from emulators.models.said import Said
from emulators.openai import ChatRequest, completion, error, stall
from services.kit.errors import AppError, Reason
from services.kit.rpc.channel import stream
from tests.integration.llm_gateway.conftest import KEY, Make, World, own


async def test_a_completion_tells_its_tokens_and_its_price(world: Make) -> None:
    made = await world(
        [completion("{}", usage={"prompt_tokens": 1000, "completion_tokens": 500, "total_tokens": 1500})]
    )
    done = await made.complete()
    assert (done.text, done.provider, done.model) == ("{}", "openai_compatible", "test-model")
    assert (done.usage.input_tokens, done.usage.output_tokens) == (1000, 500)
    assert done.cost_usd == pytest.approx((1000 * 1 + 500 * 2) / 1e6)
    assert not done.stored and done.fallback_reason == "" and done.attempts == 1


async def test_the_same_request_id_is_answered_again_and_not_paid_again(world: Make) -> None:
    made = await world(['{"a": 1}'])
    first = await made.complete(request_id="one")
    second = await made.complete(request_id="one", input="the border of the data is another one now")
    assert (second.text, second.stored, first.stored) == ('{"a": 1}', True, False)
    assert second.usage == first.usage and second.cost_usd == first.cost_usd
    assert len(made.emulator.chats) == 1
    (row,) = await made.sql("SELECT answer FROM llm_gateway.calls")
    assert '{"a": 1}' not in row["answer"]  # at rest it is encrypted


async def test_a_stored_answer_that_cannot_be_read_any_more_is_asked_for_anew(world: Make) -> None:
    made = await world(['{"a": 1}', '{"a": 2}'])
    await made.complete(request_id="one")
    await made.sql("UPDATE llm_gateway.calls SET answer = 'v1.0000000000000000.' || substr(answer, 21)")
    assert (await made.complete(request_id="one")).text == '{"a": 2}'


async def test_calls_of_the_same_moment_are_joined(world: Make) -> None:
    made = await world(lambda chat: {"n": 1})
    answers = await asyncio.gather(*(made.complete(request_id="joined") for _ in range(8)))
    assert {answer.text for answer in answers} == {'{"n":1}'} or {answer.text for answer in answers} == {'{"n": 1}'}
    assert len(made.emulator.chats) == 1


async def test_a_call_that_another_process_is_making_is_waited_for(world: Make) -> None:
    made = await world(["{}"])
    await made.sql(
        "INSERT INTO llm_gateway.calls (organization_id, id, request_id, purpose, charged_micros, in_doubt_micros, "
        "lease_expire_time) VALUES ($1, gen_random_uuid(), 'elsewhere', 'review', 5, 3, now() + interval '1 hour')",
        made.organization_id,
    )
    waiting = asyncio.create_task(made.complete(request_id="elsewhere"))
    done, _ = await asyncio.wait([waiting], timeout=0.5)
    assert not done
    # Its process dies: once the lease is over the call is ours, and the other one is in doubt.
    await made.sql("UPDATE llm_gateway.calls SET lease_expire_time = now() - interval '1 second'")
    assert (await waiting).text == "{}"
    rows = await made.sql("SELECT state, outcome, charged_micros FROM llm_gateway.calls ORDER BY create_time")
    assert [(r["state"], r["outcome"]) for r in rows] == [("LOST", "lost"), ("DONE", "ok")]
    assert rows[0]["charged_micros"] == 3


async def test_what_passes_is_tried_again(world: Make) -> None:
    made = await world([error(429, "slow down", headers={"retry-after-ms": "10"}), error(503, "busy"), "{}"])
    done = await made.complete()
    assert done.attempts == 3 and done.text == "{}"


@pytest.mark.parametrize(
    ("reply", "fault"),
    [
        (error(401, "Incorrect API key provided", code="invalid_api_key"), "auth"),
        (error(429, "You exceeded your quota", code="insufficient_quota"), "payment"),
    ],
)
async def test_what_no_waiting_cures_is_not_tried_again(world: Make, reply: Any, fault: str) -> None:
    made = await world([reply])
    with pytest.raises(AppError) as refused:
        await made.complete()
    assert (refused.value.reason, refused.value.metadata["fault"]) == (Reason.MODEL_REFUSED, fault)
    assert KEY not in str(refused.value)
    # Nor is the key tried by the next call: its circuit is open.
    with pytest.raises(AppError) as again:
        await made.complete()
    assert again.value.metadata["fault"] == fault
    assert len(made.emulator.requests) == 1


async def test_a_wait_that_is_too_long_is_the_caller_s(world: Make) -> None:
    made = await world([error(429, "slow down", headers={"retry-after": "300"})])
    with pytest.raises(AppError) as refused:
        await made.complete()
    assert refused.value.reason is Reason.MODEL_RATE_LIMITED
    assert refused.value.retry_after is not None and 290 <= refused.value.retry_after.total_seconds() <= 300


async def test_the_fallback_answers_and_the_answer_says_why(world: Make) -> None:
    made = await world([error(401, "no", code="invalid_api_key")], ["{}"])
    first, second = made.emulators
    await made.configure(byokConfig={"main": own(first), "fallback": own(second, model="test-model")})
    done = await made.complete()
    assert done.text == "{}"
    assert "openai_compatible:test-model: The provider refuses the key. (HTTP 401)" in done.fallback_reason
    (row,) = await made.sql("SELECT fallback_reason, outcome FROM llm_gateway.calls")
    assert row["outcome"] == "ok" and row["fallback_reason"] == done.fallback_reason


async def test_where_all_fail_the_first_failure_is_told_with_the_others(world: Make) -> None:
    made = await world([error(404, "gone")], [error(402, "pay")])
    first, second = made.emulators
    await made.configure(byokConfig={"main": own(first), "fallback": own(second)})
    with pytest.raises(AppError) as refused:
        await made.complete()
    assert refused.value.metadata["fault"] == "not_found"
    assert "byokConfig.main.model" in refused.value.message
    assert "credit or quota" in refused.value.message


async def test_a_purpose_may_have_a_model_of_its_own(world: Make) -> None:
    made = await world(["{}"], ["{}"])
    first, second = made.emulators
    await made.configure(byokConfig={"main": own(first), "models": {"verify": own(second)}})
    await made.complete(purpose="review")
    assert (len(first.chats), len(second.chats)) == (1, 0)
    await made.complete(purpose="verify")
    assert (len(first.chats), len(second.chats)) == (1, 1)


async def test_without_a_model_the_first_of_the_server_is_used(world: Make) -> None:
    made = await world(["{}"], environ={"API_LLM_PROVIDER_MODEL": ""})
    described = await made.llm.DescribeModel(pb.DescribeModelRequest(organization_id=str(made.organization_id)))
    assert (described.provider, described.model) == ("openai_compatible", "test-model")
    assert described.price.output_usd_per_million == 2
    assert (await made.complete()).model == "test-model"


async def test_no_key_is_no_model(world: Make) -> None:
    made = await world(environ={"API_OPENAI_FORCE_BASE_URL": "", "API_OPEN_AI_API_KEY": ""})
    described = await made.llm.DescribeModel(pb.DescribeModelRequest(organization_id=str(made.organization_id)))
    assert not described.configured
    with pytest.raises(AppError) as refused:
        await made.complete()
    assert refused.value.reason is Reason.MODEL_NOT_CONFIGURED


async def test_the_same_question_is_answered_from_the_cache_where_it_is_on(world: Make) -> None:
    made = await world(['{"a": 1}', '{"a": 2}', '{"a": 3}'], environ={"LINTEL_MODEL_CACHE_HOURS": "1"})
    first = await made.complete(cache_key="q")
    again = await made.complete(cache_key="q")
    assert (again.text, again.stored) == (first.text, True)
    assert (await made.complete(cache_key="other")).text == '{"a": 2}'
    assert (await made.complete()).text == '{"a": 3}'


async def test_a_stalled_server_is_given_up_and_stays_in_doubt(world: Make) -> None:
    made = await world([stall()], environ={"LINTEL_MODEL_SECONDS": "2"})
    with pytest.raises(AppError) as refused:
        await made.complete()
    assert (refused.value.reason, refused.value.metadata["fault"]) == (Reason.MODEL_UNAVAILABLE, "timeout")
    (row,) = await made.sql("SELECT state, charged_micros, in_doubt_micros FROM llm_gateway.calls")
    assert row["state"] == "FAILED" and row["charged_micros"] == row["in_doubt_micros"] > 0


async def test_a_caller_that_goes_away_ends_no_call_that_is_being_paid(world: Make) -> None:
    made = await world(['{"a": 1}'])
    call = made.llm.Complete(made.request(request_id="left"), timeout=30)
    await asyncio.wait_for(made.emulator.reached.wait(), 30)
    call.cancel()
    assert (await made.complete(request_id="left")).text == '{"a": 1}'
    assert len(made.emulator.chats) == 1


async def test_a_stream_ends_with_the_whole_and_is_given_again_by_its_id(world: Make) -> None:
    made = await world(lambda chat: {"a": "b c d"})
    request = pb.StreamCompleteRequest(completion=made.request(request_id="streamed", json_schema=""))
    for is_stored in (False, True):
        async with stream(made.llm.StreamComplete(request, timeout=30)) as pieces:
            received = [piece async for piece in pieces]
        assert received[-1].WhichOneof("piece") == "done"
        assert "".join(piece.text for piece in received[:-1]) in ('{"a":"b c d"}', '{"a": "b c d"}')
        assert received[-1].done.stored is is_stored
    assert len(made.emulator.chats) == 1


async def test_a_stream_whose_caller_goes_away_ends_at_the_provider_and_is_counted(world: Make) -> None:
    made = await world([Said("some text", end="stall")])
    request = pb.StreamCompleteRequest(completion=made.request(json_schema="", input="x" * 3000))
    async with stream(made.llm.StreamComplete(request, timeout=60)) as pieces:
        async for piece in pieces:
            assert piece.text
            break
    await asyncio.wait_for(made.emulator.hung_up.wait(), 30)
    (row,) = await until(made, "state <> 'PENDING'")
    assert (row["state"], row["outcome"]) == ("FAILED", "cancelled")
    assert row["input_tokens"] > 500 and not row["reported"] and row["charged_micros"] > 500


async def test_an_answer_is_given_although_it_cannot_be_recorded_yet(world: Make) -> None:
    def answer(chat: ChatRequest) -> Any:
        holding.set()
        return "{}"

    holding = asyncio.Event()
    made = await world(answer)
    await made.complete()  # everything is open and warm
    holding.clear()
    blocker = await asyncpg.connect(made.mesh.database.owner_dsn)
    try:
        call = asyncio.create_task(made.complete(request_id="unrecorded"))
        await asyncio.wait_for(holding.wait(), 30)
        await blocker.execute("ALTER ROLE lintel CONNECTION LIMIT 0")
        await blocker.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'lintel'")
        assert (await call).text == "{}"
    finally:
        await blocker.execute("ALTER ROLE lintel CONNECTION LIMIT -1")
        await blocker.close()
    (row,) = await until(made, "request_id = 'unrecorded' AND state <> 'PENDING'")
    assert row["state"] == "DONE"
    assert (await made.complete(request_id="unrecorded")).stored


async def until(made: World, condition: str) -> list[Any]:
    """Wait until there are such calls, and answer them."""
    async with asyncio.timeout(60):
        while True:
            rows = await made.sql(f"SELECT * FROM llm_gateway.calls WHERE {condition}")
            if rows:
                return rows
            await asyncio.sleep(0.1)
