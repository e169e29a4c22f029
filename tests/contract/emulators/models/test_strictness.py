"""The stand-ins for Anthropic, Gemini and Vertex refuse what the real ones refuse, in their words."""

import json
import time
from collections.abc import Mapping
from typing import Any

import httpx2
import jwt
import pytest

from emulators.anthropic import AnthropicEmulator
from emulators.google import GeminiEmulator, VertexEmulator
from emulators.models import ModelEmulator, Said, StrictnessError

PROOF = {"authorization": "Bearer emulated-key", "anthropic-version": "2026-10-21"}
MESSAGE: dict[str, Any] = {
    "model": "claude-test", "max_tokens": 9, "messages": [{"role": "user", "content": "hello"}],
}  # fmt: skip
GOOGLE = {"x-goog-api-key": "emulated-key"}
CONTENT: dict[str, Any] = {
    "contents": [{"role": "user", "parts": [{"text": "hello"}]}],
    "systemInstruction": {"parts": [{"text": "be brief"}]},
    "generationConfig": {"maxOutputTokens": 9},
}
GENERATE = "/v1/models/gemini-test:generateContent"


async def post(emulator: ModelEmulator, path: str, body: Any, headers: Mapping[str, str]) -> httpx2.Response:
    async with httpx2.AsyncClient(trust_env=False, timeout=30) as client:
        return await client.post(f"{emulator.origin}{path}", json=body, headers=headers)


@pytest.mark.parametrize(
    "change",
    [
        {"temperature": 0},
        {"top_p": 1},
        {"max_tokens": None},
        {"max_completion_tokens": 5},
        {"messages": []},
        {"messages": [{"role": "system", "content": "x"}]},
        {"output_config": {"format": {"type": "json_object"}}},
        {"output_config": {"format": {"type": "json_schema", "schema": {"type": "object"}}}},
        {"output_config": {"effort": "minimal"}},
        {"response_format": {"type": "json_object"}},
        {"anthropic_version": "2026-10-21"},
        {"system": [{"type": "text", "text": "x", "cache_control": {"type": "forever"}}]},
    ],
    ids=str,
)
async def test_a_message_that_anthropic_refuses(change: dict[str, Any]) -> None:
    async with AnthropicEmulator(lambda asked: "x") as emulator:
        answer = await post(emulator, "/v1/messages", MESSAGE | change, PROOF)
        assert answer.status_code == 400
        assert answer.json()["type"] == "error" and answer.json()["error"]["type"] == "invalid_request_error"
        with pytest.raises(StrictnessError):
            emulator.check()


async def test_anthropics_keys_versions_and_models() -> None:
    async with AnthropicEmulator(lambda asked: Said("x", input=10, cached=4)) as emulator:
        assert (
            await post(emulator, "/v1/messages", MESSAGE, PROOF | {"authorization": "Bearer no"})
        ).status_code == 401
        older = {"x-api-key": "emulated-key", "anthropic-version": "2026-10-21"}
        usage = (await post(emulator, "/v1/messages", MESSAGE, older)).json()["usage"]
        assert (usage["input_tokens"], usage["cache_read_input_tokens"]) == (6, 4)
        assert (await post(emulator, "/v1/messages", MESSAGE | {"model": "other"}, PROOF)).status_code == 404
        prefill = MESSAGE["messages"] + [{"role": "assistant", "content": "{"}]
        assert (await post(emulator, "/v1/messages", MESSAGE | {"messages": prefill}, PROOF)).status_code == 400
        emulator.check()
        assert (
            await post(emulator, "/v1/messages", MESSAGE, {"authorization": "Bearer emulated-key"})
        ).status_code == 400
        assert emulator.violations == ["anthropic-version: header is required"]
        assert all("authorization" not in record.headers for record in emulator.requests)


@pytest.mark.parametrize(
    "change",
    [
        {"model": "x"},
        {"stream": True},
        {"contents": []},
        {"contents": [{"role": "assistant", "parts": [{"text": "x"}]}]},
        {"generationConfig": {}},
        {"generationConfig": {"maxOutputTokens": 9, "max_tokens": 9}},
        {"generationConfig": {"maxOutputTokens": 9, "responseJsonSchema": {"type": "string"}}},
        {"generationConfig": {"maxOutputTokens": 9, "thinkingConfig": {"thinkingBudget": 1, "thinkingLevel": "LOW"}}},
        {"generationConfig": {"maxOutputTokens": 9, "thinkingConfig": {"thinkingLevel": "EXTREME"}}},
    ],
    ids=str,
)
async def test_a_request_that_google_refuses(change: dict[str, Any]) -> None:
    async with GeminiEmulator(lambda asked: "x") as emulator:
        answer = await post(emulator, GENERATE, CONTENT | change, GOOGLE)
        assert answer.status_code == 400
        assert answer.json()["error"]["status"] == "INVALID_ARGUMENT"
        with pytest.raises(StrictnessError):
            emulator.check()


async def test_googles_keys_and_models() -> None:
    async with GeminiEmulator(lambda asked: Said("x", output=9, reasoning=4)) as emulator:
        refused = await post(emulator, GENERATE, CONTENT, {"x-goog-api-key": "no"})
        assert (refused.status_code, refused.json()["error"]["details"][0]["reason"]) == (400, "API_KEY_INVALID")
        assert (await post(emulator, GENERATE, CONTENT, {"authorization": "Bearer emulated-key"})).status_code == 400
        usage = (await post(emulator, GENERATE, CONTENT, GOOGLE)).json()["usageMetadata"]
        assert (usage["candidatesTokenCount"], usage["thoughtsTokenCount"]) == (5, 4)
        assert (await post(emulator, GENERATE.replace("-test", "-none"), CONTENT, GOOGLE)).status_code == 404
        emulator.check()
        stream = GENERATE.replace("generate", "streamGenerate")
        assert (await post(emulator, f"{stream}?alt=sse", CONTENT, GOOGLE)).headers[
            "content-type"
        ] == "text/event-stream"
        assert (await post(emulator, stream, CONTENT, GOOGLE)).status_code == 400
        assert len(emulator.violations) == 1


async def _token(emulator: VertexEmulator, **changes: Any) -> httpx2.Response:
    account, now = json.loads(emulator.account), int(time.time())
    scope = "https://www.googleapis.com/auth/cloud-platform"
    claims = {"iss": account["client_email"], "scope": scope, "aud": emulator.token_url, "iat": now, "exp": now + 3600}
    assertion = jwt.encode(claims | changes, account["private_key"], "RS256")
    form = {"grant_type": "urn:ietf:params:oauth:grant-type:jwt-bearer", "assertion": assertion}
    async with httpx2.AsyncClient(trust_env=False, timeout=30) as client:
        return await client.post(emulator.token_url, data=form)


async def test_vertex_wants_a_token_of_its_own() -> None:
    async with VertexEmulator(lambda asked: "x", key=None) as emulator:
        assert (await _token(emulator, exp=1_700_000_000)).status_code == 400
        assert (await _token(emulator, aud="https://oauth2.googleapis.com/token")).status_code == 400
        assert (await _token(emulator)).json()["expires_in"] == 3599
        path = "/v1beta1/projects/emulated-project/locations/europe-west4/publishers/google/models/gemini-test"
        assert (await post(emulator, f"{path}:generateContent", CONTENT, {})).status_code == 401
        forged = {"authorization": "Bearer ya29.forged"}
        assert (await post(emulator, f"{path}:generateContent", CONTENT, forged)).status_code == 401
        emulator.check()
