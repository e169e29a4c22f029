"""The stand-in refuses what a real server refuses, answers as scripted, and runs as a process."""

import asyncio
import json
import signal
import sys
from collections.abc import Mapping
from typing import Any

import httpx2
import pytest

from emulators.openai import Dialect, OpenAIEmulator, StrictnessError, completion, cut, needle_reviewer
from emulators.openai.shapes import schema_problem

KEY = {"Authorization": "Bearer emulated-key"}
GOOD: dict[str, Any] = {"model": "test-model", "max_tokens": 9, "messages": [{"role": "user", "content": "hello"}]}


async def post(emulator: OpenAIEmulator, body: Any, headers: Mapping[str, str] = KEY) -> httpx2.Response:
    async with httpx2.AsyncClient(trust_env=False, timeout=10) as client:
        return await client.post(f"{emulator.url}/chat/completions", json=body, headers=headers)


@pytest.mark.parametrize(
    "change",
    [
        {"stream": "yes"},
        {"stream_options": {"include_usage": True}},
        {"tools": []},
        {"provider": {"require_parameters": True}},
        {"temperature": "0"},
        {"temperature": 3},
        {"max_tokens": 0},
        {"messages": []},
        {"messages": [{"role": "root", "content": "x"}]},
        {"messages": [{"role": "user", "content": ""}]},
        {"response_format": {"type": "xml"}},
        {"response_format": {"type": "json_schema", "json_schema": {"name": "a b", "strict": True, "schema": {}}}},
        {"response_format": {"type": "json_schema", "json_schema": {"name": "a", "strict": False, "schema": {}}}},
    ],
    ids=str,
)
async def test_a_request_that_is_none_is_refused_and_remembered(change: dict[str, Any]) -> None:
    async with OpenAIEmulator(lambda chat: "x") as emulator:
        assert (await post(emulator, GOOD | change)).status_code == 400
        with pytest.raises(StrictnessError):
            emulator.check()


async def test_key_model_route_and_script() -> None:
    async with OpenAIEmulator(["one"]) as emulator:
        assert (await post(emulator, GOOD, {"Authorization": "Bearer wrong"})).status_code == 401
        assert (await post(emulator, GOOD | {"model": "other"})).status_code == 404
        emulator.check()
        answer = (await post(emulator, GOOD)).json()
        assert answer["choices"][0]["message"]["content"] == "one"
        assert (await post(emulator, GOOD)).status_code == 500  # the script is used up
        assert emulator.violations == ["no answer is left in the script"]
        assert all("authorization" not in record.headers for record in emulator.requests)


@pytest.mark.parametrize(
    ("dialect", "change", "param"),
    [
        (Dialect(temperature=False), {"temperature": 0}, "temperature"),
        (Dialect(limits=frozenset({"max_tokens"})), {"max_completion_tokens": 5}, "max_completion_tokens"),
        (Dialect(effort=False), {"reasoning_effort": "low"}, "reasoning_effort"),
        (Dialect(formats=frozenset()), {"response_format": {"type": "json_object"}}, "response_format"),
        (Dialect(), {"response_format": {"type": "json_object"}}, "messages"),
    ],
)
async def test_what_a_dialect_does_not_know_is_a_400_that_names_it(
    dialect: Dialect, change: dict[str, Any], param: str
) -> None:
    async with OpenAIEmulator(lambda chat: "x", dialect=dialect) as emulator:
        answer = await post(emulator, GOOD | change)
        assert answer.status_code == 400
        assert answer.json()["error"]["param"] == param


async def test_a_cut_connection_is_one() -> None:
    async with OpenAIEmulator([cut(b'{"half'), cut(silent=True)]) as emulator:
        for _ in range(2):
            with pytest.raises(httpx2.TransportError):
                await post(emulator, GOOD)


@pytest.mark.parametrize(
    "schema",
    [
        {"type": "object", "properties": {}},
        {"type": "object", "properties": {"a": {"type": "string"}}, "required": [], "additionalProperties": False},
        {"type": "array", "items": {"type": "string", "maxLength": 3}},
        {"type": "string", "pattern": "x"},
        {"anyOf": []},
        {"type": "thing"},
        {"type": "array"},
    ],
    ids=str,
)
def test_a_schema_that_strict_mode_does_not_take(schema: Any) -> None:
    assert schema_problem(schema) is not None


async def test_the_needle_reviewer_reads_added_lines_only() -> None:
    text = 'B BEGIN\n### file "a\\"b.py" modified\n@@\n x needle\n-needle\n+a needle\n+none\nB END'
    async with OpenAIEmulator(needle_reviewer("needle")) as emulator:
        answer = await post(emulator, GOOD | {"messages": [{"role": "user", "content": text}]})
        content = json.loads(answer.json()["choices"][0]["message"]["content"])
        assert [(f["path"], f["quote"]) for f in content["findings"]] == [('a"b.py', "a needle")]


async def test_a_completion_of_nothing_can_leave_out_its_usage() -> None:
    async with OpenAIEmulator([completion("x", usage={})]) as emulator:
        assert "usage" not in (await post(emulator, GOOD)).json()


@pytest.mark.parametrize(
    ("name", "path", "headers"),
    [
        ("openai", "/models", {}),
        ("anthropic", "/v1/models", {"anthropic-version": "2026-10-21"}),
        ("google", "/v1/models", {}),
    ],
)
async def test_it_runs_as_a_process(name: str, path: str, headers: dict[str, str]) -> None:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "emulators", name, "--needle", "x", stdout=asyncio.subprocess.PIPE
    )
    assert process.stdout is not None
    facts = json.loads(await asyncio.wait_for(process.stdout.readline(), 30))
    async with httpx2.AsyncClient(trust_env=False, timeout=10) as client:
        listed = await client.get(f"{facts['url']}{path}", headers=headers)
    assert listed.status_code == 200 and facts["model"] in listed.text
    process.send_signal(signal.SIGTERM)
    assert await asyncio.wait_for(process.wait(), 15) == 0
