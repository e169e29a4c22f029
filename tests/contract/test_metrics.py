"""docs/operations.md tells every metric of the queues, and they are there from the start, with zeros."""

import re
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from prometheus_client import Counter, Gauge, Histogram, generate_latest
from prometheus_client.parser import text_string_to_metric_families

from services.kit import retries
from services.kit.telemetry import metrics
from services.review import app as review_app
from services.webhooks import app as webhooks_app
from tests.support.mesh import RunningMesh, running_mesh
from tests.support.postgres import Database

DOCUMENT = (Path(__file__).resolve().parents[2] / "docs" / "operations.md").read_text()
TOLD = dict(re.findall(r"^\| `(lintel_[a-z_]+)(?:\{([a-z,]+)\})?` \|", DOCUMENT, re.M))
# What every server of this kind has, and what others tell of.
ELSEWHERE = ("lintel_rpc_", "lintel_http_", "lintel_llm_", "lintel_model_", "lintel_gateway_", "lintel_auth_")


@pytest.fixture
async def workers(database: Database) -> AsyncIterator[RunningMesh]:
    roles = {"review_worker": review_app.work, "webhooks_worker": webhooks_app.work}
    async with running_mesh(database, roles) as made:
        yield made


def samples() -> dict[tuple[str, tuple[str, ...]], float]:
    families = text_string_to_metric_families(generate_latest(metrics.REGISTRY).decode())
    return {
        (sample.name, tuple(sorted(sample.labels.values()))): sample.value for f in families for sample in f.samples
    }


def test_every_metric_is_told_and_every_one_that_is_told_exists() -> None:
    made = {}
    for name in dir(metrics):
        metric = getattr(metrics, name)
        if isinstance(metric, Counter | Gauge | Histogram):
            (family,) = metric.describe()
            full = family.name + ("_total" if family.type == "counter" else "")
            made[full] = ",".join(metric._labelnames)
    ours = {name: labels for name, labels in made.items() if not name.startswith(ELSEWHERE)}
    assert ours == TOLD


async def test_they_are_there_from_the_start(workers: RunningMesh) -> None:
    found = samples()
    wanted = [
        *(("lintel_queue_rows", names) for names in QUEUES),
        *(("lintel_queue_oldest_seconds", (queue,)) for queue in ("deliveries", "inbox", "outbox", "runs")),
        *(("lintel_dead_letters", (kind,)) for kind in ("delivery", "event", "message")),
        *(("lintel_dead_letters_replayed_total", (kind,)) for kind in ("delivery", "event", "message")),
        *(("lintel_retries_total", (r.subject, r.failure)) for r in retries.TABLE if r.attempts != 1),
        *(("lintel_publications_total", (o,)) for o in ("PUBLISHED", "PENDING", "SUPERSEDED", "REJECTED")),
        *(("lintel_review_runs_total", (s,)) for s in ("PUBLISHED", "COMPLETED", "SUPERSEDED", "CANCELLED", "FAILED")),
        *(("lintel_relay_batches_total", (o,)) for o in ("sent", "partly", "refused")),
        *(("lintel_inbox_handled_total", (o,)) for o in ("handled", "received", "dead")),
        *(("lintel_deliveries_handled_total", ("github", s)) for s in ("processed", "ignored", "failed")),
        *(("lintel_pruned_rows_total", (t,)) for t in ("deliveries", "inbox", "checkpoints")),
        ("lintel_sweeps_total", ("github", "ok")),
        ("lintel_review_leases_lost_total", ()),
        ("lintel_review_rescues_total", ()),
        ("lintel_outbox_resent_total", ()),
    ]
    assert [each for each in wanted if (each[0], tuple(sorted(each[1]))) not in found] == []


QUEUES = (
    ("deliveries", "received"),
    ("outbox", "unsent"),
    ("outbox", "unconfirmed"),
    ("inbox", "received"),
    ("runs", "queued"),
    ("runs", "running"),
)
