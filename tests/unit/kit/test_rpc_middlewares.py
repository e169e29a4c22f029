"""The middlewares: what is refused is counted and logged, who is calling, what is wrong with a request."""

import asyncio
from typing import Any

import grpc
import pytest
from lintel.auth.v1 import api_key_service_pb2
from lintel.llm.v1 import model_service_pb2
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from structlog.testing import capture_logs

from services.kit.errors import AppError, Reason
from services.kit.rpc import middlewares
from services.kit.rpc.context import Principal, request_id
from services.kit.rpc.policy import EVERYONE, OWNER, Rule, internal, read, write
from services.kit.rpc.status import from_rpc_error, rpc_errors
from services.kit.telemetry import metrics, trace
from tests.support.rpc import CALLER, LIST_PROVIDERS, keys, models, principal_with, providers, running

BEARER = (("authorization", "Bearer key"),)
CREATE_KEY = "/lintel.auth.v1.ApiKeyService/CreateApiKey"


async def owner(credential: str) -> Principal:
    return principal_with("owner")


async def reader(credential: str) -> Principal:
    return principal_with("owner", "read")


async def contributor(credential: str) -> Principal:
    return principal_with("contributor")


async def nobody(credential: str) -> Principal:
    raise AppError(Reason.UNAUTHENTICATED)


async def refused(call: Any) -> AppError:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await call
    return from_rpc_error(caught.value)


def counted(code: str) -> float:
    found = metrics.REGISTRY.get_sample_value(
        "lintel_rpc_server_duration_seconds_count", {"method": LIST_PROVIDERS, "code": code}
    )
    return found or 0.0


async def test_a_refused_call_is_logged_and_counted_with_its_request_id() -> None:
    before = counted("UNAUTHENTICATED")
    async with running(models(providers), rule=read(OWNER), authenticator=nobody) as toy:
        with capture_logs() as logs:
            error = await refused(toy.list_providers(metadata=(*BEARER, ("x-request-id", "abc-1"))))
    assert error.reason is Reason.UNAUTHENTICATED
    (line,) = [entry for entry in logs if entry["event"] == "call"]
    assert (line["method"], line["code"], line["reason"]) == (LIST_PROVIDERS, "UNAUTHENTICATED", "UNAUTHENTICATED")
    assert line["duration_ms"] >= 0
    assert "key" not in str(line)
    assert counted("UNAUTHENTICATED") == before + 1


async def test_what_admission_refuses_is_logged_and_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("services.kit.rpc.server.MAX_CONCURRENT_CALLS", 0)
    before = counted("RESOURCE_EXHAUSTED")
    async with running(models(providers)) as toy:
        with capture_logs() as logs:
            assert (await refused(toy.list_providers())).reason is Reason.OVERLOADED
    assert [entry["code"] for entry in logs if entry["event"] == "call"] == ["RESOURCE_EXHAUSTED"]
    assert counted("RESOURCE_EXHAUSTED") == before + 1


async def test_a_call_that_its_caller_gave_up_is_logged_as_cancelled() -> None:
    inside = asyncio.Event()

    async def wait(request: Any, context: Any) -> Any:
        inside.set()
        await asyncio.Event().wait()

    before = counted("CANCELLED")
    async with running(models(wait)) as toy:
        call = asyncio.ensure_future(toy.list_providers())
        await inside.wait()
        call.cancel()
        await toy.server.stop(5)  # ends when the handler has
    assert counted("CANCELLED") == before + 1


@pytest.mark.parametrize(
    ("given", "kept"),
    [("abc-1", True), ("x" * 64, True), ("x" * 65, False), ("a b", False), ("a/b", False), ("", False)],
)
async def test_a_request_id_is_kept_if_it_is_sane_and_made_otherwise(given: str, kept: bool) -> None:
    async def tell(request: Any, context: Any) -> Any:
        return model_service_pb2.ListProvidersResponse(providers=[model_service_pb2.Provider(id=request_id.get())])

    async with running(models(tell)) as toy:
        answer = await toy.list_providers(metadata=(("x-request-id", given),))
    seen = answer.providers[0].id
    assert (seen == given) is kept
    assert len(seen) >= 5


async def test_request_id_and_caller_travel_on() -> None:
    seen: dict[str, str] = {}

    async def inner(request: Any, context: Any) -> Any:
        seen.update(context.invocation_metadata())
        return model_service_pb2.ListProvidersResponse()

    async with running(models(inner), caller=CALLER) as second:

        async def outer(request: Any, context: Any) -> Any:
            with rpc_errors():
                return await second.list_providers()

        async with running(models(outer)) as first:
            await first.list_providers(metadata=(("x-request-id", "abc-1"), ("x-lintel-caller", "forged")))
    assert (seen["x-request-id"], seen["x-lintel-caller"]) == ("abc-1", CALLER)
    assert "authorization" not in seen


async def test_one_trace_goes_through_both_servers() -> None:
    exporter = InMemorySpanExporter()
    trace.setup("tests", [SimpleSpanProcessor(exporter)])

    async with running(models(providers)) as second:

        async def outer(request: Any, context: Any) -> Any:
            return await second.list_providers()

        async with running(models(outer)) as first:
            incoming = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
            await first.list_providers(metadata=(("traceparent", incoming),))
            await first.list_providers(metadata=(("traceparent", "nonsense"),))
    spans = exporter.get_finished_spans()
    assert len(spans) == 4
    traces = [f"{span.context.trace_id:032x}" for span in spans if span.context]
    assert traces.count("0af7651916cd43dd8448eb211c80319c") == 2
    assert len(set(traces)) == 2


async def test_the_violations_of_a_request_name_their_fields() -> None:
    async with running(keys(), rule=write(OWNER), authenticator=owner) as toy:
        request = api_key_service_pb2.CreateApiKeyRequest(name="", scopes=["a", "b", "c"])
        error = await refused(toy.keys.CreateApiKey(request, metadata=BEARER))
        assert error.reason is Reason.INVALID_REQUEST
        assert {(v.field, v.rule) for v in error.violations} == {
            ("name", "string.min_len"),
            ("scopes", "repeated.max_items"),
        }
        assert all(v.description for v in error.violations)
        good = api_key_service_pb2.CreateApiKeyRequest(name="ci")
        assert (await toy.keys.CreateApiKey(good, metadata=BEARER)).key == "ci"


async def test_a_text_with_nul_is_refused_before_it_reaches_a_database() -> None:
    async with running(keys(), rule=write(OWNER), authenticator=owner) as toy:
        request = api_key_service_pb2.CreateApiKeyRequest(name="a\0b", scopes=["read", "\0"])
        error = await refused(toy.keys.CreateApiKey(request, metadata=BEARER))
        assert error.reason is Reason.INVALID_REQUEST
        assert [v.field for v in error.violations if v.rule == "string.nul"] == ["name", "scopes[1]"]
        many = api_key_service_pb2.CreateApiKeyRequest(name="ci", scopes=["\0"] * 5000)
        error = await refused(toy.keys.CreateApiKey(many, metadata=BEARER))
    assert error.reason is Reason.INVALID_REQUEST
    assert len(error.violations) == middlewares.MAX_VIOLATIONS


@pytest.mark.parametrize("body", [b"\xff\xff\xff", b"\x0a\x02\xff\xfe", b"\x0a\x7fshort"])
async def test_bytes_that_are_no_message_are_the_caller_s_fault(body: bytes) -> None:
    async with running(keys(), rule=write(OWNER), authenticator=owner) as toy:
        call: Any = toy.channel.unary_unary(CREATE_KEY)
        assert (await refused(call(body))).reason is Reason.UNAUTHENTICATED
        with capture_logs() as logs:
            error = await refused(call(body, metadata=BEARER))
    assert (error.reason, error.message) == (Reason.INVALID_REQUEST, "The request is not a message of this method.")
    assert [entry["code"] for entry in logs if entry["event"] == "call"] == ["INVALID_ARGUMENT"]


async def test_validation_comes_after_authorisation() -> None:
    async with running(keys(), rule=write(OWNER), authenticator=contributor) as toy:
        error = await refused(toy.keys.CreateApiKey(api_key_service_pb2.CreateApiKeyRequest(), metadata=BEARER))
    assert error.reason is Reason.PERMISSION_DENIED


@pytest.mark.parametrize(
    ("rule", "who", "reason"),
    [
        (read(OWNER), owner, None),
        (read(OWNER), reader, None),
        (write(OWNER), owner, None),
        (write(OWNER), reader, Reason.PERMISSION_DENIED),
        (read(OWNER), contributor, Reason.PERMISSION_DENIED),
        (read(EVERYONE), contributor, None),
        (read(EVERYONE), nobody, Reason.UNAUTHENTICATED),
        (Rule(is_open=True), nobody, None),  # an open RPC asks nobody
    ],
)
async def test_roles_and_scopes(rule: Rule, who: Any, reason: Reason | None) -> None:
    async with running(models(providers), rule=rule, authenticator=who) as toy:
        if reason is None:
            await toy.list_providers(metadata=BEARER)
        else:
            assert (await refused(toy.list_providers(metadata=BEARER))).reason is reason


@pytest.mark.parametrize("header", ["", "Bearer", "Bearer  ", "Basic a2V5", "key"])
async def test_only_a_bearer_credential_counts(header: str) -> None:
    async with running(models(providers), rule=read(EVERYONE), authenticator=owner) as toy:
        metadata = (("authorization", header),) if header else ()
        assert (await refused(toy.list_providers(metadata=metadata))).reason is Reason.UNAUTHENTICATED


@pytest.mark.parametrize("caller", ["", "stranger", "tests2", "TESTS"])
async def test_an_internal_rpc_knows_its_callers(caller: str) -> None:
    async with running(models(providers), rule=internal(CALLER), caller=caller) as toy:
        assert (await refused(toy.list_providers())).reason is Reason.PERMISSION_DENIED
