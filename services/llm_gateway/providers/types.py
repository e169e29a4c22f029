"""The words between a provider and everything above it: which model, what is asked, what comes back."""

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Literal

from services.llm_gateway.providers.usage import Usage


class Effort(StrEnum):
    """How long a reasoning model thinks; a provider maps what it lacks to its nearest, and leaves out what it can't."""

    NONE = "none"
    MINIMAL = "minimal"
    LOW = "low"
    MEDIUM = "medium"
    HIGH = "high"
    XHIGH = "xhigh"
    MAX = "max"


class Rung(StrEnum):
    """How an answer is made to be JSON, from the strictest way to the loosest."""

    JSON_SCHEMA = "json_schema"
    JSON_OBJECT = "json_object"
    INSTRUCTIONS = "instructions"
    TEXT = "text"  # no JSON was asked for


class Trust(StrEnum):
    """Whose word the base URL is: the operator's may be any address but cloud metadata (docs/models.md)."""

    OPERATOR = "operator"
    ORGANIZATION = "organization"


@dataclass(frozen=True, slots=True)
class Model:
    """One model of one provider with one credential: all that `open_model` needs, as in `byokConfig`.

    An empty `base_url` is the provider's own. `api_key` may be the JSON of a service account (google_vertex).
    `model` may be empty only to list the models.
    """

    provider: str
    model: str
    api_key: str | None = field(default=None, repr=False)
    base_url: str = ""
    temperature: float | None = None
    max_input_tokens: int | None = None
    max_output_tokens: int | None = None
    max_concurrent_requests: int | None = None
    reasoning_effort: Effort | None = None
    vertex_location: str = ""
    trust: Trust = Trust.OPERATOR


@dataclass(frozen=True, slots=True)
class Turn:
    """An earlier message of a conversation."""

    role: Literal["user", "assistant"]
    text: str


@dataclass(frozen=True, slots=True)
class Request:
    """One completion to ask for.

    `input` is untrusted and fenced by the caller; `history` stands before it. `json_schema` is the text of a schema
    in the portable subset (all properties required, no additional ones), None for plain text. `seconds` bound the whole
    call with its repairs. `checked` holds the answer against the schema, with one repair round that quotes what is
    wrong; a caller that reads tolerantly and repairs by itself says False, and gets one JSON value or else the text
    as it came. `temperature` and `reasoning_effort` win over the model's own.
    """

    instructions: str
    input: str
    max_output_tokens: int
    seconds: float
    json_schema: str | None = None
    checked: bool = True
    history: tuple[Turn, ...] = ()
    temperature: float | None = None
    reasoning_effort: Effort | None = None


@dataclass(frozen=True, slots=True)
class Piece:
    """Some more text of an answer that is being streamed."""

    text: str


@dataclass(frozen=True, slots=True)
class Answer:
    """A whole answer. `usage` is the sum of all calls it took (`calls`), `model` as the provider names it."""

    text: str
    model: str
    usage: Usage
    rung: Rung
    finish: str = ""  # the provider's own word for a complete answer
    request_id: str = ""  # the provider's
    calls: int = 1


@dataclass(frozen=True, slots=True)
class Waits:
    """Seconds that each part of a call may take, whatever `Request.seconds` leaves: `first` to the first event of a
    stream, `idle` between two of them.
    """

    connect: float = 10.0
    first: float = 120.0
    idle: float = 60.0
