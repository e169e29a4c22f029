"""Which bus: the broker that API_RABBITMQ_URI names, or none, and then sender and receiver share a process."""

from services.kit.bus.address import BrokerSettings, parse
from services.kit.bus.in_process import InProcessBus
from services.kit.bus.port import Bus
from services.kit.bus.rabbitmq import RabbitMqBus


def choose_bus(settings: BrokerSettings) -> Bus:
    """Answer the bus of this process; call it in the event loop that uses it."""
    if settings.rabbitmq_uri is None:
        return InProcessBus()
    return RabbitMqBus(parse(settings.rabbitmq_uri.get_secret_value()))
