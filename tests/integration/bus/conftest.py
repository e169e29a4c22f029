"""Envelopes, an inbox that tells what it was given, and a broker whose names belong to one test."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from uuid import UUID, uuid4

import pytest
from lintel.events.v1 import pull_request_pb2

from services.kit.bus.address import parse
from services.kit.bus.port import Envelope
from services.kit.bus.rabbitmq import RabbitMqBus
from services.kit.bus.topology import Topology
from services.kit.bus.wire import PULL_REQUEST_CHANGED, seal
from services.kit.errors import AppError, Reason
from tests.support.rabbitmq import forget

ORGANIZATION = uuid4()


def envelope(number: int = 1) -> Envelope:
    """An event about a pull request."""
    ref = pull_request_pb2.PullRequestRef(host="github", repository_id="1", repository="acme/shop", number=number)
    return seal(ORGANIZATION, PULL_REQUEST_CHANGED, pull_request_pb2.PullRequestChanged(ref=ref, action="opened"))


@dataclass
class Inbox:
    """Keeps what it is given, once per id as the real one does; `away` makes it fail like a database that is down."""

    away: bool = False
    poison: set[UUID] = field(default_factory=set)
    kept: dict[UUID, Envelope] = field(default_factory=dict)
    given: list[UUID] = field(default_factory=list)
    refused: int = 0
    changed: asyncio.Event = field(default_factory=asyncio.Event)

    async def accept(self, envelopes: Sequence[Envelope]) -> None:
        if self.away:
            self.refused += 1
            self.changed.set()
            raise AppError(Reason.UNAVAILABLE, "The database does not answer.")
        if any(e.id in self.poison for e in envelopes):
            raise ValueError("this one can't be stored")
        self.given += [e.id for e in envelopes]
        self.kept |= {e.id: e for e in envelopes}
        self.changed.set()

    async def has(self, *envelopes: Envelope) -> None:
        """Wait until all of them have arrived."""
        async with asyncio.timeout(60):
            while not {e.id for e in envelopes} <= self.kept.keys():
                self.changed.clear()
                await self.changed.wait()

    async def has_refused(self, times: int = 1) -> None:
        """Wait until something was refused as often."""
        async with asyncio.timeout(60):
            while self.refused < times:
                self.changed.clear()
                await self.changed.wait()


@pytest.fixture
def inbox() -> Inbox:
    return Inbox()


@pytest.fixture
async def topology(rabbitmq_uri: str) -> AsyncIterator[Topology]:
    """Names that no other test has; what was made under them is removed."""
    names = Topology(f"test-{uuid4().hex}")
    yield names
    await forget(rabbitmq_uri, names)


@pytest.fixture
async def rabbit(rabbitmq_uri: str, topology: Topology) -> AsyncIterator[RabbitMqBus]:
    bus = RabbitMqBus(parse(rabbitmq_uri), topology)
    yield bus
    await bus.close()
