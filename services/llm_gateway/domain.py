"""The kinds of provider, and which variables configure each."""

from dataclasses import dataclass


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
