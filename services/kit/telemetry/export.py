"""Where spans go: to an OTLP collector, and those of language models to LangSmith, as the environment says.

The exporter is imported only where one of them is configured. Neither gets a prompt or an answer: no span holds one.
"""

from urllib.parse import urlsplit

from opentelemetry.sdk.trace import ReadableSpan, SpanProcessor
from pydantic import Field, SecretStr, field_validator

from services.kit.config import Settings

LANGSMITH_URL = "https://api.smith.langchain.com"
_LANGSMITH_PATH = "/otel/v1/traces"  # of its documentation on OpenTelemetry
_GENERATIVE = "gen_ai.operation.name"


class ExportSettings(Settings):
    """The variables of the OpenTelemetry specification that switch it on, and those of LangSmith.

    What else OTEL_EXPORTER_OTLP_* says (headers, time-out, compression, certificate) the exporter reads by itself.
    """

    endpoint: str | None = Field(None, alias="OTEL_EXPORTER_OTLP_ENDPOINT")
    traces_endpoint: str | None = Field(None, alias="OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")
    langsmith: bool = Field(False, alias="LANGCHAIN_TRACING_V2")
    langsmith_url: str = Field(LANGSMITH_URL, alias="LANGCHAIN_ENDPOINT")
    langsmith_key: SecretStr | None = Field(None, alias="LANGCHAIN_API_KEY")
    langsmith_project: str = Field("default", alias="LANGCHAIN_PROJECT")

    @field_validator("endpoint", "traces_endpoint", "langsmith_url")
    @classmethod
    def _is_address(cls, value: str | None) -> str | None:
        if value is None:
            return None
        parts = urlsplit(value)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ValueError("must be http(s)://host[:port][/path]")
        return value.rstrip("/")


def processors(settings: ExportSettings) -> list[SpanProcessor]:
    """Answer what receives finished spans; none where nothing is configured."""
    wants_langsmith = settings.langsmith and settings.langsmith_key is not None
    if not (settings.endpoint or settings.traces_endpoint or wants_langsmith):
        return []
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter  # noqa: PLC0415 - see above
    from opentelemetry.sdk.trace.export import BatchSpanProcessor  # noqa: PLC0415

    made: list[SpanProcessor] = []
    if settings.endpoint or settings.traces_endpoint:
        made.append(BatchSpanProcessor(OTLPSpanExporter()))
    if wants_langsmith and settings.langsmith_key is not None:
        headers = {
            "x-api-key": settings.langsmith_key.get_secret_value(),
            "Langsmith-Project": settings.langsmith_project,
        }
        exporter = OTLPSpanExporter(endpoint=settings.langsmith_url + _LANGSMITH_PATH, headers=headers)
        made.append(_ModelsOnly(BatchSpanProcessor(exporter)))
    return made


class _ModelsOnly(SpanProcessor):
    """Passes on the spans of calls to language models, and nothing of what is around them."""

    def __init__(self, inner: SpanProcessor) -> None:
        self._inner = inner

    def on_end(self, span: ReadableSpan) -> None:
        if span.attributes and _GENERATIVE in span.attributes:
            self._inner.on_end(span)

    def shutdown(self) -> None:
        self._inner.shutdown()

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        return self._inner.force_flush(timeout_millis)
