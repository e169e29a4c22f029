"""Groq, by its own variables: fast open models behind OpenAI's wire.

Differences of this provider: some models take a schema only; a prompt above the tokens of a minute is a 413, which no
waiting cures, and its organisation is limited by requests and by tokens of a minute and of a day.
"""

from collections.abc import AsyncIterator

from services.llm_gateway.providers import chat
from services.llm_gateway.providers.types import Model
from services.llm_gateway.providers.wire import Ask, Connection, Network, Reply

BASE_URL = "https://api.groq.com/openai/v1"
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
