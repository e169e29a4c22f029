"""Use cases around completions: which model, one answer within a deadline, failures in words for people."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from datetime import timedelta

from services.kit.errors import AppError, Reason
from services.kit.telemetry import log
from services.llm_gateway.domain import Choice, ModelChoice, Prompt
from services.llm_gateway.providers.faults import Fault, ProviderError
from services.llm_gateway.providers.port import OpenedModel
from services.llm_gateway.providers.types import Answer, Model, Request

ATTEMPTS = 3
MAX_PAUSE = 20.0  # seconds; whoever is asked to wait longer tells the caller instead
MAX_RETRY_AFTER = 3600.0
MAX_OUTPUT_TOKENS = 32_000
_AGAIN = {Fault.RATE_LIMIT, Fault.OVERLOADED, Fault.SERVER_ERROR, Fault.NETWORK}
_logger = log.get("completions")

_ADDRESS = "Check API_OPENAI_FORCE_BASE_URL: it is the address before /chat/completions and mostly ends in /v1."
_UNAVAILABLE = {
    Fault.SERVER_ERROR,
    Fault.OVERLOADED,
    Fault.NETWORK,
    Fault.TIMEOUT,
    Fault.CUT_STREAM,
    Fault.NOT_JSON,
    Fault.NO_COMPLETION,
    Fault.ERROR_IN_ANSWER,
    Fault.NO_FINISH,
    Fault.EMPTY,
    Fault.SCHEMA_MISMATCH,
}
_TO_DO: dict[Fault, str] = {
    Fault.AUTH: "Check API_OPEN_AI_API_KEY.",
    Fault.PERMISSION: "Check the key's permissions.",
    Fault.NOT_FOUND: f"Check API_LLM_PROVIDER_MODEL. {_ADDRESS}",
    Fault.CONTEXT_TOO_LONG: "Choose a model that takes more.",
    Fault.BAD_REQUEST: "Try another model.",
    Fault.RATE_LIMIT: "Try again later.",
    Fault.OVERLOADED: "Try again later.",
    Fault.SERVER_ERROR: "Try again later.",
    Fault.NETWORK: _ADDRESS,
    Fault.TIMEOUT: "A slow one may be given more with LINTEL_MODEL_SECONDS.",
    Fault.REDIRECT: _ADDRESS,
    Fault.NOT_JSON: _ADDRESS,
    Fault.NO_COMPLETION: _ADDRESS,
    Fault.NO_MODEL: "Set API_LLM_PROVIDER_MODEL.",
}


@dataclass(frozen=True, slots=True)
class Described:
    """The model that would be used, None for none, and what should be known about that."""

    model: ModelChoice | None
    notes: tuple[str, ...]


class Completions:
    """Completions with the model of this installation. Methods raise AppError with a MODEL_* reason.

    `seconds` bound one completion with its repetitions; `pause` is the first wait between them where none is asked for.
    """

    def __init__(
        self,
        choice: Choice,
        opener: Callable[[Model], Awaitable[OpenedModel]],
        seconds: float,
        *,
        pause: float = 0.5,
    ) -> None:
        self._choice = choice
        self._opener = opener
        self._seconds = seconds
        self._pause = pause
        self._provider: OpenedModel | None = None
        self._opening = asyncio.Lock()
        self._model = choice.model.model if choice.model else ""

    async def aclose(self) -> None:
        """Close the provider's connections."""
        if self._provider is not None:
            await self._provider.aclose()

    async def describe(self) -> Described:
        """Answer the model; a server that was given without one is asked for its list, once."""
        if self._choice.model is None:
            return Described(None, self._choice.notes)
        async with self._named_failures("describe"):
            chosen = replace(self._choice.model, model=await self._name(self._choice.model))
        return Described(chosen, self._choice.notes)

    async def complete(self, request_id: str, prompt: Prompt) -> tuple[ModelChoice, Answer]:
        """Answer one completion; what is safe to repeat is tried up to ATTEMPTS times within the deadline."""
        choice = self._choice.model
        if choice is None:
            raise AppError(
                Reason.MODEL_NOT_CONFIGURED,
                "Set API_OPEN_AI_API_KEY, or API_OPENAI_FORCE_BASE_URL for a server of your own.",
            )
        async with self._named_failures(request_id):
            name = await self._name(choice)
            completion = await self._patiently(choice, prompt)
        _logger.info(
            "completion",
            call=request_id,
            model=name,
            input_tokens=completion.usage.input,
            cached_tokens=completion.usage.cached,
            output_tokens=completion.usage.output,
        )
        return replace(choice, model=name), completion

    def _named_failures(self, request_id: str) -> "_Failures":
        return _Failures(request_id, self._seconds)

    async def _name(self, choice: ModelChoice) -> str:
        if self._model:
            return self._model
        provider = await self._open(choice)
        models = await provider.list_models(self._seconds)
        if not models:
            raise ProviderError(Fault.NO_MODEL)
        if not self._model:
            self._model = models[0]
            await provider.aclose()
            self._provider = None
            _logger.info("no model is named, the server's first is used", model=self._model, listed=len(models))
        return self._model

    async def _open(self, choice: ModelChoice) -> OpenedModel:
        async with self._opening:
            if self._provider is None:
                model = Model(choice.provider, self._model, choice.key, choice.base_url)
                self._provider = await self._opener(model)
            return self._provider

    async def _patiently(self, choice: ModelChoice, prompt: Prompt) -> Answer:
        provider = await self._open(choice)
        until = asyncio.get_running_loop().time() + self._seconds
        failures, longer = 0, False
        while True:
            try:
                request = Request(
                    prompt.instructions,
                    prompt.input,
                    prompt.max_output_tokens,
                    self._seconds,
                    prompt.json_schema,
                    checked=False,  # the caller reads tolerantly and has a repair round of its own
                    temperature=0,
                )
                return await provider.complete(request)
            except ProviderError as error:
                if error.fault is Fault.INCOMPLETE and not longer:
                    longer = True
                    limit = min(prompt.max_output_tokens * 2, MAX_OUTPUT_TOKENS)
                    prompt = replace(prompt, max_output_tokens=limit)
                    continue
                failures += 1
                pause = error.retry_after if error.retry_after is not None else self._pause * 2 ** (failures - 1)
                left = until - asyncio.get_running_loop().time()
                if error.fault not in _AGAIN or failures >= ATTEMPTS or pause > min(MAX_PAUSE, left):
                    raise
                _logger.info("the provider is asked again", fault=error.fault.value, seconds=round(pause, 1))
                await asyncio.sleep(pause)


class _Failures:
    """Holds the deadline, and turns what a provider did wrong into an AppError that says what to do."""

    def __init__(self, request_id: str, seconds: float) -> None:
        self._request_id = request_id
        self._timeout = asyncio.timeout(seconds)

    async def __aenter__(self) -> None:
        await self._timeout.__aenter__()

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> None:
        try:
            await self._timeout.__aexit__(kind, error, None)
        except TimeoutError:
            error = ProviderError(Fault.TIMEOUT)
        if isinstance(error, ProviderError):
            _logger.warning("no completion", call=self._request_id, fault=error.fault.value, status=error.status)
            raise to_app_error(error) from None


def to_app_error(error: ProviderError) -> AppError:
    """Answer the failure in the words of the catalogue."""
    reason = Reason.MODEL_RATE_LIMITED if error.fault is Fault.RATE_LIMIT else Reason.MODEL_REFUSED
    if error.fault in _UNAVAILABLE:
        reason = Reason.MODEL_UNAVAILABLE
    words = f"{error.meaning.words} {_TO_DO.get(error.fault, '')}".strip()
    if error.status:
        words = f"{words} (HTTP {error.status})"
    wait = None
    if reason is Reason.MODEL_RATE_LIMITED:
        wait = timedelta(seconds=min(error.retry_after if error.retry_after is not None else 60.0, MAX_RETRY_AFTER))
    return AppError(reason, words, retry_after=wait, fault=error.fault.value)
