"""Spans of model calls reach a collector and LangSmith in OpenTelemetry's words, without anything that was said."""

import asyncio

import pytest
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status

from emulators.openai import completion, error
from services.kit.config import ConfigError, load
from services.kit.errors import AppError
from services.kit.telemetry import trace
from services.kit.telemetry.export import ExportSettings, processors
from tests.integration.llm_gateway.collector import attributes, collecting
from tests.integration.llm_gateway.conftest import KEY, Make

USAGE = {
    "prompt_tokens": 1000,
    "completion_tokens": 100,
    "total_tokens": 1100,
    "prompt_tokens_details": {"cached_tokens": 400},
    "completion_tokens_details": {"reasoning_tokens": 60},
}


async def test_langsmith_gets_the_model_s_spans_alone_and_nothing_of_the_code(world: Make) -> None:
    with collecting() as (url, received):
        settings = load(
            ExportSettings,
            {
                "LANGCHAIN_TRACING_V2": "true",
                "LANGCHAIN_ENDPOINT": url,
                "LANGCHAIN_API_KEY": "ls-key",
                "LANGCHAIN_PROJECT": "reviews",
            },
        )
        (made_processor,) = processors(settings)
        trace.setup("lintel-test", [made_processor])
        try:
            made = await world([completion('{"a": "SPOKEN"}', usage=USAGE), error(401, f"bad key {KEY}")])
            await made.complete(input="DATA BEGIN\nCANARY\nDATA END")
            with pytest.raises(AppError):
                await made.complete()
            assert await asyncio.to_thread(made_processor.force_flush)
        finally:
            made_processor.shutdown()
    assert {r.path for r in received} == {"/otel/v1/traces"}
    assert all(r.headers["x-api-key"] == "ls-key" and r.headers["langsmith-project"] == "reviews" for r in received)
    good, bad = (span for r in received for span in r.spans)
    assert (good.name, good.kind) == ("chat test-model", Span.SPAN_KIND_CLIENT)
    told = attributes(good)
    assert told["gen_ai.operation.name"] == "chat" and told["gen_ai.provider.name"] == "openai"
    assert told["gen_ai.request.model"] == told["gen_ai.response.model"] == "test-model"
    assert told["gen_ai.request.max_tokens"] == 500 and told["gen_ai.response.finish_reasons"] == ["stop"]
    assert told["gen_ai.usage.input_tokens"] == 1000 and told["gen_ai.usage.output_tokens"] == 100
    assert told["gen_ai.usage.cache_read.input_tokens"] == 400
    assert told["gen_ai.usage.reasoning.output_tokens"] == 60
    assert told["server.address"] == "127.0.0.1"
    assert attributes(bad)["error.type"] == "auth" and bad.status.code == Status.STATUS_CODE_ERROR
    for text in (b"CANARY", b"SPOKEN", b"as the schema says", KEY.encode()):
        assert not any(text in r.raw for r in received)


async def test_a_collector_gets_all_spans(world: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    with collecting() as (url, received):
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", url)
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_HEADERS", "authorization=Bearer%20t")
        (made_processor,) = processors(load(ExportSettings))
        trace.setup("lintel-test", [made_processor])
        try:
            made = await world(["{}"])
            await made.complete()
            assert await asyncio.to_thread(made_processor.force_flush)
        finally:
            made_processor.shutdown()
    spans = {span.name: span for r in received for span in r.spans}
    assert {r.path for r in received} == {"/v1/traces"}
    assert all(r.headers["authorization"] == "Bearer t" for r in received)
    call, rpc = spans["chat test-model"], spans["lintel.llm.v1.LlmService/Complete"]
    assert call.trace_id == rpc.trace_id  # one trace from the caller to the provider


@pytest.mark.parametrize(
    "environ", [{}, {"LANGCHAIN_TRACING_V2": "true"}, {"LANGCHAIN_API_KEY": "k"}, {"LANGCHAIN_TRACING_V2": "false"}]
)
def test_nothing_is_sent_unless_it_is_asked_for(environ: dict[str, str]) -> None:
    assert processors(load(ExportSettings, environ)) == []


def test_an_address_that_is_none_stops_the_start() -> None:
    with pytest.raises(ConfigError, match="LANGCHAIN_ENDPOINT"):
        load(ExportSettings, {"LANGCHAIN_ENDPOINT": "smith.langchain.com"})
