"""Google's Gemini API.

Differences of this provider: a bad key is a 400; a blocked prompt is a 200 without candidates; a pause is asked for in
the error's details; thoughts are counted beside the output and take their room from its limit.
"""

from collections.abc import Mapping

from services.llm_gateway.providers import gemini
from services.llm_gateway.providers.types import Model
from services.llm_gateway.providers.wire import Connection, Network

BASE_URL = "https://generativelanguage.googleapis.com"
complete = gemini.complete
stream = gemini.stream
list_models = gemini.list_models


def connect(model: Model, network: Network) -> Connection:
    """Build the SDK's client."""
    proof = {"x-goog-api-key": model.api_key} if model.api_key else {}

    async def credential() -> Mapping[str, str]:
        return proof

    http = network.open_client(model, credential)
    options = {"base_url": model.base_url.rstrip("/") or BASE_URL, "api_version": "v1"}
    sdk = gemini.build(http, enterprise=False, api_key="set-by-the-transport", options=options)
    return Connection(sdk, http, (model.api_key,) if model.api_key else ())
