"""gRPC ignores a misspelt channel argument, so each in options.py is shown to act, and what happens without it."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import grpc
import pytest

from services.kit.rpc import options
from services.kit.rpc.options import MIB
from tests.support.rpc import short_directory

Options = list[tuple[str, Any]]
Echo = Callable[[bytes, Any], Awaitable[bytes]]


def scaled(chosen: Options, **changed: int) -> Options:
    """The options under the very names we use, with times short enough for a test."""
    names = {name.rpartition(".")[2]: name for name, _ in chosen}
    assert changed.keys() <= names.keys()
    return [(name, changed.get(name.rpartition(".")[2], value)) for name, value in chosen]


def without(chosen: Options, *last_words: str) -> Options:
    return [(name, value) for name, value in chosen if name.rpartition(".")[2] not in last_words]


@asynccontextmanager
async def echoing(handle: Echo, server_options: Options) -> AsyncIterator[str]:
    """A server with one method of bytes to bytes."""
    server = grpc.aio.server(options=server_options)
    handler: Any = grpc.unary_unary_rpc_method_handler(handle)
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("test.Echo", {"Say": handler}),))
    with short_directory() as directory:
        address = f"unix:{directory}/s.sock"
        server.add_insecure_port(address)
        await server.start()
        try:
            yield address
        finally:
            await server.stop(0)


async def echo(request: bytes, context: Any) -> bytes:
    return request


def say(channel: grpc.aio.Channel) -> Any:
    return channel.unary_unary("/test.Echo/Say")


async def code_of(call: Any) -> grpc.StatusCode:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await call
    return caught.value.code()


def listen_on(port: int, server_options: Options) -> int:
    return grpc.aio.server(options=server_options).add_insecure_port(f"127.0.0.1:{port}")


async def test_a_port_is_not_shared() -> None:
    first = grpc.aio.server(options=options.SERVER)
    port = first.add_insecure_port("127.0.0.1:0")
    await first.start()
    with pytest.raises(RuntimeError, match="Failed to bind"):
        listen_on(port, options.SERVER)
    await first.stop(0)

    shared = grpc.aio.server()
    port = shared.add_insecure_port("127.0.0.1:0")
    await shared.start()
    assert listen_on(port, []) == port  # the default: silently, half of the calls go elsewhere
    await shared.stop(0)


async def test_messages_of_a_webhook_s_size_pass_and_larger_ones_do_not() -> None:
    async with (
        echoing(echo, options.SERVER) as address,
        grpc.aio.insecure_channel(address, options=options.CHANNEL) as channel,
    ):
        body = bytes(26 * MIB)
        assert len(await say(channel)(body)) == len(body)
        assert await code_of(say(channel)(bytes(32 * MIB + 1))) is grpc.StatusCode.RESOURCE_EXHAUSTED


async def test_a_server_receives_and_sends_32_mib_whatever_its_client_allows() -> None:
    async def grow(request: bytes, context: Any) -> bytes:
        return bytes(int(request)) if len(request) < 20 else b"small"

    unlimited: Options = [("grpc.max_receive_message_length", -1), ("grpc.max_send_message_length", -1)]
    async with (
        echoing(grow, options.SERVER) as address,
        grpc.aio.insecure_channel(address, options=unlimited) as channel,
    ):
        assert await code_of(say(channel)(bytes(32 * MIB + 1))) is grpc.StatusCode.RESOURCE_EXHAUSTED
        assert await code_of(say(channel)(b"%d" % (32 * MIB + 1))) is grpc.StatusCode.RESOURCE_EXHAUSTED
        assert len(await say(channel)(b"%d" % (31 * MIB))) == 31 * MIB


async def test_a_client_receives_32_mib_and_not_4() -> None:
    async def grow(request: bytes, context: Any) -> bytes:
        return bytes(int(request))

    unlimited: Options = [("grpc.max_send_message_length", -1)]
    async with (
        echoing(grow, unlimited) as address,
        grpc.aio.insecure_channel(address, options=options.CHANNEL) as ours,
        grpc.aio.insecure_channel(address) as default,
    ):
        assert len(await say(ours)(b"%d" % (31 * MIB))) == 31 * MIB
        assert await code_of(say(ours)(b"%d" % (32 * MIB + 1))) is grpc.StatusCode.RESOURCE_EXHAUSTED
        assert await code_of(say(default)(b"%d" % (5 * MIB))) is grpc.StatusCode.RESOURCE_EXHAUSTED


async def test_nothing_is_tried_again_behind_the_caller_s_back() -> None:
    attempts = 0

    async def fail(request: bytes, context: Any) -> bytes:
        nonlocal attempts
        attempts += 1
        return await context.abort(grpc.StatusCode.UNAVAILABLE, "not now")  # type: ignore[no-any-return]

    retry = {
        "maxAttempts": 3,
        "initialBackoff": "0.01s",
        "maxBackoff": "0.01s",
        "backoffMultiplier": 1,
        "retryableStatusCodes": ["UNAVAILABLE"],
    }
    config = ("grpc.service_config", json.dumps({"methodConfig": [{"name": [{}], "retryPolicy": retry}]}))
    async with echoing(fail, options.SERVER) as address:
        for chosen, expected in ((options.CHANNEL, 1), (without(options.CHANNEL, "enable_retries"), 3)):
            attempts = 0
            async with grpc.aio.insecure_channel(address, options=[*chosen, config]) as channel:
                assert await code_of(say(channel)(b"")) is grpc.StatusCode.UNAVAILABLE
            assert attempts == expected


async def test_a_peer_that_went_silent_is_noticed() -> None:
    inside = asyncio.Event()

    async def wait(request: bytes, context: Any) -> bytes:
        inside.set()
        await asyncio.Event().wait()
        return b""

    chosen = scaled(options.CHANNEL, keepalive_time_ms=100, ping_timeout_ms=100)
    async with (
        echoing(wait, options.SERVER) as address,
        _silenceable(address) as (near, silence),
        grpc.aio.insecure_channel(near, options=chosen) as channel,
    ):
        call = asyncio.ensure_future(say(channel)(b""))
        await inside.wait()
        silence.set()
        assert await asyncio.wait_for(code_of(call), 10) is grpc.StatusCode.UNAVAILABLE


@pytest.mark.parametrize(
    ("changed", "is_ended"),
    [
        ({}, True),  # twenty pings at once are too many for 20 seconds
        ({"min_ping_interval_without_data_ms": 0}, False),  # so that argument is the one that says how many
        ({"min_ping_interval_without_data_ms": 0, "keepalive_permit_without_calls": 0}, True),  # and so is that
    ],
)
async def test_how_often_a_client_may_ping(changed: dict[str, int], is_ended: bool) -> None:
    async with echoing(echo, scaled(options.SERVER, **changed)) as address:
        reader, writer = await asyncio.open_unix_connection(address.removeprefix("unix:"))
        writer.write(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + _frame(_SETTINGS, b"") + _frame(_PING, b"12345678") * 20)
        kind, payload = -1, b""
        while kind != _GO_AWAY and payload != b"the last":
            kind, flags, payload = await _read_frame(reader)
            if kind == _SETTINGS and flags & _ACK:  # sent after the answers to the pings
                writer.write(_frame(_PING, b"the last"))
        writer.close()
    assert (kind == _GO_AWAY) is is_ended


async def test_a_peer_that_is_away_is_tried_again_soon() -> None:
    attempts: asyncio.Queue[None] = asyncio.Queue()

    def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        attempts.put_nowait(None)
        writer.close()

    loop = asyncio.get_running_loop()
    with short_directory() as directory:
        server = await asyncio.start_unix_server(accept, f"{directory}/s.sock")
        async with server, grpc.aio.insecure_channel(f"unix:{directory}/s.sock", options=options.CHANNEL) as channel:
            call = asyncio.ensure_future(say(channel)(b"", wait_for_ready=True))
            began = loop.time()
            for _ in range(5):
                await attempts.get()
            took = loop.time() - began
            call.cancel()
    # 0.1 + 0.16 + 0.26 + 0.41 s give or take a fifth; by default the first two pauses alone are 1 + 1.6 s.
    assert took < 2


_SETTINGS, _PING, _GO_AWAY = 4, 6, 7  # types of HTTP/2 frames, RFC 9113 section 6
_ACK = 1


def _frame(kind: int, payload: bytes) -> bytes:
    return len(payload).to_bytes(3) + bytes([kind, 0, 0, 0, 0, 0]) + payload


async def _read_frame(reader: asyncio.StreamReader) -> tuple[int, int, bytes]:
    head = await reader.readexactly(9)
    return head[3], head[4], await reader.readexactly(int.from_bytes(head[:3]))


@asynccontextmanager
async def _silenceable(address: str) -> AsyncIterator[tuple[str, asyncio.Event]]:
    """A socket in front of another; after the event is set it swallows every byte and says nothing."""
    silence = asyncio.Event()
    tasks: set[asyncio.Task[None]] = set()

    async def pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(65536):
            if not silence.is_set():
                writer.write(data)

    async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        far_reader, far_writer = await asyncio.open_unix_connection(address.removeprefix("unix:"))
        pumps = (asyncio.ensure_future(pump(reader, far_writer)), asyncio.ensure_future(pump(far_reader, writer)))
        tasks.update(pumps)
        await asyncio.gather(*pumps, return_exceptions=True)
        far_writer.close()
        writer.close()

    with short_directory() as directory:
        server = await asyncio.start_unix_server(accept, f"{directory}/p.sock")
        try:
            yield f"unix:{directory}/p.sock", silence
        finally:
            server.close()
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
