"""API keys resolved over the socket of auth: remembered for seconds, joined, bounded; its silence refuses nobody."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest
from lintel.auth.v1 import credential_service_pb2 as pb
from lintel.auth.v1 import credential_service_pb2_grpc

from services.kit.errors import AppError, Reason
from services.kit.rpc import lookups
from services.kit.rpc.authenticate import Credentials
from services.kit.rpc.channel import open_channel
from services.kit.rpc.context import deadline
from services.kit.rpc.server import Registered
from tests.support.rpc import ORGANIZATION, running, short_directory

KEY, OTHER = "lintel_" + "A" * 43, "lintel_" + "B" * 43
ANSWER = pb.ResolveApiKeyResponse(organization_id=str(ORGANIZATION), api_key_id="k", role="owner", scopes=["read"])


@dataclass
class Auth(credential_service_pb2_grpc.CredentialServiceServicer):
    """Answers as the test says, and counts."""

    answer: Callable[[str], Awaitable[pb.ResolveApiKeyResponse]]
    asked: list[str] = field(default_factory=list)

    async def ResolveApiKey(self, request: pb.ResolveApiKeyRequest, context: Any) -> pb.ResolveApiKeyResponse:
        self.asked.append(request.key)
        return await self.answer(request.key)


@dataclass
class Clock:
    now: float = 1000.0

    def __call__(self) -> float:
        return self.now


@dataclass
class Resolving:
    auth: Auth
    clock: Clock
    resolve: Credentials

    async def refused(self, key: str = KEY) -> Reason:
        with pytest.raises(AppError) as caught:
            await self.resolve(key)
        return caught.value.reason


async def known(key: str) -> pb.ResolveApiKeyResponse:
    return ANSWER


async def unknown(key: str) -> pb.ResolveApiKeyResponse:
    raise AppError(Reason.UNAUTHENTICATED)


@asynccontextmanager
async def resolving(answer: Callable[[str], Awaitable[pb.ResolveApiKeyResponse]]) -> AsyncIterator[Resolving]:
    auth, clock = Auth(answer), Clock()  # type: ignore[abstract]
    add = credential_service_pb2_grpc.add_CredentialServiceServicer_to_server
    async with running(Registered(add, auth, pb.DESCRIPTOR.services_by_name["CredentialService"])) as server:
        yield Resolving(auth, clock, Credentials(server.channel, clock))


async def test_a_key_is_asked_about_once_and_again_after_three_seconds() -> None:
    async with resolving(known) as made:
        for _ in range(3):
            found = await made.resolve(KEY)
        assert (found.organization_id, found.user_id, found.role) == (ORGANIZATION, None, "owner")
        assert found.scopes == {"read"}
        made.clock.now += 2.99
        await made.resolve(KEY)
        assert len(made.auth.asked) == 1
        made.clock.now += 0.01
        await made.resolve(KEY)
        assert len(made.auth.asked) == 2


async def test_that_a_key_is_nobody_s_holds_for_one_second() -> None:
    async with resolving(unknown) as made:
        assert await made.refused() is await made.refused() is Reason.UNAUTHENTICATED
        assert len(made.auth.asked) == 1
        made.auth.answer = known
        made.clock.now += 1
        await made.resolve(KEY)


async def test_a_deleted_key_stops_working_within_three_seconds() -> None:
    async with resolving(known) as made:
        await made.resolve(KEY)
        made.auth.answer = unknown
        made.clock.now += lookups.KNOWN_SECONDS
        assert await made.refused() is Reason.UNAUTHENTICATED


@pytest.mark.parametrize(
    "credential", ["", "x", "lintel_", KEY[:-1], KEY + "A", KEY[:-1] + "-", KEY + "\n", "x" * 10**6]
)
async def test_what_cannot_be_a_key_costs_auth_nothing(credential: str) -> None:
    async with resolving(known) as made:
        assert await made.refused(credential) is Reason.UNAUTHENTICATED
        assert made.auth.asked == []


async def test_look_ups_of_one_key_are_joined_and_survive_the_one_who_asked_first() -> None:
    go_on, inside = asyncio.Event(), asyncio.Event()

    async def slow(key: str) -> pb.ResolveApiKeyResponse:
        inside.set()
        await go_on.wait()
        return ANSWER

    async with resolving(slow) as made:
        first, second, third = (asyncio.ensure_future(made.resolve(KEY)) for _ in range(3))
        await inside.wait()
        first.cancel()
        with pytest.raises(asyncio.CancelledError):
            await first
        go_on.set()
        assert (await second).role == (await third).role == "owner"
        assert len(made.auth.asked) == 1


async def test_the_deadline_of_the_one_who_asked_first_is_not_that_of_the_others() -> None:
    go_on, inside = asyncio.Event(), asyncio.Event()

    async def slow(key: str) -> pb.ResolveApiKeyResponse:
        inside.set()
        await go_on.wait()
        return ANSWER

    async with resolving(slow) as made:

        async def hurried() -> None:
            deadline.set(asyncio.get_running_loop().time() + 0.11)
            await made.resolve(KEY)

        first = asyncio.ensure_future(hurried())
        await inside.wait()
        second = asyncio.ensure_future(made.resolve(KEY))
        await asyncio.wait([first], timeout=0.3)  # well after the deadline of the first one's call
        assert not second.done()
        go_on.set()
        assert (await second).role == "owner"
        await first


@pytest.mark.parametrize("reason", [Reason.UNAVAILABLE, Reason.OVERLOADED, Reason.INTERNAL, Reason.PERMISSION_DENIED])
async def test_a_failure_of_auth_is_not_the_caller_s_and_is_not_remembered(reason: Reason) -> None:
    async def fail(key: str) -> pb.ResolveApiKeyResponse:
        raise AppError(reason, "inner detail")

    async with resolving(fail) as made:
        assert await made.refused() is Reason.UNAVAILABLE
        made.auth.answer = known
        await made.resolve(KEY)


async def test_auth_away_means_unavailable_and_what_is_known_still_holds() -> None:
    with short_directory() as directory:
        async with open_channel(f"unix:{directory}/none.sock", "tests") as channel:
            with pytest.raises(AppError) as caught:
                await Credentials(channel)(KEY)
    assert caught.value.reason is Reason.UNAVAILABLE
    assert caught.value.retry_after is not None
    async with resolving(known) as made:
        await made.resolve(KEY)
        made.auth.answer = unknown
        await made.resolve(KEY)


async def test_no_more_keys_are_remembered_than_there_is_room_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lookups, "CAPACITY", 2)
    third = "lintel_" + "C" * 43
    async with resolving(known) as made:
        for key in (KEY, OTHER, KEY, third, KEY, OTHER):
            await made.resolve(key)
        # OTHER was used longest ago when `third` came, so it had to be asked about again.
        assert made.auth.asked == [KEY, OTHER, third, OTHER]


async def test_the_key_itself_is_kept_nowhere() -> None:
    async with resolving(known) as made:
        await made.resolve(KEY)
        assert KEY not in repr(vars(made.resolve))
