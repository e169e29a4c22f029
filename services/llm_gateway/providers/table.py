"""The table of providers: one line each. Its file has the same name; docs/models.md is held against it by a test."""

import re
from dataclasses import dataclass

from services.llm_gateway.providers.types import Model, Rung
from services.llm_gateway.providers.wire import Shape

_LADDER = (Rung.JSON_SCHEMA, Rung.JSON_OBJECT, Rung.INSTRUCTIONS)
_NO_MODE = (Rung.JSON_SCHEMA, Rung.INSTRUCTIONS)  # no mode for any JSON between the two


@dataclass(frozen=True, slots=True)
class Kind:
    """What is known of a provider before its SDK is imported.

    `limit` is the field for the output limit, `rungs` the ladder of structured output from the top, `no_temperature`
    what names of models that refuse one look like, `lacks` what it can't do, for people. `may_cut_prompts` has the
    reported tokens held against the prompt. One that is not `for_organizations` is reached by variables only.
    `own_ladder` is that of models whose name looks so.
    """

    id: str
    limit: str
    rungs: tuple[Rung, ...]
    lacks: str
    no_temperature: str = ""
    requires_base_url: bool = False
    requires_key: bool = True
    may_cut_prompts: bool = False
    for_organizations: bool = True
    own_ladder: tuple[str, tuple[Rung, ...]] | None = None

    def ladder(self, model: Model) -> tuple[Rung, ...]:
        """Answer the rungs for a model, from the top."""
        if self.own_ladder is not None and re.match(self.own_ladder[0], model.model):
            return self.own_ladder[1]
        return self.rungs

    def first_shape(self, model: Model) -> Shape:
        """Answer how the first request to a model is put."""
        refuses = bool(self.no_temperature) and re.match(self.no_temperature, model.model) is not None
        return Shape(self.ladder(model)[0], temperature=not refuses, limit=self.limit)


PROVIDERS: dict[str, Kind] = {
    kind.id: kind
    for kind in (
        Kind(
            "openai", "max_completion_tokens", _LADDER,
            "reasoning models take no temperature; Azure's dated address ignores the model's name",
            no_temperature=r"o\d|gpt-5(?!.*chat)",
        ),
        Kind("anthropic", "max_tokens", _NO_MODE, "no temperature; no mode for any JSON"),
        Kind(
            "google_gemini", "maxOutputTokens", _LADDER,
            "thoughts take their room from the output limit; Gemini 2.5 Pro cannot be kept from thinking",
        ),
        Kind(
            "google_vertex", "maxOutputTokens", _LADDER,
            "no list of Claude's models, and no API key for them; Claude takes no temperature",
            own_ladder=("claude", _NO_MODE),
        ),
        Kind("novita", "max_tokens", _LADDER, "many models take no schema"),
        Kind(
            "groq", "max_completion_tokens", _LADDER,
            "some models take no schema; a prompt above the tokens of a minute is refused",
            for_organizations=False,
        ),
        Kind(
            "openai_compatible", "max_tokens", _LADDER,
            "depends on the server: what it refuses is left out, and asked for in words",
            requires_base_url=True, requires_key=False, may_cut_prompts=True,
        ),
        Kind("open_router", "max_tokens", _LADDER, "depends on the upstream; one that lacks a setting is not used"),
    )
}  # fmt: skip
