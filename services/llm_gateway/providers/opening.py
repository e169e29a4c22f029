"""Opens the provider of a choice, importing its SDK in a thread when the first one is opened."""

import asyncio
import importlib

from services.llm_gateway.domain import ModelChoice
from services.llm_gateway.providers.port import Provider


async def open_provider(choice: ModelChoice, seconds: float) -> Provider:
    """Answer the provider; `seconds` bound each wait for its bytes."""
    module = await asyncio.to_thread(importlib.import_module, "services.llm_gateway.providers.openai_chat")
    provider: Provider = module.OpenAIChat(choice, seconds)
    return provider
