"""Identity providers, sign-ins under way and identities, in Postgres."""

import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from services.auth.domain import SsoConfiguration, SsoLogin
from services.kit.postgres import audit
from services.kit.postgres.pool import Database

_COLUMNS = (
    "organization_id, issuer, client_id, client_secret_sealed, client_secret_mask, email_domains, groups_claim, "
    "group_roles, default_role, update_time"
)


class SsoStore:
    """Configurations are found before anybody is known, and changed inside their organisation."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def all(self) -> Sequence[SsoConfiguration]:
        """Answer every organisation's configuration."""
        async with self._database.queue() as connection:
            rows = await connection.fetch(f"SELECT {_COLUMNS} FROM auth.sso_configurations ORDER BY organization_id")  # noqa: S608
        return [_configuration(row) for row in rows]

    async def find(self, organization_id: UUID) -> SsoConfiguration | None:
        """Answer an organisation's configuration."""
        async with self._database.tenant(organization_id) as connection:
            row = await connection.fetchrow(
                f"SELECT {_COLUMNS} FROM auth.sso_configurations WHERE organization_id = $1",  # noqa: S608
                organization_id,
            )
        return _configuration(row) if row else None

    async def put(self, found: SsoConfiguration, before: SsoConfiguration | None, actor: audit.Actor) -> None:
        """Store an organisation's configuration, and what changed in the audit log."""
        async with self._database.tenant(found.organization_id) as connection:
            await connection.execute(
                f"INSERT INTO auth.sso_configurations ({_COLUMNS}) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10) "  # noqa: S608
                "ON CONFLICT (organization_id) DO UPDATE SET (issuer, client_id, client_secret_sealed, "
                "client_secret_mask, email_domains, groups_claim, group_roles, default_role, update_time) = "
                "($2, $3, $4, $5, $6, $7, $8, $9, $10)",
                found.organization_id,
                found.issuer,
                found.client_id,
                found.client_secret_sealed,
                found.client_secret_mask,
                list(found.email_domains),
                found.groups_claim,
                json.dumps(found.group_roles),
                found.default_role,
                found.update_time,
            )
            changes = audit.difference(before.shown() if before else None, found.shown())
            await audit.record(
                connection, found.organization_id, actor, "sso.update", ("sso", str(found.organization_id)), changes
            )

    async def delete(self, before: SsoConfiguration, actor: audit.Actor) -> None:
        """Forget an organisation's configuration."""
        organization_id = before.organization_id
        async with self._database.tenant(organization_id) as connection:
            await connection.execute("DELETE FROM auth.sso_configurations WHERE organization_id = $1", organization_id)
            changes = audit.difference(before.shown(), None)
            await audit.record(connection, organization_id, actor, "sso.delete", ("sso", str(organization_id)), changes)

    async def reseal(self, organization_id: UUID, old: str, new: str) -> None:
        """Store the client secret under a newer key, unless it was changed meanwhile."""
        async with self._database.tenant(organization_id) as connection:
            await connection.execute(
                "UPDATE auth.sso_configurations SET client_secret_sealed = $3 "
                "WHERE organization_id = $1 AND client_secret_sealed = $2",
                organization_id,
                old,
                new,
            )

    async def begin(self, state_sha256: bytes, login: SsoLogin, now: datetime) -> None:
        """Store a sign-in that begins."""
        async with self._database.tenant(login.organization_id) as connection:
            await connection.execute(
                "INSERT INTO auth.sso_logins (state_sha256, organization_id, issuer, nonce, code_verifier_sealed, "
                "create_time, expire_time) VALUES ($1, $2, $3, $4, $5, $6, $7)",
                state_sha256,
                login.organization_id,
                login.issuer,
                login.nonce,
                login.code_verifier_sealed,
                now,
                login.expire_time,
            )

    async def take(self, state_sha256: bytes, now: datetime) -> SsoLogin | None:
        """Answer a sign-in and forget it, so that its state works once; None if it is unknown or too old."""
        async with self._database.queue() as connection:
            organization_id = await connection.fetchval(
                "SELECT organization_id FROM auth.sso_logins WHERE state_sha256 = $1", state_sha256
            )
        if organization_id is None:
            return None
        async with self._database.tenant(organization_id) as connection:
            row = await connection.fetchrow(
                "DELETE FROM auth.sso_logins WHERE state_sha256 = $1 RETURNING *", state_sha256
            )
        if row is None or row["expire_time"] <= now:
            return None
        return SsoLogin(
            row["organization_id"], row["issuer"], row["nonce"], row["code_verifier_sealed"], row["expire_time"]
        )

    async def sweep(self) -> None:
        """Forget sign-ins that nobody finished."""
        async with self._database.queue() as connection:
            await connection.execute("DELETE FROM auth.sso_logins WHERE expire_time < now() - interval '1 day'")

    async def find_identity(self, organization_id: UUID, issuer: str, subject: str) -> UUID | None:
        """Answer the user whom a provider knows as this subject."""
        async with self._database.tenant(organization_id) as connection:
            found: UUID | None = await connection.fetchval(
                "SELECT user_id FROM auth.sso_identities WHERE organization_id = $1 AND issuer = $2 AND subject = $3",
                organization_id,
                issuer,
                subject,
            )
        return found

    async def insert_identity(
        self, organization_id: UUID, issuer: str, subject: str, user_id: UUID, now: datetime
    ) -> None:
        """Store whom a provider knows as this subject, unless it is stored."""
        async with self._database.tenant(organization_id) as connection:
            await connection.execute(
                "INSERT INTO auth.sso_identities (organization_id, issuer, subject, user_id, create_time) "
                "VALUES ($1, $2, $3, $4, $5) ON CONFLICT DO NOTHING",
                organization_id,
                issuer,
                subject,
                user_id,
                now,
            )


def _configuration(row: Mapping[str, Any]) -> SsoConfiguration:
    values = {**row, "email_domains": tuple(row["email_domains"])}
    values["group_roles"] = tuple((group, role) for group, role in json.loads(row["group_roles"]))
    return SsoConfiguration(**values)
