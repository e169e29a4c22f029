"""What every provider does when all is well, and what it does about a server that knows less."""

import asyncio
import json
from contextlib import aclosing
from dataclasses import replace
from typing import Any

import pytest

from emulators.models import Failed, Said, raw, stall
from emulators.openai import Dialect, OpenAIEmulator
from services.llm_gateway.providers.faults import Fault, ProbeCode, ProviderError
from services.llm_gateway.providers.port import OpenedModel
from services.llm_gateway.providers.types import Answer, Effort, Piece, Request, Rung, Turn
from services.llm_gateway.providers.usage import Usage
from tests.contract.providers.cases import GOOD
from tests.contract.providers.conftest import KEY, REQUEST, RIGS, Open, opened_for

EVERY = pytest.mark.parametrize("name", RIGS)
COUNTED = Said(GOOD, input=900, cached=500, written=100, output=70, reasoning=40)


async def _streamed(model: OpenedModel, request: Request) -> tuple[str, Answer]:
    async with aclosing(model.stream(request)) as steps:  # type: ignore[type-var]
        seen = [step async for step in steps]
    pieces = "".join(step.text for step in seen if isinstance(step, Piece))
    assert isinstance(seen[-1], Answer)
    return pieces, seen[-1]


@EVERY
async def test_a_good_answer_whole_and_streamed_says_the_same(open_rig: Open, name: str) -> None:
    emulator, model = await open_rig(name, lambda asked: COUNTED)
    whole = await model.complete(REQUEST)
    pieces, streamed = await _streamed(model, REQUEST)
    # Google has no word for what the cache wrote.
    written = 0 if RIGS[name].wire == "google" else 100
    assert whole.usage == streamed.usage == Usage(900, 500, written, 70, 40, reported=True)
    assert json.loads(whole.text) == json.loads(streamed.text) == json.loads(pieces) == GOOD
    assert whole.rung is streamed.rung is Rung.JSON_SCHEMA
    assert whole.model == streamed.model == RIGS[name].model
    assert whole.finish and whole.calls == 1
    assert whole.request_id == ("" if RIGS[name].wire == "google" else whole.request_id)
    for asked in emulator.asked:
        assert asked.has_schema and asked.limit == 500
        assert asked.user == REQUEST.input
    emulator.check()


@EVERY
async def test_plain_text_and_a_conversation(open_rig: Open, name: str) -> None:
    emulator, model = await open_rig(name, lambda asked: Said("<think>hm</think>\nJust **text**, no { JSON."))
    request = replace(
        REQUEST, json_schema=None, input="and now?", history=(Turn("user", "hello"), Turn("assistant", "hi"))
    )
    assert (await model.complete(request)).text == "Just **text**, no { JSON."
    _, streamed = await _streamed(model, request)
    assert (streamed.text, streamed.rung) == ("Just **text**, no { JSON.", Rung.TEXT)
    assert [asked.user for asked in emulator.asked] == ["hello\nand now?"] * 2
    assert not any(asked.has_schema for asked in emulator.asked)
    emulator.check()


@EVERY
@pytest.mark.parametrize("lacking", [{"schema": False}, {"schema": False, "mode": False}], ids=["schema", "both"])
async def test_the_ladder_is_climbed_down_once_per_model_and_address(
    open_rig: Open, name: str, lacking: dict[str, bool]
) -> None:
    emulator, model = await open_rig(name, lambda asked: Said(GOOD), lacking=lacking)
    first = await model.complete(REQUEST)
    has_mode = RIGS[name].wire != "anthropic" and "mode" not in lacking
    assert first.rung is (Rung.JSON_OBJECT if has_mode else Rung.INSTRUCTIONS)
    steps = len(emulator.asked)
    assert steps == (2 if has_mode or RIGS[name].wire == "anthropic" else 3)
    last = emulator.asked[-1]
    assert REQUEST.json_schema in (getattr(last, "system", "") if RIGS[name].wire == "openai" else last.instructions)
    again = await opened_for(RIGS[name], emulator)
    assert (await again.complete(REQUEST)).rung is first.rung
    assert (await _streamed(again, REQUEST))[1].rung is first.rung
    assert len(emulator.asked) == steps + 2  # the other who opened it knew
    await again.aclose()
    emulator.check()


@EVERY
async def test_a_stream_climbs_down_too(open_rig: Open, name: str) -> None:
    emulator, model = await open_rig(name, lambda asked: Said(GOOD), lacking={"schema": False, "effort": False})
    request = replace(REQUEST, reasoning_effort=Effort.LOW)
    assert json.loads((await _streamed(model, request))[1].text) == GOOD
    emulator.check()


@EVERY
async def test_an_effort_is_put_in_the_providers_words_or_left_out(open_rig: Open, name: str) -> None:
    emulator, model = await open_rig(name, lambda asked: Said(GOOD))
    for effort in Effort:
        answer = await model.complete(replace(REQUEST, reasoning_effort=effort))
        assert json.loads(answer.text) == GOOD
    assert len(emulator.asked) == len(Effort)
    emulator.check()
    poor, model = await open_rig(name, lambda asked: Said(GOOD), lacking={"effort": False}, reasoning_effort=Effort.LOW)
    await model.complete(REQUEST)
    await model.complete(REQUEST)
    assert len(poor.asked) <= 3


@EVERY
async def test_an_answer_is_repaired_once_and_both_calls_are_counted(open_rig: Open, name: str) -> None:
    bad = Said('{"findings": ["a"], "kind": "z"}', input=100, output=10)
    emulator, model = await open_rig(name, [bad, Said(GOOD, input=130, output=10)])
    answer = await model.complete(REQUEST)
    assert (json.loads(answer.text), answer.calls) == (GOOD, 2)
    assert (answer.usage.input, answer.usage.output) == (230, 20)
    assert "could not be used" in emulator.asked[1].user and "kind" in emulator.asked[1].user
    emulator.check()


@EVERY
async def test_a_repair_that_fails_says_what_was_paid(open_rig: Open, name: str) -> None:
    emulator, model = await open_rig(name, [Said("no", input=100, output=10)] * 2)
    with pytest.raises(ProviderError) as caught:
        await model.complete(REQUEST)
    assert caught.value.fault is Fault.SCHEMA_MISMATCH
    assert caught.value.usage is not None and caught.value.usage.input == 200
    emulator, model = await open_rig(name, [Said("no", input=100, output=10), Failed(500)])
    with pytest.raises(ProviderError) as caught:
        await model.complete(REQUEST)
    assert caught.value.fault is Fault.SERVER_ERROR
    assert caught.value.usage is not None and caught.value.usage.input == 100
    assert len(emulator.asked) == 2


@EVERY
@pytest.mark.parametrize("finish", ["length", "refusal", "filter"])
@pytest.mark.parametrize("is_stream", [False, True], ids=["whole", "streamed"])
async def test_what_an_unusable_answer_cost_is_told(open_rig: Open, name: str, finish: Any, is_stream: bool) -> None:
    _, model = await open_rig(name, [Said("x", finish=finish, input=100, output=10)])
    with pytest.raises(ProviderError) as caught:
        await (_streamed(model, REQUEST) if is_stream else model.complete(REQUEST))
    assert caught.value.usage is not None
    assert (caught.value.usage.input, caught.value.usage.output) == (100, 10)


@EVERY
async def test_a_tolerant_caller_gets_what_there_is_for_one_call(open_rig: Open, name: str) -> None:
    emulator, model = await open_rig(name, [Said("Well:\n```json\n{}\n```"), Said("nothing of the kind")])
    request = replace(REQUEST, checked=False)
    assert (await model.complete(request)).text == "{}"
    assert (await model.complete(request)).text == "nothing of the kind"
    assert len(emulator.asked) == 2


@EVERY
async def test_a_server_that_ignores_schemas_is_told_in_words_from_then_on(open_rig: Open, name: str) -> None:
    emulator, model = await open_rig(name, lambda asked: Said(f"```\n{json.dumps(GOOD)}\n```"))
    rungs = [(await model.complete(REQUEST)).rung for _ in range(4)]
    assert rungs[:2] == [Rung.JSON_SCHEMA] * 2 and rungs[2] is not Rung.JSON_SCHEMA and rungs[2] is rungs[3]
    assert not emulator.asked[-1].has_schema
    emulator.check()


@EVERY
async def test_the_call_ends_at_the_provider_when_the_reader_of_a_stream_goes(open_rig: Open, name: str) -> None:
    emulator, model = await open_rig(name, lambda asked: Said("some text", end="stall"))
    async with aclosing(model.stream(replace(REQUEST, json_schema=None))) as steps:  # type: ignore[type-var]
        assert isinstance(await anext(steps), Piece)
    await asyncio.wait_for(emulator.hung_up.wait(), 30)


@EVERY
@pytest.mark.parametrize("is_stream", [False, True], ids=["whole", "streamed"])
async def test_the_call_ends_at_the_provider_when_its_task_is_cancelled(
    open_rig: Open, name: str, is_stream: bool
) -> None:
    answer = Said("some text", end="stall") if is_stream else stall(silent=True)
    emulator, model = await open_rig(name, lambda asked: answer)
    task = asyncio.ensure_future(_streamed(model, REQUEST) if is_stream else model.complete(REQUEST))
    await asyncio.wait_for(_asked(emulator), 30)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await asyncio.wait_for(emulator.hung_up.wait(), 30)


async def _asked(emulator: Any) -> None:
    while not emulator.asked:
        emulator.reached.clear()
        await emulator.reached.wait()


@EVERY
async def test_the_list_of_models(open_rig: Open, name: str) -> None:
    emulator, model = await open_rig(name)
    if name == "azure dated" or name == "vertex claude":
        with pytest.raises(ProviderError) as caught:
            await model.list_models(30)
        assert caught.value.fault in (Fault.NOT_FOUND, Fault.NO_MODEL)
        return
    assert (await model.list_models(30))[0] == RIGS[name].model
    assert "embedding-test" not in await model.list_models(30)
    for reply, fault in ((Failed(401, "auth"), Fault.AUTH), (raw("<html>"), Fault.NOT_JSON)):
        emulator.models_reply = reply
        with pytest.raises(ProviderError) as caught:
            await model.list_models(30)
        assert caught.value.fault is fault


CODES: list[tuple[Any, ProbeCode]] = [
    (Said("ok"), ProbeCode.OK),
    (Said("o", finish="length"), ProbeCode.OK),
    (Failed(401, "auth", f"Incorrect API key provided: {KEY}"), ProbeCode.AUTH),
    (Failed(403, "permission"), ProbeCode.AUTH),
    (Failed(404, "not_found"), ProbeCode.NOT_FOUND),
    (Failed(400, "bad_request"), ProbeCode.BAD_REQUEST),
    (Failed(402, "payment"), ProbeCode.PAYMENT),
    (Failed(429, "rate_limit"), ProbeCode.RATE_LIMIT),
    (Failed(500, "server"), ProbeCode.SERVER_ERROR),
    (Failed(529, "overloaded"), ProbeCode.SERVER_ERROR),
    (raw("<html>"), ProbeCode.UNKNOWN),
]


@EVERY
async def test_a_test_call_answers_a_code_and_the_providers_words(open_rig: Open, name: str) -> None:
    emulator, model = await open_rig(name, [answer for answer, _ in CODES])
    for answer, code in CODES:
        found = await model.test(60)
        assert found.code is code, answer
        assert found.message and found.latency_ms >= 0
        assert KEY not in found.provider_message or RIGS[name].key(emulator) != KEY
        if isinstance(answer, Failed):
            assert found.provider_message
    assert emulator.asked[0].limit <= 64
    await emulator.stop()
    assert (await model.test(60)).code is ProbeCode.NETWORK


def _unseen() -> dict[str, str]:
    names = (
        "OPENAI_API_KEY", "OPENAI_ORG_ID", "OPENAI_PROJECT_ID", "ANTHROPIC_API_KEY", "ANTHROPIC_AUTH_TOKEN",
        "GOOGLE_API_KEY", "GEMINI_API_KEY", "AZURE_OPENAI_API_KEY", "AZURE_OPENAI_AD_TOKEN",
    )  # fmt: skip
    addresses = (
        "OPENAI_BASE_URL", "ANTHROPIC_BASE_URL", "ANTHROPIC_VERTEX_BASE_URL", "GOOGLE_GEMINI_BASE_URL",
        "GOOGLE_VERTEX_BASE_URL", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "all_proxy",
    )  # fmt: skip
    custom = "Authorization: Bearer of-the-environment\nx-api-key: of-the-environment\nx-evil: of-the-environment"
    return (
        dict.fromkeys(names, "of-the-environment")
        | dict.fromkeys(addresses, "http://127.0.0.1:9")
        | {"ANTHROPIC_CUSTOM_HEADERS": custom, "OPENAI_CUSTOM_HEADERS": custom}
        | {"GOOGLE_CLOUD_PROJECT": "of-the-environment", "GOOGLE_CLOUD_LOCATION": "mars"}
        | {"GOOGLE_GENAI_USE_VERTEXAI": "true", "GOOGLE_GENAI_API_VERSION": "v9", "GOOGLE_GENAI_HTTP_CLIENT": "httpx"}
        | {"GOOGLE_APPLICATION_CREDENTIALS": "/nowhere", "CLOUD_ML_REGION": "mars", "OPENAI_LOG": "debug"}
    )


@EVERY
async def test_the_environment_of_the_sdks_has_no_say(
    open_rig: Open, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for variable, value in _unseen().items():
        monkeypatch.setenv(variable, value)
    emulator, model = await open_rig(name, lambda asked: Said(GOOD))
    await model.complete(REQUEST)
    await _streamed(model, REQUEST)
    emulator.check()
    allowed = {
        "host", "accept", "accept-encoding", "content-type", "content-length", "user-agent", "anthropic-version",
        "x-openrouter-title",
    }  # fmt: skip
    for record in emulator.requests:
        assert "of-the-environment" not in f"{record.headers} {record.path} {record.query}"
        assert set(record.headers) <= allowed
        assert record.headers["user-agent"] == "Lintel" or record.path == "/token"


@EVERY
async def test_special_tokens_and_odd_characters_are_ordinary_text(open_rig: Open, name: str) -> None:
    text = "<|endoftext|><|im_start|>system\n\u202e\U000e0041 \x00 \ud7ff \U0001f600" + "A" * 50_000
    emulator, model = await open_rig(name, lambda asked: Said(GOOD, counted=False))
    answer = await model.complete(replace(REQUEST, input=text))
    assert emulator.asked[0].user == text
    assert answer.usage.input > 30_000 and not answer.usage.reported


async def test_what_a_server_does_not_know_is_left_out_one_by_one(open_rig: Open) -> None:
    dialect = Dialect(
        limits=frozenset({"max_completion_tokens"}), formats=frozenset(), temperature=False, effort=False,
        stream_options=False,
    )  # fmt: skip
    rig = replace(RIGS["openai_compatible"], make=lambda a: OpenAIEmulator(a, key=KEY, dialect=dialect))
    async with rig.make(lambda asked: Said(GOOD)) as emulator:
        model = await opened_for(rig, emulator, changes={"temperature": 0.2, "reasoning_effort": Effort.HIGH})
        pieces, answer = await _streamed(model, REQUEST)
        assert json.loads(pieces) == GOOD and not answer.usage.reported
        assert len(emulator.asked) == 7
        await model.complete(REQUEST)
        assert len(emulator.asked) == 8
        await model.aclose()
        emulator.check()


@pytest.mark.parametrize(
    ("model_name", "sent"),
    [("gpt-4.1", 0), ("o4-mini", None), ("o1", None), ("gpt-5.6", None), ("gpt-5-chat-latest", 0)],
)
async def test_reasoning_models_of_openai_are_not_sent_a_temperature(model_name: str, sent: Any) -> None:
    async with OpenAIEmulator(lambda asked: Said(GOOD), key=KEY, models=(model_name,)) as emulator:
        rig = replace(RIGS["openai"], model=model_name)
        model = await opened_for(rig, emulator)
        await model.complete(replace(REQUEST, temperature=0))
        assert emulator.asked[0].temperature == sent
        await model.aclose()


@EVERY
async def test_the_models_own_limit_is_the_most_it_may_write(open_rig: Open, name: str) -> None:
    emulator, model = await open_rig(name, lambda asked: Said(GOOD), max_output_tokens=100)
    await model.complete(REQUEST)
    assert emulator.asked[0].limit == 100


@EVERY
async def test_one_connection_serves_call_after_call(open_rig: Open, name: str) -> None:
    emulator, model = await open_rig(name, lambda asked: Said(GOOD))
    peers = set()
    accept = emulator._listener._transports
    for _ in range(5):
        await model.complete(REQUEST)
        peers |= set(accept)
    tokens = 1 if hasattr(emulator, "token_calls") and emulator.token_calls else 0
    assert len(peers) == 1 + tokens


@EVERY
async def test_many_at_once(open_rig: Open, name: str) -> None:
    emulator, model = await open_rig(name, lambda asked: Said({"findings": [asked.user], "kind": "a"}))
    texts = [f"text {number}" for number in range(100)]
    answers = await asyncio.gather(*(model.complete(replace(REQUEST, input=text)) for text in texts))
    assert [json.loads(answer.text)["findings"][0] for answer in answers] == texts
    if hasattr(emulator, "token_calls"):
        assert emulator.token_calls <= 1
