"""Anthropic.

Differences of this provider: there is no temperature; a schema is `output_config.format`, and there is no mode for any
JSON; a refusal is an answer of its own kind; cached tokens are counted beside the input.
"""

from collections.abc import Mapping

import anthropic
import httpx2

from services.llm_gateway.providers import anthropic_messages
from services.llm_gateway.providers.faults import Fault, ProviderError
from services.llm_gateway.providers.reading import parse_object
from services.llm_gateway.providers.types import Model
from services.llm_gateway.providers.wire import Connection, Network

BASE_URL = "https://api.anthropic.com"
complete = anthropic_messages.complete
stream = anthropic_messages.stream


def connect(model: Model, network: Network) -> Connection:
    """Build the SDK's client. A server that only imitates the API may look for the key in its older header."""
    base_url = model.base_url.rstrip("/").removesuffix("/v1") or BASE_URL
    proof = {"Authorization": f"Bearer {model.api_key}"} if model.api_key else {}
    if model.api_key and base_url != BASE_URL:
        proof["x-api-key"] = model.api_key

    async def credential() -> Mapping[str, str]:
        return proof

    http = network.open_client(model, credential)
    sdk = anthropic.AsyncAnthropic(
        api_key="set by the transport",
        base_url=base_url,
        max_retries=0,
        timeout=None,
        http_client=http,
        open_telemetry=False,
    )
    return Connection(sdk, http, (model.api_key,) if model.api_key else ())


async def list_models(connection: Connection) -> list[str]:
    """Answer the names, newest first."""
    response = await connection.sdk.get("/v1/models", cast_to=httpx2.Response, options={"params": {"limit": 1000}})
    data = parse_object(response.content).get("data")
    if not isinstance(data, list):
        raise ProviderError(Fault.NO_COMPLETION)
    names = [entry.get("id") for entry in data if isinstance(entry, dict)]
    return [name for name in names if isinstance(name, str) and name]
