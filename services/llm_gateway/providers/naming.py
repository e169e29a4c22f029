"""Names for what goes wrong: SDKs raise errors of their own, of httpx2, of json and of Python itself."""

import httpx2

from services.kit.telemetry import log
from services.llm_gateway.providers import reading
from services.llm_gateway.providers.faults import Fault, ProviderError
from services.llm_gateway.providers.transport import BlockedAddressError, Exchange, OversizedError

_REQUEST_IDS = ("x-request-id", "request-id", "x-goog-request-id", "x-generation-id")
_logger = log.get("providers")


def named(error: BaseException, seen: Exchange) -> ProviderError:
    """Answer the fault behind whatever an SDK raised; its words are not masked yet."""
    chain: list[BaseException] = []
    cause: BaseException | None = error
    while cause is not None and len(chain) < 10:
        chain.append(cause)
        cause = cause.__cause__ or cause.__context__
    for link in chain:
        if isinstance(link, ProviderError):
            return link
        if isinstance(link, BlockedAddressError):
            return ProviderError(Fault.BLOCKED_ADDRESS)
        if isinstance(link, OversizedError):
            return ProviderError(Fault.OVERSIZED)
    if seen.status and not 200 <= seen.status < 300:
        return reading.error_of_status(seen.status, seen.headers, seen.body or b"")
    for link in chain:
        if isinstance(link, (httpx2.TimeoutException, TimeoutError)):
            return ProviderError(Fault.TIMEOUT)
        if isinstance(link, httpx2.HTTPError):
            return ProviderError(Fault.NETWORK)
    told = getattr(error, "body", None) or getattr(error, "details", None)  # an error inside a stream
    if isinstance(told, dict):
        return reading.error_of(told.get("error") or told)
    if not any(isinstance(link, ValueError) for link in chain):
        _logger.error("an SDK failed in a way we do not know", error=type(error).__name__)
    return ProviderError(Fault.NOT_JSON)


def request_id(headers: object) -> str:
    """Answer the provider's own name for a request, "" where it gives none."""
    get = getattr(headers, "get", None)
    found = next(filter(None, (get(name) for name in _REQUEST_IDS)), "") if get else ""
    return str(found)[:100]
