"""Novita: open models behind OpenAI's wire.

Differences of this provider: which models enforce a schema varies, so the ladder is climbed down per model; thinking
models may write their thinking before the answer.
"""

from collections.abc import AsyncIterator

from services.llm_gateway.providers import chat
from services.llm_gateway.providers.types import Model
from services.llm_gateway.providers.wire import Ask, Connection, Network, Reply

BASE_URL = "https://api.novita.ai/openai/v1"
list_models = chat.list_models
_DIALECT = chat.Dialect()


def connect(model: Model, network: Network) -> Connection:
    """Build the SDK's client."""
    return chat.connect(model, network, model.base_url.rstrip("/") or BASE_URL)


async def complete(connection: Connection, ask: Ask) -> Reply:
    """Ask once for a whole answer."""
    return await chat.complete(connection, ask, _DIALECT)


def stream(connection: Connection, ask: Ask) -> AsyncIterator[str | Reply]:
    """Ask once for pieces of text and, last, the Reply."""
    return chat.stream(connection, ask, _DIALECT)
