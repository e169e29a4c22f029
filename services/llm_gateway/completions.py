"""Use cases around completions: which model, one answer within a deadline, failures in words for people."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from datetime import timedelta

from services.kit.errors import AppError, Reason
from services.kit.telemetry import log
from services.llm_gateway.domain import Choice, Completion, Fault, ModelChoice, Prompt, ProviderError
from services.llm_gateway.providers.port import Provider

ATTEMPTS = 3
MAX_PAUSE = 20.0  # seconds; whoever is asked to wait longer tells the caller instead
MAX_RETRY_AFTER = 3600.0
MAX_OUTPUT_TOKENS = 32_000
_AGAIN = {Fault.RATE_LIMITED, Fault.SERVER_ERROR, Fault.CONNECTION}
_logger = log.get("completions")

_ADDRESS = "Check API_OPENAI_FORCE_BASE_URL: it is the address before /chat/completions and mostly ends in /v1."
_WORDS: dict[Fault, tuple[Reason, str]] = {
    Fault.KEY: (Reason.MODEL_REFUSED, "The provider refuses the key. Check API_OPEN_AI_API_KEY."),
    Fault.QUOTA: (Reason.MODEL_REFUSED, "The provider's credit or quota is used up. Look at the account's billing."),
    Fault.FORBIDDEN: (Reason.MODEL_REFUSED, "The provider forbids this key that model. Check the key's permissions."),
    Fault.NOT_FOUND: (
        Reason.MODEL_REFUSED,
        f"The provider does not know the model or the address. Check API_LLM_PROVIDER_MODEL. {_ADDRESS}",
    ),
    Fault.TOO_LARGE: (Reason.MODEL_REFUSED, "The prompt is larger than the model takes. Choose one that takes more."),
    Fault.BAD_REQUEST: (Reason.MODEL_REFUSED, "The provider finds the request wrong. Try another model."),
    Fault.RATE_LIMITED: (Reason.MODEL_RATE_LIMITED, "The provider limits the rate. Try again later."),
    Fault.SERVER_ERROR: (Reason.MODEL_UNAVAILABLE, "The provider has an error of its own. Try again later."),
    Fault.CONNECTION: (Reason.MODEL_UNAVAILABLE, f"The provider cannot be reached, or hung up. {_ADDRESS}"),
    Fault.TIMEOUT: (
        Reason.MODEL_UNAVAILABLE,
        "The provider did not answer in time. A slow one may be given more with LINTEL_MODEL_SECONDS.",
    ),
    Fault.REDIRECT: (Reason.MODEL_REFUSED, f"The provider redirects, which is never followed. {_ADDRESS}"),
    Fault.BLOCKED_ADDRESS: (Reason.MODEL_REFUSED, "The address is one of cloud metadata, which is never called."),
    Fault.NOT_JSON: (Reason.MODEL_UNAVAILABLE, f"The answer is not JSON, or not whole. {_ADDRESS}"),
    Fault.NO_CHOICE: (Reason.MODEL_UNAVAILABLE, f"The answer is no chat completion. {_ADDRESS}"),
    Fault.ERROR_BODY: (Reason.MODEL_UNAVAILABLE, "The provider answered with an error in place of a completion."),
    Fault.NO_FINISH: (Reason.MODEL_UNAVAILABLE, "The answer does not say that it is complete."),
    Fault.CUT_OFF: (Reason.MODEL_REFUSED, "The answer was longer than the model may write, twice."),
    Fault.REFUSAL: (Reason.MODEL_REFUSED, "The model refuses to answer."),
    Fault.CONTENT_FILTER: (Reason.MODEL_REFUSED, "The provider's content filter stopped the answer."),
    Fault.EMPTY: (Reason.MODEL_UNAVAILABLE, "The model answered with nothing."),
    Fault.OVERSIZED: (Reason.MODEL_REFUSED, "The answer is larger than 10 MB or compressed, and was not read."),
    Fault.TRUNCATED_PROMPT: (
        Reason.MODEL_REFUSED,
        "The server read only a part of the prompt. Raise its context length (num_ctx with Ollama).",
    ),
    Fault.NO_MODEL: (Reason.MODEL_REFUSED, "The server lists no model. Set API_LLM_PROVIDER_MODEL."),
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
        opener: Callable[[ModelChoice, float], Awaitable[Provider]],
        seconds: float,
        *,
        pause: float = 0.5,
    ) -> None:
        self._choice = choice
        self._opener = opener
        self._seconds = seconds
        self._pause = pause
        self._provider: Provider | None = None
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

    async def complete(self, request_id: str, prompt: Prompt) -> tuple[ModelChoice, Completion]:
        """Answer one completion; what is safe to repeat is tried up to ATTEMPTS times within the deadline."""
        choice = self._choice.model
        if choice is None:
            raise AppError(
                Reason.MODEL_NOT_CONFIGURED,
                "Set API_OPEN_AI_API_KEY, or API_OPENAI_FORCE_BASE_URL for a server of your own.",
            )
        async with self._named_failures(request_id):
            name = await self._name(choice)
            completion = await self._patiently(choice, name, prompt)
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
        models = await provider.list_models()
        if not models:
            raise ProviderError(Fault.NO_MODEL)
        if not self._model:
            self._model = models[0]
            _logger.info("no model is named, the server's first is used", model=self._model, listed=len(models))
        return self._model

    async def _open(self, choice: ModelChoice) -> Provider:
        async with self._opening:
            if self._provider is None:
                self._provider = await self._opener(choice, self._seconds)
            return self._provider

    async def _patiently(self, choice: ModelChoice, name: str, prompt: Prompt) -> Completion:
        provider = await self._open(choice)
        until = asyncio.get_running_loop().time() + self._seconds
        failures, longer = 0, False
        while True:
            try:
                return await provider.complete(name, prompt)
            except ProviderError as error:
                if error.fault is Fault.CUT_OFF and not longer:
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
    reason, words = _WORDS[error.fault]
    if error.status:
        words = f"{words} (HTTP {error.status})"
    wait = None
    if reason is Reason.MODEL_RATE_LIMITED:
        wait = timedelta(seconds=min(error.retry_after if error.retry_after is not None else 60.0, MAX_RETRY_AFTER))
    return AppError(reason, words, retry_after=wait, fault=error.fault.value)
