"""Spans of calls to models, in OpenTelemetry's words for generative AI; never a prompt and never an answer.

The conventions are still in development: all their names stand here (gen-ai, schema 1.42).
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, TypeAlias
from urllib.parse import urlsplit

from opentelemetry.trace import Span, SpanKind, Status, StatusCode

from services.kit.telemetry import trace
from services.llm_gateway.accounting import Purpose
from services.llm_gateway.environment import Candidate
from services.llm_gateway.providers.faults import ProviderError
from services.llm_gateway.providers.port import OpenedModel
from services.llm_gateway.providers.types import Answer, Request

Opened: TypeAlias = OpenedModel
OPERATION = "gen_ai.operation.name"
_PROVIDERS = {  # gen_ai.provider.name; other kinds are their own
    "google_gemini": "gcp.gemini",
    "google_vertex": "gcp.vertex_ai",
    "open_router": "openrouter",
    "openai_compatible": "openai",
}


@contextmanager
def chat(candidate: Candidate, request: Request, purpose: Purpose) -> Iterator[Span]:
    """Run one call in its span."""
    model = candidate.model
    attributes: dict[str, Any] = {
        OPERATION: "chat",
        "gen_ai.provider.name": _PROVIDERS.get(model.provider, model.provider),
        "gen_ai.request.model": model.model,
        "gen_ai.request.max_tokens": request.max_output_tokens,
        "lintel.purpose": purpose.purpose,
        "lintel.organization_id": str(purpose.organization_id),
    }
    if model.base_url:
        attributes["server.address"] = urlsplit(model.base_url).hostname or ""
    with trace.span(f"chat {model.model}", kind=SpanKind.CLIENT, **attributes) as span:
        yield span


def answered(span: Span, answer: Answer) -> None:
    """Tell what came back, in numbers."""
    usage = answer.usage
    span.set_attributes(
        {
            "gen_ai.response.model": answer.model,
            "gen_ai.response.id": answer.request_id,
            "gen_ai.response.finish_reasons": (answer.finish,),
            "gen_ai.usage.input_tokens": usage.input,
            "gen_ai.usage.output_tokens": usage.output,
            "gen_ai.usage.cache_read.input_tokens": usage.cached,
            "gen_ai.usage.cache_creation.input_tokens": usage.cache_written,
            "gen_ai.usage.reasoning.output_tokens": usage.reasoning,
        }
    )


def failed(span: Span, error: ProviderError) -> None:
    """Tell the class of a failure."""
    span.set_attribute("error.type", error.fault.value)
    span.set_status(Status(StatusCode.ERROR, error.fault.value))
