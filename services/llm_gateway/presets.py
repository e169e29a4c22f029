"""Models by name: the presets of the contract with the current ones beside them, and what is known of each provider."""

from collections.abc import Mapping
from dataclasses import dataclass

DEFAULT_INPUT_TOKENS = 100_000  # what every model in the table takes, with room for its answer
COMPATIBLE_INPUT_TOKENS = 24_000  # a server of one's own may be small, and such servers cut prompts silently


@dataclass(frozen=True, slots=True)
class Source:
    """What stands before the colon of `provider:model`: the kind of provider, and the variable that holds its key."""

    word: str
    kind: str  # as in byokConfig.provider
    variable: str
    default: str  # the model where only a key is given
    prices: str  # what the table of prices calls it


# In the order in which `auto` tries them (contract, section 6).
SOURCES: tuple[Source, ...] = (
    Source("openai", "openai", "API_OPEN_AI_API_KEY", "gpt-4.1", "openai"),
    Source("anthropic", "anthropic", "API_ANTHROPIC_API_KEY", "claude-sonnet-5-5", "anthropic"),
    Source("google", "google_gemini", "API_GOOGLE_AI_API_KEY", "gemini-2.5-pro", "google"),
    Source("vertex", "google_vertex", "API_VERTEX_AI_API_KEY", "gemini-2.5-pro", "google"),
    Source("novita", "novita", "API_NOVITA_AI_API_KEY", "deepseek/deepseek-v3-0324", "novita"),
    Source("groq", "groq", "API_GROQ_API_KEY", "openai/gpt-oss-120b", "groq"),
    Source("openrouter", "open_router", "API_OPENROUTER_KEY", "anthropic/claude-sonnet-5.5", "openrouter"),
)
BY_WORD: Mapping[str, Source] = {
    **{source.word: source for source in SOURCES},
    # The names of byokConfig do as well.
    "google_gemini": SOURCES[2],
    "google_vertex": SOURCES[3],
    "open_router": SOURCES[6],
}


@dataclass(frozen=True, slots=True)
class Preset:
    """A model that has a name of its own. `model` is what its provider calls it."""

    name: str
    model: str
    input_tokens: int = DEFAULT_INPUT_TOKENS

    @property
    def source(self) -> Source:
        """Whose it is."""
        return BY_WORD[self.name.partition(":")[0]]


def _same(name: str, input_tokens: int = DEFAULT_INPUT_TOKENS) -> Preset:
    return Preset(name, name.partition(":")[2], input_tokens)


PRESETS: Mapping[str, Preset] = {
    preset.name: preset
    for preset in (
        # contract, section 6
        _same("openai:gpt-4o"),
        _same("openai:gpt-4o-mini"),
        _same("openai:gpt-4.1"),
        _same("openai:o4-mini"),
        _same("anthropic:claude-3-5-sonnet-20241022"),
        _same("google:gemini-2.0-flash"),
        _same("google:gemini-2.5-pro"),
        _same("google:gemini-2.5-flash"),
        _same("vertex:gemini-2.0-flash"),
        _same("vertex:gemini-2.5-pro"),
        _same("vertex:gemini-2.5-flash"),
        _same("vertex:claude-3-5-sonnet-v2@20241022"),
        Preset("novita:deepseek-v3", "deepseek/deepseek_v3", 48_000),
        Preset("novita:deepseek-v3-0324", "deepseek/deepseek-v3-0324"),
        Preset("novita:qwen3-235b-a22b-thinking-2507", "qwen/qwen3-235b-a22b-thinking-2507"),
        _same("novita:moonshotai/kimi-k2-instruct"),
        _same("groq:moonshotai/kimi-k2-instruct-0905"),
        _same("groq:openai/gpt-oss-120b"),
        # current ones
        _same("openai:gpt-5.6-sol"),
        _same("openai:gpt-5.5"),
        _same("openai:gpt-5.4-mini"),
        _same("anthropic:claude-opus-5-5"),
        _same("anthropic:claude-sonnet-5-5"),
        _same("anthropic:claude-haiku-5-5"),
        _same("google:gemini-3.8-flash"),
        _same("google:gemini-3.1-pro-preview"),
        _same("vertex:gemini-3.8-flash"),
        _same("vertex:claude-sonnet-5-5"),
        _same("novita:deepseek/deepseek-v4-pro"),
        _same("novita:moonshotai/kimi-k3"),
        _same("novita:qwen/qwen3.8-max"),
        _same("groq:openai/gpt-oss-20b"),
        _same("openrouter:anthropic/claude-sonnet-5.5"),
    )
}


def is_bare(name: str) -> bool:
    """Whether a name says nothing of its provider; a forced address, such as a proxy's, then takes it as it is."""
    return name not in PRESETS and name.partition(":")[0] not in BY_WORD


def named(name: str) -> tuple[Source | None, str, int]:
    """Answer provider, model and input tokens of `provider:model`, split at the first colon.

    What stands before the colon and is no provider is part of the model's name (llama3:8b): then the provider is None.
    A bare name of a Claude or Gemini model is its maker's.
    """
    preset = PRESETS.get(name)
    if preset is not None:
        return preset.source, preset.model, preset.input_tokens
    word, colon, model = name.partition(":")
    if colon and word in BY_WORD:
        return BY_WORD[word], model, DEFAULT_INPUT_TOKENS
    for prefix, word in (("claude-", "anthropic"), ("gemini-", "google")):
        if name.startswith(prefix):
            return BY_WORD[word], name, DEFAULT_INPUT_TOKENS
    return None, name.removeprefix("openai_compatible:"), DEFAULT_INPUT_TOKENS
