"""Use cases around the models that can be chosen."""

from dataclasses import dataclass

from services.llm_gateway.domain import KINDS, ProviderKind


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
