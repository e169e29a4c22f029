"""The words of llm_gateway: kinds of provider, the choice of a model, completions and how they fail."""

from dataclasses import dataclass, field


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
