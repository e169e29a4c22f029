"""The words between what all providers share (`opened`) and the file of each."""

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

import httpx2

from services.llm_gateway.providers.addresses import AddressRules, Origin
from services.llm_gateway.providers.transport import Credential, GuardedTransport, make_client
from services.llm_gateway.providers.types import Effort, Model, Rung, Turn, Waits
from services.llm_gateway.providers.usage import Usage

GOOGLE_TOKEN_URL = "https://oauth2.googleapis.com/token"  # noqa: S105 - an address, not a secret


@dataclass(frozen=True, slots=True)
class Network:
    """How this installation reaches providers: what the operator permits, how long we wait, where tokens come from."""

    allowed: frozenset[Origin] = frozenset()
    loopback: bool = False  # the embedded profile
    waits: Waits = field(default_factory=Waits)
    google_token_url: str = GOOGLE_TOKEN_URL

    def rules(self, model: Model) -> AddressRules:
        """Answer the rules for a model's base URL."""
        return AddressRules(model.trust, self.allowed, self.loopback)

    def open_client(self, model: Model, credential: Credential) -> httpx2.AsyncClient:
        """Answer the HTTP client for an SDK."""
        return make_client(GuardedTransport(self.rules(model), credential, self.waits.connect))


@dataclass(frozen=True, slots=True)
class Connection:
    """An SDK's client and the HTTP client under it; `secrets` are the values that must never be shown.

    `release` closes what else was opened for it.
    """

    sdk: Any
    http: httpx2.AsyncClient
    secrets: tuple[str, ...] = field(default=(), repr=False)
    release: Callable[[], Awaitable[None]] | None = None


@dataclass(frozen=True, slots=True)
class Shape:
    """How a request is put to one model of one server: what the server has said it does not know is left out.

    `limit` is the name of the output limit where a wire has two; `swapped` says that the other one was tried. `misses`
    counts the answers that did not hold to the schema that was sent.
    """

    rung: Rung
    temperature: bool = True
    effort: bool = True
    stream_usage: bool = True
    limit: str = "max_tokens"
    swapped: bool = False
    misses: int = 0

    def without(self, param: str | None, words: str, rungs: tuple[Rung, ...]) -> "Shape | None":
        """Answer what is left when a 400 names `param`, or speaks of it in its words; None where it means nothing."""
        named, text = (param or words).lower(), f"{param or ''} {words}".lower()
        if "temperature" in named and self.temperature:
            return replace(self, temperature=False)
        if self.limit in text and not self.swapped:
            other = "max_tokens" if self.limit == "max_completion_tokens" else "max_completion_tokens"
            return replace(self, limit=other, swapped=True)
        if any(word in text for word in _EFFORT_WORDS) and self.effort:
            return replace(self, effort=False)
        if ("stream_options" in text or "include_usage" in text) and self.stream_usage:
            return replace(self, stream_usage=False)
        if any(word in text for word in _STRUCTURE_WORDS):
            return self.lower(rungs)
        return None

    def missed(self, rungs: tuple[Rung, ...]) -> "Shape | None":
        """Answer what follows from an answer that did not hold to its schema: at the second, the next rung."""
        return replace(self, misses=1) if not self.misses else self.lower(rungs)

    def lower(self, rungs: tuple[Rung, ...]) -> "Shape | None":
        """Answer the next rung of the ladder, None on the last."""
        left = rungs[rungs.index(self.rung) + 1 :] if self.rung in rungs else ()
        return replace(self, rung=left[0], misses=0) if left else None


_EFFORT_WORDS = ("reasoning", "thinking", "effort")
_STRUCTURE_WORDS = (
    "response_format", "json_schema", "json_object", "structured output", "output_config", "output_format",
    "response_json_schema", "responsejsonschema", "response_schema", "responseschema", "response_mime_type",
    "responsemimetype", "response mime type", "json mode", "schema",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Ask:
    """One call, ready to be put into a provider's own words; the last of `turns` is the user's."""

    model: str
    instructions: str
    turns: tuple[Turn, ...]
    schema: Mapping[str, Any] | None
    max_output_tokens: int
    temperature: float | None
    effort: Effort | None
    shape: Shape


@dataclass(frozen=True, slots=True)
class Reply:
    """What one call brought: the whole text, its finish in the provider's word, the usage where that was told."""

    text: str
    finish: str
    model: str
    usage: Usage | None


class ProviderModule(Protocol):
    """What the file of a provider has. Its functions raise ProviderError, or whatever its SDK and httpx2 raise."""

    def connect(self, model: Model, network: Network) -> Connection:
        """Build the SDK's client; runs in a thread. ProviderError where the model's settings can't be used."""

    async def complete(self, connection: Connection, ask: Ask) -> Reply:
        """Ask once for a whole answer."""

    def stream(self, connection: Connection, ask: Ask) -> AsyncIterator[str | Reply]:
        """Ask once for pieces of text and, last, the Reply; to close the iterator ends the call."""

    async def list_models(self, connection: Connection) -> list[str]:
        """Answer the names of the models."""
