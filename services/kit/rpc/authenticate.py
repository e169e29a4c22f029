"""On whose behalf: access tokens, verified here, and API keys; who is behind either is asked of auth and remembered."""

import asyncio
import re
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from datetime import timedelta
from hashlib import sha256
from typing import TypeVar
from uuid import UUID

import grpc
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from lintel.auth.v1 import credential_service_pb2, credential_service_pb2_grpc

from services.kit.app import Mesh
from services.kit.errors import AppError, Reason
from services.kit.rpc import access_tokens
from services.kit.rpc.channel import open_channel
from services.kit.rpc.context import Principal
from services.kit.rpc.lookups import Answer, Lookups
from services.kit.rpc.middlewares import Authenticator
from services.kit.rpc.status import rpc_errors
from services.kit.telemetry import log

API_KEY = re.compile(r"lintel_[A-Za-z0-9]{43}\Z")  # 256 random bits in base 62, after a name that scanners can find
LOOK_UP_SECONDS = 2.0
KEYS_SECONDS = 60.0  # a signing key that auth no longer lists stops working within this time
KEYS_AGAIN_SECONDS = 2.0  # tokens that name unknown keys make us ask auth this often, not more
_logger = log.get("authenticate")

AnswerT = TypeVar("AnswerT")


def authenticator(mesh: Mesh, caller: str, stack: AsyncExitStack) -> Authenticator:
    """Answer what `RpcServer(authenticator=...)` needs; `stack` closes the channel to auth. Needs a running loop."""
    channel = open_channel(mesh.internal("auth"), caller)
    stack.push_async_callback(channel.close)
    return Credentials(channel)


class Credentials:
    """Answers who calls with a bearer credential: an access token, or an API key.

    Raises AppError(UNAUTHENTICATED) for one that is nobody's, AppError(UNAVAILABLE) while auth does not answer.
    """

    def __init__(self, channel: grpc.aio.Channel, clock: Callable[[], float] | None = None) -> None:
        self._stub = credential_service_pb2_grpc.CredentialServiceStub(channel)
        clock = clock or asyncio.get_running_loop().time
        self._lookups = Lookups(clock)
        self._keys = SigningKeys(self._stub, clock)

    async def __call__(self, credential: str) -> Principal:
        """Answer on whose behalf the bearer of this credential calls."""
        if API_KEY.match(credential):  # spares auth what cannot be a key
            digest = sha256(credential.encode()).digest()
            return await self._lookups.get(digest, lambda: self._of_api_key(credential))
        claims = access_tokens.verify(credential, await self._keys.including(access_tokens.named_key(credential)))
        digest = sha256(f"session {claims.session_id}".encode()).digest()
        who = await self._lookups.get(digest, lambda: self._of_session(claims.session_id))
        if who.user_id != claims.user_id:
            raise AppError(Reason.UNAUTHENTICATED)
        return who

    async def _of_api_key(self, key: str) -> Answer:
        request = credential_service_pb2.ResolveApiKeyRequest(key=key)
        found = await _asked(lambda: self._stub.ResolveApiKey(request, timeout=LOOK_UP_SECONDS))
        if found is None:
            return None
        return Principal(
            organization_id=UUID(found.organization_id),
            user_id=UUID(found.user_id) if found.user_id else None,
            role=found.role,
            credential_id=found.api_key_id,
            scopes=frozenset(found.scopes),
            assigned_repositories=frozenset(found.assigned_repository_ids),
        )

    async def _of_session(self, session_id: UUID) -> Answer:
        request = credential_service_pb2.ResolveSessionRequest(session_id=str(session_id))
        found = await _asked(lambda: self._stub.ResolveSession(request, timeout=LOOK_UP_SECONDS))
        if found is None:
            return None
        return Principal(
            organization_id=UUID(found.organization_id),
            user_id=UUID(found.user_id),
            role=found.role,
            credential_id=str(session_id),
            session_id=session_id,
            assigned_repositories=frozenset(found.assigned_repository_ids),
        )


class SigningKeys:
    """The public keys of access tokens as auth lists them, asked for again after a minute, or when one is missing."""

    def __init__(self, stub: credential_service_pb2_grpc.CredentialServiceStub, clock: Callable[[], float]) -> None:
        self._stub = stub
        self._clock = clock
        self._keys: dict[str, Ed25519PublicKey] = {}
        self._asked_at = float("-inf")
        self._asking = asyncio.Lock()

    async def including(self, kid: str) -> access_tokens.PublicKeys:
        """Answer the keys, with this one if auth has it. Raises AppError(UNAVAILABLE) if they can't be had at all."""
        if self._is_due(kid):
            async with self._asking:
                if self._is_due(kid):
                    await self._ask()
        return self._keys

    def _is_due(self, kid: str) -> bool:
        age = self._clock() - self._asked_at
        return age >= (KEYS_SECONDS if kid in self._keys else KEYS_AGAIN_SECONDS)

    async def _ask(self) -> None:
        request = credential_service_pb2.ListSigningKeysRequest()
        found = await _asked(lambda: self._stub.ListSigningKeys(request, timeout=LOOK_UP_SECONDS))
        if found is not None:
            self._keys = {k.key_id: Ed25519PublicKey.from_public_bytes(k.public_key) for k in found.keys}
        self._asked_at = self._clock()


async def _asked(call: Callable[[], Awaitable[AnswerT]]) -> AnswerT | None:
    """Answer what auth answers, None for UNAUTHENTICATED. Raises AppError(UNAVAILABLE) for everything else."""
    try:
        with rpc_errors():
            return await call()
    except AppError as error:
        if error.reason is Reason.UNAUTHENTICATED:
            return None
        # Whatever is wrong there, the caller's credential may be good: it must not be told to throw it away.
        _logger.warning("auth does not answer", reason=error.reason.value, message=error.message)
        raise AppError(
            Reason.UNAVAILABLE, "The credential cannot be checked now.", retry_after=timedelta(seconds=1)
        ) from None
