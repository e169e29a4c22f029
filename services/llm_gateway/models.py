"""Use cases around the models that can be chosen."""

from dataclasses import dataclass

from services.llm_gateway.domain import KINDS, Choice, ModelChoice, ModelSettings, ProviderKind

OPENAI_URL = "https://api.openai.com/v1"
DEFAULT_OPENAI_MODEL = "gpt-4.1"  # of the presets, the one with the widest access
# Tokens a prompt may have. A forced address may be a small local model, and such servers cut prompts silently.
OPENAI_INPUT_TOKENS, COMPATIBLE_INPUT_TOKENS = 100_000, 24_000
_OPENAI_PREFIXES = ("openai", "openai_compatible")
_OTHER_PREFIXES = {
    "anthropic": "anthropic",
    "google": "google_gemini",
    "google_gemini": "google_gemini",
    "vertex": "google_vertex",
    "google_vertex": "google_vertex",
    "novita": "novita",
    "groq": "groq",
    "openrouter": "open_router",
    "open_router": "open_router",
}
_OTHER_KEYS = (
    "API_ANTHROPIC_API_KEY",
    "API_GOOGLE_AI_API_KEY",
    "API_VERTEX_AI_API_KEY",
    "API_NOVITA_AI_API_KEY",
    "API_GROQ_API_KEY",
    "API_OPENROUTER_KEY",
)


@dataclass(frozen=True, slots=True)
class Provider:
    """A kind of provider as this installation has it."""

    kind: ProviderKind
    is_configured: bool


class Models:
    """The models of this installation; `given` are the names of the variables that its environment sets."""

    def __init__(self, given: frozenset[str]) -> None:
        self._given = given

    def list_providers(self) -> list[Provider]:
        """Answer every kind in the order of the table."""
        return [Provider(kind, kind.is_configured(self._given)) for kind in KINDS]


def choose(settings: ModelSettings) -> Choice:
    """Answer the model that the environment names; one that cannot be reached yet is none, and told in the notes."""
    notes = [f"{name} is set, and its provider is not used yet" for name in _OTHER_KEYS if name in settings.given]
    named = "" if settings.model.lower() == "auto" else settings.model
    prefix, separator, rest = named.partition(":")
    if separator and prefix in _OTHER_PREFIXES:
        notes.append(f"API_LLM_PROVIDER_MODEL names {prefix}, which is not used yet: no model is called")
        return Choice(None, tuple(notes))
    # A name such as llama3:8b is one model: only the names of providers are split off.
    model = rest if separator and prefix in _OPENAI_PREFIXES else named
    if settings.base_url is not None:
        return Choice(
            ModelChoice("openai_compatible", settings.base_url, model, COMPATIBLE_INPUT_TOKENS, settings.key),
            tuple(notes),
        )
    if settings.key is not None:
        chosen = model or DEFAULT_OPENAI_MODEL
        return Choice(ModelChoice("openai", OPENAI_URL, chosen, OPENAI_INPUT_TOKENS, settings.key), tuple(notes))
    if named:
        notes.append("API_LLM_PROVIDER_MODEL is set without API_OPEN_AI_API_KEY or API_OPENAI_FORCE_BASE_URL")
    return Choice(None, tuple(notes))
