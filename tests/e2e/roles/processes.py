"""The production shape on one machine: every role a process of its own, the workers twice, over real engines."""

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import asyncpg
import httpx2

from cli.engines.spawn import Command, spawn
from cli.layout import ROOT
from tests.support.system import Repository, until

ROLES = ("auth", "orgs", "llm_gateway", "webhooks", "review", "gateway")
WORKERS = ("webhooks_worker", "review_worker")
_READY = b'"event": "ready"', b'"event":"ready"'


@dataclass
class Process:
    """One started role, and what it says."""

    role: str
    log: Path
    popen: "subprocess.Popen[bytes]"

    @property
    def said(self) -> bytes:
        return self.log.read_bytes()

    async def ready(self) -> None:
        async def is_ready() -> bool:
            assert self.popen.poll() is None, f"{self.role} ended:\n{self.said[-3000:].decode(errors='replace')}"
            return any(word in self.said for word in _READY)

        await until(is_ready, seconds=120)

    async def ended(self, seconds: float = 30) -> int:
        """Wait for its end; answers the exit status."""
        return await asyncio.to_thread(self.popen.wait, seconds)

    def stop(self, number: signal.Signals = signal.SIGKILL) -> None:
        if self.popen.poll() is None:
            self.popen.send_signal(number)


@dataclass
class Fleet:
    """All that run, by role; more of each may be started."""

    directory: Path
    environment: Mapping[str, str]
    edge: str
    webhooks: str
    owner: "asyncpg.Pool[asyncpg.Record]"
    repository: Repository
    processes: list[Process] = field(default_factory=list)

    def start(self, role: str) -> Process:
        """Start one more of a role; from the main thread, whose end it does not outlive."""
        log = self.directory / f"{len(self.processes)}-{role}.log"
        paths = os.pathsep.join([str(ROOT), str(ROOT / "protos" / "gen")])
        environment = {"PATH": os.environ.get("PATH", os.defpath), "PYTHONPATH": paths, **self.environment}
        argv = [sys.executable, "-m", "services", role]
        with log.open("wb") as output:
            popen = spawn(Command(argv, env=environment, death_signal=signal.SIGKILL, cwd=ROOT), output)
        self.processes.append(Process(role, log, popen))
        return self.processes[-1]

    def running(self, role: str) -> list[Process]:
        return [p for p in self.processes if p.role == role and p.popen.poll() is None]

    async def health(self, path: str = "/health") -> httpx2.Response:
        async with httpx2.AsyncClient(base_url=self.edge, trust_env=False, timeout=10) as client:
            return await client.get(path)

    async def parts(self) -> dict[str, str]:
        """What `/health` says of each part."""
        details = (await self.health()).json()["details"]
        database = details["database"]
        return {
            **{name: details[name]["status"] for name in ("application", "broker", "worker")},
            **{name: database[name]["status"] for name in ("postgres", "mongodb")},
        }

    async def says(self, **wanted: str) -> None:
        """Wait until `/health` says this of these parts."""

        async def does() -> bool:
            try:
                found = await self.parts()
            except httpx2.TransportError:
                return False
            return wanted.items() <= found.items()

        await until(does, seconds=90)

    async def published(self, number: int, head: str) -> None:
        """Wait until a head has its review; time passes quickly for what waits."""

        async def is_published() -> bool:
            await self.owner.execute("UPDATE review.runs SET available_at = clock_timestamp() WHERE state = 'QUEUED'")
            await self.owner.execute("UPDATE webhooks.outbox SET available_at = clock_timestamp()")
            state = await self.owner.fetchval(
                "SELECT r.state FROM review.runs r JOIN review.pull_requests p ON p.id = r.pull_request_id "
                "WHERE p.number = $1 AND r.head_sha = $2 ORDER BY r.id DESC LIMIT 1",
                number,
                head,
            )
            return bool(state == "PUBLISHED")

        await until(is_published, seconds=100)

    async def stop(self) -> None:
        for process in self.processes:
            process.stop()
        for process in self.processes:
            await process.ended()
