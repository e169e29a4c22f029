"""What the use cases ask of a provider."""

from typing import Protocol

from services.llm_gateway.domain import Completion, Prompt


class Provider(Protocol):
    """One provider with one credential. Methods raise ProviderError."""

    async def list_models(self) -> list[str]:
        """Answer the names of the models the server has, in its order."""

    async def complete(self, model: str, prompt: Prompt) -> Completion:
        """Ask once for one answer; no retry of any kind but to leave out what the server does not know."""

    async def aclose(self) -> None:
        """Close the connections."""
