"""OpenRouter: one key for the models of many providers.

Differences of this provider: it may answer 200 with an error in the choice after generation has begun; only upstreams
that know every setting we send may be chosen, or a schema would be ignored in silence; the effort is an object.
"""

from collections.abc import AsyncIterator

from services.llm_gateway.providers import chat
from services.llm_gateway.providers.types import Model
from services.llm_gateway.providers.wire import Ask, Connection, Network, Reply

BASE_URL = "https://openrouter.ai/api/v1"
list_models = chat.list_models
_TITLE = {"X-OpenRouter-Title": "Lintel"}
_DIALECT = chat.Dialect(effort="reasoning", extra={"provider": {"require_parameters": True}})


def connect(model: Model, network: Network) -> Connection:
    """Build the SDK's client."""
    return chat.connect(model, network, model.base_url.rstrip("/") or BASE_URL, headers=_TITLE)


async def complete(connection: Connection, ask: Ask) -> Reply:
    """Ask once for a whole answer."""
    return await chat.complete(connection, ask, _DIALECT)


def stream(connection: Connection, ask: Ask) -> AsyncIterator[str | Reply]:
    """Ask once for pieces of text and, last, the Reply."""
    return chat.stream(connection, ask, _DIALECT)
