"""Which model the environment chooses, what it says about that, and which addresses it may name."""

import pytest

from services.kit.config import ConfigError, load, redacted
from services.llm_gateway.config import LlmGatewaySettings
from services.llm_gateway.domain import Choice
from services.llm_gateway.models import DEFAULT_OPENAI_MODEL, OPENAI_URL, choose
from services.llm_gateway.providers.addresses import is_metadata

KEY, URL, MODEL = "API_OPEN_AI_API_KEY", "API_OPENAI_FORCE_BASE_URL", "API_LLM_PROVIDER_MODEL"
LOCAL = "http://localhost:11434/v1"


def chosen(**environ: str) -> Choice:
    return choose(load(LlmGatewaySettings, environ).for_choice())


@pytest.mark.parametrize(
    ("environ", "expected"),
    [
        ({}, None),
        ({KEY: "k"}, ("openai", OPENAI_URL, DEFAULT_OPENAI_MODEL, "k")),
        ({KEY: "k", MODEL: "auto"}, ("openai", OPENAI_URL, DEFAULT_OPENAI_MODEL, "k")),
        ({KEY: "k", MODEL: "openai:gpt-4o"}, ("openai", OPENAI_URL, "gpt-4o", "k")),
        ({KEY: "k", MODEL: "gpt-4o"}, ("openai", OPENAI_URL, "gpt-4o", "k")),
        ({URL: LOCAL}, ("openai_compatible", LOCAL, "", None)),
        ({URL: LOCAL + "/", KEY: "k"}, ("openai_compatible", LOCAL, "", "k")),
        ({URL: LOCAL, MODEL: "llama3:8b"}, ("openai_compatible", LOCAL, "llama3:8b", None)),
        ({URL: LOCAL, MODEL: "openai_compatible:llama3:8b"}, ("openai_compatible", LOCAL, "llama3:8b", None)),
        ({KEY: "k", MODEL: "anthropic:claude"}, None),
        ({MODEL: "openai:gpt-4o"}, None),
        ({"API_ANTHROPIC_API_KEY": "k"}, None),
    ],
    ids=str,
)
def test_the_environment_chooses(environ: dict[str, str], expected: tuple[str, str, str, str | None] | None) -> None:
    found = chosen(**environ).model
    assert (found and (found.provider, found.base_url, found.model, found.key)) == expected


def test_what_is_set_and_not_used_is_told() -> None:
    notes = chosen(**{KEY: "k", "API_GROQ_API_KEY": "g"}).notes
    assert len(notes) == 1 and "API_GROQ_API_KEY" in notes[0]
    assert "anthropic" in " ".join(chosen(**{MODEL: "anthropic:claude"}).notes)
    assert "API_OPEN_AI_API_KEY" in " ".join(chosen(**{MODEL: "gpt-4o"}).notes)
    assert chosen().notes == ()


def test_the_key_is_in_no_representation() -> None:
    settings = load(LlmGatewaySettings, {KEY: "sk-very-secret", URL: LOCAL})
    shown = f"{settings!r} {redacted(settings)} {settings.for_choice()!r} {choose(settings.for_choice())!r}"
    assert "very-secret" not in shown


@pytest.mark.parametrize(
    "url",
    [
        "localhost:11434/v1",
        "ftp://host/v1",
        "https://",
        "https://user:pass@host/v1",
        "https://host/v1?a=b",
        "https://host/v1#x",
        "https://host:99999/v1",
        "https://host/v1/chat/completions",
    ],
)
def test_an_address_that_is_none_stops_the_start(url: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load(LlmGatewaySettings, {URL: url})
    assert URL in str(caught.value)
    assert "pass" not in str(caught.value)


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        ("169.254.169.254", True),
        ("::ffff:169.254.169.254", True),
        ("64:ff9b::169.254.169.254", True),
        ("2002:a9fe:a9fe::1", True),
        ("fd00:ec2::254", True),
        ("100.100.100.200", True),
        ("169.254.170.2", True),
        ("127.0.0.1", False),
        ("10.0.0.8", False),
        ("fe80::1%eth0", False),
        ("8.8.8.8", False),
    ],
)
def test_metadata_addresses_in_any_wrapping(address: str, expected: bool) -> None:
    assert is_metadata(address) is expected
