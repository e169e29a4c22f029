"""A pass whose model is behind the real llm_gateway, on its socket, which talks to the strict emulator."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import Any
from uuid import UUID, uuid4

import grpc
import pytest

from emulators.openai import OpenAIEmulator
from services.kit.app import Mesh
from services.kit.bus.in_process import InProcessBus
from services.kit.rpc.addresses import Addresses
from services.kit.rpc.channel import open_channel
from services.llm_gateway import app
from services.orgs import app as orgs
from services.review.domain import PullRequestRef, Run
from services.review.model.clients import RemoteModels
from services.review.model.review_pass import TwoCallPass
from services.review.model_port import Begun
from tests.support.mesh import CRYPTO_KEY
from tests.support.postgres import Database
from tests.support.rpc import short_directory

KEY = "emulated-key-Zx81Qq"


def make_run(number: int = 1) -> Run:
    """A run with a title, an author and a branch that no prompt may show."""
    return Run(
        id=UUID(int=number),
        organization_id=uuid4(),
        ref=PullRequestRef("github", "", "1", "acme/canary-repository", 7),
        head_sha="c0ffee" * 6,
        base_ref="canary-branch",
        epoch=1,
        errors=0,
        waits=0,
        must_finish=False,
        traceparent="",
    )


class Remembered:
    """Checkpoints without a database, for passes that belong to no stored run."""

    def __init__(self) -> None:
        self._results: dict[tuple[UUID, str, str], bytes] = {}

    async def begin(self, run: Run, step: str, input_sha256: str) -> Begun:
        return Begun(self._results.get((run.id, step, input_sha256)), 0)

    async def finish(self, run: Run, step: str, input_sha256: str, result: bytes) -> None:
        self._results[run.id, step, input_sha256] = result

    async def give_up(self, run: Run, step: str, input_sha256: str) -> None:
        self._results.pop((run.id, step, input_sha256), None)


@dataclass(frozen=True)
class Bench:
    emulator: OpenAIEmulator
    model_pass: TwoCallPass
    channel: grpc.aio.Channel
    mesh: Mesh


Make = Callable[..., Awaitable[Bench]]


@pytest.fixture
async def bench(database: Database, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Make]:
    """Starts an emulator with these answers, llm_gateway configured for it by `environ`, and a pass over both."""
    async with AsyncExitStack() as stack:

        async def make(
            answers: Any = (), *, environ: dict[str, str] | None = None, seconds: float = 60, **options: Any
        ) -> Bench:
            emulator = OpenAIEmulator(answers, **{"key": KEY} | options)
            url = await emulator.start()
            stack.push_async_callback(emulator.stop)
            default = {
                "API_OPENAI_FORCE_BASE_URL": url,
                "API_OPEN_AI_API_KEY": KEY,
                "API_LLM_PROVIDER_MODEL": "test-model",
                "LINTEL_MODEL_SECONDS": "20",
            }
            needed = {"DATABASE_URL": database.app_dsn, "API_CRYPTO_KEY": CRYPTO_KEY}
            with monkeypatch.context() as patch:
                for name, value in (needed | (default if environ is None else environ)).items():
                    patch.setenv(name, value.replace("{url}", url))
                mesh = Mesh(Addresses(stack.enter_context(short_directory())), InProcessBus())
                await stack.enter_async_context(orgs.serve(mesh))
                await stack.enter_async_context(app.serve(mesh))
            channel = open_channel(mesh.internal("llm_gateway"), "review_worker")
            stack.push_async_callback(channel.close)
            return Bench(emulator, TwoCallPass(RemoteModels(channel), Remembered(), seconds=seconds), channel, mesh)

        yield make
