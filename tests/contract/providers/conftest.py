"""Completions over a real socket against the strict emulator."""

import importlib
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from typing import Any

import pytest

from emulators.openai import OpenAIEmulator
from services.llm_gateway.completions import Completions
from services.llm_gateway.domain import Choice, ModelChoice, Prompt
from services.llm_gateway.providers.opening import open_provider

KEY = "emulated-key-Zx81Qq"
SCHEMA = (
    '{"type":"object","properties":{"findings":{"type":"array","items":{"type":"string"}}},'
    '"required":["findings"],"additionalProperties":false}'
)
PROMPT = Prompt("Review the change and answer in JSON.", "+print('canary-in-prompt')", SCHEMA, 500)


@pytest.fixture(scope="session", autouse=True)
def sdk() -> None:
    """The SDK is imported before any deadline runs: on a busy machine that takes longer than some of them."""
    importlib.import_module("services.llm_gateway.providers.openai_chat")


Ask = Callable[..., Awaitable[tuple[OpenAIEmulator, Completions]]]


@pytest.fixture
async def ask() -> AsyncIterator[Ask]:
    """Makes an emulator with these answers, and Completions that talk to it."""
    async with AsyncExitStack() as stack:

        async def make(
            answers: Any = (),
            *,
            seconds: float = 5.0,
            pause: float = 0.01,
            model: str = "test-model",
            provider: str = "openai_compatible",
            **options: Any,
        ) -> tuple[OpenAIEmulator, Completions]:
            emulator = OpenAIEmulator(answers, **{"key": KEY} | options)
            url = await emulator.start()
            stack.push_async_callback(emulator.stop)
            choice = Choice(ModelChoice(provider, url, model, 24_000, KEY if emulator.key else None))
            completions = Completions(choice, open_provider, seconds, pause=pause)
            stack.push_async_callback(completions.aclose)
            return emulator, completions

        yield make
