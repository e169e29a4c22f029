"""The words of llm_gateway: kinds of provider, the choice of a model, completions and how they fail."""

from dataclasses import dataclass, field
from enum import StrEnum


@dataclass(frozen=True, slots=True)
class ProviderKind:
    """A kind of provider; any one of `variables` configures it, unless one of `unless` is set too."""

    id: str  # as in byokConfig.provider
    name: str
    variables: tuple[str, ...]
    unless: tuple[str, ...] = ()
    requires_base_url: bool = False

    def is_configured(self, given: frozenset[str]) -> bool:
        """Whether the variables that are set configure it."""
        return not given.isdisjoint(self.variables) and given.isdisjoint(self.unless)


# In the order in which `auto` tries them. A forced base URL takes the place of OpenAI's own, and Groq is reached by
# its OpenAI-compatible address: byokConfig knows no kind of its own for it.
KINDS: tuple[ProviderKind, ...] = (
    ProviderKind("openai", "OpenAI", ("API_OPEN_AI_API_KEY",), unless=("API_OPENAI_FORCE_BASE_URL",)),
    ProviderKind("anthropic", "Anthropic", ("API_ANTHROPIC_API_KEY",)),
    ProviderKind("google_gemini", "Google Gemini", ("API_GOOGLE_AI_API_KEY",)),
    ProviderKind("google_vertex", "Google Vertex AI", ("API_VERTEX_AI_API_KEY",)),
    ProviderKind("novita", "Novita", ("API_NOVITA_AI_API_KEY",)),
    ProviderKind(
        "openai_compatible",
        "OpenAI compatible",
        ("API_OPENAI_FORCE_BASE_URL", "API_GROQ_API_KEY"),
        requires_base_url=True,
    ),
    ProviderKind("open_router", "OpenRouter", ("API_OPENROUTER_KEY",)),
)


@dataclass(frozen=True, slots=True)
class ModelSettings:
    """What the environment says: names of the variables that are set, and the values the choice needs."""

    given: frozenset[str]
    base_url: str | None = None
    key: str | None = field(default=None, repr=False)
    model: str = ""  # API_LLM_PROVIDER_MODEL


@dataclass(frozen=True, slots=True)
class ModelChoice:
    """The model that is used; an empty `model` is the first one that the server lists."""

    provider: str
    base_url: str
    model: str
    max_input_tokens: int
    key: str | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class Choice:
    """The model of this installation, None where there is none, and what should be known about the choice."""

    model: ModelChoice | None
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Prompt:
    """One completion to ask for; `input` is untrusted, fenced by the caller."""

    instructions: str
    input: str
    json_schema: str
    max_output_tokens: int


@dataclass(frozen=True, slots=True)
class TokenUsage:
    """Tokens of one call; `cached` are among `input`. An estimate where `reported` is False."""

    input: int
    cached: int
    output: int
    reported: bool


@dataclass(frozen=True, slots=True)
class Completion:
    """A whole answer: one JSON value as text, not yet held against the schema."""

    text: str
    model: str
    usage: TokenUsage


class Fault(StrEnum):
    """What went wrong between us and a provider; each is told apart in logs and in what the operator reads."""

    KEY = "key"
    QUOTA = "quota"
    FORBIDDEN = "forbidden"
    NOT_FOUND = "not_found"
    TOO_LARGE = "too_large"
    BAD_REQUEST = "bad_request"
    RATE_LIMITED = "rate_limited"
    SERVER_ERROR = "server_error"
    CONNECTION = "connection"
    TIMEOUT = "timeout"
    REDIRECT = "redirect"
    BLOCKED_ADDRESS = "blocked_address"
    NOT_JSON = "not_json"
    NO_CHOICE = "no_choice"
    ERROR_BODY = "error_body"
    NO_FINISH = "no_finish"
    CUT_OFF = "cut_off"
    REFUSAL = "refusal"
    CONTENT_FILTER = "content_filter"
    EMPTY = "empty"
    OVERSIZED = "oversized"
    TRUNCATED_PROMPT = "truncated_prompt"
    NO_MODEL = "no_model"


class ProviderError(Exception):
    """A completion that did not come; holds nothing of the key, the prompt or the provider's body.

    `retry_after` is in seconds, None where the provider did not say; `status` is the HTTP status or 0.
    """

    def __init__(self, fault: Fault, *, status: int = 0, retry_after: float | None = None) -> None:
        super().__init__(f"{fault.value} ({status})" if status else fault.value)
        self.fault = fault
        self.status = status
        self.retry_after = retry_after
