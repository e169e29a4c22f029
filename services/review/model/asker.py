"""What a pass asks of whoever has the model, and what it keeps account of."""

import hashlib
from dataclasses import dataclass, field
from typing import Protocol
from uuid import UUID

from services.kit.errors import AppError
from services.review.domain import ModelUse
from services.review.model.fence import boundary, fenced
from services.review.model.templates import PROMPT_HASH, Instructions


@dataclass(frozen=True, slots=True)
class Described:
    """The model that an organisation has."""

    provider: str
    model: str
    max_input_tokens: int
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Answer:
    """One answer, and what it took."""

    text: str
    provider: str
    model: str
    input_tokens: int
    cached_tokens: int
    output_tokens: int
    reported: bool


class LanguageModels(Protocol):
    """The models behind the mesh. Methods raise AppError."""

    async def describe(self, organization_id: UUID) -> Described | None:
        """Answer the model, None where there is none."""

    async def complete(self, organization_id: UUID, request_id: str, instructions: Instructions, text: str) -> Answer:
        """Answer one completion; `text` is fenced."""


@dataclass(slots=True)
class _Account:
    calls: int = 0
    input_tokens: int = 0
    cached_tokens: int = 0
    output_tokens: int = 0


@dataclass(slots=True)
class Asker:
    """Asks on behalf of one run, and counts; `budget` is the number of calls it may make."""

    models: LanguageModels
    organization_id: UUID
    run: str
    described: Described
    budget: int
    calls: int = 0
    estimated: bool = False
    _accounts: dict[tuple[str, str], _Account] = field(default_factory=dict)

    async def ask(self, instructions: Instructions, step: str, text: str, problem: str = "") -> Answer:
        """Ask about `text`; `problem` says what was wrong with the answer before. Raises AppError, BudgetError."""
        if self.calls >= self.budget:
            raise BudgetError
        self.calls += 1
        digest = hashlib.sha256("\0".join((instructions.hash, text, problem)).encode("utf-8", "replace")).hexdigest()
        prompt = fenced(text, boundary())
        if problem:
            prompt += f"\n\nYour answer before this one could not be used: {problem}. Answer anew, in full."
        try:
            answer = await self.models.complete(
                self.organization_id, f"{self.run}/{step}/{digest[:32]}", instructions, prompt
            )
        except AppError:
            self._account(self.described.provider, self.described.model).calls += 1
            raise
        account = self._account(answer.provider, answer.model)
        account.calls += 1
        account.input_tokens += answer.input_tokens
        account.cached_tokens += answer.cached_tokens
        account.output_tokens += answer.output_tokens
        self.estimated = self.estimated or not answer.reported
        return answer

    def uses(self) -> tuple[ModelUse, ...]:
        """Answer what each model was used for; prices are not known yet."""
        return tuple(
            ModelUse(provider, model, a.calls, a.input_tokens, a.cached_tokens, a.output_tokens, None, PROMPT_HASH)
            for (provider, model), a in self._accounts.items()
        )

    def _account(self, provider: str, model: str) -> _Account:
        return self._accounts.setdefault((provider, model), _Account())


class BudgetError(Exception):
    """The calls that one review may make are used up."""
