"""The models that the environment, or a preset with the environment's keys, makes up."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from urllib.parse import unquote, urlsplit

from services.llm_gateway.presets import (
    COMPATIBLE_INPUT_TOKENS,
    DEFAULT_INPUT_TOKENS,
    PRESETS,
    SOURCES,
    Source,
    is_bare,
    named,
)
from services.llm_gateway.prices import Listing
from services.llm_gateway.providers.types import Model


@dataclass(frozen=True, slots=True)
class Environment:
    """What the operator configured: keys by variable, addresses, and the model named for everybody."""

    keys: Mapping[str, str] = field(default_factory=dict, repr=False)
    base_url: str = ""  # API_OPENAI_FORCE_BASE_URL
    groq_url: str = ""
    vertex_location: str = ""
    named: str = ""  # API_LLM_PROVIDER_MODEL

    def has(self, source: Source) -> bool:
        """Whether there is something to call a provider with; a forced address needs no key."""
        return source.variable in self.keys or (source.word == "openai" and bool(self.base_url))


@dataclass(frozen=True, slots=True)
class Candidate:
    """A model that may be asked. An empty `model.model` is the first one that its server lists."""

    model: Model
    input_tokens: int
    prices: str = ""  # what the table of prices calls its provider
    origin: str = ""  # where it is configured, for people
    credential: str = ""  # names the key, so that its circuit and its limit are its own

    @property
    def listing(self) -> Listing:
        """How the tables of prices know it."""
        return Listing(self.model.provider, self.prices or self.model.base_url, self.model.model)

    @property
    def name(self) -> str:
        """How people know it."""
        return f"{self.model.provider}:{self.model.model}"


@dataclass(frozen=True, slots=True)
class Route:
    """The models to ask, in this order, and what should be known about the choice; none at all is no model."""

    candidates: tuple[Candidate, ...] = ()
    notes: tuple[str, ...] = ()


def from_environment(environment: Environment, preset: str = "") -> Route:
    """Answer the route that `preset`, or else the environment's own word, names; `auto` and nothing are one."""
    name = preset or environment.named
    where = "llmProvider" if preset else "API_LLM_PROVIDER_MODEL"
    if name.lower() in ("", "auto"):
        return _automatic(environment)
    source, model, tokens = named(name)
    if environment.base_url and (source is None or source.word == "openai" or is_bare(name)):
        return Route((_candidate(environment, SOURCES[0], model, tokens),))
    source = source or SOURCES[0]
    if not model:
        return Route(notes=(f"{where} names the provider {source.word} and no model",))
    if not environment.has(source):
        return Route(notes=(f"{where} is {name}, and {source.variable} is not set: no model is called",))
    return Route((_candidate(environment, source, model, tokens),))


def _automatic(environment: Environment) -> Route:
    found = [source for source in SOURCES if environment.has(source)]
    return Route(tuple(_default(environment, source) for source in found))


def _default(environment: Environment, source: Source) -> Candidate:
    if source.word == "openai" and environment.base_url:
        return _candidate(environment, source, "", DEFAULT_INPUT_TOKENS)
    preset = PRESETS.get(f"{source.word}:{source.default}")
    return _candidate(environment, source, source.default, preset.input_tokens if preset else DEFAULT_INPUT_TOKENS)


def _candidate(environment: Environment, source: Source, model: str, tokens: int) -> Candidate:
    made = Candidate(
        Model(source.kind, model, environment.keys.get(source.variable)),
        tokens,
        source.prices,
        source.variable,
        source.variable,
    )
    if source.word == "groq":
        made = replace(made, origin="API_GROQ_BASE_URL") if environment.groq_url else made
        return replace(made, model=replace(made.model, base_url=environment.groq_url))
    if source.word == "vertex":
        return replace(made, model=replace(made.model, vertex_location=environment.vertex_location))
    if source.word == "openai" and environment.base_url:
        forced = replace(
            made.model,
            provider="openai_compatible",
            model=model or deployment(environment.base_url),
            base_url=environment.base_url,
        )
        return replace(
            made,
            model=forced,
            input_tokens=min(tokens, COMPATIBLE_INPUT_TOKENS),
            prices="",
            origin="API_OPENAI_FORCE_BASE_URL",
        )
    return made


def deployment(base_url: str) -> str:
    """Answer the deployment that an address of Azure OpenAI names, empty for any other: it is the model."""
    parts = urlsplit(base_url).path.split("/openai/deployments/", 1)
    return unquote(parts[1].split("/", 1)[0]) if len(parts) == 2 else ""
