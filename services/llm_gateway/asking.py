"""Asks the models of a route until one answers: again where that may help, the next one where it may not."""

import asyncio
import random
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass, field, replace

from services.kit.telemetry import log
from services.llm_gateway import genai_spans
from services.llm_gateway.accounting import Purpose
from services.llm_gateway.breaker import OPEN_SECONDS, Circuits
from services.llm_gateway.environment import Candidate
from services.llm_gateway.failures import BREAKS, describe
from services.llm_gateway.opened import OpenedModels
from services.llm_gateway.prices import Prices
from services.llm_gateway.providers.faults import Fault, ProviderError
from services.llm_gateway.providers.types import Answer, Piece, Request
from services.llm_gateway.providers.usage import Usage

ATTEMPTS = 3  # of one model
SHARE = 0.6  # of the time that is left, for a model that others come after
MAX_PAUSE, MAX_PAUSE_WITH_OTHERS = 20.0, 5.0  # seconds; who is asked to wait longer asks another, or tells the caller
MAX_OUTPUT_TOKENS = 32_000
_CREDENTIAL_SECONDS = 60.0  # no call with a key that was refused
_BACK_OFF, _MAX_BACK_OFF = 0.5, 8.0
_logger = log.get("asking")


@dataclass(slots=True)
class Tally:
    """What was asked and paid for one completion so far."""

    attempts: int = 0
    usage: Usage = field(default_factory=Usage)
    cost_micros: int | None = 0  # None once a price is not known
    charged_micros: int = 0
    fallback_reason: str = ""
    asked: Candidate | None = None

    def add(self, prices: Prices, candidate: Candidate, usage: Usage) -> None:
        """Count the tokens of one call."""
        if usage.input or usage.output:
            self.usage = self.usage + usage if self.usage.input or self.usage.output else usage
            cost = prices.micros(candidate.listing, usage)
            self.cost_micros = None if cost is None or self.cost_micros is None else self.cost_micros + cost
            self.charged_micros += prices.charge(candidate.listing, usage) if cost is None else cost


class NoAnswerError(Exception):
    """No model of the route answered; `first` is what the first choice said, `others` what those after it said."""

    def __init__(self, candidate: Candidate, first: ProviderError, others: str) -> None:
        super().__init__(str(first))
        self.candidate = candidate
        self.first = first
        self.others = others


class Asker:
    """Retries, circuits, limits and fallback above the providers; one for the process."""

    def __init__(
        self,
        opened: OpenedModels,
        circuits: Circuits,
        prices: Prices,
        *,
        back_off: float = _BACK_OFF,
        jitter: Callable[[], float] = random.random,
    ) -> None:
        self.opened = opened
        self.prices = prices
        self._circuits = circuits
        self._back_off = back_off
        self._jitter = jitter

    async def complete(
        self, candidates: Sequence[Candidate], request: Request, purpose: Purpose, tally: Tally
    ) -> tuple[Candidate, Answer]:
        """Answer the first whole answer, and whose it is; raises NoAnswerError within `request.seconds`."""
        failed = _Failed()
        until = _now() + request.seconds
        for index, candidate in enumerate(candidates):
            try:
                answer = await self._patiently(
                    candidate, request, purpose, tally, until, others=len(candidates) - index - 1
                )
            except ProviderError as error:
                failed.add(candidate, error)
                if not error.meaning.falls_back or until - _now() <= 0:
                    break
                continue
            tally.fallback_reason = failed.reason
            return candidate, answer
        raise failed.error()

    async def stream(
        self, candidates: Sequence[Candidate], request: Request, purpose: Purpose, tally: Tally
    ) -> AsyncIterator[tuple[Candidate, Piece | Answer]]:
        """Yield pieces and at last the answer; another model is only asked while nothing has been yielded.

        Raises NoAnswerError. Closing it ends the provider's stream.
        """
        failed = _Failed()
        until = _now() + request.seconds
        for candidate in candidates:
            begun = False
            try:
                async with self._call(candidate, purpose, request, tally) as call:
                    timed = replace(request, seconds=max(until - _now(), 0.1))
                    async with aclosing(call.model.stream(timed)) as pieces:  # type: ignore[type-var]
                        async for piece in pieces:
                            if isinstance(piece, Answer):
                                call.answered(piece)
                                tally.fallback_reason = failed.reason
                            begun = True
                            yield candidate, piece
                return
            except ProviderError as error:
                failed.add(candidate, error)
                if begun or not error.meaning.falls_back or until - _now() <= 0:
                    break
        raise failed.error()

    async def _patiently(
        self, candidate: Candidate, request: Request, purpose: Purpose, tally: Tally, until: float, *, others: int
    ) -> Answer:
        failures, longer = 0, False
        until = _now() + (until - _now()) * (SHARE if others else 1)
        while True:
            left = until - _now()
            if left <= 0:
                raise ProviderError(Fault.TIMEOUT)
            try:
                async with self._call(candidate, purpose, request, tally) as call:
                    answer = await call.model.complete(replace(request, seconds=left))
                    call.answered(answer)
                    return answer
            except _RefusedError as refused:
                raise refused.error from None
            except ProviderError as error:
                if error.fault is Fault.INCOMPLETE and not longer and request.max_output_tokens < MAX_OUTPUT_TOKENS:
                    longer = True
                    request = replace(request, max_output_tokens=min(request.max_output_tokens * 2, MAX_OUTPUT_TOKENS))
                    continue
                failures += 1
                pause = self._pause(error, failures)
                most = min(MAX_PAUSE_WITH_OTHERS if others else MAX_PAUSE, until - _now())
                if not error.meaning.is_retryable or failures >= ATTEMPTS or pause > most:
                    raise
                _logger.info("the provider is asked again", fault=error.fault.value, seconds=round(pause, 1))
            await asyncio.sleep(pause)

    def _pause(self, error: ProviderError, failures: int) -> float:
        """What the provider asks for and a little, so that not all come back at once; else full jitter, doubling."""
        if error.retry_after is not None:
            return error.retry_after + self._jitter() * min(error.retry_after * 0.1, 1.0)
        ceiling: float = min(self._back_off * 2 ** (failures - 1), _MAX_BACK_OFF)
        return ceiling * (0.5 + 0.5 * self._jitter())

    @asynccontextmanager
    async def _call(
        self, candidate: Candidate, purpose: Purpose, request: Request, tally: Tally
    ) -> "AsyncIterator[_Call]":
        """One call: its circuit, its place in the queue of its key, its span and what it took."""
        key, credential = (candidate.credential, candidate.model.model), candidate.credential
        for circuit in (credential, key):
            refusal = self._circuits.refusal(circuit)
            if isinstance(refusal, ProviderError):
                if circuit is key:
                    self._circuits.undecided(credential)
                raise _RefusedError(_again(refusal, self._circuits.seconds_left(circuit)))
        tally.asked = candidate
        group = str(purpose.organization_id)
        caller = purpose.pull_request or purpose.person
        try:
            async with (
                self.opened.limiter(candidate).place(group, caller),
                self.opened.using(candidate.model) as model,
            ):
                tally.attempts += 1
                with genai_spans.chat(candidate, request, purpose) as span:
                    call = _Call(model)
                    try:
                        yield call
                    except ProviderError as error:
                        genai_spans.failed(span, error)
                        raise
                    if call.answer is not None:
                        tally.add(self.prices, candidate, call.answer.usage)
                        tally.attempts += call.answer.calls - 1
                        genai_spans.answered(span, call.answer)
        except ProviderError as error:
            self._failed(candidate, error)
            if error.usage is not None:
                tally.add(self.prices, candidate, error.usage)
            raise
        except BaseException:
            self._circuits.undecided(credential)
            self._circuits.undecided(key)
            raise
        self._circuits.succeeded(credential)
        self._circuits.succeeded(key)

    def _failed(self, candidate: Candidate, error: ProviderError) -> None:
        key, credential = (candidate.credential, candidate.model.model), candidate.credential
        if error.meaning.blames_credential:
            self._circuits.failed(credential, error, seconds=_CREDENTIAL_SECONDS, at_once=True)
            _logger.warning("a key is not used for a while", credential=credential, fault=error.fault.value)
        elif error.fault is Fault.RATE_LIMIT and (error.retry_after or 0) > MAX_PAUSE_WITH_OTHERS:
            self._circuits.failed(key, error, seconds=min(error.retry_after or 0, 3600.0), at_once=True)
        elif error.fault in BREAKS:
            self._circuits.failed(key, error, seconds=OPEN_SECONDS)
        else:
            # The provider is there and works: what it said is about this one request.
            self._circuits.undecided(credential)
            self._circuits.succeeded(key)


@dataclass(slots=True)
class _Call:
    model: "genai_spans.Opened"
    answer: Answer | None = None

    def answered(self, answer: Answer) -> None:
        self.answer = answer


class _RefusedError(ProviderError):
    """The circuit is open: nothing was asked."""

    def __init__(self, error: ProviderError) -> None:
        super().__init__(error.fault, status=error.status, retry_after=error.retry_after)
        self.error = error


@dataclass(slots=True)
class _Failed:
    """What each model of a route said."""

    errors: list[tuple[Candidate, ProviderError]] = field(default_factory=list)

    def add(self, candidate: Candidate, error: ProviderError) -> None:
        self.errors.append((candidate, error))

    @property
    def reason(self) -> str:
        return " ".join(describe(error, candidate) for candidate, error in self.errors)

    def error(self) -> NoAnswerError:
        candidate, first = self.errors[0]
        return NoAnswerError(candidate, first, " ".join(describe(e, c) for c, e in self.errors[1:]))


def _again(error: ProviderError, seconds: float) -> ProviderError:
    wait = seconds if error.fault is Fault.RATE_LIMIT else error.retry_after
    return ProviderError(error.fault, status=error.status, retry_after=wait)


def _now() -> float:
    return asyncio.get_running_loop().time()
