"""Use cases around an organisation's identity provider: configure it, find it, forget it."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from services.auth.domain import SsoConfiguration, email_key
from services.auth.providers.oidc import Client, Provider
from services.auth.sso_store import SsoStore
from services.kit.crypto import Vault, masked
from services.kit.errors import AppError, Reason, Violation
from services.kit.postgres import audit

CALLBACK = "/auth/sso/callback"
_SECRET_FIELD = "auth.sso_configurations/client_secret"  # noqa: S105 - names the field; one row for an organisation


@dataclass(frozen=True, slots=True)
class Wanted:
    """A configuration as an owner sends it; an empty secret, or the mask, keeps the stored one."""

    issuer: str
    client_id: str
    client_secret: str
    email_domains: Sequence[str]
    groups_claim: str
    group_roles: Sequence[tuple[str, str]]
    default_role: str


class SsoConfigurations:
    """Identity providers of organisations; the operator lists which issuers there may be, and so whom we call."""

    def __init__(
        self,
        store: SsoStore,
        provider: Provider,
        vault: Vault,
        issuers: Sequence[str],
        public_url: str,
        now: Callable[[], datetime],
    ) -> None:
        self._store = store
        self._provider = provider
        self._vault = vault
        self._issuers = frozenset(issuers)
        self.redirect_uri = public_url.rstrip("/") + CALLBACK
        self._now = now

    async def get(self, organization_id: UUID) -> SsoConfiguration:
        """Answer an organisation's configuration. Raises AppError(SSO_NOT_CONFIGURED)."""
        found = await self._store.find(organization_id)
        if found is None:
            raise AppError(Reason.SSO_NOT_CONFIGURED)
        return found

    async def configure(self, organization_id: UUID, wanted: Wanted) -> SsoConfiguration:
        """Store an organisation's configuration and answer it.

        Raises AppError: INVALID_REQUEST naming the field, SSO_UNAVAILABLE if the provider's metadata can't be had.
        """
        before = await self._store.find(organization_id)
        if wanted.issuer not in self._issuers:
            raise _wrong("issuer", "is not listed by the operator in LINTEL_SSO_ISSUERS")
        sealed, mask = self._secret(organization_id, wanted.client_secret, before, wanted)
        await self._provider.discover(wanted.issuer, fresh=True)
        found = SsoConfiguration(
            organization_id=organization_id,
            issuer=wanted.issuer,
            client_id=wanted.client_id,
            client_secret_sealed=sealed,
            client_secret_mask=mask,
            email_domains=tuple(dict.fromkeys(domain.lower().rstrip(".") for domain in wanted.email_domains)),
            groups_claim=wanted.groups_claim or "groups",
            group_roles=tuple(wanted.group_roles),
            default_role=wanted.default_role,
            update_time=self._now(),
        )
        await self._store.put(found, before, audit.caller())
        return found

    async def forget(self, organization_id: UUID) -> None:
        """Forget an organisation's configuration. Raises AppError(SSO_NOT_CONFIGURED)."""
        await self._store.delete(await self.get(organization_id), audit.caller())

    async def choose(self, organization_id: UUID | None, email: str) -> SsoConfiguration:
        """Answer the configuration to sign in by: the organisation's, else the one for the e-mail, else the only one.

        Raises AppError: SSO_NOT_CONFIGURED, INVALID_REQUEST where several organisations fit.
        """
        if organization_id is not None:
            return await self.get(organization_id)
        domain = email_key(email).rpartition("@")[2]
        fitting = [c for c in await self._store.all() if not email or domain in c.email_domains]
        if len(fitting) > 1:
            raise _wrong("organization_id", "is needed: more than one organisation fits")
        if not fitting:
            raise AppError(Reason.SSO_NOT_CONFIGURED)
        return fitting[0]

    def client(self, found: SsoConfiguration) -> Client:
        """Answer what Lintel is at a provider. Raises AppError(SSO_NOT_CONFIGURED) if it is not listed any more."""
        if found.issuer not in self._issuers:
            raise AppError(Reason.SSO_NOT_CONFIGURED)
        secret = self._vault.decrypt(found.client_secret_sealed, found.organization_id, _SECRET_FIELD)
        return Client(found.issuer, found.client_id, secret, self.redirect_uri)

    async def reencrypt(self) -> int:
        """Bring every client secret under the current key and answer how many were not. Raises SealedSecretError."""
        stale = [c for c in await self._store.all() if not self._vault.is_current(c.client_secret_sealed)]
        for found in stale:
            fresh = self._vault.reencrypt(found.client_secret_sealed, found.organization_id, _SECRET_FIELD)
            await self._store.reseal(found.organization_id, found.client_secret_sealed, fresh)
        return len(stale)

    def _secret(
        self, organization_id: UUID, secret: str, before: SsoConfiguration | None, wanted: Wanted
    ) -> tuple[str, str]:
        if before is not None and secret in ("", before.client_secret_mask):
            # A stored secret is sent to the provider it was given for, and to no other.
            if (before.issuer, before.client_id) != (wanted.issuer, wanted.client_id):
                raise _wrong("client_secret", "must be given again for another issuer or client")
            return before.client_secret_sealed, before.client_secret_mask
        if not secret or "…" in secret:
            raise _wrong("client_secret", "must be the client's secret")
        return self._vault.encrypt(secret, organization_id, _SECRET_FIELD), masked(secret)


def _wrong(field: str, what: str) -> AppError:
    return AppError(Reason.INVALID_REQUEST, violations=[Violation(field, what)])
