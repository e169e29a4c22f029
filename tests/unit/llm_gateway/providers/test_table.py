"""The page on models says what the tables in the code say."""

import importlib
from pathlib import Path

import pytest

from services.llm_gateway.domain import KINDS
from services.llm_gateway.providers.faults import MEANINGS, Fault
from services.llm_gateway.providers.table import PROVIDERS, Kind
from services.llm_gateway.providers.types import Model, Rung

PAGE = Path(__file__).parents[4] / "docs" / "models.md"
_WORDS = {Rung.JSON_SCHEMA: "schema", Rung.JSON_OBJECT: "any JSON", Rung.INSTRUCTIONS: "words"}


def _provider(kind: Kind) -> str:
    url = "must be given" if kind.requires_base_url else "optional"
    key = "must be given" if kind.requires_key else "optional"
    where = "" if kind.for_organizations else " (by variables only)"
    ladder = ", ".join(_WORDS[rung] for rung in kind.rungs)
    return f"| `{kind.id}`{where} | {url} | {key} | {ladder} | `{kind.limit}` | {kind.lacks} |"


def _fault(fault: Fault) -> str:
    meaning = MEANINGS[fault]
    again, other = ("yes" if flag else "no" for flag in (meaning.is_retryable, meaning.falls_back))
    return f"| `{fault.value}` | {meaning.words} | {again} | {other} |"


@pytest.mark.parametrize(
    "lines", [[_provider(k) for k in PROVIDERS.values()], [_fault(f) for f in Fault]], ids=["providers", "faults"]
)
def test_the_page_holds_the_table(lines: list[str]) -> None:
    assert "\n".join(lines) in PAGE.read_text(), "docs/models.md should hold:\n" + "\n".join(lines)


@pytest.mark.parametrize("kind", PROVIDERS)
def test_each_line_has_its_file(kind: str) -> None:
    module = importlib.import_module(f"services.llm_gateway.providers.{kind}")
    for name in ("connect", "complete", "stream", "list_models"):
        assert callable(getattr(module, name))


def test_the_kinds_of_an_organisation_are_those_that_are_listed() -> None:
    assert {kind.id for kind in PROVIDERS.values() if kind.for_organizations} == {kind.id for kind in KINDS}


def test_claude_on_vertex_has_claudes_ladder() -> None:
    claude, gemini = (Model("google_vertex", name, "k") for name in ("claude-x", "gemini-x"))
    assert PROVIDERS["google_vertex"].ladder(claude) == PROVIDERS["anthropic"].rungs
    assert PROVIDERS["google_vertex"].ladder(gemini) == PROVIDERS["google_gemini"].rungs
