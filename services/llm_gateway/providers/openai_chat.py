"""Chat completions as OpenAI and every compatible server have them, through the official SDK.

Importing the SDK takes more than a second: only `providers.opening` imports this module, and only when a model is used.
"""

import json
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import httpx2
import openai

from services.kit.telemetry import log
from services.llm_gateway.domain import Completion, Fault, ModelChoice, Prompt, ProviderError
from services.llm_gateway.providers import answers
from services.llm_gateway.providers.abilities import Abilities, Structure
from services.llm_gateway.providers.transport import BlockedAddressError, OversizedError, make_client
from services.llm_gateway.providers.waiting import retry_after

_MAX_STEPS = 5  # as many as there are things to leave out
_MAX_MODELS = 1000
_NO_KEY = "none"  # the SDK wants one; it is not sent
_logger = log.get("openai_chat")


class OpenAIChat:
    """One server with one credential; the SDK's retries are off, redirects are not followed."""

    def __init__(self, choice: ModelChoice, seconds: float) -> None:
        self._known: dict[str, Abilities] = {}
        self._first = Abilities(limit="max_completion_tokens" if choice.provider == "openai" else "max_tokens")
        # What the SDK would read from OPENAI_* variables is not the operator's word to us.
        headers: dict[str, Any] = {"OpenAI-Organization": openai.Omit(), "OpenAI-Project": openai.Omit()}
        # Without a key nothing is sent for one; the SDK takes that only as a header of each request.
        self._headers: dict[str, Any] = {"Authorization": openai.Omit()} if choice.key is None else {}
        self._client = openai.AsyncOpenAI(
            api_key=choice.key or _NO_KEY,
            base_url=choice.base_url,
            max_retries=0,
            timeout=seconds,
            http_client=make_client(seconds),
            default_headers=headers,
            _strict_response_validation=False,
        )

    async def aclose(self) -> None:
        """Close the connections."""
        await self._client.close()

    async def list_models(self) -> list[str]:
        """Answer the names in the order of the server's GET /models; raises ProviderError."""
        listing = partial(self._client.models.with_raw_response.list, extra_headers=self._headers)
        answer = await self._answer(listing)
        data = answer.get("data")
        if not isinstance(data, list):
            raise ProviderError(Fault.NO_CHOICE)
        names = [entry.get("id") for entry in data[:_MAX_MODELS] if isinstance(entry, dict)]
        return [name for name in names if isinstance(name, str) and name]

    async def complete(self, model: str, prompt: Prompt) -> Completion:
        """Ask once, leaving out what the server has said it does not know; raises ProviderError."""
        for _ in range(_MAX_STEPS):
            abilities = self._known.get(model, self._first)
            request = _request(model, prompt, abilities) | {"extra_headers": self._headers}
            call = partial(self._client.chat.completions.with_raw_response.create, **request)
            try:
                answer = await self._answer(call)
            except _NotKnownError as error:
                left = abilities.without(error.param, error.words)
                if left is None:
                    raise ProviderError(error.fault, status=error.status) from None
                self._known[model] = left
                _logger.info("the server does not know what was sent", model=model, now=str(left))
                continue
            return answers.read(answer, prompt, as_instructions=abilities.structure is Structure.INSTRUCTIONS)
        raise ProviderError(Fault.BAD_REQUEST)

    async def _answer(self, call: Callable[[], Any]) -> Mapping[str, Any]:
        """Make one request; answers the JSON object of a 200."""
        try:
            raw = await call()
            body = raw.http_response.content
        except openai.APIStatusError as error:
            raise _status_error(error) from None
        except openai.APITimeoutError:
            raise ProviderError(Fault.TIMEOUT) from None
        except (openai.OpenAIError, httpx2.HTTPError) as error:
            raise ProviderError(_connection_fault(error)) from None
        except ValueError:
            raise ProviderError(Fault.NOT_JSON) from None
        try:
            answer = json.loads(body)
        except (ValueError, RecursionError):
            raise ProviderError(Fault.NOT_JSON) from None
        if not isinstance(answer, dict):
            raise ProviderError(Fault.NOT_JSON)
        return answer


class _NotKnownError(ProviderError):
    """A 400 or 422; what the server says is looked at and never passed on."""

    def __init__(self, status: int, fault: Fault, param: str | None, words: str) -> None:
        super().__init__(fault, status=status)
        self.param = param
        self.words = words


def _request(model: str, prompt: Prompt, abilities: Abilities) -> dict[str, Any]:
    instructions = prompt.instructions
    if abilities.structure is not Structure.JSON_SCHEMA:
        instructions += (
            "\n\nAnswer with one JSON object and nothing else, no code fence around it. It must fit this JSON Schema:\n"
            + prompt.json_schema
        )
    messages = [{"role": "system", "content": instructions}, {"role": "user", "content": prompt.input}]
    request: dict[str, Any] = {"model": model, "messages": messages, abilities.limit: prompt.max_output_tokens}
    if abilities.temperature:
        request["temperature"] = 0
    if abilities.structure is Structure.JSON_SCHEMA:
        schema = {"name": "answer", "strict": True, "schema": json.loads(prompt.json_schema)}
        request["response_format"] = {"type": "json_schema", "json_schema": schema}
    elif abilities.structure is Structure.JSON_OBJECT:
        request["response_format"] = {"type": "json_object"}
    return request


def _status_error(error: openai.APIStatusError) -> ProviderError:
    kind = error.type if isinstance(error.type, str) else None
    fault = answers.fault_of_status(error.status_code, error.code, kind)
    if fault is Fault.BAD_REQUEST and error.status_code in (400, 422):
        param = error.param if isinstance(error.param, str) else None
        return _NotKnownError(error.status_code, fault, param, str(error.message)[:4000])
    return ProviderError(fault, status=error.status_code, retry_after=retry_after(error.response.headers))


def _connection_fault(error: BaseException) -> Fault:
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, BlockedAddressError):
            return Fault.BLOCKED_ADDRESS
        if isinstance(cause, OversizedError):
            return Fault.OVERSIZED
        if isinstance(cause, httpx2.TimeoutException):
            return Fault.TIMEOUT
        cause = cause.__cause__
    return Fault.CONNECTION
