"""Every metric of Lintel by name, and the text that Prometheus reads. Labels are fixed and bounded."""

from collections.abc import Callable, Iterable
from itertools import product

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, start_http_server
from prometheus_client.gc_collector import GCCollector
from prometheus_client.platform_collector import PlatformCollector
from prometheus_client.process_collector import ProcessCollector

from services.kit import retries

REGISTRY = CollectorRegistry()
ProcessCollector(registry=REGISTRY)
PlatformCollector(registry=REGISTRY)
GCCollector(registry=REGISTRY)

RPC_SECONDS = Histogram("lintel_rpc_server_duration_seconds", "Time of an RPC", ["method", "code"], registry=REGISTRY)
RPC_IN_FLIGHT = Gauge("lintel_rpc_server_in_flight", "RPCs being handled", ["server"], registry=REGISTRY)
RPC_REFUSED = Counter(
    "lintel_rpc_server_admission_refused_total", "RPCs refused because the server was full", registry=REGISTRY
)
WEBHOOKS = Counter(
    "lintel_webhook_deliveries_total", "Webhook requests by host and outcome", ["host", "outcome"], registry=REGISTRY
)
DELIVERIES = Counter(
    "lintel_deliveries_handled_total", "Deliveries by host and final state", ["host", "state"], registry=REGISTRY
)
OUTBOX_SENT = Counter("lintel_outbox_sent_total", "Envelopes confirmed by the bus", registry=REGISTRY)
OUTBOX_RESENT = Counter(
    "lintel_outbox_resent_total", "Envelopes that the receiver did not have and were sent again", registry=REGISTRY
)
RELAY_BATCHES = Counter(
    "lintel_relay_batches_total",
    "Batches given to the bus: sent, partly sent or refused",
    ["outcome"],
    registry=REGISTRY,
)
QUEUE_ROWS = Gauge(
    "lintel_queue_rows",
    "Rows of a queue in a state that is not final, up to 100,000",
    ["queue", "state"],
    registry=REGISTRY,
)
QUEUE_OLDEST = Gauge(
    "lintel_queue_oldest_seconds",
    "For how long the oldest row of a queue could be handled",
    ["queue"],
    registry=REGISTRY,
)
DEAD_LETTERS = Gauge(
    "lintel_dead_letters", "What nobody could handle and is kept, up to 100,000", ["kind"], registry=REGISTRY
)
REPLAYS = Counter("lintel_dead_letters_replayed_total", "Dead letters handled again", ["kind"], registry=REGISTRY)
SWEEPS = Counter(
    "lintel_sweeps_total", "Looks at a repository's open pull requests", ["host", "outcome"], registry=REGISTRY
)
SWEPT = Counter("lintel_sweep_found_total", "Heads that no webhook had told of", registry=REGISTRY)
PRUNED = Counter("lintel_pruned_rows_total", "Rows that were over for long enough", ["table"], registry=REGISTRY)
BUS_WAITING = Gauge("lintel_bus_messages", "Messages that wait in a queue of the broker", ["queue"], registry=REGISTRY)
BUS_UNREADABLE = Counter(
    "lintel_bus_unreadable_total",
    "Messages that a consumer could not read, dead-lettered",
    ["consumer"],
    registry=REGISTRY,
)
INBOX_HANDLED = Counter("lintel_inbox_handled_total", "Envelopes by outcome", ["outcome"], registry=REGISTRY)
RUNS = Counter("lintel_review_runs_total", "Runs by final state", ["state"], registry=REGISTRY)
RUN_SECONDS = Histogram(
    "lintel_review_run_duration_seconds",
    "Time from claim to end",
    registry=REGISTRY,
    buckets=(0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 600),
)
LEASES_LOST = Counter(
    "lintel_review_leases_lost_total", "Runs that a worker gave up as it could not hold the lease", registry=REGISTRY
)
RESCUES = Counter("lintel_review_rescues_total", "Runs put back as their lease had expired", registry=REGISTRY)
RETRIES = Counter(
    "lintel_retries_total", "What is tried again, by class of failure", ["subject", "failure"], registry=REGISTRY
)
PUBLICATIONS = Counter("lintel_publications_total", "Calls of Publish by outcome", ["outcome"], registry=REGISTRY)
DUPLICATES_REMOVED = Counter(
    "lintel_publication_duplicates_removed_total", "Own duplicates removed from a host", registry=REGISTRY
)
HTTP_SECONDS = Histogram(
    "lintel_http_server_duration_seconds", "Time of a REST request", ["route", "method", "status"], registry=REGISTRY
)


def from_zero(counter: Counter, *labels: Iterable[str]) -> None:
    """Show a counter with every combination of these label values from the start: an alert needs the zero."""
    for values in product(*labels):
        counter.labels(*values)


from_zero(RELAY_BATCHES, ("sent", "partly", "refused"))
from_zero(REPLAYS, ("delivery", "event", "message"))
for _class in retries.TABLE:
    if _class.attempts != 1:
        RETRIES.labels(_class.subject, _class.failure)


def serve(port: int, address: str = "127.0.0.1") -> Callable[[], None]:
    """Serve the text on http://address:port/metrics; answers what stops it. Raises OSError if the port is taken."""
    server, thread = start_http_server(port, addr=address, registry=REGISTRY)

    def stop() -> None:
        server.shutdown()
        server.server_close()
        thread.join()

    return stop
