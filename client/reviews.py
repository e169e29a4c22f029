"""Reviews as a program asks for them: upload a change, wait for its end, read what was found."""

from collections.abc import Iterable, Iterator
from types import TracebackType
from typing import Any, NoReturn, Self

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc
from lintel.review.v1 import code_review_service_pb2 as reviews_pb
from lintel.review.v1 import local_review_service_pb2 as local_pb
from lintel.review.v1.code_review_service_pb2_grpc import CodeReviewServiceStub
from lintel.review.v1.local_review_service_pb2_grpc import LocalReviewServiceStub
from lintel.review.v1.review_pb2 import Review

from client.address import Address
from client.errors import RefusedError, UnavailableError

PROBE_SECONDS = 5.0
UPLOAD_SECONDS = 300.0  # 64 MiB over a slow line
WATCH_SECONDS = 1800.0  # a local model reads a large change for a long time
CALL_SECONDS = 30.0
CANCEL_SECONDS = 2.0
WATCH_ATTEMPTS = 5  # a watch that breaks is taken up again: the review goes on without it
_OPTIONS: list[tuple[str, Any]] = [
    ("grpc.max_receive_message_length", 64 * 1024 * 1024),
    ("grpc.enable_retries", 0),
]
_AWAY = (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.UNKNOWN, grpc.StatusCode.INTERNAL)
_REFUSALS = {
    grpc.StatusCode.UNAUTHENTICATED,
    grpc.StatusCode.PERMISSION_DENIED,
    grpc.StatusCode.INVALID_ARGUMENT,
    grpc.StatusCode.NOT_FOUND,
    grpc.StatusCode.FAILED_PRECONDITION,
    grpc.StatusCode.OUT_OF_RANGE,
    grpc.StatusCode.UNIMPLEMENTED,
}


class ReviewClient:
    """A connection to one Lintel, from `with` to its end; raises UnavailableError on entry when nothing is there."""

    def __init__(self, address: Address, token: str) -> None:
        if not token.isascii() or not token.isprintable():
            raise RefusedError("the token holds characters that no token of Lintel has")
        self._address = address
        self._metadata = (("authorization", f"Bearer {token}"),)
        self._channel: grpc.Channel | None = None

    def __enter__(self) -> Self:
        """Connect to the first of the address's targets that speaks gRPC."""
        failure = ""
        for target in self._address.targets:
            channel = self._dial(target)
            try:
                health_pb2_grpc.HealthStub(channel).Check(health_pb2.HealthCheckRequest(), timeout=PROBE_SECONDS)
            except grpc.RpcError as error:
                if error.code() in (*_AWAY, grpc.StatusCode.DEADLINE_EXCEEDED):
                    failure = failure or _detail(error)
                    channel.close()
                    continue
            self._channel = channel
            return self
        raise UnavailableError(f"Lintel does not answer at {self._address.shown}: {failure}")

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Close the connection; calls that are on end with it."""
        if self._channel is not None:
            self._channel.close()
            self._channel = None

    def upload(self, pieces: Iterable[local_pb.UploadSourceRequest]) -> Review:
        """Send a change and answer its review, which waits. Raises RefusedError and UnavailableError."""
        stub: Any = LocalReviewServiceStub(self._connected)
        try:
            answer: local_pb.UploadSourceResponse = stub.UploadSource(
                iter(pieces), timeout=UPLOAD_SECONDS, metadata=self._metadata
            )
        except grpc.RpcError as error:
            self._fail(error)
        return answer.review

    def watch(self, review_id: str) -> Iterator[Review]:
        """Yield the review at each change until it has come to its end. Raises RefusedError and UnavailableError."""
        stub: Any = CodeReviewServiceStub(self._connected)
        request = reviews_pb.WatchReviewRequest(id=review_id)
        for attempt in range(1, WATCH_ATTEMPTS + 1):
            try:
                for answer in stub.WatchReview(request, timeout=WATCH_SECONDS, metadata=self._metadata):
                    yield answer.review
                return
            except grpc.RpcError as error:
                if error.code() is not grpc.StatusCode.UNAVAILABLE or attempt == WATCH_ATTEMPTS:
                    self._fail(error)

    def get(self, review_id: str) -> reviews_pb.GetReviewResponse:
        """Answer a review with findings and receipt. Raises RefusedError and UnavailableError."""
        stub: Any = CodeReviewServiceStub(self._connected)
        request = reviews_pb.GetReviewRequest(id=review_id)
        try:
            answer: reviews_pb.GetReviewResponse = stub.GetReview(
                request, timeout=CALL_SECONDS, metadata=self._metadata
            )
        except grpc.RpcError as error:
            self._fail(error)
        return answer

    def cancel(self, review_id: str) -> None:
        """Ask that a review ends. Raises RefusedError and UnavailableError."""
        stub: Any = CodeReviewServiceStub(self._connected)
        request = reviews_pb.CancelReviewRequest(id=review_id)
        try:
            stub.CancelReview(request, timeout=CANCEL_SECONDS, metadata=self._metadata)
        except grpc.RpcError as error:
            self._fail(error)

    @property
    def _connected(self) -> Any:
        # Any: the generated types of the stubs know the asynchronous channel only.
        if self._channel is None:
            raise RuntimeError("the client is used outside of its with block")
        return self._channel

    def _dial(self, target: str) -> grpc.Channel:
        options = [*_OPTIONS, ("grpc.enable_http_proxy", 0)] if self._address.is_local else _OPTIONS
        if self._address.is_secure:
            return grpc.secure_channel(target, grpc.ssl_channel_credentials(), options=options)
        return grpc.insecure_channel(target, options=options)

    def _fail(self, error: grpc.RpcError) -> NoReturn:
        code = error.code()
        if code is grpc.StatusCode.UNAUTHENTICATED:
            raise RefusedError(f"{self._address.shown} does not know this token") from None
        if code is grpc.StatusCode.UNIMPLEMENTED:
            raise RefusedError(
                f"the Lintel at {self._address.shown} has no local reviews; it is an older one"
            ) from None
        if code in _REFUSALS:
            raise RefusedError(_detail(error)) from None
        raise UnavailableError(f"{self._address.shown}: {_detail(error)}") from None


def _detail(error: grpc.RpcError) -> str:
    """Answer what went wrong in a line; of a failed connection only the last cause."""
    if error.code() is grpc.StatusCode.DEADLINE_EXCEEDED:
        return "no answer in time"
    words = str(error.details() or error.code().name).rpartition("last error: ")[2]
    return " ".join(words.split())[:300]
