"""Any server that imitates OpenAI's chat completions: Ollama, vLLM, llama.cpp, LM Studio, DeepSeek, Groq, ...

Differences of this provider: the output limit is the older `max_tokens`; a key is optional; JSON may be known as a mode
only or not at all; a prompt that is too long may be cut without a word.
"""

from collections.abc import AsyncIterator

from services.llm_gateway.providers import chat, openai
from services.llm_gateway.providers.faults import Fault, ProviderError
from services.llm_gateway.providers.types import Model
from services.llm_gateway.providers.wire import Ask, Connection, Network, Reply

list_models = chat.list_models
_DIALECT = chat.Dialect()


def connect(model: Model, network: Network) -> Connection:
    """Build the SDK's client; Azure's forms of URL are known here too, since they are given as forced base URLs."""
    if not model.base_url:
        raise ProviderError(Fault.BAD_REQUEST, words="a base URL is needed")
    if openai.azure_form(model.base_url.rstrip("/")) is not None:
        return openai.connect(model, network)
    return chat.connect(model, network, model.base_url.rstrip("/"))


async def complete(connection: Connection, ask: Ask) -> Reply:
    """Ask once for a whole answer."""
    return await chat.complete(connection, ask, _DIALECT)


def stream(connection: Connection, ask: Ask) -> AsyncIterator[str | Reply]:
    """Ask once for pieces of text and, last, the Reply."""
    return chat.stream(connection, ask, _DIALECT)
