"""Traces: W3C context in and out, and spans; one webhook is one trace from the edge to the post."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from opentelemetry import context as otel_context
from opentelemetry import trace
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import SpanProcessor, TracerProvider
from opentelemetry.trace import Span, SpanKind, Status, StatusCode
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

HEADER = "traceparent"
_propagator = TraceContextTextMapPropagator()


def setup(name: str, processors: Sequence[SpanProcessor] = ()) -> None:
    """Install the process's tracer once; `processors` receive finished spans."""
    current = trace.get_tracer_provider()
    if not isinstance(current, TracerProvider):
        current = TracerProvider(resource=Resource.create({"service.name": name}))
        trace.set_tracer_provider(current)
    for processor in processors:
        current.add_span_processor(processor)


@contextmanager
def span(name: str, parent: str | None = None, kind: SpanKind = SpanKind.INTERNAL, **attributes: Any) -> Iterator[Span]:
    """Run a block in a span; `parent` is a traceparent, else the current span is the parent."""
    context = _propagator.extract({HEADER: parent}) if parent else None
    tracer = trace.get_tracer("lintel")
    with tracer.start_as_current_span(
        name, context=context, kind=kind, attributes=attributes, record_exception=False, set_status_on_exception=False
    ) as current:
        try:
            yield current
        except Exception as error:
            # The text of an exception may hold what must not leave the process; its type is enough.
            current.set_status(Status(StatusCode.ERROR, type(error).__name__))
            raise


def traceparent() -> str:
    """Answer the current context as a traceparent header, empty without one."""
    carrier: dict[str, str] = {}
    _propagator.inject(carrier, context=otel_context.get_current())
    return carrier.get(HEADER, "")
