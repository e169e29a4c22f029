"""Checkpoints of steps that cost money: written down before they are made, and with what came of them.

A retry finds what is recorded and buys nothing twice; what a worker had begun when it stopped is in doubt, and counted.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from services.kit.errors import AppError
from services.kit.postgres.pool import Connection, Database
from services.review import store
from services.review.domain import Run
from services.review.model_port import Begun, CheckpointError
from services.review.run_store import LeaseLostError, hold


class StepCheckpoints:
    """Implements Checkpoints; each method is one transaction that holds the run."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def begin(self, run: Run, step: str, input_sha256: str) -> Begun:
        """Answer the recorded result, or note one more beginning and how many there were before it."""
        async with self._held(run) as connection:
            done = await store.checkpoint(connection, run.id, step, input_sha256)
            if done is not None:
                return Begun(done["result"], done["begun"] - 1)
            return Begun(None, await store.begin_step(connection, run, step, input_sha256) - 1)

    async def finish(self, run: Run, step: str, input_sha256: str, result: bytes) -> None:
        """Record the result."""
        async with self._held(run) as connection:
            await store.finish_step(connection, run.id, step, input_sha256, result)

    async def give_up(self, run: Run, step: str, input_sha256: str) -> None:
        """Take the last beginning back."""
        async with self._held(run) as connection:
            await store.give_up_step(connection, run.id, step, input_sha256)

    @asynccontextmanager
    async def _held(self, run: Run) -> AsyncIterator[Connection]:
        try:
            async with self._database.tenant(run.organization_id) as connection:
                await hold(connection, run)
                yield connection
        except (AppError, LeaseLostError) as error:
            raise CheckpointError(error) from None
