"""What a pass asks of whoever has the model, and what it keeps account of."""

import hashlib
import json
from dataclasses import asdict, dataclass, field
from typing import Protocol
from uuid import UUID

from services.kit.errors import AppError, Reason
from services.review.domain import ModelUse, Run
from services.review.model.fence import boundary, fenced
from services.review.model.templates import PROMPT_HASH, Instructions
from services.review.model_port import Checkpoints

# What llm_gateway says once it knows how a call ended; after anything else it may go on there, and cost.
_KNOWN_ENDS = {
    Reason.MODEL_NOT_CONFIGURED,
    Reason.MODEL_REFUSED,
    Reason.MODEL_UNAVAILABLE,
    Reason.MODEL_RATE_LIMITED,
    Reason.BUDGET_SPENT,
    Reason.INVALID_REQUEST,
    Reason.PERMISSION_DENIED,
}


@dataclass(frozen=True, slots=True)
class Described:
    """The model that an organisation has."""

    provider: str
    model: str
    max_input_tokens: int
    notes: tuple[str, ...] = ()
    usd_per_million_tokens: tuple[float, float] | None = None  # sent and received; None: not known


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
    cost_usd: float | None = None  # None: the price is not known
    fallback_reason: str = ""  # why it is not the first choice that answered
    stored: bool = False  # the gateway had the answer: an earlier call of ours was paid for


class LanguageModels(Protocol):
    """The models behind the mesh. Methods raise AppError."""

    async def describe(self, organization_id: UUID) -> Described | None:
        """Answer the model, None where there is none."""

    async def complete(self, run: Run, request_id: str, instructions: Instructions, text: str, question: str) -> Answer:
        """Answer one completion on account of a run; `text` is fenced, `question` names it without what is random."""


@dataclass(slots=True)
class _Account:
    calls: int = 0
    in_doubt: int = 0
    input_tokens: int = 0
    cached_tokens: int = 0
    output_tokens: int = 0
    cost_usd: float | None = 0.0


@dataclass(slots=True)
class Asker:
    """Asks on behalf of one run, and counts; `budget` is the number of calls it may make.

    A call that is recorded is not made again, but counts: the receipt tells what the run took, whoever carried it.
    """

    models: LanguageModels
    checkpoints: Checkpoints
    run: Run
    described: Described
    budget: int
    calls: int = 0
    estimated: bool = False
    fallbacks: set[str] = field(default_factory=set)
    _accounts: dict[tuple[str, str], _Account] = field(default_factory=dict)

    async def ask(self, instructions: Instructions, step: str, text: str, problem: str = "") -> Answer:
        """Ask about `text`; `problem` says what was wrong with the answer before.

        Raises AppError, BudgetError, CheckpointError.
        """
        if self.calls >= self.budget:
            raise BudgetError
        self.calls += 1
        # Nothing random goes into it: the border of the data, which is, is drawn anew for each call.
        digest = hashlib.sha256("\0".join((instructions.hash, text, problem)).encode("utf-8", "replace")).hexdigest()
        begun = await self.checkpoints.begin(self.run, f"model/{step}", digest)
        if begun.in_doubt:
            self.calls += begun.in_doubt
            account = self._account(self.described.provider, self.described.model)
            account.calls += begun.in_doubt
            account.in_doubt += begun.in_doubt
        if begun.result is not None:
            answer = Answer(**json.loads(begun.result))
        else:
            answer = await self._complete(instructions, step, digest, text, problem)
            await self.checkpoints.finish(self.run, f"model/{step}", digest, json.dumps(asdict(answer)).encode())
        if answer.stored and begun.in_doubt:  # one of them had its end after all: this one
            doubtful = self._account(self.described.provider, self.described.model)
            doubtful.calls -= 1
            doubtful.in_doubt -= 1
        account = self._account(answer.provider, answer.model)
        account.calls += 1
        known = account.cost_usd is not None and answer.cost_usd is not None
        account.cost_usd = (account.cost_usd or 0) + (answer.cost_usd or 0) if known else None
        if answer.fallback_reason:
            self.fallbacks.add(f"{answer.model} of {answer.provider} answered instead. {answer.fallback_reason}")
        account.input_tokens += answer.input_tokens
        account.cached_tokens += answer.cached_tokens
        account.output_tokens += answer.output_tokens
        self.estimated = self.estimated or not answer.reported
        return answer

    async def _complete(self, instructions: Instructions, step: str, digest: str, text: str, problem: str) -> Answer:
        prompt = fenced(text, boundary())
        if problem:
            prompt += f"\n\nYour answer before this one could not be used: {problem}. Answer anew, in full."
        name = f"{self.run.id}/{step}/{digest[:32]}"
        try:
            return await self.models.complete(self.run, name, instructions, prompt, digest)
        except BaseException as error:  # also when it takes too long for us
            reason = error.reason if isinstance(error, AppError) else None
            if reason is not Reason.BUDGET_SPENT:  # which is said before any call is made
                self._account(self.described.provider, self.described.model).calls += 1
            if reason in _KNOWN_ENDS:
                await self.checkpoints.give_up(self.run, f"model/{step}", digest)
            raise

    def in_doubt(self) -> int:
        """Answer how many calls have no known end."""
        return sum(account.in_doubt for account in self._accounts.values())

    def uses(self) -> tuple[ModelUse, ...]:
        """Answer what each model was used for; one that was named and in the end did nothing is left out."""
        return tuple(
            ModelUse(
                provider,
                model,
                a.calls,
                a.input_tokens,
                a.cached_tokens,
                a.output_tokens,
                a.cost_usd if a.input_tokens else None,
                PROMPT_HASH,
                in_doubt_calls=a.in_doubt,
            )
            for (provider, model), a in self._accounts.items()
            if a.calls
        )

    def _account(self, provider: str, model: str) -> _Account:
        return self._accounts.setdefault((provider, model), _Account())


class BudgetError(Exception):
    """The calls that one review may make are used up."""
