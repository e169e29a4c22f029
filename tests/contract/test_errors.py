"""One catalogue of errors: the proto, the Python enumeration, the gRPC code and the HTTP status say the same."""

from datetime import timedelta

import grpc
import pytest
from google.rpc import error_details_pb2, status_pb2
from lintel.common.v1 import errors_pb2

from gateway.problems import http_status
from services.kit.errors import AppError, Reason, Violation
from services.kit.rpc.status import DOMAIN, PREFIX, code, from_rpc_error, spec, to_status

# google.rpc.Code to HTTP, as google/rpc/code.proto documents it; where the catalogue says otherwise, its own line.
HTTP = {
    "INVALID_ARGUMENT": 400,
    "FAILED_PRECONDITION": 400,
    "OUT_OF_RANGE": 400,
    "UNAUTHENTICATED": 401,
    "PERMISSION_DENIED": 403,
    "NOT_FOUND": 404,
    "ABORTED": 409,
    "ALREADY_EXISTS": 409,
    "RESOURCE_EXHAUSTED": 429,
    "CANCELLED": 499,
    "INTERNAL": 500,
    "UNIMPLEMENTED": 501,
    "UNAVAILABLE": 503,
    "DEADLINE_EXCEEDED": 504,
}


def test_the_enumeration_is_the_catalogue() -> None:
    catalogue = {name.removeprefix(PREFIX) for name in errors_pb2.ErrorReason.keys()} - {"UNSPECIFIED"}  # noqa: SIM118
    assert {reason.value for reason in Reason} == catalogue
    assert all(reason.name == reason.value for reason in Reason)


@pytest.mark.parametrize("reason", Reason)
def test_every_reason_has_a_code_and_a_title(reason: Reason) -> None:
    assert code(reason) not in (grpc.StatusCode.OK, grpc.StatusCode.UNKNOWN)
    assert spec(reason).title
    assert not spec(reason).title.endswith(".")
    assert len(reason.value) <= 63  # AIP-193


def test_titles_are_unlike_each_other() -> None:
    titles = [spec(reason).title for reason in Reason]
    assert len(set(titles)) == len(titles)


@pytest.mark.parametrize("reason", Reason)
def test_the_http_status_follows_from_the_code_or_is_the_catalogue_s(reason: Reason) -> None:
    assert http_status(reason) == (spec(reason).http_status or HTTP[code(reason).name])


@pytest.mark.parametrize("reason", Reason)
def test_an_error_survives_the_wire(reason: Reason) -> None:
    sent = AppError(
        reason,
        "Words for people: ünïcode, and a\nline.",
        violations=[Violation("a.b", "must be 1", "int32.const"), Violation("c", "is odd")],
        retry_after=timedelta(seconds=1, milliseconds=500),
        host="github",
    )
    got = from_rpc_error(as_rpc_error(sent))
    assert (got.reason, got.message, got.violations) == (sent.reason, sent.message, sent.violations)
    assert (got.retry_after, got.metadata) == (sent.retry_after, {"host": "github"})


def test_a_status_has_exactly_one_error_info() -> None:
    made = to_status(AppError(Reason.NOT_FOUND))
    (binary,) = [value for key, value in made.trailing_metadata if key == "grpc-status-details-bin"]
    status = status_pb2.Status.FromString(binary)
    infos = [detail for detail in status.details if detail.Is(error_details_pb2.ErrorInfo.DESCRIPTOR)]
    assert len(infos) == len(status.details) == 1
    info = error_details_pb2.ErrorInfo.FromString(infos[0].value)
    assert (info.reason, info.domain) == ("NOT_FOUND", DOMAIN)
    assert (status.code, status.message) == (5, "Not found")  # the title where there are no words


@pytest.mark.parametrize(
    ("transport", "reason"),
    [
        (grpc.StatusCode.UNAVAILABLE, Reason.UNAVAILABLE),
        (grpc.StatusCode.DEADLINE_EXCEEDED, Reason.DEADLINE_EXCEEDED),
        (grpc.StatusCode.RESOURCE_EXHAUSTED, Reason.OVERLOADED),
        (grpc.StatusCode.UNIMPLEMENTED, Reason.UNIMPLEMENTED),
        (grpc.StatusCode.CANCELLED, Reason.UNAVAILABLE),
        (grpc.StatusCode.UNKNOWN, Reason.INTERNAL),
        (grpc.StatusCode.DATA_LOSS, Reason.INTERNAL),
    ],
)
def test_a_failure_of_the_transport_is_a_reason_without_its_words(transport: grpc.StatusCode, reason: Reason) -> None:
    error = grpc.aio.AioRpcError(transport, grpc.aio.Metadata(), grpc.aio.Metadata(), "inner detail")
    got = from_rpc_error(error)
    assert (got.reason, got.message) == (reason, "")


def test_a_reason_of_a_newer_release_keeps_its_words() -> None:
    status = status_pb2.Status(code=9, message="something new")
    status.details.add().Pack(error_details_pb2.ErrorInfo(reason="NEWER_THAN_THIS", domain=DOMAIN))
    metadata = grpc.aio.Metadata(("grpc-status-details-bin", status.SerializeToString()))
    error = grpc.aio.AioRpcError(grpc.StatusCode.FAILED_PRECONDITION, grpc.aio.Metadata(), metadata, "something new")
    got = from_rpc_error(error)
    assert (got.reason, got.message) == (Reason.INTERNAL, "something new")


def as_rpc_error(error: AppError) -> grpc.aio.AioRpcError:
    """What a caller gets when the far side raises `error`."""
    status = to_status(error)
    return grpc.aio.AioRpcError(
        status.code, grpc.aio.Metadata(), grpc.aio.Metadata(*status.trailing_metadata), status.details
    )
