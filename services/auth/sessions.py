"""Use cases around sessions: sign in, refresh, sign out, find out whose one is."""

import os
from collections.abc import Callable
from datetime import datetime
from uuid import UUID

from services.auth.clients import Directory
from services.auth.domain import (
    BEGINNINGS_KEPT,
    REFRESH_LIFETIME,
    REFRESH_PREFIX,
    SESSION_LIFETIME,
    EndReason,
    Member,
    Method,
    RandomBytes,
    Session,
    Tokens,
    User,
    digest,
    make_key,
)
from services.auth.passwords import Passwords
from services.auth.session_store import RefreshToken, SessionStore, Turn
from services.auth.signing import Signer
from services.auth.throttle import Throttle
from services.auth.user_store import UserStore
from services.kit.errors import AppError, Reason
from services.kit.ids import new_id
from services.kit.rpc import access_tokens
from services.kit.telemetry import log

_logger = log.get("sessions")
# One text for every reason: whoever tries tokens learns nothing from it.
_SIGN_IN_ANEW = "The refresh token is not valid, or not any more; sign in again."


class Sessions:
    """Sessions of users. Who a user is at this moment is always asked of the directory, never remembered."""

    def __init__(
        self,
        store: SessionStore,
        users: UserStore,
        directory: Directory,
        passwords: Passwords,
        throttle: Throttle,
        signer: Signer,
        now: Callable[[], datetime],
        random: RandomBytes = os.urandom,
    ) -> None:
        self._store = store
        self._users = users
        self._directory = directory
        self._passwords = passwords
        self._throttle = throttle
        self._signer = signer
        self._now = now
        self._random = random

    async def login(self, email: str, password: str, address: str) -> Tokens:
        """Begin a session by password.

        Raises AppError: LOGIN_FAILED for whatever is wrong, after one comparison in every case; TOO_MANY_ATTEMPTS.
        """
        await self._throttle.login(email, address)
        user = await self._users.find_by_email(email)
        stored = user.password_hash if user else None
        if not await self._passwords.verify(stored, password) or user is None or stored is None:
            raise AppError(Reason.LOGIN_FAILED)
        await self._throttle.succeeded(email, address)
        if await self._member(user.id, user.organization_id) is None:
            raise AppError(Reason.LOGIN_FAILED)
        if self._passwords.is_outdated(stored):
            await self._users.set_password_hash(user, await self._passwords.hash(password))
        return await self.begin(user, "password")

    async def begin(self, user: User, method: Method) -> Tokens:
        """Begin a session of a user who has proved who they are."""
        now = self._now()
        session = Session(new_id(), user.organization_id, user.id, method, now, now + SESSION_LIFETIME)
        secret, token = self._refresh_token(session, now)
        await self._store.begin(session, token)
        return self._tokens(session, secret, now)

    async def refresh(self, refresh_token: str) -> Tokens:
        """Exchange a refresh token for new tokens.

        Raises AppError(UNAUTHENTICATED) if it is nobody's, expired or used; in the last case its session ends.
        """
        old = digest(refresh_token)
        session = await self._store.find_by_token(old)
        if session is None:
            raise AppError(Reason.UNAUTHENTICATED, _SIGN_IN_ANEW)
        if await self._member(session.user_id, session.organization_id) is None:
            await self._store.end(session, self._now(), "inactive")
            raise AppError(Reason.UNAUTHENTICATED, _SIGN_IN_ANEW)
        now = self._now()
        secret, token = self._refresh_token(session, now)
        turn = await self._store.exchange(session, old, token)
        if turn is Turn.REUSED:
            _logger.warning(
                "a refresh token came twice: its session is ended",
                session_id=str(session.id),
                user_id=str(session.user_id),
                organization_id=str(session.organization_id),
            )
        if turn is not Turn.EXCHANGED:
            raise AppError(Reason.UNAUTHENTICATED, _SIGN_IN_ANEW)
        return self._tokens(session, secret, now)

    async def logout(self, session_id: UUID | None, user_id: UUID | None, refresh_token: str) -> None:
        """End the caller's session, or another one of theirs whose refresh token they hold; none is no error."""
        if refresh_token:
            session = await self._store.find_by_token(digest(refresh_token))
        else:
            session = await self._store.find_living(session_id, self._now()) if session_id else None
        if session is not None and session.user_id == user_id:
            await self._store.end(session, self._now(), "logout")

    async def resolve(self, session_id: UUID) -> tuple[Session, Member]:
        """Answer a session and its user's state of now. Raises AppError(UNAUTHENTICATED) if either has ended."""
        session = await self._store.find_living(session_id, self._now())
        member = await self._member(session.user_id, session.organization_id) if session else None
        if session is None or member is None:
            raise AppError(Reason.UNAUTHENTICATED)
        return session, member

    async def end_all(self, organization_id: UUID, user_id: UUID, reason: EndReason = "ended") -> int:
        """End every session of a user and answer how many there were."""
        return await self._store.end_all(organization_id, user_id, self._now(), reason)

    async def sweep(self) -> bool:
        """Forget what has been over for a day."""
        await self._store.sweep()
        await self._users.forget_beginnings(self._now() - BEGINNINGS_KEPT)
        return False

    async def _member(self, user_id: UUID, organization_id: UUID) -> Member | None:
        """Answer what orgs says of a user, None unless they may act in this organisation."""
        member = await self._directory.member(user_id)
        return member if member and member.is_active and member.organization_id == organization_id else None

    def _refresh_token(self, session: Session, now: datetime) -> tuple[str, RefreshToken]:
        secret = make_key(self._random, REFRESH_PREFIX)
        return secret, RefreshToken(digest(secret), now, min(now + REFRESH_LIFETIME, session.expire_time))

    def _tokens(self, session: Session, secret: str, now: datetime) -> Tokens:
        access_token = self._signer.access_token(session.user_id, session.id, now)
        return Tokens(access_token, secret, int(access_tokens.LIFETIME.total_seconds()))
