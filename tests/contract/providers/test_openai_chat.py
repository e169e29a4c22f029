"""Each way in which a chat completions server answers, and what becomes of it."""

import asyncio
import json
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

import pytest

from emulators.openai import Dialect, Reply, completion, cut, error, raw, stall
from services.kit.errors import AppError, Reason
from services.llm_gateway.completions import Completions
from services.llm_gateway.domain import Choice, Completion, ModelChoice, Prompt
from services.llm_gateway.providers.opening import open_provider
from services.llm_gateway.providers.transport import MAX_ANSWER_BYTES
from tests.contract.providers.conftest import KEY, PROMPT, Ask

GOOD = {"findings": ["a"]}
CANARY = "canary-of-the-upstream"


async def one(completions: Completions, prompt: Prompt = PROMPT) -> Completion:
    return (await completions.complete("run/review/abc", prompt))[1]


async def failure(completions: Completions) -> AppError:
    with pytest.raises(AppError) as caught:
        await one(completions)
    text = f"{caught.value} {caught.value.message} {caught.value.metadata}"
    for secret in (KEY, CANARY, "canary-in-prompt", "127.0.0.1"):
        assert secret not in text
    assert caught.value.message.endswith((".", ")"))
    return caught.value


async def test_a_good_answer_with_its_usage(ask: Ask) -> None:
    usage = {"prompt_tokens": 900, "completion_tokens": 7, "prompt_tokens_details": {"cached_tokens": 512}}
    emulator, completions = await ask([completion(GOOD, usage=usage)])
    choice, answer = await completions.complete("run/review/abc", PROMPT)
    assert json.loads(answer.text) == GOOD
    assert (answer.usage.input, answer.usage.cached, answer.usage.output, answer.usage.reported) == (900, 512, 7, True)
    assert (choice.provider, choice.model) == ("openai_compatible", "test-model")
    chat = emulator.chats[0]
    assert chat.temperature == 0
    assert chat.max_tokens == 500
    assert chat.response_format is not None and chat.response_format.type == "json_schema"
    assert (chat.system, chat.user) == (PROMPT.instructions, PROMPT.input)
    emulator.check()


BROKEN: dict[str, tuple[Any, Reason, str]] = {
    "html": (
        raw(f"<html>{CANARY}</html>", headers={"content-type": "text/html"}),
        Reason.MODEL_UNAVAILABLE,
        "not_json",
    ),
    "html said to be JSON": (raw("<html>"), Reason.MODEL_UNAVAILABLE, "not_json"),
    "empty body": (raw(b""), Reason.MODEL_UNAVAILABLE, "not_json"),
    "error with 200": (raw(json.dumps({"error": {"message": CANARY}})), Reason.MODEL_UNAVAILABLE, "error_body"),
    "error 402 in a 200": (raw('{"error": {"code": 402, "message": "x"}}'), Reason.MODEL_REFUSED, "quota"),
    "quota in a 200": (raw('{"error": {"code": "insufficient_quota"}}'), Reason.MODEL_REFUSED, "quota"),
    "error text in a 200": (raw('{"error": "no"}'), Reason.MODEL_UNAVAILABLE, "error_body"),
    "cut JSON": (raw(completion(GOOD).body[:-20]), Reason.MODEL_UNAVAILABLE, "not_json"),
    "empty object": (raw("{}"), Reason.MODEL_UNAVAILABLE, "no_choice"),
    "null": (raw("null"), Reason.MODEL_UNAVAILABLE, "not_json"),
    "array": (raw("[]"), Reason.MODEL_UNAVAILABLE, "not_json"),
    "deep nesting": (raw("[" * 100_000), Reason.MODEL_UNAVAILABLE, "not_json"),
    "not UTF-8": (raw(b"\xff\xfe{}"), Reason.MODEL_UNAVAILABLE, "not_json"),
    "no choices": (raw('{"choices": []}'), Reason.MODEL_UNAVAILABLE, "no_choice"),
    "choices of a wrong type": (raw('{"choices": {"a": 1}}'), Reason.MODEL_UNAVAILABLE, "no_choice"),
    "no message": (raw('{"choices": [{"finish_reason": "stop"}]}'), Reason.MODEL_UNAVAILABLE, "no_choice"),
    "content of a wrong type": (
        raw('{"choices": [{"finish_reason": "stop", "message": {"content": 7}}]}'),
        Reason.MODEL_UNAVAILABLE,
        "no_choice",
    ),
    "no finish reason": (completion(GOOD, finish_reason=None), Reason.MODEL_UNAVAILABLE, "no_finish"),
    "finished with a tool call": (completion(GOOD, finish_reason="tool_calls"), Reason.MODEL_UNAVAILABLE, "no_finish"),
    "content filter": (completion(None, finish_reason="content_filter"), Reason.MODEL_REFUSED, "content_filter"),
    "refusal": (completion(None, refusal=CANARY), Reason.MODEL_REFUSED, "refusal"),
    "no content": (completion(None), Reason.MODEL_UNAVAILABLE, "empty"),
    "blank content": (completion(" \n"), Reason.MODEL_UNAVAILABLE, "empty"),
    "redirect to metadata": (
        raw(b"", 302, {"location": "http://169.254.169.254/latest/meta-data"}),
        Reason.MODEL_REFUSED,
        "redirect",
    ),
    "401": (error(401, CANARY, code="invalid_api_key"), Reason.MODEL_REFUSED, "key"),
    "402": (error(402, CANARY), Reason.MODEL_REFUSED, "quota"),
    "403": (error(403, CANARY), Reason.MODEL_REFUSED, "forbidden"),
    "404": (error(404, CANARY, code="model_not_found"), Reason.MODEL_REFUSED, "not_found"),
    "404 in HTML": (raw(CANARY, 404, {"content-type": "text/html"}), Reason.MODEL_REFUSED, "not_found"),
    "413": (error(413, CANARY), Reason.MODEL_REFUSED, "too_large"),
    "context length": (error(400, CANARY, code="context_length_exceeded"), Reason.MODEL_REFUSED, "too_large"),
    "plain 400": (error(400, CANARY), Reason.MODEL_REFUSED, "bad_request"),
    "429 without money": (error(429, CANARY, code="insufficient_quota"), Reason.MODEL_REFUSED, "quota"),
    "a part of the prompt": (completion(GOOD, usage={"prompt_tokens": 1}), Reason.MODEL_REFUSED, "truncated_prompt"),
}


@pytest.mark.parametrize("name", BROKEN)
async def test_a_broken_answer_is_a_named_failure_that_is_not_asked_for_again(ask: Ask, name: str) -> None:
    reply, reason, fault = BROKEN[name]
    emulator, completions = await ask([reply])
    found = await failure(completions)
    assert (found.reason, found.metadata["fault"]) == (reason, fault)
    assert len(emulator.requests) == 1
    emulator.check()


@pytest.mark.parametrize("status", [500, 502, 503, 529, 408])
async def test_an_error_of_the_server_is_survived(ask: Ask, status: int) -> None:
    emulator, completions = await ask([error(status), error(status), completion(GOOD)])
    assert json.loads((await one(completions)).text) == GOOD
    assert len(emulator.requests) == 3


async def test_a_server_that_goes_on_failing_is_asked_three_times(ask: Ask) -> None:
    emulator, completions = await ask([error(500, CANARY)] * 5)
    assert (await failure(completions)).reason is Reason.MODEL_UNAVAILABLE
    assert len(emulator.requests) == 3


@pytest.mark.parametrize("reply", [cut(silent=True), cut(b'{"choices": [')], ids=["silently", "half-way"])
async def test_a_cut_connection_is_survived_and_half_an_answer_never_used(ask: Ask, reply: Reply) -> None:
    emulator, completions = await ask([reply, completion(GOOD)])
    assert json.loads((await one(completions)).text) == GOOD
    assert len(emulator.requests) == 2


@pytest.mark.parametrize("reply", [stall(silent=True), stall(b'{"choices": [')], ids=["silently", "half-way"])
async def test_a_stall_ends_with_the_deadline(ask: Ask, reply: Reply) -> None:
    _, completions = await ask([reply], seconds=0.4)
    async with asyncio.timeout(15):
        found = await failure(completions)
    assert (found.reason, found.metadata["fault"]) == (Reason.MODEL_UNAVAILABLE, "timeout")


async def test_the_deadline_holds_over_all_attempts(ask: Ask) -> None:
    emulator, completions = await ask([error(500), stall(silent=True)], seconds=2)
    async with asyncio.timeout(15):
        assert (await failure(completions)).metadata["fault"] == "timeout"
    assert len(emulator.requests) == 2


def _date(seconds: float) -> str:
    return format_datetime(datetime.now(UTC) + timedelta(seconds=seconds), usegmt=True)


@pytest.mark.parametrize(
    "headers",
    [
        {"retry-after": "0"},
        {"retry-after": "0.01"},
        {"retry-after-ms": "20", "retry-after": "86400"},
        {"retry-after": _date(-100)},
        {"retry-after": "-5"},
        {"retry-after": "soon"},
        {},
    ],
    ids=str,
)
async def test_a_short_rate_limit_is_waited_for(ask: Ask, headers: dict[str, str]) -> None:
    emulator, completions = await ask([error(429, code="rate_limit_exceeded", headers=headers), completion(GOOD)])
    assert json.loads((await one(completions)).text) == GOOD
    assert len(emulator.requests) == 2


@pytest.mark.parametrize(
    ("header", "seconds"),
    [("120", 120), ("86400", 3600), ("date", 600), ("1e99", 3600)],
    ids=["long", "absurd", "date", "huge"],
)
async def test_a_long_rate_limit_is_the_callers_to_wait_for(ask: Ask, header: str, seconds: int) -> None:
    told = _date(seconds) if header == "date" else header  # made now: the suite may have begun minutes ago
    emulator, completions = await ask([error(429, CANARY, headers={"retry-after": told})])
    found = await failure(completions)
    assert found.reason is Reason.MODEL_RATE_LIMITED
    assert found.retry_after is not None and abs(found.retry_after.total_seconds() - seconds) < 30
    assert len(emulator.requests) == 1


async def test_an_answer_above_ten_megabytes_is_not_read(ask: Ask) -> None:
    _, completions = await ask([completion("x" * MAX_ANSWER_BYTES)])
    assert (await failure(completions)).metadata["fault"] == "oversized"


async def test_a_compressed_answer_is_not_unpacked(ask: Ask) -> None:
    emulator, completions = await ask([Reply(200, b"\x1f\x8b", {"content-encoding": "gzip"})])
    assert (await failure(completions)).metadata["fault"] == "oversized"
    assert emulator.requests[0].headers["accept-encoding"] == "identity"


async def test_a_cut_off_answer_gets_twice_the_room_once(ask: Ask) -> None:
    emulator, completions = await ask([completion('{"fin', finish_reason="length"), completion(GOOD)])
    assert json.loads((await one(completions)).text) == GOOD
    assert [chat.max_tokens for chat in emulator.chats] == [500, 1000]
    emulator, completions = await ask([completion('{"fin', finish_reason="length")] * 3)
    assert (await failure(completions)).metadata["fault"] == "cut_off"
    assert len(emulator.requests) == 2


async def test_what_a_server_does_not_know_is_left_out_and_remembered(ask: Ask) -> None:
    dialect = Dialect(limits=frozenset({"max_completion_tokens"}), formats=frozenset(), temperature=False)
    emulator, completions = await ask(lambda chat: GOOD, dialect=dialect)
    assert json.loads((await one(completions)).text) == GOOD
    needed = len(emulator.chats)
    assert needed == 5  # the limit's name, the temperature, the schema, the object
    last = emulator.chats[-1]
    assert last.response_format is None and last.temperature is None and last.max_completion_tokens == 500
    assert PROMPT.json_schema in last.system
    await one(completions)
    assert len(emulator.chats) == needed + 1
    emulator.check()


async def test_a_server_with_json_objects_only_is_told_the_schema_in_words(ask: Ask) -> None:
    emulator, completions = await ask(lambda chat: GOOD, dialect=Dialect(formats=frozenset({"json_object"})))
    await one(completions)
    assert [c.response_format.type if c.response_format else None for c in emulator.chats] == [
        "json_schema",
        "json_object",
    ]
    assert PROMPT.json_schema in emulator.chats[-1].system


@pytest.mark.parametrize(
    "text",
    [
        '```json\n{"findings": ["a"]}\n```',
        'Sure!\n{"findings": ["a"]}\nHope this helps {smile}',
        ' {"findings": ["a"]}',
    ],
)
async def test_fences_and_prose_are_tolerated_only_where_json_was_asked_for_in_words(ask: Ask, text: str) -> None:
    _, completions = await ask(lambda chat: text, dialect=Dialect(formats=frozenset()))
    assert json.loads((await one(completions)).text) == GOOD
    _, completions = await ask(lambda chat: text)
    assert (await one(completions)).text == text


async def test_missing_usage_is_estimated_and_labelled(ask: Ask) -> None:
    _, completions = await ask([completion(GOOD, usage={}), completion(GOOD, usage={"prompt_tokens": "many"})])
    for _ in range(2):
        usage = (await one(completions)).usage
        assert not usage.reported
        assert usage.input > 10 and usage.output > 0 and usage.cached == 0


@pytest.mark.parametrize(
    ("usage", "expected"),
    [
        ({"prompt_tokens": 100, "prompt_tokens_details": {"cached_tokens": 60}}, (100, 60)),
        ({"prompt_tokens": 100, "prompt_cache_hit_tokens": 60}, (100, 60)),
        ({"prompt_tokens": 40, "cache_read_input_tokens": 60}, (100, 60)),
        ({"prompt_tokens": 100, "prompt_tokens_details": None}, (100, 0)),
        ({"prompt_tokens": 100, "prompt_tokens_details": {"cached_tokens": -3}}, (100, 0)),
    ],
)
async def test_cached_tokens_of_either_convention(ask: Ask, usage: dict[str, Any], expected: tuple[int, int]) -> None:
    _, completions = await ask([completion(GOOD, usage=usage)])
    found = (await one(completions)).usage
    assert (found.input, found.cached) == expected


async def test_a_server_without_a_key_gets_no_credential(ask: Ask, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-of-the-environment")
    monkeypatch.setenv("OPENAI_ORG_ID", "org-of-the-environment")
    seen: list[str] = []
    emulator, completions = await ask([completion(GOOD)], key=None)
    await one(completions)
    seen += [*emulator.requests[0].headers.values()]
    assert "of-the-environment" not in " ".join(seen)


async def test_the_first_model_of_the_list_is_used_where_none_is_named(ask: Ask) -> None:
    emulator, completions = await ask(lambda chat: GOOD, model="", models=("first", "second"))
    described = await completions.describe()
    assert described.model is not None and described.model.model == "first"
    await one(completions)
    assert [r.path for r in emulator.requests] == ["/v1/models", "/v1/chat/completions"]
    assert emulator.chats[0].model == "first"


@pytest.mark.parametrize(
    ("reply", "fault"),
    [
        (raw('{"data": []}'), "no_model"),
        (raw('{"data": [{"id": 3}, "x"]}'), "no_model"),
        (raw("<html>"), "not_json"),
        (raw("{}"), "no_choice"),
        (error(401), "key"),
    ],
)
async def test_a_list_of_models_that_is_none_is_a_failure(ask: Ask, reply: Reply, fault: str) -> None:
    emulator, completions = await ask([], model="")
    emulator.models_reply = reply
    with pytest.raises(AppError) as caught:
        await completions.describe()
    assert caught.value.metadata["fault"] == fault


async def test_special_tokens_and_odd_characters_are_ordinary_text(ask: Ask) -> None:
    text = "<|endoftext|><|im_start|>system\n\u202e\U000e0041 \x00 \ud7ff \U0001f600" + "A" * 50_000
    emulator, completions = await ask(lambda chat: completion(GOOD, usage={}))
    prompt = Prompt("JSON", text, PROMPT.json_schema, 10)
    assert (await one(completions, prompt)).usage.input > 30_000
    assert emulator.chats[0].user == text


@pytest.mark.parametrize(
    "url",
    [
        "http://169.254.169.254/v1",
        "http://2852039166/v1",
        "http://0xa9.0xfe.0xa9.0xfe/v1",
        "http://[::ffff:169.254.169.254]/v1",
        "http://[64:ff9b::a9fe:a9fe]/v1",
        "http://[2002:a9fe:a9fe::]/v1",
        "http://[fd00:ec2::254]/v1",
        "http://100.100.100.200/v1",
    ],
)
async def test_cloud_metadata_is_never_called(url: str) -> None:
    choice = Choice(ModelChoice("openai_compatible", url, "m", 24_000, KEY))
    completions = Completions(choice, open_provider, 5, pause=0.01)
    with pytest.raises(AppError) as caught:
        await completions.complete("r", PROMPT)
    await completions.aclose()
    assert caught.value.metadata["fault"] == "blocked_address"


@pytest.mark.parametrize("url", ["http://127.0.0.1:9/v1", "http://no-such-host.invalid/v1", "https://127.0.0.1:9/v1"])
async def test_a_server_that_is_not_there_is_unavailable(url: str) -> None:
    choice = Choice(ModelChoice("openai_compatible", url, "m", 24_000, KEY))
    completions = Completions(choice, open_provider, 5, pause=0.01)
    with pytest.raises(AppError) as caught:
        await completions.complete("r", PROMPT)
    await completions.aclose()
    assert (caught.value.reason, caught.value.metadata["fault"]) == (Reason.MODEL_UNAVAILABLE, "connection")


async def test_without_a_model_there_is_no_completion() -> None:
    completions = Completions(Choice(None, ("why",)), open_provider, 5)
    assert (await completions.describe()).notes == ("why",)
    with pytest.raises(AppError) as caught:
        await completions.complete("r", PROMPT)
    assert caught.value.reason is Reason.MODEL_NOT_CONFIGURED
