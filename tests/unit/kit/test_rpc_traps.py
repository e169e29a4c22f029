"""What was measured to go wrong with gRPC in Python, each held by a test (reference: architecture, section 2)."""

import asyncio
import socket
import stat
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from lintel.llm.v1 import model_service_pb2
from lintel.review.v1 import code_review_service_pb2
from structlog.testing import capture_logs

from services.kit.app import serving
from services.kit.errors import AppError, Reason
from services.kit.rpc import middlewares
from services.kit.rpc.channel import open_channel, stream
from services.kit.rpc.context import principal
from services.kit.rpc.listening import MAX_SOCKET_PATH
from services.kit.rpc.policy import EVERYONE, internal, read
from services.kit.rpc.server import RpcServer
from services.kit.rpc.status import from_rpc_error, rpc_errors
from tests.support.rpc import CALLER, models, policy_of, principal_with, providers, reviews, running, short_directory

ANYBODY = read(EVERYONE)
SECRET = "postgres://lintel:hunter2@db"


async def refused(call: Any) -> AppError:
    """The error that a call is refused with."""
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await call
    assert SECRET not in repr(caught.value)  # details and trailing metadata included
    return from_rpc_error(caught.value)


def server_at(path: Path) -> RpcServer:
    toy = models(providers)
    return RpcServer("toy", f"unix:{path}", [toy], policy_of([toy], internal(CALLER)))


async def test_a_second_server_does_not_take_the_socket_of_a_living_one() -> None:
    async with running(models(providers)) as toy:
        with pytest.raises(OSError, match="another process serves this socket"):
            await server_at(Path(toy.address.removeprefix("unix:"))).start()
        await toy.list_providers()


async def test_what_a_dead_process_left_is_no_obstacle() -> None:
    with short_directory() as directory:
        path = directory / "s.sock"
        with socket.socket(socket.AF_UNIX) as dead:
            dead.bind(str(path))
        server = server_at(path)
        await server.start()
        async with open_channel(f"unix:{path}", CALLER) as channel:
            await channel.channel_ready()
        await server.stop(0)
        assert not path.exists()


async def test_what_is_no_socket_is_not_removed() -> None:
    with short_directory() as directory:
        (directory / "s.sock").write_text("somebody's file")
        with pytest.raises(OSError, match="is not a socket"):
            await server_at(directory / "s.sock").start()
        assert (directory / "s.sock").read_text() == "somebody's file"


async def test_a_path_too_long_for_a_socket_is_said_to_be() -> None:
    with short_directory() as directory:
        name = "s" * (MAX_SOCKET_PATH - len(str(directory)))
        with pytest.raises(OSError, match="set a shorter LINTEL_RUN_DIR"):
            await server_at(directory / name).start()


async def test_sockets_stand_in_a_directory_that_nobody_else_may_enter() -> None:
    with short_directory() as directory:
        directory.chmod(stat.S_IRWXU | stat.S_IXOTH)
        with pytest.raises(OSError, match="mode 0700"):
            await server_at(directory / "s.sock").start()


async def test_a_server_that_cannot_start_takes_the_others_down_with_it() -> None:
    with short_directory() as directory:
        (directory / "taken.sock").write_text("")
        first, second = server_at(directory / "first.sock"), server_at(directory / "taken.sock")
        with pytest.raises(OSError, match="is not a socket"):
            async with serving([first, second]):
                pytest.fail("it started")
        assert not (directory / "first.sock").exists()


async def test_the_text_of_an_exception_stays_inside() -> None:
    async def fail(request: Any, context: Any) -> Any:
        raise ValueError(SECRET)

    async with running(models(fail)) as toy:
        error = await refused(toy.list_providers(metadata=(("x-request-id", "r-1"),)))
    assert error.reason is Reason.INTERNAL
    assert error.message == "Internal error; request id r-1"


async def test_the_text_of_an_exception_in_a_stream_stays_inside() -> None:
    async def fail(request: Any, context: Any) -> AsyncIterator[Any]:
        yield code_review_service_pb2.WatchReviewResponse()
        raise ValueError(SECRET)

    async with running(reviews(fail)) as toy:
        call = toy.watch()
        await call.read()
        error = await refused(call.read())
    assert error.reason is Reason.INTERNAL
    assert error.message.startswith("Internal error; request id ")


async def test_a_fault_in_a_middleware_stays_inside_too() -> None:
    async def broken(credential: str) -> Any:
        raise KeyError(SECRET)

    async with running(models(providers), rule=ANYBODY, authenticator=broken) as toy:
        error = await refused(toy.list_providers(metadata=(("authorization", "Bearer x"),)))
    assert error.reason is Reason.INTERNAL
    assert error.message.startswith("Internal error; request id ")


async def test_an_abort_of_the_handler_passes_through_unchanged() -> None:
    async def abort(request: Any, context: Any) -> Any:
        await context.abort(grpc.StatusCode.DATA_LOSS, "as it was")

    assert issubclass(grpc.aio.AbortError, Exception)  # the trap: `except Exception` catches it
    with capture_logs() as logs:
        async with running(models(abort)) as toy:
            with pytest.raises(grpc.aio.AioRpcError) as caught:
                await toy.list_providers()
    assert [entry["event"] for entry in logs] == ["call"]  # and not as a fault of ours
    assert (caught.value.code(), caught.value.details()) == (grpc.StatusCode.DATA_LOSS, "as it was")


async def test_an_unknown_method_is_unimplemented_and_not_a_fault() -> None:
    async with running(models(providers)) as toy:
        nothing: Any = toy.channel.unary_unary("/lintel.llm.v1.ModelService/Nothing")
        error = await refused(nothing(b""))
    assert error.reason is Reason.UNIMPLEMENTED


async def test_health_answers_while_the_server_is_full(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("services.kit.rpc.server.MAX_CONCURRENT_CALLS", 1)
    inside, go_on = asyncio.Event(), asyncio.Event()

    async def wait(request: Any, context: Any) -> Any:
        inside.set()
        await go_on.wait()
        return model_service_pb2.ListProvidersResponse()

    async with running(models(wait)) as toy:
        first = asyncio.ensure_future(toy.list_providers())
        await inside.wait()
        error = await refused(toy.list_providers())
        assert error.reason is Reason.OVERLOADED
        assert error.retry_after is not None
        health = health_pb2_grpc.HealthStub(toy.channel)
        for name in ("", "lintel.llm.v1.ModelService"):
            answer = await health.Check(health_pb2.HealthCheckRequest(service=name))
            assert answer.status == health_pb2.HealthCheckResponse.SERVING
        go_on.set()
        await first
        await toy.list_providers()  # there is room again


async def test_a_stream_that_is_left_early_is_cancelled_on_both_sides() -> None:
    ended = asyncio.Event()

    async def for_ever(request: Any, context: Any) -> AsyncIterator[Any]:
        try:
            while True:
                yield code_review_service_pb2.WatchReviewResponse()
        finally:
            ended.set()

    async with running(reviews(for_ever)) as toy:
        async with stream(toy.watch()) as call:
            async for _ in call:
                break
        await asyncio.wait_for(ended.wait(), 5)
        assert call.cancelled()


async def test_a_caller_that_goes_away_ends_the_handler() -> None:
    inside, ended = asyncio.Event(), asyncio.Event()

    async def wait(request: Any, context: Any) -> Any:
        inside.set()
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()

    async with running(models(wait)) as toy:
        call = asyncio.ensure_future(toy.list_providers())
        await inside.wait()
        call.cancel()
        await asyncio.wait_for(ended.wait(), 5)


async def test_an_open_health_watch_does_not_hold_up_the_drain() -> None:
    inside, go_on = asyncio.Event(), asyncio.Event()

    async def wait(request: Any, context: Any) -> Any:
        inside.set()
        await go_on.wait()
        return model_service_pb2.ListProvidersResponse()

    async with running(models(wait)) as toy:
        health = health_pb2_grpc.HealthStub(toy.channel)
        async with stream(health.Watch(health_pb2.HealthCheckRequest())) as watch:
            assert (await watch.read()).status == health_pb2.HealthCheckResponse.SERVING
            call = asyncio.ensure_future(toy.list_providers())
            await inside.wait()
            stopping = asyncio.ensure_future(toy.server.stop(60))
            assert (await watch.read()).status == health_pb2.HealthCheckResponse.NOT_SERVING
            async with open_channel(toy.address, CALLER) as late:
                method: Any = late.unary_unary("/lintel.llm.v1.ModelService/ListProviders")
                assert (await refused(method(b""))).reason is Reason.UNAVAILABLE
            assert not stopping.done()  # the call inside is waited for
            go_on.set()
            await call  # and gets its answer
            await asyncio.wait_for(stopping, 10)  # far less than the grace


async def test_what_does_not_end_in_its_grace_is_cancelled() -> None:
    inside, cancelled = asyncio.Event(), asyncio.Event()

    async def wait(request: Any, context: Any) -> Any:
        inside.set()
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            cancelled.set()
            raise

    async with running(models(wait)) as toy:
        call = asyncio.ensure_future(toy.list_providers())
        await inside.wait()
        await asyncio.wait_for(toy.server.stop(0.05), 10)
        assert cancelled.is_set()
        assert (await refused(call)).reason in (Reason.UNAVAILABLE, Reason.INTERNAL)


async def test_time_left_travels_on_to_the_next_server() -> None:
    seen: list[float] = []

    async def inner(request: Any, context: Any) -> Any:
        seen.append(context.time_remaining())
        return model_service_pb2.ListProvidersResponse()

    async with running(models(inner)) as second:

        async def outer(request: Any, context: Any) -> Any:
            seen.append(context.time_remaining())
            with rpc_errors():
                return await second.list_providers(timeout=1000)

        async with running(models(outer)) as first:
            await first.list_providers(timeout=5)
    left_outside, left_inside = seen
    assert left_outside < 5.1  # gRPC rounds up what it sends, to a hundredth or so
    assert left_inside < left_outside + 0.1


async def test_without_a_deadline_the_policy_sets_one() -> None:
    async def wait(request: Any, context: Any) -> Any:
        assert context.time_remaining() is None
        await asyncio.Event().wait()

    rule = internal(CALLER, deadline=timedelta(seconds=0.15))
    async with running(models(wait), rule=rule) as toy:
        error = await refused(toy.list_providers())
    assert error.reason is Reason.DEADLINE_EXCEEDED


async def test_a_call_with_no_useful_time_left_is_not_begun() -> None:
    begun = False

    async def begin(request: Any, context: Any) -> Any:
        nonlocal begun
        begun = True
        return model_service_pb2.ListProvidersResponse()

    async with running(models(begin)) as toy:
        await toy.channel.channel_ready()
        error = await refused(toy.list_providers(timeout=middlewares.USEFUL_TIME * 0.9))
    assert error.reason is Reason.DEADLINE_EXCEEDED
    assert not begun


async def test_identity_does_not_leak_into_the_next_call() -> None:
    async def who(credential: str) -> Any:
        return principal_with("owner")

    async def tell(request: Any, context: Any) -> Any:
        return model_service_pb2.ListProvidersResponse(providers=[model_service_pb2.Provider(id=principal().role)])

    async with running(models(tell), rule=ANYBODY, authenticator=who) as toy:
        answer = await toy.list_providers(metadata=(("authorization", "Bearer k"),))
        assert answer.providers[0].id == "owner"
        assert (await refused(toy.list_providers())).reason is Reason.UNAUTHENTICATED
