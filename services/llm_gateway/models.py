"""Use cases around the models that can be chosen: which there are, and whether one answers."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from services.kit.errors import AppError, Reason, Violation
from services.kit.redact import mask
from services.llm_gateway.configuration import parse
from services.llm_gateway.domain import KINDS as PROVIDER_KINDS
from services.llm_gateway.domain import ProviderKind
from services.llm_gateway.environment import Candidate, Environment, from_environment
from services.llm_gateway.failures import describe
from services.llm_gateway.model_keys import ModelKeys
from services.llm_gateway.opened import OpenedModels
from services.llm_gateway.presets import PRESETS, SOURCES
from services.llm_gateway.prices import Listing, Price, Prices
from services.llm_gateway.providers.faults import Fault, ProbeCode, ProviderError
from services.llm_gateway.providers.port import ProbeResult
from services.llm_gateway.routing import Routing, candidate

LIST_SECONDS = 15.0
TEST_SECONDS = 20.0
_PURPOSE = "review"
_FIELD = "byokConfig.main."


@dataclass(frozen=True, slots=True)
class Provider:
    """A kind of provider as this installation has it."""

    kind: ProviderKind
    is_configured: bool


@dataclass(frozen=True, slots=True)
class ListedModel:
    """A model that can be chosen."""

    id: str
    preset: str
    is_listed: bool
    price: Price | None


class Models:
    """The models of this installation and of each organisation."""

    def __init__(
        self, environment: Environment, routing: Routing, keys: ModelKeys, opened: OpenedModels, prices: Prices
    ) -> None:
        self._environment = environment
        self._routing = routing
        self._keys = keys
        self._opened = opened
        self._prices = prices

    def list_providers(self) -> list[Provider]:
        """Answer every kind in the order of the table."""
        given = frozenset(self._environment.keys)
        if self._environment.base_url:
            given |= {"API_OPENAI_FORCE_BASE_URL"}
        return [Provider(kind, kind.is_configured(given)) for kind in PROVIDER_KINDS]

    async def list_models(self, organization_id: UUID, provider: str) -> tuple[list[ListedModel], str]:
        """Answer the models of a provider, and why it could not be asked itself. Raises AppError(INVALID_REQUEST)."""
        kinds = {kind.id for kind in PROVIDER_KINDS}
        route = await self._routing.route(organization_id, _PURPOSE)
        if provider and provider not in kinds:
            raise AppError(
                Reason.INVALID_REQUEST,
                violations=[Violation("provider", f"must be one of {', '.join(sorted(kinds))}")],
            )
        provider = provider or (route.candidates[0].model.provider if route.candidates else "openai")
        known = {p.model: p.name for p in PRESETS.values() if p.source.kind == provider}
        asked = next((c for c in route.candidates if c.model.provider == provider), None) or self._own(provider)
        if asked is None:
            return self._listed(provider, list(known), known, is_listed=False), "no key of this provider is configured"
        try:
            async with self._opened.using(asked.model) as opened:
                names = await opened.list_models(LIST_SECONDS)
        except ProviderError as error:
            return self._listed(provider, list(known), known, is_listed=False), describe(error, asked)
        return self._listed(provider, names, known, is_listed=True, asked=asked), ""

    async def test(self, organization_id: UUID, wanted: Mapping[str, Any]) -> ProbeResult:
        """Make one real call with a Model of `byokConfig`. Raises AppError(INVALID_REQUEST) for one that is none."""
        try:
            configured = parse({"byokConfig": {"main": wanted}}).byokConfig
        except AppError as error:
            violations = [Violation(v.field.removeprefix(_FIELD), v.description) for v in error.violations]
            raise AppError(Reason.INVALID_REQUEST, violations=violations) from None
        assert configured is not None
        try:
            key = await self._keys.offered(
                organization_id, configured.main, await self._routing.stored(organization_id)
            )
        except ValueError as error:
            # Of the key or of the address; what an address that may not be called answers is not looked at.
            return ProbeResult(ProbeCode.BAD_REQUEST, 0, str(error))
        made = candidate(configured.main, key, "byokConfig", "test")
        try:
            async with asyncio.timeout(TEST_SECONDS + 5), self._opened.using(made.model) as opened:
                found = await opened.test(TEST_SECONDS)
        except ProviderError as error:
            return ProbeResult(error.meaning.code, 0, error.meaning.words, mask(error.words))
        except TimeoutError:
            late = ProviderError(Fault.TIMEOUT)
            return ProbeResult(late.meaning.code, int(TEST_SECONDS * 1000), late.meaning.words)
        return found

    def _own(self, provider: str) -> Candidate | None:
        """A model of the environment by which a provider can be asked."""
        for source in SOURCES:
            if source.kind == provider and self._environment.has(source):
                found = from_environment(self._environment, f"{source.word}:{source.default}").candidates
                return found[0] if found and found[0].model.provider == provider else None
        return None

    def _listed(
        self,
        provider: str,
        names: list[str],
        known: Mapping[str, str],
        *,
        is_listed: bool,
        asked: Candidate | None = None,
    ) -> list[ListedModel]:
        word = next((s.word for s in SOURCES if s.kind == provider), "")
        prices = next((s.prices for s in SOURCES if s.kind == provider), "")
        listed = asked.listing.listed if asked else prices
        return [
            ListedModel(
                name,
                known.get(name, f"{word}:{name}" if word else ""),
                is_listed,
                self._prices.find(Listing(provider, listed, name)),
            )
            for name in names
        ]
