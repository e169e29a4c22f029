"""Which models an organisation has for a purpose: its own, else a preset, else the environment's."""

import asyncio
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Protocol
from uuid import UUID

from services.kit.errors import AppError
from services.kit.telemetry import log
from services.llm_gateway.configuration import ModelConfiguration, OrganizationModels, parse
from services.llm_gateway.environment import Candidate, Environment, Route, deployment, from_environment
from services.llm_gateway.model_keys import ModelKeys
from services.llm_gateway.opened import OpenedModels
from services.llm_gateway.presets import COMPATIBLE_INPUT_TOKENS, DEFAULT_INPUT_TOKENS, SOURCES
from services.llm_gateway.prices import context_window
from services.llm_gateway.providers.faults import Fault, ProviderError
from services.llm_gateway.providers.types import Effort, Model, Trust

KEPT_SECONDS = 3.0  # a configuration that is saved is used within this time
LIST_SECONDS = 30.0
_CAPACITY = 2048
_logger = log.get("routing")


class Parameters(Protocol):
    """What organisations have configured."""

    async def code_review(self, organization_id: UUID) -> Mapping[str, Any]:
        """Answer the `code-review` parameter, empty where it is not set. Raises AppError."""


@dataclass(slots=True)
class _Known:
    until: float
    task: "asyncio.Task[Mapping[str, Any]]"
    routes: dict[str, Route] = field(default_factory=dict)


class Routing:
    """Answers the models to ask. Raises AppError where that cannot be told: never another's model instead."""

    def __init__(
        self,
        parameters: Parameters,
        keys: ModelKeys,
        environment: Environment,
        opened: OpenedModels,
        clock: Callable[[], float],
    ) -> None:
        self._parameters = parameters
        self._keys = keys
        self._environment = environment
        self._opened = opened
        self._clock = clock
        self._known: OrderedDict[UUID, _Known] = OrderedDict()
        self._listed: dict[Model, str] = {}

    async def route(self, organization_id: UUID, purpose: str) -> Route:
        """Answer the models for a purpose, in order; none where there is no model."""
        known = self._lookup(organization_id)
        value = await asyncio.shield(known.task)
        if purpose not in known.routes:
            known.routes[purpose] = await self._route(organization_id, purpose, value)
        return known.routes[purpose]

    async def named(self, candidate: Candidate) -> Candidate:
        """Answer the candidate with its model's name; a server that was given without one is asked, once.

        Raises ProviderError.
        """
        if candidate.model.model:
            return candidate
        name = self._listed.get(candidate.model)
        if name is None:
            async with self._opened.using(candidate.model) as opened:
                models = await opened.list_models(LIST_SECONDS)
            if not models:
                raise ProviderError(Fault.NO_MODEL)
            if candidate.model not in self._listed:
                _logger.info("no model is named, the server's first is used", model=models[0], listed=len(models))
            name = self._listed.setdefault(candidate.model, models[0])
        return replace(candidate, model=replace(candidate.model, model=name))

    async def stored(self, organization_id: UUID) -> Mapping[str, Any]:
        """Answer what the organisation has configured about models."""
        value = await asyncio.shield(self._lookup(organization_id).task)
        return {name: value[name] for name in ("byokConfig", "llmProvider") if value.get(name) is not None}

    def _lookup(self, organization_id: UUID) -> _Known:
        known = self._known.get(organization_id)
        failed = known is not None and known.task.done() and known.task.exception() is not None
        if known is None or failed or known.until <= self._clock():
            task = asyncio.create_task(self._read(organization_id))
            known = self._known[organization_id] = _Known(self._clock() + KEPT_SECONDS, task)
            while len(self._known) > _CAPACITY:
                self._known.popitem(last=False)
        self._known.move_to_end(organization_id)
        return known

    async def _read(self, organization_id: UUID) -> Mapping[str, Any]:
        return await self._parameters.code_review(organization_id)

    async def _route(self, organization_id: UUID, purpose: str, value: Mapping[str, Any]) -> Route:
        try:
            wanted = parse({name: value[name] for name in ("byokConfig", "llmProvider") if name in value})
        except AppError as error:
            # Stored by a version that knew other fields. Falling back to another's key would be a surprise.
            fields = ", ".join(violation.field for violation in error.violations)
            return Route(notes=(f"the stored model configuration is not valid any more ({fields}); save it anew",))
        if wanted.byokConfig is not None:
            return await self._own(organization_id, purpose, wanted)
        return from_environment(self._environment, wanted.llmProvider or "")

    async def _own(self, organization_id: UUID, purpose: str, wanted: OrganizationModels) -> Route:
        assert wanted.byokConfig is not None
        order = wanted.byokConfig.order(purpose)
        return Route(tuple([await self._candidate(organization_id, path, model) for path, model in order]))

    async def _candidate(self, organization_id: UUID, path: str, model: ModelConfiguration) -> Candidate:
        key = await self._keys.resolve(organization_id, model)
        return candidate(model, key, f"byokConfig.{path}", model.apiKeyId or f"{organization_id}/{model.baseURL}")


def candidate(configured: ModelConfiguration, key: str | None, origin: str, credential: str) -> Candidate:
    """Answer a model that an organisation has configured as one that can be asked."""
    made = Model(
        provider=configured.provider,
        model=configured.model or deployment(configured.baseURL),
        api_key=key,
        base_url=configured.baseURL,
        temperature=configured.temperature,
        max_input_tokens=configured.maxInputTokens,
        max_output_tokens=configured.maxOutputTokens,
        max_concurrent_requests=configured.maxConcurrentRequests,
        reasoning_effort=Effort(configured.reasoningEffort) if configured.reasoningEffort else None,
        vertex_location=configured.vertexLocation,
        trust=Trust.ORGANIZATION,
    )
    is_own = configured.provider == "openai_compatible"
    prices = "" if configured.baseURL else next((s.prices for s in SOURCES if s.kind == configured.provider), "")
    found = Candidate(made, 0, prices, origin, credential)
    window = context_window(found.listing.listed, made.model) if found.listing.listed else None
    most = COMPATIBLE_INPUT_TOKENS if is_own and window is None else DEFAULT_INPUT_TOKENS
    tokens = configured.maxInputTokens or min(most, window * 3 // 4 if window else most)
    return replace(found, input_tokens=tokens)
