"""A connection to one Lintel: every call has a deadline, a credential, and is repeated only where that is safe.

    with Connection(parse_url("http://127.0.0.1:3001"), ApiKey(key)) as lintel:
        answer = lintel.call(CodeReviewService.GetReview, GetReviewRequest(id=…))

What may be repeated follows from the API itself: reads, PUT and DELETE as they are, and a POST because it carries an
`Idempotency-Key` of its own.
"""

import random
import time
import uuid
from collections.abc import Callable, Iterator
from types import TracebackType
from typing import Any, Self, TypeVar

import grpc
from google.api import annotations_pb2  # type: ignore[import-untyped]
from google.protobuf import descriptor_pool
from google.protobuf.descriptor import MethodDescriptor
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass
from grpc_health.v1 import health_pb2, health_pb2_grpc

from client.address import Address
from client.credentials import ApiKey, Credential, Tokens
from client.errors import RefusedError, UnavailableError, details_of, from_rpc_error, in_words

PROBE_SECONDS = 5.0
CALL_SECONDS = 30.0
ATTEMPTS = 4
FIRST_WAIT, LONGEST_WAIT = 0.2, 5.0  # seconds between attempts, before the jitter; the server's own word wins
_AWAY = (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.UNKNOWN, grpc.StatusCode.INTERNAL)
_PASSING = frozenset({grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.RESOURCE_EXHAUSTED})
_OPTIONS: list[tuple[str, Any]] = [
    ("grpc.max_receive_message_length", 64 * 1024 * 1024),
    ("grpc.enable_retries", 0),  # repeated here, where it is known what is safe
]
_REFRESH = "lintel.auth.v1.AuthService.Refresh"
MessageT = TypeVar("MessageT", bound=Message)


class Connection:
    """Open from `with` to its end; raises UnavailableError on entry when nothing speaks gRPC there."""

    def __init__(
        self,
        address: Address,
        credential: Credential | str,
        *,
        sleep: Callable[[float], None] = time.sleep,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.address = address
        self._credential = ApiKey(credential) if isinstance(credential, str) else credential
        self._sleep = sleep
        self._clock = clock
        self._channel: grpc.Channel | None = None

    def __enter__(self) -> Self:
        """Connect to the first of the address's targets that speaks gRPC."""
        failure = ""
        for target in self.address.targets:
            channel = self._dial(target)
            try:
                health_pb2_grpc.HealthStub(channel).Check(health_pb2.HealthCheckRequest(), timeout=PROBE_SECONDS)
            except grpc.RpcError as error:
                if error.code() in (*_AWAY, grpc.StatusCode.DEADLINE_EXCEEDED):
                    failure = failure or in_words(error)
                    channel.close()
                    continue
            self._channel = channel
            return self
        raise UnavailableError(f"Lintel does not answer at {self.address.shown}: {failure}")

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Close the connection; calls that are on end with it."""
        if self._channel is not None:
            self._channel.close()
            self._channel = None

    def call(self, method: str, request: Message, answer: type[MessageT], seconds: float = CALL_SECONDS) -> MessageT:
        """Answer one RPC, `method` as in `lintel.review.v1.CodeReviewService.GetReview`, within `seconds` in all.

        Raises RefusedError and UnavailableError.
        """
        described = _described(method)
        extra = (("idempotency-key", uuid.uuid4().hex),) if _takes_key(described) else ()
        attempts = ATTEMPTS if _is_repeatable(described) else 1
        until = self._clock() + seconds
        rpc = self._connected.unary_unary(_path(method), _serialize, answer.FromString)
        return self._repeated(lambda left, head: rpc(request, timeout=left, metadata=(*head, *extra)), attempts, until)

    def send(self, method: str, pieces: Iterator[Message], answer: type[MessageT], seconds: float) -> MessageT:
        """Answer an RPC to which the client streams; sent once. Raises RefusedError and UnavailableError."""
        rpc = self._connected.stream_unary(_path(method), _serialize, answer.FromString)
        until = self._clock() + seconds
        return self._repeated(lambda left, head: rpc(pieces, timeout=left, metadata=head), 1, until)

    def stream(self, method: str, request: Message, answer: type[MessageT], seconds: float) -> Iterator[MessageT]:
        """Yield what a server streams. A stream that breaks is taken up again while it brings something.

        The caller may see the latest message twice. Raises RefusedError and UnavailableError.
        """
        rpc: Any = self._connected.unary_stream(_path(method), _serialize, answer.FromString)
        until, attempt = self._clock() + seconds, 1
        while True:
            try:
                for message in rpc(request, timeout=max(0.0, until - self._clock()), metadata=self._metadata()):
                    attempt = 1
                    yield message
                return
            except grpc.RpcError as error:
                if attempt >= ATTEMPTS or not self._is_passing(error, until):
                    raise from_rpc_error(error, self.address.shown) from None
                self._wait(error, attempt, until)
                attempt += 1

    def _repeated(self, send: Callable[[float, Any], MessageT], attempts: int, until: float) -> MessageT:
        attempt, is_renewed = 1, False
        while True:
            head = self._metadata()
            try:
                return send(max(0.0, until - self._clock()), head)
            except grpc.RpcError as error:
                refused = error.code() is grpc.StatusCode.UNAUTHENTICATED
                if refused and not is_renewed and head and self._credential.spoilt(head[0][1].removeprefix("Bearer ")):
                    is_renewed = True  # nothing was done: the call was refused before it began
                    continue
                if attempt >= attempts or not self._is_passing(error, until):
                    raise from_rpc_error(error, self.address.shown) from None
                self._wait(error, attempt, until)
                attempt += 1

    def _is_passing(self, error: grpc.RpcError, until: float) -> bool:
        return error.code() in _PASSING and self._clock() + self._pause(error, 1) < until

    def _pause(self, error: grpc.RpcError, attempt: int) -> float:
        told = details_of(error)[2]
        return told if told is not None else min(LONGEST_WAIT, FIRST_WAIT * 2 ** (attempt - 1))

    def _wait(self, error: grpc.RpcError, attempt: int, until: float) -> None:
        pause = self._pause(error, attempt) * random.uniform(1, 1.25)  # noqa: S311 - spreads callers, decides nothing
        self._sleep(min(pause, max(0.0, until - self._clock())))

    def _metadata(self) -> tuple[tuple[str, str], ...]:
        return (("authorization", f"Bearer {self._credential.token(self._renew)}"),)

    def _renew(self, refresh: str) -> Tokens:
        described = _described(_REFRESH)
        request = GetMessageClass(described.input_type)(refresh_token=refresh)
        rpc: Any = self._connected.unary_unary(
            _path(_REFRESH), _serialize, GetMessageClass(described.output_type).FromString
        )
        try:
            answer: Any = rpc(request, timeout=CALL_SECONDS)
        except grpc.RpcError as error:
            if error.code() is grpc.StatusCode.UNAUTHENTICATED:
                raise RefusedError("the session has ended; sign in again", reason=details_of(error)[0]) from None
            raise from_rpc_error(error, self.address.shown) from None
        return Tokens(answer.access_token, answer.refresh_token, float(answer.expires_in))

    @property
    def _connected(self) -> grpc.Channel:
        if self._channel is None:
            raise RuntimeError("the connection is used outside of its with block")
        return self._channel

    def _dial(self, target: str) -> grpc.Channel:
        options = [*_OPTIONS, ("grpc.enable_http_proxy", 0)] if self.address.is_local else _OPTIONS
        if self.address.is_secure:
            return grpc.secure_channel(target, grpc.ssl_channel_credentials(), options=options)
        return grpc.insecure_channel(target, options=options)


def _serialize(message: Message) -> bytes:
    return message.SerializeToString()


def _path(method: str) -> str:
    service, _, name = method.rpartition(".")
    return f"/{service}/{name}"


def _described(method: str) -> MethodDescriptor:
    return descriptor_pool.Default().FindMethodByName(method)


def _is_repeatable(method: MethodDescriptor) -> bool:
    return _verb(method) in ("get", "put", "delete") or _takes_key(method)


def _takes_key(method: MethodDescriptor) -> bool:
    """Tell whether the API honours an idempotency key on this RPC: every POST but those under /auth (contract 4)."""
    rule = method.GetOptions().Extensions[annotations_pb2.http]
    return _verb(method) == "post" and not rule.post.startswith("/auth/")


def _verb(method: MethodDescriptor) -> str:
    return method.GetOptions().Extensions[annotations_pb2.http].WhichOneof("pattern") or ""
