"""On whose behalf: API keys resolved by auth, over its socket, and remembered for seconds."""

import asyncio
import contextvars
import re
from collections import OrderedDict
from collections.abc import Callable
from contextlib import AsyncExitStack
from datetime import timedelta
from hashlib import sha256
from uuid import UUID

import grpc
from lintel.auth.v1 import credential_service_pb2, credential_service_pb2_grpc

from services.kit.app import Mesh
from services.kit.errors import AppError, Reason
from services.kit.rpc.channel import open_channel
from services.kit.rpc.context import Principal, deadline
from services.kit.rpc.middlewares import Authenticator
from services.kit.rpc.status import rpc_errors
from services.kit.telemetry import log

API_KEY = re.compile(r"lintel_[A-Za-z0-9]{43}\Z")  # 256 random bits in base 62, after a name that scanners can find
KNOWN_SECONDS = 5.0  # a deleted key stops working within this time
UNKNOWN_SECONDS = 1.0  # a key made just now starts working within this time
LOOK_UP_SECONDS = 2.0
CAPACITY = 4096  # keys remembered; those used longest ago are forgotten first
_logger = log.get("authenticate")

_Answer = Principal | None  # None: the key is nobody's


def api_key_authenticator(mesh: Mesh, caller: str, stack: AsyncExitStack) -> Authenticator:
    """Answer what `RpcServer(authenticator=...)` needs; `stack` closes the channel to auth. Needs a running loop."""
    channel = open_channel(mesh.internal("auth"), caller)
    stack.push_async_callback(channel.close)
    return ApiKeyResolver(channel)


class ApiKeyResolver:
    """Asks auth whose an API key is; what it is told holds for seconds, and look-ups of one key are joined.

    Raises AppError(UNAUTHENTICATED) for a key that is nobody's, AppError(UNAVAILABLE) while auth does not answer.
    """

    def __init__(self, channel: grpc.aio.Channel, clock: Callable[[], float] | None = None) -> None:
        self._stub = credential_service_pb2_grpc.CredentialServiceStub(channel)
        self._clock = clock or asyncio.get_running_loop().time
        self._known: OrderedDict[bytes, tuple[_Answer, float]] = OrderedDict()  # and until when
        self._under_way: dict[bytes, asyncio.Task[_Answer]] = {}

    async def __call__(self, credential: str) -> Principal:
        """Answer on whose behalf the bearer of this key calls."""
        if not API_KEY.match(credential):  # spares auth what cannot be a key
            raise AppError(Reason.UNAUTHENTICATED)
        digest = sha256(credential.encode()).digest()  # the key itself is kept nowhere
        answer = self._remembered(digest)
        if answer is _MISSING:
            # Shielded: one caller that gives up must not take the answer from the others that wait for it.
            answer = await asyncio.shield(self._look_up(digest, credential))
        if not isinstance(answer, Principal):
            raise AppError(Reason.UNAUTHENTICATED)
        return answer

    def _remembered(self, digest: bytes) -> "_Answer | _Missing":
        answer, until = self._known.get(digest, (None, float("-inf")))
        if until <= self._clock():
            return _MISSING
        self._known.move_to_end(digest)
        return answer

    def _look_up(self, digest: bytes, credential: str) -> asyncio.Task[_Answer]:
        task = self._under_way.get(digest)
        if task is None:
            context = contextvars.copy_context()
            context.run(deadline.set, None)  # the first caller's deadline is not that of those who join
            task = asyncio.create_task(self._ask(digest, credential), context=context)
            self._under_way[digest] = task
            task.add_done_callback(lambda done: self._ended(digest, done))
        return task

    def _ended(self, digest: bytes, task: asyncio.Task[_Answer]) -> None:
        self._under_way.pop(digest, None)
        if not task.cancelled():
            task.exception()  # has been raised in those who waited, and nobody may be left

    async def _ask(self, digest: bytes, credential: str) -> _Answer:
        answer: _Answer = None
        try:
            with rpc_errors():
                request = credential_service_pb2.ResolveApiKeyRequest(key=credential)
                found = await self._stub.ResolveApiKey(request, timeout=LOOK_UP_SECONDS)
            answer = _principal(found)
        except AppError as error:
            if error.reason is not Reason.UNAUTHENTICATED:
                # Whatever is wrong there, the caller's key may be good: it must not be told to throw it away.
                _logger.warning("auth does not answer", reason=error.reason.value, message=error.message)
                raise AppError(
                    Reason.UNAVAILABLE, "The credential cannot be checked now.", retry_after=timedelta(seconds=1)
                ) from None
        self._remember(digest, answer)
        return answer

    def _remember(self, digest: bytes, answer: _Answer) -> None:
        self._known[digest] = (answer, self._clock() + (UNKNOWN_SECONDS if answer is None else KNOWN_SECONDS))
        self._known.move_to_end(digest)
        while len(self._known) > CAPACITY:
            self._known.popitem(last=False)


class _Missing:
    """Nothing is remembered; None would say that the key is nobody's."""


_MISSING = _Missing()


def _principal(found: credential_service_pb2.ResolveApiKeyResponse) -> Principal:
    return Principal(
        organization_id=UUID(found.organization_id),
        user_id=UUID(found.user_id) if found.user_id else None,
        role=found.role,
        credential_id=found.api_key_id,
        scopes=frozenset(found.scopes),
    )
