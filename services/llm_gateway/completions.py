"""Use cases around completions: one answer for each request id, paid for once, within a deadline and the budgets."""

import asyncio
from collections.abc import AsyncIterator, Coroutine
from contextlib import aclosing
from dataclasses import dataclass, replace
from typing import Any
from uuid import UUID

from services.kit.errors import AppError, Reason
from services.kit.telemetry import log
from services.llm_gateway.accounting import Purpose
from services.llm_gateway.asking import Asker, NoAnswerError
from services.llm_gateway.books import Books, Completed, Prompt, Work
from services.llm_gateway.environment import Candidate, Route
from services.llm_gateway.failures import describe, to_app_error
from services.llm_gateway.prices import Price
from services.llm_gateway.providers.faults import Fault, ProviderError
from services.llm_gateway.providers.types import Answer, Piece, Request
from services.llm_gateway.routing import Routing

_logger = log.get("completions")


@dataclass(frozen=True, slots=True)
class Described:
    """The model that would be used, None for none, and what should be known about that."""

    candidate: Candidate | None
    price: Price | None
    fallbacks: tuple[str, ...]
    notes: tuple[str, ...]


class Completions:
    """Completions with the models of each organisation. Methods raise AppError: MODEL_*, BUDGET_SPENT, UNAVAILABLE.

    `seconds` bound one completion with all its repetitions.
    """

    def __init__(self, routing: Routing, asker: Asker, books: Books, *, seconds: float) -> None:
        self._routing = routing
        self._asker = asker
        self._books = books
        self._seconds = seconds
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
        question = self._books.question(candidates, prompt, cache_key)
        if (known := await self._books.known(purpose, question)) is not None:
            return known
        reservation = self._books.reservation(purpose, request_id, candidates[0], prompt, question)
        if (stored := await self._books.begin(reservation)) is not None:
            return stored
        work = Work(reservation)
        try:
            async with asyncio.timeout(self._seconds):
                candidates = await self._first_named(candidates)
                candidate, answer = await self._asker.complete(candidates, request, purpose, work.tally)
        except NoAnswerError as error:
            await self._books.failed(work, error.first.fault)
            raise self._told(request_id, error) from None
        except TimeoutError:
            await self._books.failed(work, Fault.TIMEOUT)
            raise to_app_error(ProviderError(Fault.TIMEOUT), candidates[0]) from None
        except ProviderError as error:
            await self._books.failed(work, error.fault)
            raise to_app_error(error, candidates[0]) from None
        except BaseException:
            await asyncio.shield(self._books.failed(work, None))
            raise
        self._books.learn(candidate, prompt, answer)
        return await self._books.answered(work, candidate, answer)

    async def stream(self, purpose: Purpose, request_id: str, prompt: Prompt) -> AsyncIterator[str | Completed]:
        """Yield pieces of text as they come, and at last the whole. Closing it ends the provider's stream."""
        candidates = await self._candidates(purpose)
        reservation = self._books.reservation(purpose, request_id, candidates[0], prompt, None)
        if (stored := await self._books.begin(reservation)) is not None:
            yield stored.text
            yield stored
            return
        work = Work(reservation)
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
                    self._books.learn(candidate, prompt, piece)
                    # Settled when the asker has counted what the answer took, at the end of its own block.
                    final = candidate, piece
            if final is None:
                raise ProviderError(Fault.NO_FINISH)
            done = await self._books.answered(work, *final)
            is_settled = True
            yield done
        except NoAnswerError as error:
            is_settled = True
            await self._books.failed(work, error.first.fault)
            raise self._told(request_id, error) from None
        except ProviderError as error:
            is_settled = True
            await self._books.failed(work, error.fault)
            raise to_app_error(error, candidates[0]) from None
        finally:
            if not is_settled:
                self._books.broken_off(work, candidates[0], prompt)
                await asyncio.shield(self._books.failed(work, None))

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

    def _told(self, request_id: str, error: NoAnswerError) -> AppError:
        _logger.warning(
            "no completion",
            call=request_id,
            fault=error.first.fault.value,
            status=error.first.status,
            others=error.others,
        )
        return to_app_error(error.first, error.candidate, error.others)
