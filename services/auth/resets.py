"""Use cases around forgotten passwords: a link, by mail or from an owner, and the new password."""

import asyncio
import os
from collections.abc import Callable
from datetime import datetime
from uuid import UUID

from services.auth.domain import RESET_LIFETIME, RESET_PREFIX, RandomBytes, User, digest, make_key
from services.auth.passwords import Passwords
from services.auth.session_store import SessionStore
from services.auth.throttle import Throttle
from services.auth.user_store import UserStore
from services.kit.errors import AppError, Reason
from services.kit.mail import Mailer
from services.kit.postgres.audit import Actor
from services.kit.telemetry import log

_SUBJECT = "Set a new Lintel password"
_TEXT = """\
Somebody, most likely you, asked for a new password for {email} at {url}.

Set it here, within an hour:

{link}

If it was not you, do nothing: your password stays as it is.
"""
_logger = log.get("resets")


class PasswordResets:
    """Links to set a new password: one at a time for each user, for an hour, used once."""

    def __init__(
        self,
        store: SessionStore,
        users: UserStore,
        passwords: Passwords,
        throttle: Throttle,
        mailer: Mailer | None,
        public_url: str,
        now: Callable[[], datetime],
        random: RandomBytes = os.urandom,
    ) -> None:
        self._store = store
        self._users = users
        self._passwords = passwords
        self._throttle = throttle
        self._mailer = mailer
        self._url = public_url.rstrip("/")
        self._now = now
        self._random = random
        self._sending = set[asyncio.Task[None]]()

    async def forgot(self, email: str, address: str) -> None:
        """Mail a link if there is such an account, after the answer, which tells nothing in words or in time.

        Raises AppError(TOO_MANY_ATTEMPTS) for an address that asks for many.
        """
        may_send = await self._throttle.mail(email, address)
        if self._mailer is None:
            _logger.warning("no mail is sent: LINTEL_SMTP_URL is not set; `lintel users reset-password` makes a link")
            return
        if may_send:
            task = asyncio.create_task(self._send(self._mailer, email))
            self._sending.add(task)
            task.add_done_callback(self._sending.discard)

    async def create_link(self, email: str, organization_id: UUID, actor: Actor) -> tuple[str, datetime]:
        """Answer a link for a user of this organisation, and when it ends.

        Raises AppError: NOT_FOUND, or WRONG_STATE for a user who signs in by an identity provider only.
        """
        user = await self._users.find_by_email(email)
        if user is None or user.organization_id != organization_id:
            raise AppError(Reason.NOT_FOUND, "No user of your organisation has this e-mail.")
        if user.password_hash is None:
            raise AppError(Reason.WRONG_STATE, "This user signs in by single sign-on and has no password.")
        return await self._link(user, actor)

    async def reset(self, token: str, password: str) -> None:
        """Set the new password and end every session of the user. Raises AppError(LINK_INVALID)."""
        digested = digest(token)
        found = await self._store.find_reset(digested, self._now())
        user = await self._users.find(found[1]) if found else None
        if user is None:
            raise AppError(Reason.LINK_INVALID)
        password_hash = await self._passwords.hash(password)
        if not await self._store.use_reset(user, digested, password_hash, self._now()):
            raise AppError(Reason.LINK_INVALID)
        await self._throttle.forget(user.email)

    async def drain(self) -> None:
        """Wait for mails that are on their way."""
        if self._sending:
            await asyncio.wait(self._sending, timeout=5)

    async def _send(self, mailer: Mailer, email: str) -> None:
        try:
            user = await self._users.find_by_email(email)
            if user is None or user.password_hash is None:
                return
            link, _ = await self._link(user, None)
            await mailer.send(user.email, _SUBJECT, _TEXT.format(email=user.email, url=self._url, link=link))
        except AppError as error:
            _logger.warning("no link was made", reason=error.reason.value)

    async def _link(self, user: User, actor: Actor | None) -> tuple[str, datetime]:
        token, now = make_key(self._random, RESET_PREFIX), self._now()
        expire_time = now + RESET_LIFETIME
        await self._store.insert_reset(user, digest(token), now, expire_time, actor)
        # In the fragment: what follows # is sent to no server, and so stands in no log.
        return f"{self._url}/reset-password#token={token}", expire_time
