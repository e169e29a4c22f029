"""Keys and addresses: Azure's forms, Vertex's accounts, the guard at connect, settings that cannot be used."""

import json
import time
from dataclasses import replace
from typing import Any

import httpx2
import pytest

from emulators.google import VertexEmulator
from emulators.models import Failed, Said, raw
from emulators.openai import Dialect, OpenAIEmulator
from services.llm_gateway.providers import google_vertex, openai
from services.llm_gateway.providers.addresses import parse_allowed
from services.llm_gateway.providers.faults import Fault, ProviderError
from services.llm_gateway.providers.google_token import TokenSource
from services.llm_gateway.providers.opening import open_model
from services.llm_gateway.providers.types import Model, Trust
from services.llm_gateway.providers.wire import Network
from tests.contract.providers.cases import GOOD
from tests.contract.providers.conftest import KEY, REQUEST, RIGS, Open, opened_for


async def _refused(model: Model, network: Network | None = None) -> ProviderError:
    with pytest.raises(ProviderError) as caught:
        opened = await open_model(model, network or Network())
        try:
            await opened.complete(REQUEST)
        finally:
            await opened.aclose()
    return caught.value


@pytest.mark.parametrize(
    ("url", "form", "address"),
    [
        (
            "https://r.openai.azure.com/openai/deployments/gpt",
            "dated",
            "https://r.openai.azure.com/openai/deployments/gpt/",
        ),
        (
            "https://r.openai.azure.com/openai/deployments",
            "dated",
            "https://r.openai.azure.com/openai/deployments/m%2F1/",
        ),
        ("https://r.openai.azure.com", "v1", "https://r.openai.azure.com/openai/v1/"),
        ("https://r.openai.azure.com/", "v1", "https://r.openai.azure.com/openai/v1/"),
        ("https://r.openai.azure.com/openai/v1/", "v1", "https://r.openai.azure.com/openai/v1/"),
        ("https://r.cognitiveservices.azure.com/openai/v1", "v1", "https://r.cognitiveservices.azure.com/openai/v1/"),
        ("https://gateway.example/openai/deployments/gpt", "dated", "https://gateway.example/openai/deployments/gpt/"),
        ("https://api.openai.com/v1", None, "https://api.openai.com/v1/"),
        ("http://localhost:11434/v1", None, "http://localhost:11434/v1/"),
    ],
)
def test_azures_forms_of_url(url: str, form: str | None, address: str) -> None:
    assert openai.azure_form(url.rstrip("/")) == form
    connection = openai.connect(Model("openai", "m/1", KEY, url), Network())
    assert str(connection.sdk.base_url) == address
    assert connection.sdk.default_query == ({"api-version": "2024-10-21"} if form == "dated" else {})


async def test_azures_dated_form_sends_version_and_key_as_azure_wants_them() -> None:
    async with OpenAIEmulator(lambda asked: Said(GOOD), key=KEY, dialect=Dialect(azure=True)) as emulator:
        model = await opened_for(RIGS["azure dated"], emulator, changes={"model": "whatever"})
        await model.complete(REQUEST)
        await model.aclose()
        record = emulator.requests[0]
        assert (record.path, record.query) == (
            "/openai/deployments/test-model/chat/completions", "api-version=2024-10-21",
        )  # fmt: skip


async def test_a_server_without_a_key_gets_no_credential() -> None:
    async with OpenAIEmulator(lambda asked: Said(GOOD), key=None) as emulator:
        model = await open_model(Model("openai_compatible", "test-model", None, emulator.url), Network())
        await model.complete(REQUEST)
        await model.aclose()
        assert len(emulator.requests) == 1


async def test_a_part_of_the_prompt_is_a_failure(open_rig: Open) -> None:
    _, model = await open_rig("openai_compatible", [Said(GOOD, input=1)])
    with pytest.raises(ProviderError) as caught:
        await model.complete(REQUEST)
    assert caught.value.fault is Fault.TRUNCATED_PROMPT


@pytest.mark.parametrize(
    ("usage", "expected"),
    [
        ({"prompt_tokens": 100, "prompt_cache_hit_tokens": 60}, (100, 60)),
        ({"prompt_tokens": 40, "cache_read_input_tokens": 60}, (100, 60)),
        ({"prompt_tokens": 100, "prompt_tokens_details": None}, (100, 0)),
        ({"prompt_tokens": 100, "prompt_tokens_details": {"cached_tokens": -3}}, (100, 0)),
    ],
)
async def test_cached_tokens_of_compatible_servers(open_rig: Open, usage: Any, expected: tuple[int, int]) -> None:
    choice = {"message": {"content": json.dumps(GOOD)}, "finish_reason": "stop"}
    _, model = await open_rig("openai_compatible", [raw(json.dumps({"choices": [choice], "usage": usage}))])
    found = (await model.complete(REQUEST)).usage
    assert (found.input, found.cached) == expected


@pytest.mark.parametrize("is_first", [True, False])
async def test_an_error_in_openrouters_choice_is_one(open_rig: Open, is_first: bool) -> None:
    error = {"code": 502, "message": "upstream broke off"}
    choice = {"message": {"content": "par"}, "finish_reason": "error"} | ({"error": error} if is_first else {})
    _, model = await open_rig("open_router", [raw(json.dumps({"choices": [choice]}))])
    with pytest.raises(ProviderError) as caught:
        await model.complete(REQUEST)
    assert caught.value.fault is (Fault.SERVER_ERROR if is_first else Fault.ERROR_IN_ANSWER)


@pytest.mark.parametrize(
    ("model", "fault"),
    [
        (Model("bedrock", "m", KEY), Fault.BAD_REQUEST),
        (Model("openai", "m"), Fault.AUTH),
        (Model("openai_compatible", "m", KEY), Fault.BAD_REQUEST),
        (Model("anthropic", "m", KEY, "https://user:pw@host"), Fault.BLOCKED_ADDRESS),
        (Model("google_vertex", "m", KEY, vertex_location="evil.example/"), Fault.BAD_REQUEST),
        (Model("google_vertex", "claude-test", KEY), Fault.BAD_REQUEST),
        (Model("google_vertex", "m", '{"type": "external_account"}'), Fault.BAD_REQUEST),
        (Model("google_vertex", "m", '{"type": "service_account"}'), Fault.BAD_REQUEST),
        (Model("google_vertex", "m", '{"type": '), Fault.BAD_REQUEST),
        (Model("openai", "m", KEY, "http://169.254.169.254/v1"), Fault.BLOCKED_ADDRESS),
        (Model("openai", "m", KEY, "http://2852039166/v1"), Fault.BLOCKED_ADDRESS),
        (Model("openai", "m", KEY, "http://127.0.0.1:9/v1", trust=Trust.ORGANIZATION), Fault.BLOCKED_ADDRESS),
    ],
)
async def test_settings_that_cannot_be_used_say_why(model: Model, fault: Fault) -> None:
    error = await _refused(model)
    assert error.fault is fault and error.words
    assert KEY not in f"{error} {error.words} {model!r}"


@pytest.mark.parametrize("url", ["http://127.0.0.1:9/v1", "http://no-such-host.invalid/v1", "https://127.0.0.1:9/v1"])
@pytest.mark.parametrize("provider", ["openai", "anthropic", "google_gemini"])
async def test_a_server_that_is_not_there_is_a_network_fault(provider: str, url: str) -> None:
    assert (await _refused(Model(provider, "m", KEY, url))).fault is Fault.NETWORK


async def test_a_server_that_speaks_no_tls_is_a_network_fault() -> None:
    async with OpenAIEmulator(lambda asked: Said(GOOD), key=KEY) as emulator:
        url = emulator.url.replace("http:", "https:")
        assert (await _refused(Model("openai", "test-model", KEY, url))).fault is Fault.NETWORK


@pytest.mark.parametrize("name", ["openai", "anthropic", "google_gemini", "vertex account", "vertex claude"])
async def test_the_address_of_the_name_is_looked_at_at_each_connection(name: str) -> None:
    """`localhost` passes the look at the URL where it is named in no list, and is refused when it is resolved."""
    rig = RIGS[name]
    async with rig.make(lambda asked: Said(GOOD)) as emulator:
        port = httpx2.URL(emulator.origin).port
        local = rig.base_url(emulator).replace("127.0.0.1", "localhost")
        model = Model(rig.provider, rig.model, rig.key(emulator), local, trust=Trust.ORGANIZATION,
                      vertex_location="europe-west4")  # fmt: skip
        token_url = getattr(emulator, "token_url", "")
        refused = await _refused(replace(model, base_url="https://localhost"), Network(google_token_url=token_url))
        assert refused.fault is Fault.BLOCKED_ADDRESS
        permitted = Network(allowed=parse_allowed(f"http://localhost:{port}"), google_token_url=token_url)
        for network in (permitted, Network(loopback=True, google_token_url=token_url)):
            opened = await open_model(model, network)
            assert json.loads((await opened.complete(REQUEST)).text) == GOOD
            await opened.aclose()


async def test_a_token_is_fetched_once_and_never_from_where_the_json_says() -> None:
    async with VertexEmulator(lambda asked: Said(GOOD)) as emulator:
        assert "169.254.169.254" in emulator.account
        model = await opened_for(RIGS["vertex account"], emulator)
        for _ in range(3):
            await model.complete(REQUEST)
        await model.aclose()
        assert emulator.token_calls == 1
        emulator.check()


@pytest.mark.parametrize(
    ("reply", "fault"),
    [
        (raw('{"error": "invalid_grant", "error_description": "Invalid JWT Signature."}', 400), Fault.AUTH),
        (raw('{"error": "unauthorized_client"}', 401), Fault.AUTH),
        (raw("{}"), Fault.AUTH),
        (raw("<html>"), Fault.NOT_JSON),
        (raw("", 503), Fault.OVERLOADED),
        (raw("", 302, {"location": "http://169.254.169.254/"}), Fault.REDIRECT),
    ],
)
@pytest.mark.parametrize("name", ["vertex account", "vertex claude"])
async def test_a_token_that_is_not_given_is_a_named_fault(name: str, reply: Any, fault: Fault) -> None:
    async with VertexEmulator(lambda asked: Said(GOOD)) as emulator:
        emulator.token_reply = reply
        model = await opened_for(RIGS[name], emulator)
        with pytest.raises(ProviderError) as caught:
            await model.complete(REQUEST)
        assert caught.value.fault is fault
        assert len(emulator.asked) == 0
        await model.aclose()


async def test_an_old_token_is_fetched_anew() -> None:
    async with VertexEmulator() as emulator:
        account = google_vertex.read_account(emulator.account)
        assert account is not None and "PRIVATE" not in repr(account)
        now = time.time()
        source = TokenSource(account, Network(google_token_url=emulator.token_url), lambda: now)
        first = await source.headers()
        now += 3000
        assert await source.headers() == first
        now += 400
        emulator.token_reply = raw('{"access_token": "ya29.second", "expires_in": 3599}')
        assert await source.headers() == {"Authorization": "Bearer ya29.second"}
        await source.aclose()


async def test_the_key_of_a_provider_that_repeats_it_is_masked(open_rig: Open) -> None:
    _, model = await open_rig("novita", [Failed(401, "auth", f"bad key {KEY} ({KEY[:12]}...)")])
    with pytest.raises(ProviderError) as caught:
        await model.complete(REQUEST)
    assert caught.value.words.startswith("bad key [masked")
    assert KEY[:12] not in caught.value.words
