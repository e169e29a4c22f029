"""Passwords of the database's logins: one for all services, or one each, so that no service can be another.

`lintel` may take every service's role (decision 0008); `lintel_login_<service>`, made where a password is given for it,
may take that of one.
"""

import base64
import hashlib
import hmac
import os

import asyncpg
from pydantic import Field, SecretStr, field_validator

from services.kit.config import Settings, load

SHARED = "lintel"
SERVICES = ("auth", "orgs", "llm_gateway", "webhooks", "review")
_ITERATIONS = 4096  # Postgres's own
_SALT_BYTES = 16


class Passwords(Settings):
    """Each may also stand in the file that NAME_FILE names."""

    shared: SecretStr | None = Field(None, alias="LINTEL_DB_PASSWORD")
    auth: SecretStr | None = Field(None, alias="LINTEL_DB_PASSWORD_AUTH")
    orgs: SecretStr | None = Field(None, alias="LINTEL_DB_PASSWORD_ORGS")
    llm_gateway: SecretStr | None = Field(None, alias="LINTEL_DB_PASSWORD_LLM_GATEWAY")
    webhooks: SecretStr | None = Field(None, alias="LINTEL_DB_PASSWORD_WEBHOOKS")
    review: SecretStr | None = Field(None, alias="LINTEL_DB_PASSWORD_REVIEW")

    @field_validator("*")
    @classmethod
    def _is_ascii(cls, value: SecretStr | None) -> SecretStr | None:
        if value is not None and not (value.get_secret_value().isascii() and value.get_secret_value().isprintable()):
            raise ValueError("must be printable ASCII (its value is not shown)")
        return value


def login_of(service: str) -> str:
    """Answer the login that may be one service only."""
    return f"lintel_login_{service}"


async def ensure(connection: "asyncpg.Connection[asyncpg.Record]", passwords: Passwords | None = None) -> list[str]:
    """Make the logins that are given a password, and set it; answers them.

    The server is sent SCRAM verifiers, so that no password reaches its log. Raises ConfigError for a file that can't
    be read.
    """
    given = load(Passwords) if passwords is None else passwords
    changed = []
    if given.shared is not None:
        await _set(connection, SHARED, given.shared)
        changed.append(SHARED)
    for service in SERVICES:
        password: SecretStr | None = getattr(given, service)
        if password is None:
            continue
        login = login_of(service)
        if not await connection.fetchval("SELECT true FROM pg_roles WHERE rolname = $1", login):
            await connection.execute(f"CREATE ROLE {login} LOGIN NOINHERIT")
        await connection.execute(f"GRANT lintel_{service}, lintel_{service}_queue TO {login}")
        await _set(connection, login, password)
        changed.append(login)
    return changed


async def _set(connection: "asyncpg.Connection[asyncpg.Record]", login: str, password: SecretStr) -> None:
    # A verifier holds no quote: base64, digits, and the signs between them.
    await connection.execute(f"ALTER ROLE {login} PASSWORD '{verifier(password.get_secret_value())}'")


def verifier(password: str, salt: bytes | None = None) -> str:
    """Answer what Postgres stores for a password of ASCII: SCRAM-SHA-256 (RFC 5803 section 3)."""
    salt = os.urandom(_SALT_BYTES) if salt is None else salt
    salted = hashlib.pbkdf2_hmac("sha256", password.encode(), salt, _ITERATIONS)
    stored = hashlib.sha256(hmac.digest(salted, b"Client Key", "sha256")).digest()
    server = hmac.digest(salted, b"Server Key", "sha256")
    shown = (base64.b64encode(part).decode() for part in (salt, stored, server))
    encoded_salt, stored_key, server_key = shown
    return f"SCRAM-SHA-256${_ITERATIONS}:{encoded_salt}${stored_key}:{server_key}"
