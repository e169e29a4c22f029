"""`byokConfig` and `llmProvider` as an organisation sends them: checked strictly, each fault named by its field."""

from collections.abc import Iterator, Mapping
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError, field_validator, model_validator

from services.kit.errors import AppError, Reason, Violation
from services.llm_gateway.presets import BY_WORD, PRESETS, named
from services.llm_gateway.providers.types import Effort

PURPOSES = ("review", "verify", "summary", "conversation")
MAX_FALLBACKS = 8
KINDS = Literal[
    "openai", "openai_compatible", "anthropic", "google_gemini", "google_vertex", "open_router", "novita"
]  # contract, section 6
_Word = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=300)]
_Tokens = Annotated[int, Field(ge=1, le=10_000_000)]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class ModelConfiguration(_Strict):
    """One Model of `byokConfig`."""

    provider: KINDS
    apiKey: str = Field("", max_length=20_000, repr=False)  # noqa: N815 - names of the contract
    apiKeyId: str = Field("", max_length=40)  # noqa: N815
    model: _Word
    baseURL: str = Field("", max_length=2000)  # noqa: N815
    temperature: float | None = Field(None, ge=0, le=2)
    maxInputTokens: _Tokens | None = None  # noqa: N815
    maxOutputTokens: _Tokens | None = None  # noqa: N815
    maxConcurrentRequests: Annotated[int, Field(ge=1, le=1000)] | None = None  # noqa: N815
    reasoningEffort: str | None = None  # noqa: N815
    vertexLocation: str = Field("", pattern=r"^([a-z]+(-[a-z]+[0-9]+)?)?$", max_length=60)  # noqa: N815

    @field_validator("reasoningEffort")
    @classmethod
    def _is_effort(cls, value: str | None) -> str | None:
        if value is not None and value not in list(Effort):
            raise ValueError(f"must be one of {', '.join(Effort)}")
        return value

    @field_validator("maxInputTokens", "maxOutputTokens", "maxConcurrentRequests", mode="before")
    @classmethod
    def _whole(cls, value: object) -> object:
        # Whole numbers come as 8000.0 where they passed through a protobuf Struct.
        return int(value) if isinstance(value, float) and value.is_integer() else value

    @model_validator(mode="after")
    def _has_address(self) -> "ModelConfiguration":
        if self.provider == "openai_compatible" and not self.baseURL:
            raise ValueError("needs baseURL: openai_compatible has no address of its own")
        return self


class PurposeModels(_Strict):
    """`byokConfig.models`: a model of its own for a purpose, and what follows `fallback`."""

    review: ModelConfiguration | None = None
    verify: ModelConfiguration | None = None
    summary: ModelConfiguration | None = None
    conversation: ModelConfiguration | None = None
    fallbacks: list[ModelConfiguration] = Field(default_factory=list, max_length=MAX_FALLBACKS)


class ByokConfiguration(_Strict):
    """`byokConfig`."""

    main: ModelConfiguration
    fallback: ModelConfiguration | None = None
    models: PurposeModels = PurposeModels()

    def slots(self) -> Iterator[tuple[str, ModelConfiguration]]:
        """Yield every model with its path below `byokConfig`."""
        yield "main", self.main
        if self.fallback is not None:
            yield "fallback", self.fallback
        for purpose in PURPOSES:
            found = getattr(self.models, purpose)
            if found is not None:
                yield f"models.{purpose}", found
        for index, model in enumerate(self.models.fallbacks):
            yield f"models.fallbacks[{index}]", model

    def order(self, purpose: str) -> tuple[tuple[str, ModelConfiguration], ...]:
        """Answer the models to ask for a purpose, in order, each once."""
        slots = dict(self.slots())
        paths = [f"models.{purpose}", "main", "fallback", *(p for p in slots if p.startswith("models.fallbacks"))]
        found: dict[ModelConfiguration, str] = {}
        for path in paths:
            if path in slots:
                found.setdefault(slots[path], path)
        return tuple((path, model) for model, path in found.items())


class OrganizationModels(_Strict):
    """What of the `code-review` parameter is about models."""

    byokConfig: ByokConfiguration | None = None  # noqa: N815
    llmProvider: str | None = Field(None, max_length=300)  # noqa: N815

    @field_validator("llmProvider")
    @classmethod
    def _is_preset(cls, value: str | None) -> str | None:
        name = (value or "").strip()
        if name.lower() in ("", "auto") or name in PRESETS:
            return name or None
        source, model, _ = named(name)
        if source is None or not model:
            known = ", ".join(dict.fromkeys(source.word for source in BY_WORD.values()))
            raise ValueError(f"must be auto or provider:model with one of {known}, such as {next(iter(PRESETS))}")
        return name


def parse(value: Mapping[str, Any]) -> OrganizationModels:
    """Check an object with `byokConfig` and `llmProvider`. Raises AppError(INVALID_REQUEST) that names each fault."""
    try:
        return OrganizationModels.model_validate(dict(value))
    except ValidationError as error:
        violations = [Violation(_path(e["loc"]), _words(e)) for e in error.errors(include_input=False)]
        raise AppError(Reason.INVALID_REQUEST, violations=violations) from None


def _path(location: tuple[int | str, ...]) -> str:
    path = ""
    for part in location:
        path += f"[{part}]" if isinstance(part, int) else f".{part}" if path else part
    return path


def _words(error: Any) -> str:
    if error["type"] == "extra_forbidden":
        return "is no field of this object"
    if error["type"] == "missing":
        return "is needed"
    return str(error["msg"]).removeprefix("Value error, ")
