"""Use cases around single sign-on: begin, and end."""

import os
from base64 import urlsafe_b64encode
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from hashlib import sha256
from typing import Any
from uuid import UUID

from services.auth.clients import Directory
from services.auth.domain import (
    STATE_PREFIX,
    RandomBytes,
    SsoConfiguration,
    SsoLogin,
    Tokens,
    User,
    digest,
    email_key,
    make_key,
)
from services.auth.providers.oidc import Provider
from services.auth.sessions import Sessions
from services.auth.sso_configurations import SsoConfigurations
from services.auth.sso_store import SsoStore
from services.auth.user_store import UserStore
from services.kit.crypto import Vault
from services.kit.errors import AppError, Reason
from services.kit.ids import new_id

LOGIN_LIFETIME = timedelta(minutes=10)


class SingleSignOn:
    """OpenID Connect for organisations whose provider the operator lists."""

    def __init__(
        self,
        store: SsoStore,
        users: UserStore,
        directory: Directory,
        sessions: Sessions,
        configurations: SsoConfigurations,
        provider: Provider,
        vault: Vault,
        now: Callable[[], datetime],
        random: RandomBytes = os.urandom,
    ) -> None:
        self._store = store
        self._users = users
        self._directory = directory
        self._sessions = sessions
        self._configurations = configurations
        self._provider = provider
        self._vault = vault
        self._now = now
        self._random = random

    async def start(self, organization_id: UUID | None, email: str) -> tuple[str, str]:
        """Begin a sign-in; answers where to send the browser, and the state that must come back.

        Raises AppError: SSO_NOT_CONFIGURED, SSO_UNAVAILABLE, INVALID_REQUEST where several organisations fit.
        """
        found = await self._configurations.choose(organization_id, email)
        state, nonce = make_key(self._random, STATE_PREFIX), make_key(self._random, "")
        verifier = make_key(self._random, "")  # 43 characters (RFC 7636)
        challenge = urlsafe_b64encode(sha256(verifier.encode()).digest()).rstrip(b"=").decode()
        url = await self._provider.authorization_url(self._configurations.client(found), state, nonce, challenge)
        key, now = digest(state), self._now()
        sealed = self._vault.encrypt(verifier, found.organization_id, _verifier_field(key))
        await self._store.begin(
            key, SsoLogin(found.organization_id, found.issuer, nonce, sealed, now + LOGIN_LIFETIME), now
        )
        return url, state

    async def complete(self, state: str, code: str, error: str, issuer: str) -> Tokens:
        """End a sign-in and begin a session.

        Raises AppError: SSO_REFUSED, SSO_UNAVAILABLE, EMAIL_TAKEN.
        """
        key = digest(state)
        login = await self._store.take(key, self._now())
        if login is None:
            raise _refused("this sign-in is unknown, over, or was finished before; begin again")
        if issuer and issuer != login.issuer:
            raise _refused("another provider than the one that was asked has answered")
        if error or not code:
            raise _refused("the provider gives no code" + (f" ({error})" if error.isidentifier() else ""))
        found = await self._store.find(login.organization_id)
        if found is None or found.issuer != login.issuer:
            raise AppError(Reason.SSO_NOT_CONFIGURED)
        verifier = self._vault.decrypt(login.code_verifier_sealed, login.organization_id, _verifier_field(key))
        claims = await self._provider.claims(self._configurations.client(found), code, verifier, login.nonce)
        return await self._sessions.begin(await self._user(found, claims), "sso")

    async def sweep(self) -> bool:
        """Forget sign-ins that nobody finished."""
        await self._store.sweep()
        return False

    async def _user(self, found: SsoConfiguration, claims: Mapping[str, Any]) -> User:
        """Answer the user whom the claims speak of: known by subject, else by verified e-mail, else new."""
        email, subject = claims.get("email"), str(claims["sub"])
        if not isinstance(email, str) or not email or len(email) > 254:
            raise _refused("the provider tells no e-mail")
        if claims.get("email_verified") is not True:
            raise _refused("the provider has not verified the e-mail")
        if email_key(email).rpartition("@")[2] not in found.email_domains:
            raise _refused("the domain of the e-mail is not one of this organisation's")
        role = found.role_of(_groups(claims.get(found.groups_claim)))
        if not role:
            raise _refused("none of the groups may sign in")
        known = await self._known(found, subject, email)
        name = claims.get("name") if isinstance(claims.get("name"), str) else ""
        user_id = known.id if known else await self._begin(found, subject)
        member = await self._directory.join_by_sso(
            found.organization_id, user_id, known.email if known else email, _printable(name or ""), role
        )
        if not member.is_active:
            raise _refused("the user is disabled")
        user = known or User(user_id, found.organization_id, email, None)
        if known is None:
            await self._users.insert(user, self._now())
        await self._store.insert_identity(found.organization_id, found.issuer, subject, user.id, self._now())
        return user

    async def _known(self, found: SsoConfiguration, subject: str, email: str) -> User | None:
        user_id = await self._store.find_identity(found.organization_id, found.issuer, subject)
        user = await self._users.find(user_id) if user_id else await self._users.find_by_email(email)
        if user is not None and user.organization_id != found.organization_id:
            raise AppError(Reason.EMAIL_TAKEN)
        return user

    async def _begin(self, found: SsoConfiguration, subject: str) -> UUID:
        key = sha256(f"sso {found.organization_id} {found.issuer} {subject}".encode()).digest()
        return await self._users.begin(key, new_id(), self._now())


def _verifier_field(state_sha256: bytes) -> str:
    return f"auth.sso_logins/{state_sha256.hex()}/code_verifier"


def _groups(claim: object) -> frozenset[str]:
    if isinstance(claim, str):
        return frozenset({claim})
    return frozenset(item for item in claim if isinstance(item, str)) if isinstance(claim, list) else frozenset()


def _printable(name: str) -> str:
    return "".join(c for c in name if c.isprintable()).strip()[:200]


def _refused(why: str) -> AppError:
    return AppError(Reason.SSO_REFUSED, f"Single sign-on was refused: {why}.")
