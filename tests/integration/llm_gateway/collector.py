"""A small OTLP collector: takes traces over HTTP as protobuf, refuses everything else, and remembers."""

import gzip
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)
from opentelemetry.proto.trace.v1.trace_pb2 import Span


@dataclass
class Received:
    """One export: where it was sent, with which headers, and the spans in it."""

    path: str
    headers: dict[str, str]
    spans: list[Span]
    raw: bytes = field(repr=False)


@contextmanager
def collecting() -> Iterator[tuple[str, list[Received]]]:
    """Serve on loopback while the block runs; gives the base URL and what has been received."""
    received: list[Received] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            if self.headers.get("content-encoding") == "gzip":
                body = gzip.decompress(body)
            if self.headers.get("content-type") != "application/x-protobuf":
                self.send_error(415)
                return
            request = ExportTraceServiceRequest.FromString(body)
            spans = [s for r in request.resource_spans for scope in r.scope_spans for s in scope.spans]
            received.append(Received(self.path, {k.lower(): v for k, v in self.headers.items()}, spans, body))
            answer = ExportTraceServiceResponse().SerializeToString()
            self.send_response(200)
            self.send_header("content-type", "application/x-protobuf")
            self.send_header("content-length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", received
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def attributes(span: Span) -> dict[str, Any]:
    """Answer a span's attributes as plain values."""
    found: dict[str, Any] = {}
    for pair in span.attributes:
        kind = pair.value.WhichOneof("value")
        value: Any = getattr(pair.value, kind) if kind else None
        found[pair.key] = [v.string_value for v in value.values] if kind == "array_value" else value
    return found
