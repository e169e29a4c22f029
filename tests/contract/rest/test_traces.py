"""One request is one trace: the caller's, the edge's one span, and the role's below it."""

import time

import httpx2
import pytest
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from services.kit.telemetry import trace

PARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


@pytest.fixture(scope="module")
def exporter() -> InMemorySpanExporter:
    exporter = InMemorySpanExporter()
    trace.setup("test", [SimpleSpanProcessor(exporter)])
    return exporter


@pytest.mark.parametrize("verb", ["GET", "POST"])
async def test_the_trace_goes_through(rest: httpx2.AsyncClient, exporter: InMemorySpanExporter, verb: str) -> None:
    began = time.time_ns()
    path = "/codeReview?pageToken=hidden" if verb == "GET" else "/github/webhook"
    headers = {"traceparent": PARENT, "content-type": "application/json"}
    answer = await rest.request(verb, path, headers=headers, content=b"" if verb == "GET" else b"{}")
    # A stream that an earlier test left may end meanwhile, but it began before.
    spans = [s for s in exporter.get_finished_spans() if s.start_time is not None and s.start_time >= began]
    assert {f"{s.context.trace_id:032x}" for s in spans if s.context} == {PARENT.split("-")[1]}
    (edge,) = [s for s in spans if s.name.startswith("HTTP ")]
    (role,) = [s for s in spans if s is not edge]
    assert edge.parent is not None
    assert f"{edge.parent.span_id:016x}" == PARENT.split("-")[2]
    assert role.parent is not None
    assert edge.context is not None
    assert role.parent.span_id == edge.context.span_id
    assert edge.name == ("HTTP GET /codeReview" if verb == "GET" else "HTTP POST /github/webhook")
    assert answer.headers["traceparent"].split("-")[1:3] == [PARENT.split("-")[1], f"{edge.context.span_id:016x}"]
    assert "hidden" not in str([dict(s.attributes or {}) for s in spans])
