"""The requests of generateContent that are understood."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any, Literal

from pydantic import AliasChoices, BaseModel, ConfigDict, Field


def _both(name: str) -> AliasChoices:
    return AliasChoices(name, "".join(f"_{c.lower()}" if c.isupper() else c for c in name))


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)


class Part(_Strict):
    """Some text."""

    text: Annotated[str, Field(min_length=1)]


class Content(_Strict):
    """A message."""

    role: Literal["user", "model"]
    parts: Annotated[list[Part], Field(min_length=1)]


class SystemInstruction(_Strict):
    """The instruction part."""

    role: Literal["user", "system"] | None = None
    parts: Annotated[list[Part], Field(min_length=1)]


class ThinkingConfig(_Strict):
    """How long the model thinks: a budget in tokens, or a level."""

    # Google's parser takes both spellings of a name, and its SDK sends both.
    budget: int | None = Field(None, ge=-1, le=32_768, validation_alias=_both("thinkingBudget"))
    level: str | None = Field(None, pattern="^(MINIMAL|LOW|MEDIUM|HIGH)$", validation_alias=_both("thinkingLevel"))


class GenerationConfig(_Strict):
    """The settings of an answer."""

    temperature: Annotated[float, Field(ge=0, le=2)] | None = None
    maxOutputTokens: Annotated[int, Field(gt=0)]  # noqa: N815
    responseMimeType: Literal["application/json", "text/plain"] | None = None  # noqa: N815
    responseJsonSchema: dict[str, Any] | None = None  # noqa: N815
    thinkingConfig: ThinkingConfig | None = None  # noqa: N815


class GenerateRequest(_Strict):
    """The body of generateContent; model and stream come from the path."""

    contents: Annotated[list[Content], Field(min_length=1)]
    systemInstruction: SystemInstruction  # noqa: N815
    generationConfig: GenerationConfig  # noqa: N815
    model: str = ""
    stream: bool = False

    @property
    def user(self) -> str:
        """What the user's messages say."""
        return "\n".join(p.text for c in self.contents if c.role == "user" for p in c.parts)

    @property
    def instructions(self) -> str:
        """What the instruction part says."""
        return "\n".join(p.text for p in self.systemInstruction.parts)

    @property
    def limit(self) -> int:
        """The output limit."""
        return self.generationConfig.maxOutputTokens

    @property
    def has_schema(self) -> bool:
        """Whether the answer is held to a schema."""
        return self.generationConfig.responseJsonSchema is not None


@dataclass(frozen=True)
class Knows:
    """What the emulated models know."""

    schema: bool = True
    mime_type: bool = True
    thinking: bool = True

    def problem(self, request: GenerateRequest) -> str | None:
        """Answer the message of the 400 for what these models do not know, None where all is known."""
        config = request.generationConfig
        if config.responseJsonSchema is not None and not self.schema:
            return "response_json_schema is not supported for this model"
        if config.responseMimeType == "application/json" and not self.mime_type:
            return "Json mode is not enabled for this model"
        if config.thinkingConfig is not None and not self.thinking:
            return "Thinking is not supported for this model"
        if request.contents[-1].role != "user":
            return "Please ensure that multiturn requests end with a user role"
        return None

    @staticmethod
    def violation(request: GenerateRequest) -> str | None:
        """Answer what no well-behaved client sends, None where all is well."""
        config = request.generationConfig
        if config.responseJsonSchema is not None and config.responseMimeType != "application/json":
            return "response_json_schema needs response_mime_type application/json"
        thinking = config.thinkingConfig
        if thinking and thinking.budget is not None and thinking.level is not None:
            return "thinking_budget and thinking_level exclude each other"
        return None
