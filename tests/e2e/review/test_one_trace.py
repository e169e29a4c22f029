"""One webhook is one trace: from the edge through both services to the post, and each span has its parent in it."""

from pathlib import Path

from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from emulators.github import GitHubEmulator, deliver
from services.kit.telemetry import trace
from tests.support.postgres import Database
from tests.support.system import SECRET, TOKEN, Repository, running_system

STATIONS = (
    "HTTP POST /github/webhook",
    "lintel.webhooks.v1.IngestService/Ingest",
    "delivery handle",
    "inbox handle",
    "review run",
    "lintel.webhooks.v1.CodeHostService/GetPullRequest",
    "lintel.webhooks.v1.CodeHostService/ReadSource",
    "analyse",
    "lintel.webhooks.v1.CodeHostService/Publish",
)


async def test_one_webhook_gives_one_trace_from_the_edge_to_the_post(database: Database, tmp_path: Path) -> None:
    spans = InMemorySpanExporter()
    trace.setup("tests", [SimpleSpanProcessor(spans)])
    repository = Repository(tmp_path)
    base = repository.commit({"a.py": "x = 1\n"})
    head = repository.commit({"a.py": "x = 2\n"})
    async with GitHubEmulator(repository.path, "acme", "shop", TOKEN) as emulator:
        pull = await emulator.open_pull(head=head, base=base)
        async with running_system(database, emulator) as system:
            delivery = emulator.webhook("opened", pull.number, secret=SECRET)
            assert (await deliver(system.github_webhook, delivery)).status == 202
            await system.settled()
    finished = spans.get_finished_spans()
    (edge,) = (s for s in finished if s.name == STATIONS[0])
    assert edge.context is not None
    ours = [s for s in finished if s.context and s.context.trace_id == edge.context.trace_id]
    assert {s.name for s in ours} >= set(STATIONS)
    known = {s.context.span_id for s in ours if s.context}
    # What has no parent in the trace is the sender's own call, or the edge where the sender has none.
    assert [s.name for s in ours if s is not edge and (s.parent is None or s.parent.span_id not in known)] in (
        [],
        ["POST"],
    )
