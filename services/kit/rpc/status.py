"""AppError to google.rpc.Status and back."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from functools import cache

import grpc
from google.protobuf.duration_pb2 import Duration
from google.rpc import error_details_pb2, status_pb2
from grpc_status import rpc_status
from lintel.common.v1 import errors_pb2

from services.kit.errors import AppError, Reason, Violation

DOMAIN = "lintel"
PREFIX = "ERROR_REASON_"
_CODES = {code.value[0]: code for code in grpc.StatusCode}
# What a failure of the transport itself means, where no reason travelled with it.
_TRANSPORT = {
    grpc.StatusCode.DEADLINE_EXCEEDED: Reason.DEADLINE_EXCEEDED,
    grpc.StatusCode.UNAVAILABLE: Reason.UNAVAILABLE,
    grpc.StatusCode.RESOURCE_EXHAUSTED: Reason.OVERLOADED,
    grpc.StatusCode.UNIMPLEMENTED: Reason.UNIMPLEMENTED,
    grpc.StatusCode.CANCELLED: Reason.UNAVAILABLE,
}


@cache
def spec(reason: Reason) -> errors_pb2.ErrorSpec:
    """Answer the catalogue's line of a reason."""
    value = errors_pb2.ErrorReason.DESCRIPTOR.values_by_name[PREFIX + reason.value]
    return value.GetOptions().Extensions[errors_pb2.error]


def code(reason: Reason) -> grpc.StatusCode:
    """Answer the gRPC code of a reason."""
    return _CODES[spec(reason).code]


def to_status(error: AppError) -> grpc.Status:
    """Build what goes over the wire: code, message, ErrorInfo always, BadRequest and RetryInfo where they apply."""
    status = status_pb2.Status(code=spec(error.reason).code, message=error.message or spec(error.reason).title)
    info = error_details_pb2.ErrorInfo(reason=error.reason.value, domain=DOMAIN, metadata=error.metadata)
    status.details.add().Pack(info)
    if error.violations:
        bad_request = error_details_pb2.BadRequest()
        for violation in error.violations:
            bad_request.field_violations.add(
                field=violation.field, description=violation.description, reason=violation.rule
            )
        status.details.add().Pack(bad_request)
    if error.retry_after is not None:
        delay = Duration()
        delay.FromTimedelta(error.retry_after)
        status.details.add().Pack(error_details_pb2.RetryInfo(retry_delay=delay))
    made: grpc.Status = rpc_status.to_status(status)
    return made


def from_rpc_error(error: grpc.aio.AioRpcError) -> AppError:
    """Rebuild the error of the far side; what carries no reason of ours becomes UNAVAILABLE or INTERNAL."""
    status = rpc_status.from_call(error)
    if status is None:
        return AppError(_TRANSPORT.get(error.code(), Reason.INTERNAL))
    reason, metadata, violations, retry_after = None, {}, [], None
    for detail in status.details:
        if detail.Is(error_details_pb2.ErrorInfo.DESCRIPTOR):
            info = error_details_pb2.ErrorInfo.FromString(detail.value)
            reason = Reason(info.reason) if info.reason in Reason.__members__ else None
            metadata = dict(info.metadata)
        elif detail.Is(error_details_pb2.BadRequest.DESCRIPTOR):
            found = error_details_pb2.BadRequest.FromString(detail.value).field_violations
            violations = [Violation(v.field, v.description, v.reason) for v in found]
        elif detail.Is(error_details_pb2.RetryInfo.DESCRIPTOR):
            delay = error_details_pb2.RetryInfo.FromString(detail.value).retry_delay
            retry_after = timedelta(seconds=delay.seconds, microseconds=delay.nanos // 1000)
    reason = reason or _TRANSPORT.get(error.code(), Reason.INTERNAL)
    return AppError(reason, status.message, violations=violations, retry_after=retry_after, **metadata)


@contextmanager
def rpc_errors() -> Iterator[None]:
    """Turn a failed call inside the block into the AppError that the far side raised."""
    try:
        yield
    except grpc.aio.AioRpcError as error:
        raise from_rpc_error(error) from None
