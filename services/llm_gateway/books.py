"""What is written down of a completion: its reservation before, what came of it after, and answers given again."""

import asyncio
import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cached_property
from uuid import UUID

from services.kit.crypto import SealedSecretError, Vault
from services.kit.errors import AppError, Reason
from services.kit.ids import new_id
from services.kit.tokens import estimate
from services.llm_gateway.accounting import Busy, Purpose, Reservation, Settlement, Spent, Stored
from services.llm_gateway.asking import Tally
from services.llm_gateway.counting import Ratios
from services.llm_gateway.environment import Candidate
from services.llm_gateway.failures import budget_error
from services.llm_gateway.ledger import Ledger
from services.llm_gateway.prices import Prices
from services.llm_gateway.providers.faults import Fault, ProviderError
from services.llm_gateway.providers.types import Answer
from services.llm_gateway.providers.usage import Usage

LEASE_SLACK = 30.0  # seconds beyond the deadline, after which a call that nobody settled is taken for lost
_POLL_SECONDS = (0.1, 0.2, 0.5, 1.0)
_OVERHEAD_TOKENS = 200  # of roles and schema


@dataclass(frozen=True)
class Prompt:
    """One completion to ask for; `input` is untrusted, fenced by the caller. An empty schema asks for text."""

    instructions: str = field(repr=False)
    input: str = field(repr=False)
    json_schema: str
    max_output_tokens: int

    @cached_property
    def guess(self) -> int:
        """Tokens of all that is sent, estimated for no model in particular; counted once, as it takes a while."""
        return estimate(self.instructions) + estimate(self.input) + estimate(self.json_schema)


@dataclass(frozen=True, slots=True)
class Completed:
    """A whole answer, and what it took. `cost_micros` is None where a price is not known."""

    text: str = field(repr=False)
    provider: str
    model: str
    usage: Usage
    cost_micros: int | None
    attempts: int = 1
    fallback_reason: str = ""
    is_stored: bool = False


@dataclass(slots=True)
class Work:
    """One call on its way."""

    reservation: Reservation
    tally: Tally = field(default_factory=Tally)
    received: int = 0
    began: float = field(default_factory=lambda: asyncio.get_running_loop().time())

    @property
    def latency_ms(self) -> int:
        """How long it has taken so far."""
        return int((asyncio.get_running_loop().time() - self.began) * 1000)


class Books:
    """The books of one process. `seconds` bound a call; `cache_for` is how long an answer to a question holds."""

    def __init__(
        self,
        ledger: Ledger,
        vault: Vault,
        prices: Prices,
        *,
        seconds: float,
        cache_for: timedelta = timedelta(0),
        ids: Callable[[], UUID] = new_id,
    ) -> None:
        self._ledger = ledger
        self._vault = vault
        self._prices = prices
        self._seconds = seconds
        self._cache_for = cache_for
        self._ids = ids
        self._ratios = Ratios()

    async def known(self, purpose: Purpose, question: bytes | None) -> Completed | None:
        """Answer what the same question was answered with lately; None where it is to be asked anew."""
        found = await self._ledger.find(purpose, question, self._cache_for) if question is not None else None
        try:
            return None if found is None else self._again(purpose, found)
        except SealedSecretError:
            return None

    async def begin(self, reservation: Reservation) -> Completed | None:
        """Claim a call, or answer what it answered before; waits for whoever is making it in another process."""
        while (stored := await self._claim(reservation)) is not None:
            try:
                return self._again(reservation.purpose, stored)
            except SealedSecretError:  # its key is gone: it is asked for, and paid, anew
                await self._ledger.forget(reservation.purpose.organization_id, stored.id)
        return None

    def question(self, candidates: tuple[Candidate, ...], prompt: Prompt, cache_key: str) -> bytes | None:
        """Answer what makes two questions the same: what is asked, by which instructions, of which model."""
        if not cache_key or not self._cache_for:
            return None
        model = candidates[0].model
        parts = (
            *(candidates[0].name, model.base_url, str(model.temperature), str(model.reasoning_effort)),
            *(prompt.instructions, prompt.json_schema, str(prompt.max_output_tokens), cache_key),
        )
        return hashlib.sha256("\0".join(parts).encode("utf-8", "replace")).digest()

    def reservation(
        self, purpose: Purpose, request_id: str, candidate: Candidate, prompt: Prompt, question: bytes | None
    ) -> Reservation:
        """Answer what to set aside for a call: the prompt, and the longest answer it may give, at list price."""
        sent = self._ratios.tokens(candidate.name, prompt.guess) + _OVERHEAD_TOKENS
        prices, listing = self._prices, candidate.listing
        return Reservation(
            id=self._ids(),
            request_id=request_id,
            purpose=purpose,
            charged_micros=prices.estimate(listing, Usage(input=sent, output=prompt.max_output_tokens)),
            in_doubt_micros=prices.estimate(listing, Usage(input=sent)),
            seconds=self._seconds + LEASE_SLACK,
            cache_key=question,
        )

    async def _claim(self, reservation: Reservation) -> Stored | None:
        """Claim a call, or answer what it answered before; waits for whoever is making it in another process."""
        until = asyncio.get_running_loop().time() + self._seconds
        polls = 0
        while True:
            found = await self._ledger.claim(reservation)
            if isinstance(found, Stored):
                return found
            if isinstance(found, Spent):
                raise budget_error(found, found.standing.renew_time - datetime.now(UTC))
            if not isinstance(found, Busy):
                return None
            if asyncio.get_running_loop().time() > until:
                raise AppError(Reason.MODEL_UNAVAILABLE, "The same call is still being made elsewhere.")
            await asyncio.sleep(_POLL_SECONDS[min(polls, len(_POLL_SECONDS) - 1)])
            polls += 1

    def _again(self, purpose: Purpose, stored: Stored) -> Completed:
        text = self._vault.decrypt(stored.answer, purpose.organization_id, _field(stored.id))
        return Completed(
            text,
            stored.provider,
            stored.model,
            stored.usage,
            stored.cost_micros,
            stored.attempts,
            stored.fallback_reason,
            is_stored=True,
        )

    async def answered(self, work: Work, candidate: Candidate, answer: Answer) -> Completed:
        """Settle a call that was answered."""
        tally, reservation = work.tally, work.reservation
        model = answer.model or candidate.model.model
        organization_id = reservation.purpose.organization_id
        sealed = self._vault.encrypt(answer.text, organization_id, _field(reservation.id))
        await self._ledger.settle(
            Settlement(
                reservation.id,
                organization_id,
                True,
                "ok",
                candidate.model.provider,
                model,
                tally.usage,
                tally.cost_micros,
                tally.charged_micros,
                work.latency_ms,
                tally.attempts,
                tally.fallback_reason,
                sealed,
            )
        )
        return Completed(
            answer.text,
            candidate.model.provider,
            model,
            tally.usage,
            tally.cost_micros,
            tally.attempts,
            tally.fallback_reason,
        )

    async def failed(self, work: Work, fault: Fault | None) -> None:
        """Settle a call that came to nothing; one whose fate nobody knows keeps what it may have cost."""
        tally, reservation = work.tally, work.reservation
        asked = tally.asked
        in_doubt = tally.attempts > 0 and (fault is None or ProviderError(fault).meaning.in_doubt)
        charged = max(tally.charged_micros, reservation.in_doubt_micros if in_doubt else 0)
        await self._ledger.settle(
            Settlement(
                reservation.id,
                reservation.purpose.organization_id,
                False,
                fault.value if fault is not None else "cancelled",
                asked.model.provider if asked else "",
                asked.model.model if asked else "",
                tally.usage,
                tally.cost_micros,
                charged,
                work.latency_ms,
                tally.attempts,
            )
        )

    def learn(self, candidate: Candidate, prompt: Prompt, answer: Answer) -> None:
        """Note what the provider counted."""
        if answer.usage.reported and answer.calls == 1:
            self._ratios.learn(candidate.name, prompt.guess, answer.usage.input)

    def broken_off(self, work: Work, candidate: Candidate, prompt: Prompt) -> None:
        """Count what a stream took whose reader went away: nobody tells, so it is estimated."""
        if work.tally.attempts and not work.tally.usage.input:
            sent = self._ratios.tokens(candidate.name, prompt.guess)
            usage = Usage(input=sent, output=work.received // 4, reported=False)
            work.tally.add(self._prices, work.tally.asked or candidate, usage)


def _field(call_id: UUID) -> str:
    return f"llm_gateway.calls/{call_id}/answer"
