"""A pull request on the strict emulator, a real ledger, and runs that publish to it, crash and come back."""

import uuid
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import asyncpg

from emulators.github import GitHubEmulator
from emulators.github.model import Review
from services.kit.postgres.pool import Database
from services.webhooks.hosts.base import PullRequestRef, ReviewHost, StaticToken
from services.webhooks.hosts.github.client import Client
from services.webhooks.hosts.github.reviews import GitHub
from services.webhooks.hosts.gitlab.client import Client as GitLabClient
from services.webhooks.hosts.gitlab.reviews import GitLab
from services.webhooks.hosts.marker import Marker
from services.webhooks.ledger_store import LedgerStore
from services.webhooks.publication_texts import Finding
from services.webhooks.publications import Outcome, Publications, PublishRequest, PublishResult

TOKEN = "ghs_123_token-of-the-tests"
REF = PullRequestRef("github", "", "4711", "acme/shop", 1)
Steps = Callable[[str], Awaitable[None]]


class Crash(BaseException):
    """The process is gone: nothing that it still wanted to do is done."""


@dataclass
class CrashAt:
    """Crashes at the step of that number, and stays crashed; without a number it only takes down the steps."""

    number: int | None = None
    names: list[str] = field(default_factory=list)

    async def __call__(self, name: str) -> None:
        self.names.append(name)
        if self.number is not None and len(self.names) > self.number:
            raise Crash(name)


@dataclass
class At:
    """Does something right before the first step of that name."""

    name: str
    act: Callable[[], Awaitable[None]]
    done: bool = False

    async def __call__(self, name: str) -> None:
        if name == self.name and not self.done:
            self.done = True
            await self.act()


async def go_on(name: str) -> None:
    """Nothing happens."""


def finding(name: str, line: int, *, path: str = "wide.py", start: int | None = None) -> Finding:
    return Finding(name, path, False, start or line, line, f"Finding {name}: see line {line}.")


@dataclass
class World:
    """All of it; each call of `publish` knows only what the ledger and the host know."""

    emulator: GitHubEmulator
    database: Database
    owner: asyncpg.Connection
    organization_id: uuid.UUID = field(default_factory=uuid.uuid4)
    seconds: float = 5.0
    ref = REF

    def run(self, head_sha: str, epoch: int, *findings: Finding, summary: str = "") -> PublishRequest:
        """A run of the pull request's head at that epoch."""
        run_id = uuid.uuid4()
        text = summary or f"## Summary of {head_sha[:7]}\n\n{len(findings)} findings."
        return PublishRequest(self.organization_id, self.ref, run_id, epoch, head_sha, "main", text, findings)

    hosts: dict[float, ReviewHost] = field(default_factory=dict)
    passed: timedelta = timedelta()  # how much later it is for the adapter than for us

    @property
    def host(self) -> ReviewHost:
        """The adapter, which knows nothing but who we are; kept, as reading the certificates takes a while."""
        if self.seconds not in self.hosts:
            self.hosts[self.seconds] = self.connect()
        return self.hosts[self.seconds]

    def connect(self) -> ReviewHost:
        """A new adapter."""
        client = Client(StaticToken(TOKEN), self.emulator.url, now=self.now, seconds=self.seconds)
        return GitHub(client, Marker([b"k" * 32]))

    def now(self) -> datetime:
        """The time as the adapter has it."""
        return datetime.now(UTC) + self.passed

    async def close(self) -> None:
        for host in self.hosts.values():
            await host.close()

    async def publish(self, request: PublishRequest, steps: Steps = go_on) -> PublishResult:
        return await Publications(LedgerStore(self.database), steps=steps).publish(self.host, request)

    async def crash(self, request: PublishRequest, number: int) -> bool:
        """Publish in a process that dies at that step; whether it came that far. Then its lease runs out."""
        try:
            await self.publish(request, CrashAt(number))
        except Crash:
            await self.expire_leases()
            return True
        return False

    async def expire_leases(self) -> None:
        """Let the time of a lease pass."""
        await self.owner.execute(
            "UPDATE webhooks.publication_fences SET lease_expire_time = clock_timestamp() - interval '1 second' "
            "WHERE lease_token IS NOT NULL"
        )

    async def settle(self, request: PublishRequest, calls: int = 12) -> PublishResult:
        """Call as often as the caller would, until it is no longer PENDING; AssertionError if it never ends."""
        self.passed += timedelta(minutes=5)  # the caller waits as long as it is asked to
        for _ in range(calls):
            result = await self.publish(request)
            if result.outcome is not Outcome.PENDING:
                return result
            assert result.retry_time is not None and result.reason
        raise AssertionError(f"still pending after {calls} calls: {result}")

    def next(self, request: PublishRequest) -> PublishRequest:
        """The same run under a newer claim."""
        return replace(request, epoch=request.epoch + 1)

    @property
    def shown(self) -> list[Review]:
        return self.emulator.reviews(1)

    @property
    def comments(self) -> list[str]:
        """The visible inline comments, by the name of their finding."""
        hidden = {review.id for review in self.emulator.reviews(1, pending=True)}
        visible = [c for c in self.emulator.review_comments(1) if c.review_id not in hidden]
        return sorted(comment.body.split(":")[0].removeprefix("Finding ") for comment in visible)

    @property
    def unseen(self) -> int:
        """How many drafts there are."""
        return len(self.emulator.reviews(1, pending=True))

    def wipe(self) -> None:
        """Take away all that was posted."""
        self.emulator._host.state.reviews.clear()
        self.emulator._host.state.comments.clear()

    async def effects(self, request: PublishRequest) -> dict[str, str]:
        rows = await self.owner.fetch("SELECT kind, state FROM webhooks.effects WHERE run_id = $1", request.run_id)
        return {row["kind"]: row["state"] for row in rows}

    async def forget(self) -> None:
        """Lose the database of this service."""
        for table in ("posted_findings", "effects", "publications", "publication_fences"):
            await self.owner.execute(f"DELETE FROM webhooks.{table}")


class GitLabWorld(World):
    """The same on GitLab, where a review is a set of notes."""

    emulator: Any
    ref = PullRequestRef("gitlab", "", "4711", "acme/shop", 1)

    def connect(self) -> ReviewHost:
        client = GitLabClient(StaticToken(TOKEN), self.emulator.url, now=self.now, seconds=self.seconds)
        return GitLab(client, Marker([b"k" * 32]), self.emulator.url)

    @property
    def shown(self) -> list[Any]:
        return list(self.emulator.reviews(1))

    @property
    def comments(self) -> list[str]:
        notes = self.emulator.review_comments(1)
        return sorted(note.body.split(":")[0].removeprefix("Finding ") for note in notes)

    @property
    def unseen(self) -> int:
        return len(self.emulator.drafts(1))

    def wipe(self) -> None:
        self.emulator._host.notes.clear()
        self.emulator._host.drafts.clear()
