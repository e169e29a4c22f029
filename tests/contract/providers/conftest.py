"""Every provider over real sockets against its strict emulator."""

import importlib
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace
from typing import Any

import pytest

from emulators.anthropic import Abilities, AnthropicEmulator
from emulators.google import GeminiEmulator, Knows, VertexEmulator
from emulators.models import ModelEmulator
from emulators.openai import Dialect, OpenAIEmulator
from services.llm_gateway.providers import shapes
from services.llm_gateway.providers.opening import open_model
from services.llm_gateway.providers.port import OpenedModel
from services.llm_gateway.providers.table import PROVIDERS
from services.llm_gateway.providers.types import Model, Request, Waits
from services.llm_gateway.providers.wire import Network

KEY = "emulated-key-Zx81Qq-and-more-of-it"
SCHEMA = (
    '{"type":"object","properties":{"findings":{"type":"array","items":{"type":"string"}},'
    '"kind":{"type":"string","enum":["a","b"]}},"required":["findings","kind"],"additionalProperties":false}'
)
REQUEST = Request("Review the change and answer in JSON.", "+print('canary-in-prompt')", 500, 30, SCHEMA)
NOTHING = {"schema": False, "mode": False, "effort": False}


@dataclass(frozen=True)
class Rig:
    """A provider as the tests run it; `lacking` makes an emulator that knows no structured output, or no effort."""

    provider: str
    model: str
    make: Callable[..., ModelEmulator]
    base_url: Callable[[Any], str] = lambda emulator: str(getattr(emulator, "url", emulator.origin))
    key: Callable[[Any], str] = lambda emulator: KEY
    wire: str = "openai"


def _openai(**fixed: Any) -> Callable[..., ModelEmulator]:
    def make(answers: Any, *, schema: bool = True, mode: bool = True, effort: bool = True) -> ModelEmulator:
        formats = frozenset({"json_schema"} if schema else set()) | frozenset({"json_object"} if mode else set())
        return OpenAIEmulator(answers, key=KEY, dialect=Dialect(formats=formats, effort=effort, **fixed))

    return make


def _anthropic(answers: Any, *, schema: bool = True, mode: bool = True, effort: bool = True) -> ModelEmulator:
    return AnthropicEmulator(answers, key=KEY, abilities=Abilities(format=schema, effort=effort))


def _gemini(answers: Any, *, schema: bool = True, mode: bool = True, effort: bool = True) -> ModelEmulator:
    return GeminiEmulator(answers, key=KEY, knows=Knows(schema, mode, effort))


def _vertex(answers: Any, *, schema: bool = True, mode: bool = True, effort: bool = True) -> ModelEmulator:
    abilities = Abilities(format=schema, effort=effort)
    return VertexEmulator(answers, key=KEY, knows=Knows(schema, mode, effort), abilities=abilities)


NEW_LIMIT = {"limits": frozenset({"max_completion_tokens"})}
OLD_LIMIT = {"limits": frozenset({"max_tokens"})}
RIGS: dict[str, Rig] = {
    "openai": Rig("openai", "test-model", _openai(**NEW_LIMIT)),
    "openai_compatible": Rig("openai_compatible", "test-model", _openai(**OLD_LIMIT)),
    "azure dated": Rig("openai_compatible", "test-model", _openai(azure=True)),
    "azure v1": Rig("openai", "test-model", _openai(azure=True), lambda emulator: f"{emulator.origin}/openai/v1"),
    "anthropic": Rig("anthropic", "claude-test", _anthropic, wire="anthropic"),
    "google_gemini": Rig("google_gemini", "gemini-test", _gemini, wire="google"),
    "vertex account": Rig("google_vertex", "gemini-test", _vertex, key=lambda e: str(e.account), wire="google"),
    "vertex base64": Rig("google_vertex", "gemini-test", _vertex, key=lambda e: str(e.encoded_account), wire="google"),
    "vertex key": Rig("google_vertex", "gemini-test", _vertex, wire="google"),
    "vertex claude": Rig("google_vertex", "claude-test", _vertex, key=lambda e: str(e.account), wire="anthropic"),
    "open_router": Rig("open_router", "test-model", _openai(router=True)),
    "novita": Rig("novita", "test-model", _openai(**OLD_LIMIT)),
    "groq": Rig("groq", "test-model", _openai(**NEW_LIMIT)),
}

Open = Callable[..., Awaitable[tuple[Any, OpenedModel]]]


@pytest.fixture(scope="session", autouse=True)
def sdks() -> None:
    """The SDKs are imported before any deadline runs: on a busy machine that takes longer than some of them."""
    for kind in PROVIDERS:
        importlib.import_module(f"services.llm_gateway.providers.{kind}")


@pytest.fixture(autouse=True)
def nothing_known() -> None:
    """What a server has shown in one test is not known in the next."""
    shapes.forget()


async def opened_for(
    rig: Rig, emulator: Any, *, waits: Waits | None = None, changes: dict[str, Any] | None = None
) -> OpenedModel:
    """Answer the rig's model at its emulator."""
    model = Model(rig.provider, rig.model, rig.key(emulator), rig.base_url(emulator), vertex_location="europe-west4")
    token_url = getattr(emulator, "token_url", "http://127.0.0.1:9/token")
    network = Network(waits=waits or Waits(), google_token_url=token_url)
    return await open_model(replace(model, **(changes or {})), network)


@pytest.fixture
async def open_rig() -> AsyncIterator[Open]:
    """Makes an emulator with these answers for a rig, and the model that talks to it."""
    async with AsyncExitStack() as stack:

        async def make(
            name: str, answers: Any = (), *, waits: Waits | None = None, lacking: Any = None, **changes: Any
        ) -> tuple[Any, OpenedModel]:
            emulator = await stack.enter_async_context(RIGS[name].make(answers, **(lacking or {})))
            model = await opened_for(RIGS[name], emulator, waits=waits, changes=changes)
            stack.push_async_callback(model.aclose)
            return emulator, model

        yield make
