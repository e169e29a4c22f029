"""The requests of Anthropic's messages that are understood, as of version 2026-10-21: without any sampling setting."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

VERSIONS = ("2026-10-21",)


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)


class CacheControl(_Strict):
    """Marks the end of a prefix that is kept."""

    type: Literal["ephemeral"]
    ttl: Literal["5m", "1h"] | None = None


class TextBlock(_Strict):
    """Some text."""

    type: Literal["text"]
    text: Annotated[str, Field(min_length=1)]
    cache_control: CacheControl | None = None


class Message(_Strict):
    """A message of plain text."""

    role: Literal["user", "assistant"]
    content: Annotated[str, Field(min_length=1)] | Annotated[list[TextBlock], Field(min_length=1)]


class Format(_Strict):
    """Answers are held to a schema."""

    type: Literal["json_schema"]
    schema_: Annotated[dict[str, Any], Field(alias="schema")]


class OutputConfig(_Strict):
    """How much work goes into the answer, and its shape."""

    effort: Literal["low", "medium", "high", "xhigh", "max"] | None = None
    format: Format | None = None


class Thinking(_Strict):
    """Whether the model thinks first."""

    type: Literal["disabled", "adaptive"]


class MessagesRequest(_Strict):
    """The body of POST /v1/messages; on Vertex the model stands in the path and the version in the body."""

    model: str = ""
    anthropic_version: str | None = None
    max_tokens: Annotated[int, Field(gt=0)]
    messages: Annotated[list[Message], Field(min_length=1)]
    system: str | list[TextBlock] = ""
    output_config: OutputConfig | None = None
    thinking: Thinking | None = None
    stream: bool = False

    @property
    def user(self) -> str:
        """What the user's messages say."""
        return "\n".join(_text(m.content) for m in self.messages if m.role == "user")

    @property
    def instructions(self) -> str:
        """What the system part says."""
        return _text(self.system)

    @property
    def limit(self) -> int:
        """The output limit."""
        return self.max_tokens

    @property
    def has_schema(self) -> bool:
        """Whether the answer is held to a schema."""
        return self.output_config is not None and self.output_config.format is not None


@dataclass(frozen=True)
class Abilities:
    """What the emulated models know."""

    format: bool = True
    effort: bool = True

    def problem(self, request: MessagesRequest) -> str | None:
        """Answer the message of the 400 for what these models do not know, None where all is known."""
        config = request.output_config
        if request.has_schema and not self.format:
            return "output_config.format: this model does not support structured outputs"
        if config is not None and config.effort is not None and not self.effort:
            return "output_config.effort: this model does not support the effort parameter"
        if request.messages[-1].role != "user":
            return (
                "This model does not support assistant message prefill. The conversation must end with a user message."
            )
        return None


def _text(content: str | list[TextBlock]) -> str:
    return content if isinstance(content, str) else "\n".join(block.text for block in content)
