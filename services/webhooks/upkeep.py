"""What the webhooks service forgets, and what it measures."""

from datetime import timedelta
from functools import partial

from services.kit.postgres.pool import Database
from services.kit.postgres.upkeep import Measured, Upkeep
from services.webhooks import store
from services.webhooks.config import WebhooksSettings

MEASURED = Measured(
    rows={
        "received": ("deliveries", "received"),
        "unsent": ("outbox", "unsent"),
        "unconfirmed": ("outbox", "unconfirmed"),
    },
    dead={"failed": "delivery"},
    oldest={"deliveries_oldest": "deliveries", "outbox_oldest": "outbox"},
)


def upkeep(database: Database, settings: WebhooksSettings) -> Upkeep:
    """Answer the upkeep of the service's tables. Rows of the outbox go when the receiver has them, never by age."""
    handled, dead = timedelta(days=settings.keep_deliveries), timedelta(days=settings.keep_dead_letters)
    forget = {"deliveries": partial(store.prune, handled=handled, dead=dead)}
    return Upkeep(database, forget, store.measure, MEASURED)
