"""The connection of the typed client: deadlines, what is repeated and what is not, tokens that are renewed, errors."""

from collections.abc import Callable, Iterator
from concurrent import futures
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import grpc
import pytest
from grpc_health.v1 import health, health_pb2_grpc
from lintel.review.v1.code_review_service_pb2 import (
    CancelReviewRequest,
    CancelReviewResponse,
    GetReviewRequest,
    GetReviewResponse,
    WatchReviewRequest,
    WatchReviewResponse,
)
from lintel.review.v1.local_review_service_pb2 import CreateLocalReviewRequest, CreateLocalReviewResponse
from lintel.review.v1.review_pb2 import Review

from client.address import Address
from client.connection import ATTEMPTS, Connection
from client.credentials import EARLY_SECONDS, ApiKey, Credential, Session, Tokens
from client.errors import RefusedError, UnavailableError, Violation
from services.kit.errors import AppError, Reason
from services.kit.errors import Violation as Field
from services.kit.rpc.status import to_status

GET = "lintel.review.v1.CodeReviewService.GetReview"
WATCH = "lintel.review.v1.CodeReviewService.WatchReview"
CREATE = "lintel.review.v1.LocalReviewService.CreateLocalReview"
CANCEL = "lintel.review.v1.CodeReviewService.CancelReview"
AWAY = AppError(Reason.UNAVAILABLE)


@dataclass
class Lintel(grpc.GenericRpcHandler):
    """Fails as often as it is told, then answers; keeps what it saw."""

    failures: list[AppError] = field(default_factory=list)
    seen: list[dict[str, str]] = field(default_factory=list)
    deadlines: list[float] = field(default_factory=list)
    broken_after: list[int] = field(default_factory=list)  # messages that each stream brings before it breaks

    def service(self, handler_call_details: Any) -> Any:
        name = handler_call_details.method.rpartition("/")[2]
        if name == "WatchReview":
            return grpc.unary_stream_rpc_method_handler(self.watch, lambda data: data, lambda m: m.SerializeToString())
        return grpc.unary_unary_rpc_method_handler(self.answer(name), lambda d: d, lambda m: m.SerializeToString())

    def answer(self, name: str) -> Callable[[bytes, Any], Any]:
        def handle(_: bytes, context: Any) -> Any:
            self.note(context)
            answers = {
                "GetReview": GetReviewResponse(review=Review(id="r")),
                "CreateLocalReview": CreateLocalReviewResponse(review=Review(id="r")),
                "CancelReview": CancelReviewResponse(review=Review(id="r")),
            }
            return answers[name]

        return handle

    def watch(self, _: bytes, context: Any) -> Iterator[Any]:
        self.note(context)
        for _number in range(self.broken_after.pop(0) if self.broken_after else 1):
            yield WatchReviewResponse(review=Review(id="r"))
        if self.broken_after:
            self.fail(context, AWAY)

    def note(self, context: Any) -> None:
        self.seen.append(dict(context.invocation_metadata()))
        self.deadlines.append(context.time_remaining())
        if self.failures:
            self.fail(context, self.failures.pop(0))

    def fail(self, context: Any, error: AppError) -> None:
        context.abort_with_status(to_status(error))

    @property
    def tokens(self) -> list[str]:
        return [seen["authorization"] for seen in self.seen]


@dataclass
class Time:
    """A clock that goes only while somebody sleeps."""

    now: float = 0.0
    slept: list[float] = field(default_factory=list)

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds

    def clock(self) -> float:
        return self.now


@contextmanager
def connected(lintel: Lintel, credential: Credential | str = "key", time: Time | None = None) -> Iterator[Connection]:
    server = grpc.server(futures.ThreadPoolExecutor(4), handlers=[lintel])
    health_pb2_grpc.add_HealthServicer_to_server(health.HealthServicer(), server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    time = time or Time()
    address = Address("there", (f"127.0.0.1:{port}",), is_local=True)
    try:
        with Connection(address, credential, sleep=time.sleep, clock=time.clock) as connection:
            yield connection
    finally:
        server.stop(None).wait()


def test_a_read_is_repeated_with_growing_pauses_and_has_a_deadline() -> None:
    lintel, time = Lintel([AWAY, AWAY, AWAY]), Time()
    with connected(lintel, time=time) as connection:
        assert connection.call(GET, GetReviewRequest(id="r"), GetReviewResponse).review.id == "r"
    assert len(lintel.seen) == 4
    assert [0.2 <= time.slept[0] <= 0.25, 0.4 <= time.slept[1] <= 0.5, 0.8 <= time.slept[2] <= 1.0] == [True] * 3
    assert all(0 < left < 31 for left in lintel.deadlines)
    assert all("idempotency-key" not in seen for seen in lintel.seen)


def test_what_makes_something_is_repeated_under_one_key() -> None:
    lintel = Lintel([AWAY, AWAY])
    with connected(lintel) as connection:
        for _ in range(2):
            connection.call(CREATE, CreateLocalReviewRequest(diff="d"), CreateLocalReviewResponse)
    keys = [seen["idempotency-key"] for seen in lintel.seen]
    assert len(keys) == 4
    assert keys[0] == keys[1] == keys[2] != keys[3]


def test_attempts_and_time_come_to_an_end() -> None:
    lintel = Lintel([AWAY] * 20)
    with connected(lintel) as connection:
        with pytest.raises(UnavailableError, match="there"):
            connection.call(GET, GetReviewRequest(id="r"), GetReviewResponse)
        assert len(lintel.seen) == ATTEMPTS
        lintel.seen.clear()
        with pytest.raises(UnavailableError):  # the next pause would end after the caller's time
            connection.call(GET, GetReviewRequest(id="r"), GetReviewResponse, seconds=0.15)
        assert len(lintel.seen) == 1


def test_the_server_s_word_on_when_to_come_back_is_kept() -> None:
    from datetime import timedelta

    lintel, time = Lintel([AppError(Reason.OVERLOADED, retry_after=timedelta(seconds=7))]), Time()
    with connected(lintel, time=time) as connection:
        connection.call(GET, GetReviewRequest(id="r"), GetReviewResponse)
        assert 7 <= time.slept[0] <= 8.75
        lintel.failures.append(AppError(Reason.OVERLOADED, retry_after=timedelta(seconds=60)))
        with pytest.raises(UnavailableError) as caught:
            connection.call(GET, GetReviewRequest(id="r"), GetReviewResponse)
    assert caught.value.retry_after == 60


@pytest.mark.parametrize(
    "reason", [Reason.NOT_FOUND, Reason.PERMISSION_DENIED, Reason.INVALID_REQUEST, Reason.IDEMPOTENCY_KEY_REUSED]
)
def test_a_refusal_is_final_and_tells_reason_and_fields(reason: Reason) -> None:
    lintel = Lintel([AppError(reason, "no", violations=[Field("id", "must be a UUID")])])
    with connected(lintel) as connection, pytest.raises(RefusedError) as caught:
        connection.call(GET, GetReviewRequest(id="r"), GetReviewResponse)
    assert caught.value.reason == reason.value
    assert caught.value.violations == (Violation("id", "must be a UUID"),)
    assert "must be a UUID" in str(caught.value)
    assert len(lintel.seen) == 1


def test_a_broken_stream_is_taken_up_again() -> None:
    lintel = Lintel(broken_after=[2, 1, 0, 3])
    with connected(lintel) as connection:
        seen = list(connection.stream(WATCH, WatchReviewRequest(id="r"), WatchReviewResponse, 60))
    assert len(seen) == 6
    assert len(lintel.seen) == 4


def test_a_stream_that_never_brings_anything_ends() -> None:
    lintel = Lintel(broken_after=[0] * 20)
    with connected(lintel) as connection, pytest.raises(UnavailableError):
        list(connection.stream(WATCH, WatchReviewRequest(id="r"), WatchReviewResponse, 60))
    assert len(lintel.seen) == ATTEMPTS


def test_a_key_that_is_refused_is_not_tried_again() -> None:
    lintel = Lintel([AppError(Reason.UNAUTHENTICATED)])
    with connected(lintel) as connection, pytest.raises(RefusedError, match="does not know this token"):
        connection.call(CANCEL, CancelReviewRequest(id="r"), CancelReviewResponse)
    assert len(lintel.seen) == 1


class Refreshing(Session):
    """A session whose renewals are counted instead of asked for."""

    def __init__(self, time: Time) -> None:
        self.kept: list[Tokens] = []
        super().__init__(Tokens("a0", "r0", 900), self.kept.append, time.clock)

    def token(self, renew: Callable[[str], Tokens]) -> str:
        return super().token(lambda refresh: Tokens(f"a{int(refresh[1:]) + 1}", f"r{int(refresh[1:]) + 1}", 900))


def test_a_session_is_renewed_before_its_end_and_once_when_refused() -> None:
    time = Time()
    session = Refreshing(time)
    lintel = Lintel()
    with connected(lintel, session, time) as connection:
        connection.call(GET, GetReviewRequest(id="r"), GetReviewResponse)
        time.now += 900 - EARLY_SECONDS
        connection.call(GET, GetReviewRequest(id="r"), GetReviewResponse)
        lintel.failures.append(AppError(Reason.UNAUTHENTICATED))
        connection.call(GET, GetReviewRequest(id="r"), GetReviewResponse)
        lintel.failures += [AppError(Reason.UNAUTHENTICATED)] * 2
        with pytest.raises(RefusedError):
            connection.call(GET, GetReviewRequest(id="r"), GetReviewResponse)
    assert lintel.tokens == [f"Bearer a{n}" for n in (0, 1, 1, 2, 2, 3)]
    assert [tokens.refresh for tokens in session.kept] == ["r1", "r2", "r3"]


def test_only_one_thread_uses_the_refresh_token() -> None:
    time, used = Time(), []

    def renew(refresh: str) -> Tokens:
        used.append(refresh)
        return Tokens("a1", "r1", 900)

    session = Session(Tokens("a0", "r0", 900), clock=time.clock)
    time.now = 900
    with futures.ThreadPoolExecutor(8) as pool:
        assert set(pool.map(lambda _: session.token(renew), range(32))) == {"a1"}
    assert used == ["r0"]
    assert session.spoilt("a0")  # somebody else renewed since: nothing is thrown away
    assert session.token(renew) == "a1"


def test_an_api_key_has_no_other() -> None:
    assert not ApiKey("key").spoilt("key")
