"""Opens models; the SDK of a provider is imported when its first model is opened, out of the environment's sight."""

import asyncio
import importlib
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from services.llm_gateway.providers.addresses import AddressError, check_url
from services.llm_gateway.providers.faults import Fault, ProviderError
from services.llm_gateway.providers.opened import Opened
from services.llm_gateway.providers.port import OpenedModel
from services.llm_gateway.providers.table import PROVIDERS, Kind
from services.llm_gateway.providers.types import Model
from services.llm_gateway.providers.wire import Connection, Network, ProviderModule

# What the SDKs read by themselves: keys, addresses, headers, and whether they log what they send.
_UNSEEN = ("OPENAI_", "ANTHROPIC_", "AZURE_OPENAI_", "GOOGLE_", "GEMINI_", "CLOUD_ML_", "VERTEX_")
_building = threading.Lock()


async def open_model(model: Model, network: Network) -> OpenedModel:
    """Answer a model that can be asked; takes seconds the first time, while the SDK is imported.

    Raises ProviderError BAD_REQUEST for settings that can't be used, with words for people, and BLOCKED_ADDRESS for a
    base URL that the rules forbid.
    """
    kind = PROVIDERS.get(model.provider)
    if kind is None:
        raise ProviderError(Fault.BAD_REQUEST, words=f"there is no provider {model.provider[:40]!r}")
    if kind.requires_key and not model.api_key:
        raise ProviderError(Fault.AUTH, words="a key is needed")
    if kind.requires_base_url and not model.base_url:
        raise ProviderError(Fault.BAD_REQUEST, words="a base URL is needed")
    if model.base_url:
        try:
            check_url(model.base_url, network.rules(model))
        except AddressError as error:
            raise ProviderError(Fault.BLOCKED_ADDRESS, words=f"the base URL {error}") from None
    module, connection = await asyncio.to_thread(_build, kind, model, network)
    return Opened(model, kind, module, connection, network.waits)


def _build(kind: Kind, model: Model, network: Network) -> tuple[ProviderModule, Connection]:
    with _building, _unseen_environment():
        module: ProviderModule = importlib.import_module(f"services.llm_gateway.providers.{kind.id}")
        return module, module.connect(model, network)


@contextmanager
def _unseen_environment() -> Iterator[None]:
    """Hide from the SDKs what they would take from the environment; nobody else here reads these variables."""
    hidden = {name: value for name, value in os.environ.items() if name.startswith(_UNSEEN)}
    for name in hidden:
        del os.environ[name]
    try:
        yield
    finally:
        os.environ.update(hidden)
