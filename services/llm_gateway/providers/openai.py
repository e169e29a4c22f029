"""OpenAI itself, and Azure OpenAI in its three forms of URL.

Differences of this provider: the output limit is `max_completion_tokens` and counts reasoning too; reasoning models
refuse a temperature; a refusal comes beside the content.
"""

import re
from collections.abc import AsyncIterator
from urllib.parse import quote, urlsplit

from services.llm_gateway.providers import chat
from services.llm_gateway.providers.types import Model
from services.llm_gateway.providers.wire import Ask, Connection, Network, Reply

BASE_URL = "https://api.openai.com/v1"
AZURE_VERSION = "2024-10-21"  # the last dated version that is no preview
list_models = chat.list_models
_DIALECT = chat.Dialect()
_AZURE_HOSTS = (".openai.azure.com", ".cognitiveservices.azure.com", ".services.ai.azure.com")
_DEPLOYMENT = re.compile(r"/openai/deployments(?:/[^/]+)?$")


def connect(model: Model, network: Network) -> Connection:
    """Build the SDK's client; the form of the URL says whether it is Azure's, and which."""
    base_url = model.base_url.rstrip("/") or BASE_URL
    azure = azure_form(base_url)
    if azure is None:
        return chat.connect(model, network, base_url)
    if azure == "v1":
        path = urlsplit(base_url).path
        return chat.connect(model, network, base_url if path else f"{base_url}/openai/v1", style="api-key")
    if base_url.endswith("/openai/deployments"):
        base_url = f"{base_url}/{quote(model.model, safe='')}"
    return chat.connect(model, network, base_url, style="api-key", query={"api-version": AZURE_VERSION})


def azure_form(base_url: str) -> str | None:
    """Answer "dated" for .../openai/deployments/NAME, "v1" for a bare Azure host or its /openai/v1, else None."""
    parts = urlsplit(base_url)
    path, host = parts.path.rstrip("/"), parts.hostname or ""
    if _DEPLOYMENT.search(path):
        return "dated"
    if host.endswith(_AZURE_HOSTS) and path in ("", "/openai/v1"):
        return "v1"
    return None


async def complete(connection: Connection, ask: Ask) -> Reply:
    """Ask once for a whole answer."""
    return await chat.complete(connection, ask, _DIALECT)


def stream(connection: Connection, ask: Ask) -> AsyncIterator[str | Reply]:
    """Ask once for pieces of text and, last, the Reply."""
    return chat.stream(connection, ask, _DIALECT)
