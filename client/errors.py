"""What a call to Lintel can come to when it does not succeed."""

from collections.abc import Sequence
from dataclasses import dataclass

import grpc
from google.protobuf.message import DecodeError
from google.rpc import error_details_pb2
from grpc_status import rpc_status

_REFUSALS = frozenset(
    {
        grpc.StatusCode.UNAUTHENTICATED,
        grpc.StatusCode.PERMISSION_DENIED,
        grpc.StatusCode.INVALID_ARGUMENT,
        grpc.StatusCode.NOT_FOUND,
        grpc.StatusCode.ALREADY_EXISTS,
        grpc.StatusCode.ABORTED,
        grpc.StatusCode.FAILED_PRECONDITION,
        grpc.StatusCode.OUT_OF_RANGE,
        grpc.StatusCode.UNIMPLEMENTED,
    }
)
_SHOWN = 300  # characters


@dataclass(frozen=True, slots=True)
class Violation:
    """A field of the request that breaks a rule, by its name in the proto, and what is wrong with it."""

    field: str
    description: str


class LintelError(Exception):
    """The call did not succeed; the message is for people and holds no secret.

    `reason` is the catalogue's (`NOT_FOUND`, …), empty where the answer did not come from Lintel; `retry_after` counts
    seconds.
    """

    def __init__(
        self,
        message: str,
        *,
        reason: str = "",
        violations: Sequence[Violation] = (),
        retry_after: float | None = None,
    ) -> None:
        super().__init__(message)
        self.reason = reason
        self.violations = tuple(violations)
        self.retry_after = retry_after


class UnavailableError(LintelError):
    """The system is away, too slow or broken; the same call may succeed later."""


class RefusedError(LintelError):
    """The system understood and said no: token, input or state are not what it takes."""


def from_rpc_error(error: grpc.RpcError, place: str) -> LintelError:
    """Answer what a failed call means; `place` is how people know the system that was called."""
    code, words = error.code(), in_words(error)
    if code is grpc.StatusCode.UNAUTHENTICATED:
        return _made(RefusedError, f"{place} does not know this token", error)
    if code is grpc.StatusCode.UNIMPLEMENTED:
        return _made(RefusedError, f"the Lintel at {place} does not have this; it is an older one", error)
    if code in _REFUSALS:
        return _made(RefusedError, words, error)
    return _made(UnavailableError, f"{place}: {words}", error)


def _made(kind: type[LintelError], message: str, error: grpc.RpcError) -> LintelError:
    reason, violations, retry_after = details_of(error)
    named = [f"{v.field}: {v.description}" for v in violations]
    return kind("; ".join([message, *named]), reason=reason, violations=violations, retry_after=retry_after)


def details_of(error: grpc.RpcError) -> tuple[str, tuple[Violation, ...], float | None]:
    """Answer the reason, the violations and the seconds to wait that travelled with a failure."""
    reason, violations, retry_after = "", [], None
    try:
        status = rpc_status.from_call(error)
    except (ValueError, DecodeError):  # a status of somebody between us and Lintel
        status = None
    for detail in status.details if status is not None else ():
        info = error_details_pb2.ErrorInfo()
        request = error_details_pb2.BadRequest()
        retry = error_details_pb2.RetryInfo()
        if detail.Unpack(info):
            reason = info.reason
        elif detail.Unpack(request):
            violations = [Violation(v.field, v.description) for v in request.field_violations]
        elif detail.Unpack(retry):
            retry_after = retry.retry_delay.ToMicroseconds() / 1e6
    return reason, tuple(violations), retry_after


def in_words(error: grpc.RpcError) -> str:
    """Answer what went wrong in a line; of a failed connection only the last cause."""
    if error.code() is grpc.StatusCode.DEADLINE_EXCEEDED:
        return "no answer in time"
    words = str(error.details() or error.code().name).rpartition("last error: ")[2]
    return " ".join(words.split())[:_SHOWN]
