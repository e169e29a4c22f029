"""What the review service forgets, and what it measures."""

from datetime import timedelta
from functools import partial

from services.kit.postgres.pool import Database
from services.kit.postgres.upkeep import Measured, Upkeep
from services.review import store
from services.review.config import ReviewSettings

MEASURED = Measured(
    rows={
        "inbox_received": ("inbox", "received"),
        "runs_queued": ("runs", "queued"),
        "runs_running": ("runs", "running"),
    },
    dead={"events_dead": "event", "messages_dead": "message"},
    oldest={"inbox_oldest": "inbox", "runs_oldest": "runs"},
)


def upkeep(database: Database, settings: ReviewSettings) -> Upkeep:
    """Answer the upkeep of the service's tables. Runs and findings are kept: they are what people come for."""
    envelopes, dead = timedelta(days=settings.keep_envelopes), timedelta(days=settings.keep_dead_letters)
    checkpoints = timedelta(days=settings.keep_checkpoints)
    forget = {
        "inbox": partial(store.prune_envelopes, handled=envelopes, dead=dead),
        "checkpoints": partial(store.prune_checkpoints, age=checkpoints),
    }
    return Upkeep(database, forget, store.measure, MEASURED)
