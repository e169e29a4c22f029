"""The requests that are understood: every key is known, of the right type, and allowed by the server's dialect."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)


class Message(_Strict):
    """A message of plain text."""

    role: Literal["system", "user", "assistant"]
    content: Annotated[str, Field(min_length=1)]


class JsonSchema(_Strict):
    """A named schema; `schema` must be one that strict mode takes."""

    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]{1,64}$")]
    strict: Literal[True]
    schema_: Annotated[dict[str, Any], Field(alias="schema")]


class JsonSchemaFormat(_Strict):
    """Answers are held to a schema."""

    type: Literal["json_schema"]
    json_schema: JsonSchema


class JsonObjectFormat(_Strict):
    """Answers are any JSON object."""

    type: Literal["json_object"]


class StreamOptions(_Strict):
    """What a stream carries besides text."""

    include_usage: Literal[True]


class Reasoning(_Strict):
    """OpenRouter's way to an effort."""

    effort: Literal["none", "minimal", "low", "medium", "high", "xhigh"]


class Preferences(_Strict):
    """What OpenRouter asks of the providers behind it."""

    require_parameters: Literal[True]


class ChatRequest(_Strict):
    """The body of POST /chat/completions, without tools."""

    model: Annotated[str, Field(min_length=1)]
    messages: Annotated[list[Message], Field(min_length=1)]
    temperature: Annotated[float, Field(ge=0, le=2)] | None = None
    max_tokens: Annotated[int, Field(gt=0)] | None = None
    max_completion_tokens: Annotated[int, Field(gt=0)] | None = None
    response_format: Annotated[JsonSchemaFormat | JsonObjectFormat, Field(discriminator="type")] | None = None
    stream: bool = False
    stream_options: StreamOptions | None = None
    reasoning_effort: Literal["none", "minimal", "low", "medium", "high", "xhigh", "max"] | None = None
    reasoning: Reasoning | None = None
    provider: Preferences | None = None

    @property
    def length(self) -> int:
        """Characters of all messages."""
        return sum(len(m.content) for m in self.messages)

    @property
    def limit(self) -> int | None:
        """The output limit, whatever its name."""
        return self.max_completion_tokens or self.max_tokens

    @property
    def has_schema(self) -> bool:
        """Whether the answer is held to a schema."""
        return isinstance(self.response_format, JsonSchemaFormat)

    @property
    def system(self) -> str:
        """What the system messages say."""
        return "\n".join(m.content for m in self.messages if m.role == "system")

    @property
    def instructions(self) -> str:
        """The same, by the name that it has on every wire."""
        return self.system

    @property
    def user(self) -> str:
        """What the user messages say."""
        return "\n".join(m.content for m in self.messages if m.role == "user")


@dataclass(frozen=True)
class Dialect:
    """What a server knows: names of the output limit, ways to JSON, and whether a temperature, an effort, or the usage
    of a stream may be asked for. `azure` has Azure's addresses, `router` the settings of OpenRouter.
    """

    limits: frozenset[str] = frozenset({"max_tokens", "max_completion_tokens"})
    formats: frozenset[str] = frozenset({"json_schema", "json_object"})
    temperature: bool = True
    effort: bool = True
    stream_options: bool = True
    azure: bool = False
    router: bool = False

    def violation(self, request: ChatRequest) -> str | None:
        """Answer what no well-behaved client sends to this server, None where all is well."""
        if request.stream_options is not None and not request.stream:
            return "stream_options without stream"
        if request.limit is None:
            return "no output limit: an answer could cost anything"
        if request.messages[-1].role != "user":
            return "the last message is not the user's"
        if self.router != (request.provider is not None) or (request.reasoning is not None and not self.router):
            return "provider and reasoning are settings of OpenRouter"
        if self.router and request.reasoning_effort is not None:
            return "OpenRouter's effort is reasoning.effort"
        return None

    def problem(self, request: ChatRequest) -> tuple[str, str, str] | None:
        """Answer code, param and message of the 400 for what this server does not know, None where all is known."""
        for name in ("max_tokens", "max_completion_tokens"):
            if getattr(request, name) is not None and name not in self.limits:
                other = next(iter(self.limits - {name}), "nothing")
                words = f"Unsupported parameter: '{name}' is not supported with this model. Use '{other}' instead."
                return "unsupported_parameter", name, words
        if request.temperature is not None and not self.temperature:
            words = (
                "Unsupported value: 'temperature' does not support 0 with this model. Only the default is supported."
            )
            return "unsupported_value", "temperature", words
        if request.reasoning_effort is not None and not self.effort:
            return "unsupported_parameter", "reasoning_effort", "Unsupported parameter: 'reasoning_effort'"
        if request.stream_options is not None and not self.stream_options:
            return "unknown_parameter", "stream_options", "Unrecognized request argument supplied: stream_options"
        kind = request.response_format.type if request.response_format else None
        if kind is not None and kind not in self.formats:
            return "invalid_request_error", "response_format", f"response_format type '{kind}' is unavailable"
        if kind == "json_object" and "json" not in f"{request.system}{request.user}".lower():
            return "invalid_request_error", "messages", "'messages' must contain the word 'json' in some form"
        if isinstance(request.response_format, JsonSchemaFormat):
            wrong = schema_problem(request.response_format.json_schema.schema_)
            if wrong:
                return "invalid_json_schema", "response_format", f"Invalid schema: {wrong}"
        return None


def schema_problem(schema: Any, at: str = "$", depth: int = 0) -> str | None:
    """Answer why strict mode does not take a schema, None where it does."""
    if not isinstance(schema, dict):
        return f"{at} is no object"
    if depth > 5:
        return f"{at} is nested too deeply"
    unknown = set(schema) - {"type", "properties", "required", "additionalProperties", "items", "enum", "description"}
    if unknown:
        return f"{at} has {sorted(unknown)[0]}, which is not supported"
    kinds = schema.get("type")
    if kinds == "object":
        properties = schema.get("properties", {})
        if schema.get("additionalProperties") is not False:
            return f"{at} needs additionalProperties false"
        if sorted(schema.get("required", ())) != sorted(properties):
            return f"{at} must require all its properties"
        inner = [schema_problem(value, f"{at}.{name}", depth + 1) for name, value in properties.items()]
        return next(filter(None, inner), None)
    if kinds == "array":
        return schema_problem(schema.get("items"), f"{at}[]", depth + 1)
    allowed = {"string", "integer", "number", "boolean", "null"}
    if not allowed.issuperset(kinds if isinstance(kinds, list) else [kinds]):
        return f"{at} has no known type"
    return None
