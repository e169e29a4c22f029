"""Use cases around completions: one answer for each request id, paid for once, within a deadline and the budgets."""

import asyncio
import hashlib
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import aclosing
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from services.kit.crypto import SealedSecretError, Vault
from services.kit.errors import AppError, Reason
from services.kit.ids import new_id
from services.kit.telemetry import log
from services.llm_gateway.accounting import Busy, Purpose, Reservation, Settlement, Spent, Stored
from services.llm_gateway.asking import Asker, NoAnswerError, Tally
from services.llm_gateway.counting import Ratios
from services.llm_gateway.environment import Candidate, Route
from services.llm_gateway.failures import budget_error, describe, to_app_error
from services.llm_gateway.ledger import Ledger
from services.llm_gateway.prices import Price
from services.llm_gateway.providers.faults import Fault, ProviderError
from services.llm_gateway.providers.types import Answer, Piece, Request
from services.llm_gateway.providers.usage import Usage
from services.llm_gateway.routing import Routing

LEASE_SLACK = 30.0  # seconds beyond the deadline, after which a call that nobody settled is taken for lost
_POLL_SECONDS = (0.1, 0.2, 0.5, 1.0)
_OVERHEAD_TOKENS = 200  # of roles and schema
_logger = log.get("completions")


@dataclass(frozen=True, slots=True)
class Prompt:
    """One completion to ask for; `input` is untrusted, fenced by the caller. An empty schema asks for text."""

    instructions: str = field(repr=False)
    input: str = field(repr=False)
    json_schema: str
    max_output_tokens: int


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


@dataclass(frozen=True, slots=True)
class Described:
    """The model that would be used, None for none, and what should be known about that."""

    candidate: Candidate | None
    price: Price | None
    fallbacks: tuple[str, ...]
    notes: tuple[str, ...]


class Completions:
    """Completions with the models of each organisation. Methods raise AppError: MODEL_*, BUDGET_SPENT, UNAVAILABLE.

    `seconds` bound one completion with all its repetitions; answers are given again for `keep`, those to the same
    question for `cache_for`, zero for never.
    """

    def __init__(
        self,
        routing: Routing,
        asker: Asker,
        ledger: Ledger,
        vault: Vault,
        *,
        seconds: float,
        cache_for: timedelta = timedelta(0),
        ids: Callable[[], UUID] = new_id,
    ) -> None:
        self._routing = routing
        self._asker = asker
        self._ledger = ledger
        self._vault = vault
        self._seconds = seconds
        self._cache_for = cache_for
        self._ids = ids
        self._ratios = Ratios()
        self._under_way: dict[tuple[UUID, str], asyncio.Task[Completed]] = {}

    async def aclose(self) -> None:
        """End the calls that nobody waits for any more."""
        tasks = list(self._under_way.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def describe(self, organization_id: UUID, purpose: str) -> Described:
        """Answer the model; a server that was given without one is asked for its list, once."""
        route = await self._routing.route(organization_id, purpose)
        if not route.candidates:
            return Described(None, None, (), route.notes)
        first = route.candidates[0]
        try:
            first = await self._routing.named(first)
        except ProviderError as error:
            _logger.warning("no model", fault=error.fault.value, status=error.status)
            raise to_app_error(error, first) from None
        price = self._asker.prices.find(first.listing)
        return Described(first, price, tuple(c.name for c in route.candidates[1:]), route.notes)

    async def complete(self, purpose: Purpose, request_id: str, prompt: Prompt, cache_key: str = "") -> Completed:
        """Answer one completion. Whoever asks with the same request id, now or later, gets the same answer."""
        key = purpose.organization_id, request_id
        task = self._under_way.get(key)
        joined = task is not None
        if task is None:
            # A task of its own: a caller that gives up does not take the answer, which is being paid for, from itself
            # when it asks again.
            task = self._start(key, self._complete(purpose, request_id, prompt, cache_key))
        try:
            found = await asyncio.shield(task)
        except asyncio.CancelledError:
            if task.cancelled() and joined:
                raise AppError(Reason.MODEL_UNAVAILABLE, "The call was broken off.") from None
            raise
        return replace(found, is_stored=True) if joined else found

    def _start(self, key: tuple[UUID, str], work: Coroutine[Any, Any, Completed]) -> "asyncio.Task[Completed]":
        task = self._under_way[key] = asyncio.create_task(work)

        def ended(done: "asyncio.Task[Completed]") -> None:
            if self._under_way.get(key) is done:
                del self._under_way[key]
            if not done.cancelled():
                done.exception()  # has been raised in those who waited, and nobody may be left

        task.add_done_callback(ended)
        return task

    async def _complete(self, purpose: Purpose, request_id: str, prompt: Prompt, cache_key: str) -> Completed:
        candidates = await self._candidates(purpose)
        request = self._request(prompt)
        question = self._question(candidates, prompt, cache_key)
        if question is not None and (found := await self._ledger.find(purpose, question, self._cache_for)):
            return self._again(purpose, found)
        reservation = self._reservation(purpose, request_id, candidates[0], prompt, question)
        if (stored := await self._claim(reservation)) is not None:
            return self._again(purpose, stored)
        work = _Work(reservation)
        try:
            async with asyncio.timeout(self._seconds):
                candidates = await self._first_named(candidates)
                candidate, answer = await self._asker.complete(candidates, request, purpose, work.tally)
        except NoAnswerError as error:
            await self._failed(work, error.first.fault)
            raise self._told(request_id, error) from None
        except TimeoutError:
            await self._failed(work, Fault.TIMEOUT)
            raise to_app_error(ProviderError(Fault.TIMEOUT), candidates[0]) from None
        except ProviderError as error:
            await self._failed(work, error.fault)
            raise to_app_error(error, candidates[0]) from None
        except BaseException:
            await asyncio.shield(self._failed(work, None))
            raise
        self._learn(candidate, prompt, answer)
        return await self._answered(work, candidate, answer)

    async def stream(self, purpose: Purpose, request_id: str, prompt: Prompt) -> AsyncIterator[str | Completed]:
        """Yield pieces of text as they come, and at last the whole. Closing it ends the provider's stream."""
        candidates = await self._candidates(purpose)
        reservation = self._reservation(purpose, request_id, candidates[0], prompt, None)
        if (stored := await self._claim(reservation)) is not None:
            again = self._again(purpose, stored)
            yield again.text
            yield again
            return
        work = _Work(reservation)
        final: tuple[Candidate, Answer] | None = None
        is_settled = False
        try:
            candidates = await self._first_named(candidates)
            request = self._request(prompt)
            async with aclosing(self._asker.stream(candidates, request, purpose, work.tally)) as pieces:  # type: ignore[type-var]
                async for candidate, piece in pieces:
                    if isinstance(piece, Piece):
                        work.received += len(piece.text)
                        yield piece.text
                        continue
                    self._learn(candidate, prompt, piece)
                    # Settled when the asker has counted what the answer took, at the end of its own block.
                    final = candidate, piece
            if final is None:
                raise ProviderError(Fault.NO_FINISH)
            done = await self._answered(work, *final)
            is_settled = True
            yield done
        except NoAnswerError as error:
            is_settled = True
            await self._failed(work, error.first.fault)
            raise self._told(request_id, error) from None
        except ProviderError as error:
            is_settled = True
            await self._failed(work, error.fault)
            raise to_app_error(error, candidates[0]) from None
        finally:
            if not is_settled:
                self._broken_off(work, candidates[0], prompt)
                await asyncio.shield(self._failed(work, None))

    def _broken_off(self, work: "_Work", candidate: Candidate, prompt: Prompt) -> None:
        """Count what a stream took whose caller went away: nobody tells, so it is estimated."""
        if work.tally.attempts and not work.tally.usage.input:
            sent = self._ratios.tokens(candidate.name, prompt.instructions + prompt.input)
            usage = Usage(input=sent, output=work.received // 4, reported=False)
            work.tally.add(self._asker.prices, work.tally.asked or candidate, usage)

    async def _candidates(self, purpose: Purpose) -> tuple[Candidate, ...]:
        route: Route = await self._routing.route(purpose.organization_id, purpose.purpose)
        if not route.candidates:
            why = f" ({'; '.join(route.notes)})" if route.notes else ""
            raise AppError(
                Reason.MODEL_NOT_CONFIGURED,
                f"No model is configured{why}. Set byokConfig of the organisation, or a key such as "
                "API_OPEN_AI_API_KEY, or API_OPENAI_FORCE_BASE_URL for a server of your own.",
            )
        return route.candidates

    async def _first_named(self, candidates: tuple[Candidate, ...]) -> tuple[Candidate, ...]:
        """Give the first candidate its name; where its server does not tell, the others are still there."""
        if all(each.model.model for each in candidates):
            return candidates
        named: list[Candidate] = []
        failure: ProviderError | None = None
        for each in candidates:
            try:
                named.append(await self._routing.named(each))
            except ProviderError as error:
                _logger.warning("no model", failure=describe(error, each))
                failure = failure or error
        if not named and failure is not None:
            raise failure
        return tuple(named)

    def _request(self, prompt: Prompt) -> Request:
        return Request(
            prompt.instructions,
            prompt.input,
            prompt.max_output_tokens,
            self._seconds,
            prompt.json_schema or None,
            checked=False,  # the callers read tolerantly, repair by themselves, and count that
        )

    def _question(self, candidates: tuple[Candidate, ...], prompt: Prompt, cache_key: str) -> bytes | None:
        """Answer what makes two questions the same: what is asked, by which instructions, of which model."""
        if not cache_key or not self._cache_for:
            return None
        model = candidates[0].model
        parts = (
            *(candidates[0].name, model.base_url, str(model.temperature), str(model.reasoning_effort)),
            *(prompt.instructions, prompt.json_schema, str(prompt.max_output_tokens), cache_key),
        )
        return hashlib.sha256("\0".join(parts).encode("utf-8", "replace")).digest()

    def _reservation(
        self, purpose: Purpose, request_id: str, candidate: Candidate, prompt: Prompt, question: bytes | None
    ) -> Reservation:
        sent = self._ratios.tokens(candidate.name, prompt.instructions + prompt.input + prompt.json_schema)
        sent += _OVERHEAD_TOKENS
        prices, listing = self._asker.prices, candidate.listing
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
        try:
            text = self._vault.decrypt(stored.answer, purpose.organization_id, _field(stored.id))
        except SealedSecretError:
            raise AppError(Reason.UNAVAILABLE, "The stored answer cannot be read any more.") from None
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

    async def _answered(self, work: "_Work", candidate: Candidate, answer: Answer) -> Completed:
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

    async def _failed(self, work: "_Work", fault: Fault | None) -> None:
        """Settle a call that came to nothing; one whose fate nobody knows keeps what it may have cost."""
        tally, reservation = work.tally, work.reservation
        asked = tally.asked
        in_doubt = fault is not None and ProviderError(fault).meaning.in_doubt and tally.attempts > 0
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

    def _told(self, request_id: str, error: NoAnswerError) -> AppError:
        _logger.warning(
            "no completion",
            call=request_id,
            fault=error.first.fault.value,
            status=error.first.status,
            others=error.others,
        )
        return to_app_error(error.first, error.candidate, error.others)

    def _learn(self, candidate: Candidate, prompt: Prompt, answer: Answer) -> None:
        if answer.usage.reported and answer.calls == 1:
            text = prompt.instructions + prompt.input + prompt.json_schema
            self._ratios.learn(candidate.name, text, answer.usage.input)


@dataclass(slots=True)
class _Work:
    """One call on its way."""

    reservation: Reservation
    tally: Tally = field(default_factory=Tally)
    received: int = 0
    began: float = field(default_factory=lambda: asyncio.get_running_loop().time())

    @property
    def latency_ms(self) -> int:
        """How long it has taken so far."""
        return int((asyncio.get_running_loop().time() - self.began) * 1000)


def _field(call_id: UUID) -> str:
    return f"llm_gateway.calls/{call_id}/answer"
