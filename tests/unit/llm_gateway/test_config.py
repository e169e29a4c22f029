"""What the environment may say of models, and what stops the start."""

import pytest

from services.kit.config import ConfigError, load, redacted
from services.llm_gateway.config import LlmGatewaySettings
from services.llm_gateway.environment import from_environment
from services.llm_gateway.providers.addresses import is_metadata

KEY, URL, MODEL = "API_OPEN_AI_API_KEY", "API_OPENAI_FORCE_BASE_URL", "API_LLM_PROVIDER_MODEL"
LOCAL = "http://localhost:11434/v1"


NEEDED = {
    "DATABASE_URL": "postgresql://lintel@127.0.0.1:1/none",
    "API_CRYPTO_KEY": "8f1d3c5b7a9e0246cdfe13579bdf02468ace9f1e2d3c4b5a69788796a5b4c3d2",
}


def settings_of(**environ: str) -> LlmGatewaySettings:
    return load(LlmGatewaySettings, NEEDED | environ)


def test_the_environment_is_read() -> None:
    found = settings_of(**{KEY: " k ", URL: LOCAL + "/", MODEL: "llama3:8b", "API_GROQ_API_KEY": "g"}).environment()
    assert dict(found.keys) == {KEY: "k", "API_GROQ_API_KEY": "g"}  # and not the master key
    assert (found.base_url, found.named) == (LOCAL, "llama3:8b")


def test_the_key_is_in_no_representation() -> None:
    settings = settings_of(**{KEY: "sk-very-secret", URL: LOCAL})
    environment = settings.environment()
    shown = f"{settings!r} {redacted(settings)} {environment!r} {from_environment(environment)!r}"
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
        settings_of(**{URL: url})
    assert URL in str(caught.value)
    assert "pass" not in str(caught.value)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("LINTEL_ALLOWED_MODEL_HOSTS", "10.0.0.1:8000"),
        ("LINTEL_ALLOWED_MODEL_HOSTS", "http://10.0.0.1:8000/v1"),
        ("LINTEL_MODEL_PRICES", '{"m": 1}'),
        ("LINTEL_UNKNOWN_MODEL_PRICE", "cheap"),
        ("LINTEL_MODEL_CACHE_HOURS", "-1"),
        ("API_VERTEX_AI_LOCATION", "evil.example/"),
    ],
)
def test_a_setting_that_makes_no_sense_stops_the_start(name: str, value: str) -> None:
    with pytest.raises(ConfigError, match=name):
        settings_of(**{name: value})


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
