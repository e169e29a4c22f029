"""What every provider has in common: one deadline over everything, named faults, the ladder, and one repair round."""

import asyncio
import contextlib
import re
import time
from collections.abc import AsyncIterator, Awaitable
from dataclasses import replace
from typing import TypeVar

from services.kit.telemetry import log
from services.kit.tokens import estimate
from services.llm_gateway.providers import json_text, naming, reading, shapes
from services.llm_gateway.providers.faults import Fault, ProbeCode, ProviderError
from services.llm_gateway.providers.port import ProbeResult
from services.llm_gateway.providers.redaction import shown
from services.llm_gateway.providers.table import Kind
from services.llm_gateway.providers.transport import Exchange, exchange
from services.llm_gateway.providers.types import Answer, Model, Piece, Request, Rung, Turn, Waits
from services.llm_gateway.providers.usage import Usage
from services.llm_gateway.providers.wire import Ask, Connection, ProviderModule, Reply, Shape

_MAX_STEPS = 7  # as many as there are things to leave out
_REPEATED = re.compile(r"(\W)\1+|\s+")
# A prompt counted at less than one token in this many characters, blanks aside, was not read whole.
_LEAST_CHARS_PER_TOKEN = 10
_IN_WORDS = (
    "\n\nAnswer with one JSON object and nothing else, no code fence around it. It must fit this JSON Schema:\n{schema}"
)
_REPAIR = "Your answer could not be used: {problem}. Answer again, whole, with one JSON object and nothing else."
_PROBE = Request("Answer with the single word: ok", "ok?", max_output_tokens=64, seconds=0)
_WORKS = frozenset({Fault.INCOMPLETE, Fault.EMPTY, Fault.REFUSAL, Fault.CONTENT_FILTER})
_T = TypeVar("_T")
_logger = log.get("providers")


class Opened:
    """One model behind `port.OpenedModel`; everything of its wire is in `module`."""

    def __init__(self, model: Model, kind: Kind, module: ProviderModule, connection: Connection, waits: Waits) -> None:
        self._model = model
        self._kind = kind
        self._module = module
        self._connection = connection
        self._waits = waits
        self._rungs = kind.ladder(model)
        self._key = (model.provider, model.base_url or model.vertex_location, model.model)

    @property
    def model(self) -> Model:
        """What it was opened with."""
        return self._model

    async def aclose(self) -> None:
        """Close the connections."""
        await self._connection.http.aclose()
        if self._connection.release is not None:
            await self._connection.release()

    async def list_models(self, seconds: float) -> list[str]:
        """Answer the names of the models the provider has, in its order; raises ProviderError."""
        try:
            async with asyncio.timeout(seconds):
                return await self._watched(self._module.list_models(self._connection), Exchange())
        except TimeoutError:
            raise ProviderError(Fault.TIMEOUT) from None

    async def test(self, seconds: float) -> ProbeResult:
        """Make one real, tiny call; never raises for what a provider does."""
        begun = time.monotonic()
        code, message, words = ProbeCode.OK, "The model answers.", ""
        try:
            await self.complete(replace(_PROBE, seconds=seconds))
        except ProviderError as error:
            if error.fault not in _WORKS:
                code, message, words = error.meaning.code, error.meaning.words, error.words
        return ProbeResult(code, round((time.monotonic() - begun) * 1000), message, words)

    async def complete(self, request: Request) -> Answer:
        """Answer one completion within `request.seconds`; raises ProviderError, and nothing else."""
        try:
            async with asyncio.timeout(request.seconds):
                return await self._repaired(request)
        except TimeoutError:
            raise ProviderError(Fault.TIMEOUT) from None

    async def stream(self, request: Request) -> AsyncIterator[Piece | Answer]:
        """Answer pieces of text as they come and, last, one Answer; raises ProviderError."""
        until = asyncio.get_running_loop().time() + request.seconds
        for _ in range(_MAX_STEPS):
            ask, seen = self._ask(request, ()), Exchange(waits=self._waits)
            pieces = self._module.stream(self._connection, ask)
            has_begun = False
            async with contextlib.aclosing(pieces):  # type: ignore[type-var]
                try:
                    while True:
                        step = await self._step(pieces, seen, until, has_begun)
                        if isinstance(step, Reply):
                            break
                        has_begun = True
                        yield Piece(step)
                except ProviderError as error:
                    if has_begun or not self._step_down(error, ask):
                        raise
                    continue
                finally:
                    seen.hang_up()
            yield self._read(request, ask, step, seen.headers, is_last=True)[0]
            return
        raise ProviderError(Fault.BAD_REQUEST)

    async def _step(
        self, pieces: AsyncIterator[str | Reply], seen: Exchange, until: float, has_begun: bool
    ) -> str | Reply:
        try:
            async with asyncio.timeout_at(until):
                step = await self._watched(anext(pieces, None), seen)
        except TimeoutError:
            raise ProviderError(Fault.TIMEOUT) from None
        except ProviderError as error:
            if has_begun and error.fault in (Fault.NETWORK, Fault.NOT_JSON):
                raise ProviderError(Fault.CUT_STREAM) from None
            if seen.body is not None and error.fault in (Fault.NO_FINISH, Fault.NO_COMPLETION):
                reading.parse_object(seen.body)  # a whole answer where a stream was asked for
                raise ProviderError(Fault.NO_COMPLETION) from None
            raise
        if step is None:
            raise ProviderError(Fault.NO_FINISH)
        return step

    async def _repaired(self, request: Request) -> Answer:
        """Ask, and once more where the answer can't be used and the caller wants it checked."""
        answer, problem = await self._once(request, (), is_last=not request.checked)
        if problem is None or not request.checked:
            return answer
        turns = (Turn("assistant", answer.text), Turn("user", _REPAIR.format(problem=problem)))
        try:
            again, _ = await self._once(request, turns, is_last=True)
        except ProviderError as error:
            error.usage = answer.usage + error.usage if error.usage else answer.usage
            raise
        return replace(again, usage=answer.usage + again.usage, calls=2)

    async def _once(self, request: Request, repair: tuple[Turn, ...], *, is_last: bool) -> tuple[Answer, str | None]:
        """Ask once, leaving out what the server has said it does not know."""
        for _ in range(_MAX_STEPS):
            ask, seen = self._ask(request, repair), Exchange()
            try:
                reply = await self._watched(self._module.complete(self._connection, ask), seen)
            except ProviderError as error:
                if not self._step_down(error, ask):
                    raise
                continue
            return self._read(request, ask, reply, seen.headers, is_last=is_last)
        raise ProviderError(Fault.BAD_REQUEST)

    def _ask(self, request: Request, repair: tuple[Turn, ...]) -> Ask:
        shape = shapes.known(self._key) or self._kind.first_shape(self._model)
        instructions = request.instructions
        schema = None
        if request.json_schema is not None:
            schema = json_text.parse_schema(request.json_schema)
            if shape.rung is not Rung.JSON_SCHEMA:
                instructions += _IN_WORDS.format(schema=request.json_schema)
        model, limit = self._model, request.max_output_tokens
        temperature = request.temperature if request.temperature is not None else model.temperature
        return Ask(
            model.model,
            instructions,
            (*request.history, Turn("user", request.input), *repair),
            schema,
            min(limit, model.max_output_tokens) if model.max_output_tokens else limit,
            temperature if shape.temperature else None,
            (request.reasoning_effort or model.reasoning_effort) if shape.effort else None,
            shape,
        )

    def _read(
        self, request: Request, ask: Ask, reply: Reply, headers: object, *, is_last: bool
    ) -> tuple[Answer, str | None]:
        """Answer the answer and what is wrong with it; where nothing can follow, what is wrong is raised."""
        usage = reply.usage or Usage(_estimated(ask), 0, 0, estimate(reply.text), 0, reported=False)
        if not reply.text.strip():
            raise ProviderError(Fault.EMPTY, usage=usage)
        if self._kind.may_cut_prompts and usage.reported and usage.input * _LEAST_CHARS_PER_TOKEN < _dense_length(ask):
            raise ProviderError(Fault.TRUNCATED_PROMPT, usage=usage)
        rung = ask.shape.rung if ask.schema is not None else Rung.TEXT
        answer = Answer(reply.text, reply.model or ask.model, usage, rung, reply.finish, naming.request_id(headers))
        if request.json_schema is None:
            return replace(answer, text=json_text.without_thinking(reply.text)), None
        problem = None
        try:
            value, text, is_plain = json_text.find(reply.text)
            answer = replace(answer, text=text)
            problem = json_text.problem(value, request.json_schema)
        except json_text.UnusableError as error:
            problem, is_plain = str(error), False
        if (problem or not is_plain) and rung is Rung.JSON_SCHEMA:
            self._remember(ask.shape.missed(self._rungs), "the server takes a schema and does not hold to it")
        if problem and is_last and request.checked:
            raise ProviderError(Fault.SCHEMA_MISMATCH, usage=usage)
        return answer, problem

    def _step_down(self, error: ProviderError, ask: Ask) -> bool:
        """Whether something is left out from now on, after a server said that it does not know it."""
        if error.fault is not Fault.BAD_REQUEST or error.status not in (400, 404, 422, 501):
            return False
        left = ask.shape.without(error.param, error.words, self._rungs)
        return self._remember(left, "the server does not know what was sent")

    def _remember(self, shape: Shape | None, why: str) -> bool:
        if shape is None:
            return False
        shapes.remember(self._key, shape)
        _logger.info(why, model=self._model.model, provider=self._model.provider, now=str(shape))
        return True

    async def _watched(self, call: Awaitable[_T], seen: Exchange) -> _T:
        """Await what an SDK does; whatever it raises comes out as a ProviderError with masked words."""
        token = exchange.set(seen)
        try:
            return await call
        except Exception as error:
            found = naming.named(error, seen)
            found.words = shown(found.words, self._connection.secrets)
            found.request_id = found.request_id or naming.request_id(seen.headers)
            raise found from None
        finally:
            exchange.reset(token)


def _estimated(ask: Ask) -> int:
    return estimate(ask.instructions) + sum(estimate(turn.text) for turn in ask.turns)


def _dense_length(ask: Ask) -> int:
    texts = (ask.instructions, *(turn.text for turn in ask.turns))
    return sum(len(_REPEATED.sub(" ", text)) for text in texts)
