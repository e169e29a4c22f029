"""The one table of who takes which topic, and the exchanges and queues that a broker needs for it.

Every connection declares all of it: whoever comes first makes it, for the others it is there. Nothing that RabbitMQ 4
has given up is used, and nothing that RabbitMQ 3.10 does not know. Limits that an operator may want to change (length,
delivery limit) are left to policies, because a queue's arguments can't be changed.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from aio_pika.abc import AbstractChannel, AbstractExchange, ExchangeType

from services.kit.bus.wire import PULL_REQUEST_CHANGED

# A consumer is a service with an inbox. The sender of a topic is whoever has it in its outbox.
CONSUMERS: Mapping[str, tuple[str, ...]] = {
    "review": (PULL_REQUEST_CHANGED,),
}


@dataclass(frozen=True, slots=True)
class Topology:
    """Names on the broker; another `prefix` is another bus on the same broker."""

    prefix: str = "lintel"

    @property
    def events(self) -> str:
        """The topic exchange that envelopes are published to."""
        return f"{self.prefix}.events"

    @property
    def dead(self) -> str:
        """The direct exchange for what a consumer can't read."""
        return f"{self.prefix}.dead"

    def queue(self, consumer: str) -> str:
        """The queue of a consumer."""
        return f"{self.prefix}.{consumer}"

    def dead_queue(self, consumer: str) -> str:
        """Where the messages wait that a consumer could not read; nothing takes them but an operator."""
        return f"{self.prefix}.{consumer}.dead"

    async def declare(self, channel: AbstractChannel) -> AbstractExchange:
        """Make what is not there and answer the exchange of events."""
        events = await channel.declare_exchange(self.events, ExchangeType.TOPIC, durable=True)
        dead = await channel.declare_exchange(self.dead, ExchangeType.DIRECT, durable=True)
        for consumer, topics in CONSUMERS.items():
            grave = await channel.declare_queue(
                self.dead_queue(consumer), durable=True, arguments={"x-queue-type": "quorum"}
            )
            await grave.bind(dead, routing_key=consumer)
            queue = await channel.declare_queue(
                self.queue(consumer),
                durable=True,
                arguments={
                    "x-queue-type": "quorum",
                    "x-dead-letter-exchange": self.dead,
                    "x-dead-letter-routing-key": consumer,
                    # A message leaves for the dead once it is there; that needs a queue that refuses when it is full.
                    "x-dead-letter-strategy": "at-least-once",
                    "x-overflow": "reject-publish",
                },
            )
            for topic in topics:
                await queue.bind(events, routing_key=topic)
        return events
