"""Which models the environment makes up: the presets of the contract, `auto`, forced addresses."""

import pytest

from services.llm_gateway.environment import Environment, deployment, from_environment
from services.llm_gateway.presets import COMPATIBLE_INPUT_TOKENS, PRESETS, SOURCES

ALL = {source.variable: f"key-of-{source.word}" for source in SOURCES}

# Contract, section 6: the preset, the kind of provider that serves it, and the name the provider knows.
CONTRACT = [
    ("openai:gpt-4o", "openai", "gpt-4o"),
    ("openai:gpt-4o-mini", "openai", "gpt-4o-mini"),
    ("openai:gpt-4.1", "openai", "gpt-4.1"),
    ("openai:o4-mini", "openai", "o4-mini"),
    ("anthropic:claude-3-5-sonnet-20241022", "anthropic", "claude-3-5-sonnet-20241022"),
    ("google:gemini-2.0-flash", "google_gemini", "gemini-2.0-flash"),
    ("google:gemini-2.5-pro", "google_gemini", "gemini-2.5-pro"),
    ("google:gemini-2.5-flash", "google_gemini", "gemini-2.5-flash"),
    ("vertex:gemini-2.0-flash", "google_vertex", "gemini-2.0-flash"),
    ("vertex:gemini-2.5-pro", "google_vertex", "gemini-2.5-pro"),
    ("vertex:gemini-2.5-flash", "google_vertex", "gemini-2.5-flash"),
    ("vertex:claude-3-5-sonnet-v2@20241022", "google_vertex", "claude-3-5-sonnet-v2@20241022"),
    ("novita:deepseek-v3", "novita", "deepseek/deepseek_v3"),
    ("novita:deepseek-v3-0324", "novita", "deepseek/deepseek-v3-0324"),
    ("novita:qwen3-235b-a22b-thinking-2507", "novita", "qwen/qwen3-235b-a22b-thinking-2507"),
    ("novita:moonshotai/kimi-k2-instruct", "novita", "moonshotai/kimi-k2-instruct"),
    ("groq:moonshotai/kimi-k2-instruct-0905", "groq", "moonshotai/kimi-k2-instruct-0905"),
    ("groq:openai/gpt-oss-120b", "groq", "openai/gpt-oss-120b"),
]
OTHERS = [
    ("anthropic:some:model", "anthropic", "some:model"),  # split at the first colon
    ("openrouter:meta/llama-9:free", "open_router", "meta/llama-9:free"),
    ("google_gemini:gemini-9", "google_gemini", "gemini-9"),
    ("claude-9", "anthropic", "claude-9"),
    ("gemini-9", "google_gemini", "gemini-9"),
    ("gpt-9", "openai", "gpt-9"),
]


@pytest.mark.parametrize(("name", "kind", "model"), CONTRACT + OTHERS)
def test_a_name_is_a_provider_and_its_model(name: str, kind: str, model: str) -> None:
    for environment, preset in ((Environment(ALL, named=name), ""), (Environment(ALL, named="openai:gpt-4o"), name)):
        (found,) = from_environment(environment, preset).candidates
        assert (found.model.provider, found.model.model) == (kind, model)
        word = next(source.word for source in SOURCES if source.kind == kind)
        assert found.model.api_key == f"key-of-{word}"


def test_every_preset_of_the_contract_is_in_the_table() -> None:
    assert {name for name, _, _ in CONTRACT} <= set(PRESETS)


@pytest.mark.parametrize("name", ["", "auto", "AUTO"])
def test_auto_is_the_first_with_a_key_and_the_others_follow(name: str) -> None:
    order = [c.model.provider for c in from_environment(Environment(ALL, named=name)).candidates]
    kinds = ["openai", "anthropic", "google_gemini", "google_vertex", "novita", "groq", "open_router"]
    assert order == kinds
    fewer = {name: key for name, key in ALL.items() if name not in ("API_OPEN_AI_API_KEY", "API_NOVITA_AI_API_KEY")}
    order = [c.model.provider for c in from_environment(Environment(fewer, named=name)).candidates]
    assert order == ["anthropic", "google_gemini", "google_vertex", "groq", "open_router"]


def test_nothing_set_is_no_model() -> None:
    assert from_environment(Environment()).candidates == ()
    assert from_environment(Environment()).notes == ()


def test_a_preset_without_its_key_is_no_model_and_told() -> None:
    route = from_environment(Environment({"API_OPEN_AI_API_KEY": "k"}, named="anthropic:claude-9"))
    assert route.candidates == ()
    assert "API_ANTHROPIC_API_KEY is not set" in route.notes[0]
    assert from_environment(Environment(ALL, named="anthropic:")).candidates == ()


@pytest.mark.parametrize(
    ("name", "model"),
    [("", ""), ("auto", ""), ("llama3:8b", "llama3:8b"), ("openai:gpt-4o", "gpt-4o"), ("claude-9", "claude-9")],
)
def test_a_forced_address_takes_the_place_of_openai(name: str, model: str) -> None:
    environment = Environment({"API_OPEN_AI_API_KEY": "k"}, base_url="http://box:11434/v1", named=name)
    route = from_environment(environment)
    (found,) = route.candidates
    assert (found.model.provider, found.model.model, found.model.api_key) == ("openai_compatible", model, "k")
    assert found.model.base_url == "http://box:11434/v1" and found.input_tokens == COMPATIBLE_INPUT_TOKENS


def test_a_forced_address_needs_no_key_and_is_first_of_auto() -> None:
    keys = {"API_ANTHROPIC_API_KEY": "k"}
    first, second = from_environment(Environment(keys, base_url="http://box/v1")).candidates
    assert (first.model.provider, first.model.api_key, second.model.provider) == (
        "openai_compatible",
        None,
        "anthropic",
    )


def test_groq_and_vertex_take_their_own_settings() -> None:
    environment = Environment(ALL, groq_url="https://groq.example/v1", vertex_location="europe-west4")
    (groq,) = from_environment(environment, "groq:x").candidates
    (vertex,) = from_environment(environment, "vertex:x").candidates
    assert groq.model.base_url == "https://groq.example/v1"
    assert vertex.model.vertex_location == "europe-west4"


@pytest.mark.parametrize(
    ("url", "model"),
    [
        ("https://r.openai.azure.com/openai/deployments/my-gpt", "my-gpt"),
        ("https://r.openai.azure.com/openai/deployments/my%20gpt/", "my gpt"),
        ("https://r.openai.azure.com/openai/v1", ""),
        ("http://localhost:11434/v1", ""),
    ],
)
def test_an_azure_deployment_is_a_model(url: str, model: str) -> None:
    assert deployment(url) == model


def test_no_key_is_shown() -> None:
    assert "key-of" not in repr(Environment(ALL)) + repr(from_environment(Environment(ALL)))
