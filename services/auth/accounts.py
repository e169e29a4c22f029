"""Use cases around accounts: register, accept an invitation, forget."""

from collections.abc import Callable
from datetime import datetime
from hashlib import sha256
from uuid import UUID

from services.auth.clients import Directory
from services.auth.domain import Tokens, User, email_key
from services.auth.passwords import Passwords
from services.auth.sessions import Sessions
from services.auth.throttle import Throttle
from services.auth.user_store import UserStore
from services.kit.errors import AppError, Reason, Violation
from services.kit.ids import new_id


class Accounts:
    """Users' accounts. What fails half-way is finished by trying again: the user keeps the id they were given."""

    def __init__(
        self,
        store: UserStore,
        directory: Directory,
        passwords: Passwords,
        sessions: Sessions,
        throttle: Throttle,
        now: Callable[[], datetime],
        *,
        is_open: bool,
    ) -> None:
        self._store = store
        self._directory = directory
        self._passwords = passwords
        self._sessions = sessions
        self._throttle = throttle
        self._now = now
        self._is_open = is_open

    async def register(self, email: str, password: str, name: str, organization_name: str, address: str) -> User:
        """Make an account whose user owns an organisation, and answer it.

        Raises AppError: REGISTRATION_CLOSED (before anything about the e-mail is told), EMAIL_TAKEN, TOO_MANY_ATTEMPTS,
        INVALID_REQUEST.
        """
        _check_name("name", name, needed=True)
        _check_name("organization_name", organization_name)
        if not self._is_open and await self._store.has_any():
            raise AppError(Reason.REGISTRATION_CLOSED)
        await self._throttle.registration(address)
        if await self._store.find_by_email(email) is not None:
            raise AppError(Reason.EMAIL_TAKEN)
        password_hash = await self._passwords.hash(password)
        user_id = await self._begin("email", email_key(email))
        organization_id = await self._directory.create_owner(
            user_id, email, name.strip(), organization_name.strip(), is_open=self._is_open
        )
        user = User(user_id, organization_id, email, password_hash)
        await self._store.insert(user, self._now())
        return user

    async def accept_invitation(self, token: str, password: str, name: str, address: str) -> Tokens:
        """Make the account of somebody who was invited and begin a session.

        Raises AppError: INVITATION_INVALID, EMAIL_TAKEN, TOO_MANY_ATTEMPTS, INVALID_REQUEST.
        """
        _check_name("name", name)
        await self._throttle.registration(address)
        digest = sha256(token.encode()).digest()
        user_id = await self._store.begun(_key("invitation", digest.hex()))
        if user_id is None:  # else it was accepted before, and something failed after that
            invited = await self._directory.invitation(digest)
            if await self._store.find_by_email(invited.email) is not None:
                raise AppError(Reason.EMAIL_TAKEN)
            user_id = await self._begin("invitation", digest.hex())
        password_hash = await self._passwords.hash(password)
        joined = await self._directory.accept_invitation(digest, user_id, name.strip())
        user = User(user_id, joined.organization_id, joined.email, password_hash)
        try:
            await self._store.insert(user, self._now())
        except AppError as error:
            if error.reason is Reason.EMAIL_TAKEN:  # accepted to the end before: a used token opens nothing
                raise AppError(Reason.INVITATION_INVALID) from None
            raise
        return await self._sessions.begin(user, "invitation")

    async def forget(self, organization_id: UUID, user_id: UUID) -> None:
        """Forget every credential of a user of this organisation."""
        await self._store.delete(organization_id, user_id, self._now())

    async def _begin(self, kind: str, key: str) -> UUID:
        return await self._store.begin(_key(kind, key), new_id(), self._now())


def _key(kind: str, key: str) -> bytes:
    return sha256(f"{kind} {key}".encode()).digest()


def _check_name(field: str, name: str, *, needed: bool = False) -> None:
    if (needed and not name.strip()) or not name.isprintable():
        violation = Violation(field, "must have a visible character, and no control characters")
        raise AppError(Reason.INVALID_REQUEST, violations=[violation])
