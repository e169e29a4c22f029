"""Each variable of section 7 of the contract is read, or told as without effect; `.env.example` has them all."""

import re
from pathlib import Path

import pytest

from cli.environment import parse
from services.kit import app
from services.kit.config import Settings
from services.kit.telemetry.export import ExportSettings
from services.kit.variables import UNUSED
from services.roles import ROLES, known_variables, read_variables

EXAMPLE = Path(__file__).parents[3] / ".env.example"
HOSTS = ("GITHUB", "GITLAB", "BITBUCKET", "AZURE_REPOS", "FORGEJO")
# Written from the contract, never from the code.
CONTRACT = (
    *("API_NODE_ENV", "API_DATABASE_ENV", "API_LOG_LEVEL", "API_LOG_PRETTY", "API_PORT", "API_WEBHOOKS_PORT"),
    *("API_CLOUD_MODE", "DATABASE_URL", "MONGODB_URI", "API_RABBITMQ_URI"),
    *(f"API_PG_DB_{part}" for part in ("HOST", "PORT", "USERNAME", "PASSWORD", "DATABASE", "SSL", "POOL_MAX")),
    *(f"API_MG_DB_{part}" for part in ("HOST", "PORT", "USERNAME", "PASSWORD", "DATABASE")),
    *("API_JWT_SECRET", "API_JWT_REFRESH_SECRET", "API_CRYPTO_KEY"),
    *("API_JWT_SECRET_PREVIOUS", "API_JWT_REFRESH_SECRET_PREVIOUS", "API_CRYPTO_KEY_PREVIOUS"),
    *("API_OPEN_AI_API_KEY", "API_OPENAI_FORCE_BASE_URL", "API_LLM_PROVIDER_MODEL", "API_ANTHROPIC_API_KEY"),
    *("API_GOOGLE_AI_API_KEY", "API_VERTEX_AI_API_KEY", "API_VERTEX_AI_LOCATION", "API_NOVITA_AI_API_KEY"),
    *("API_GROQ_BASE_URL", "API_GROQ_API_KEY", "API_OPENROUTER_KEY"),
    *("API_GITHUB_CODE_MANAGEMENT_WEBHOOK", "API_GITLAB_CODE_MANAGEMENT_WEBHOOK"),
    *("GLOBAL_BITBUCKET_CODE_MANAGEMENT_WEBHOOK", "GLOBAL_AZURE_REPOS_CODE_MANAGEMENT_WEBHOOK"),
    *("API_FORGEJO_CODE_MANAGEMENT_WEBHOOK", "API_GITHUB_APP_ID", "API_GITHUB_PRIVATE_KEY"),
    *(f"{host}_TOKEN" for host in HOSTS),
    *(f"{host}_WEBHOOK_SECRET" for host in HOSTS),
    *(f"LINTEL_{host}_API_URL" for host in HOSTS),
    *("API_SENTRY_DNS", "API_SEGMENT_KEY", "API_POSTHOG_KEY", "OTEL_EXPORTER_OTLP_ENDPOINT"),
    *(f"LANGCHAIN_{part}" for part in ("TRACING_V2", "ENDPOINT", "API_KEY", "PROJECT")),
    *("LINTEL_ALLOWED_MODEL_HOSTS", "LINTEL_OPEN_REGISTRATION", "LINTEL_SMTP_URL"),
    *("LINTEL_STATE_DIR", "LINTEL_URL", "LINTEL_TOKEN"),
)
SETTINGS: list[type[Settings]] = [app.MeshSettings, ExportSettings, *(role.settings for role in ROLES.values())]
READ = read_variables()


def example() -> dict[str, str]:
    """What the file sets once every setting in it is taken out of its comment."""
    text = re.sub(r"(?m)^#(?=[A-Z][A-Z0-9_]*=)", "", EXAMPLE.read_text(encoding="utf-8"))
    return parse(text, EXAMPLE.name)


@pytest.mark.parametrize("name", CONTRACT)
def test_a_variable_of_the_contract_is_read_or_told_as_without_effect(name: str) -> None:
    assert (name in READ) is not (name in UNUSED)
    assert UNUSED.get(name, "a reason")


def test_the_example_sets_nothing_and_has_every_variable_that_is_known() -> None:
    assert parse(EXAMPLE.read_text(encoding="utf-8"), EXAMPLE.name) == {}
    assert set(example()) == known_variables()
    assert set(CONTRACT) <= set(example())


def test_the_example_shows_the_defaults() -> None:
    defaults = {
        field.alias: field.default for model in SETTINGS for field in model.model_fields.values() if field.alias
    }
    written = {name: _written(default) for name, default in defaults.items() if _written(default)}
    assert len(written) > 25
    assert {name: value for name, value in example().items() if value} == written


def _written(default: object) -> str:
    """A default as it is written into the environment; empty where there is none."""
    if isinstance(default, bool):
        return str(default).lower()
    if isinstance(default, float):
        return f"{default:g}"
    return str(default) if isinstance(default, (int, str)) else ""


def test_the_example_says_what_has_no_effect() -> None:
    block = EXAMPLE.read_text(encoding="utf-8").partition("# Accepted, without effect yet")[2].partition("\n\n")[0]
    assert set(re.findall(r"(?m)^#([A-Z][A-Z0-9_]*)=", block)) == set(UNUSED)
