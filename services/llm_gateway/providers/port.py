"""What the use cases ask of a provider.

Retries, fallback, budgets and limits of concurrency belong above this port: below it, nothing is asked twice but to
leave out what a server has said it does not know, and for one repair round of a structured answer.
"""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Protocol

from services.llm_gateway.providers.faults import ProbeCode
from services.llm_gateway.providers.types import Answer, Model, Piece, Request


class OpenedModel(Protocol):
    """A model with its credential and connections. Made once by `opening.open_model`, used concurrently, and closed."""

    @property
    def model(self) -> Model:
        """What it was opened with."""

    async def complete(self, request: Request) -> Answer:
        """Answer one completion within `request.seconds`; raises ProviderError, and nothing else."""

    def stream(self, request: Request) -> AsyncIterator[Piece | Answer]:
        """Answer pieces of text as they come, and at the end one Answer with all of it; raises ProviderError.

        Closing the iterator, or cancelling its consumer, ends the call at the provider. Nothing may be believed before
        the Answer. With a schema the pieces are shown as they come; only the Answer's text has been held against it,
        and there is no repair round.
        """

    async def list_models(self, seconds: float) -> list[str]:
        """Answer the names of the models the provider has, in its order; raises ProviderError."""

    async def test(self, seconds: float) -> "ProbeResult":
        """Make one real, tiny call; never raises for what a provider does."""

    async def aclose(self) -> None:
        """Close the connections."""


@dataclass(frozen=True, slots=True)
class ProbeResult:
    """How a test call went: `message` in our words, `provider_message` in the provider's, masked and cut."""

    code: ProbeCode
    latency_ms: int
    message: str = ""
    provider_message: str = ""
