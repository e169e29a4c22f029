"""Users and what begins them, in Postgres."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any
from uuid import UUID

from services.auth.domain import NOBODY, User, email_key
from services.kit.errors import AppError, Reason
from services.kit.postgres.pool import Database

_COLUMNS = "user_id, organization_id, email, password_hash"


class UserStore:
    """Users are found by e-mail or id before their organisation is known, and changed inside it."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def find(self, user_id: UUID) -> User | None:
        """Answer a user of any organisation."""
        return await self._find("user_id", user_id)

    async def find_by_email(self, email: str) -> User | None:
        """Answer the user with this e-mail, of any organisation."""
        return await self._find("email_key", email_key(email))

    async def has_any(self) -> bool:
        """Tell whether anybody has ever been given an account."""
        async with self._database.queue() as connection:
            return bool(await connection.fetchval("SELECT EXISTS (SELECT FROM auth.users)"))

    async def begin(self, key_sha256: bytes, user_id: UUID, now: datetime) -> UUID:
        """Answer the user id of what is begun here: `user_id`, or the one that an earlier attempt was given."""
        async with self._database.tenant(NOBODY) as connection:
            await connection.execute(
                "INSERT INTO auth.beginnings (key_sha256, user_id, create_time) VALUES ($1, $2, $3) "
                "ON CONFLICT (key_sha256) DO NOTHING",
                key_sha256,
                user_id,
                now,
            )
            found: UUID = await connection.fetchval(
                "SELECT user_id FROM auth.beginnings WHERE key_sha256 = $1", key_sha256
            )
        return found

    async def begun(self, key_sha256: bytes) -> UUID | None:
        """Answer the user id that an earlier attempt was given."""
        async with self._database.tenant(NOBODY) as connection:
            found: UUID | None = await connection.fetchval(
                "SELECT user_id FROM auth.beginnings WHERE key_sha256 = $1", key_sha256
            )
        return found

    async def forget_beginnings(self, before: datetime) -> None:
        """Forget what was begun before this time and has come to its end, or never will."""
        async with self._database.tenant(NOBODY) as connection:
            await connection.execute("DELETE FROM auth.beginnings WHERE create_time < $1", before)

    async def insert(self, user: User, now: datetime) -> None:
        """Store a user. Raises AppError(EMAIL_TAKEN) if there is one of this e-mail or this id."""
        async with self._database.tenant(user.organization_id) as connection:
            status = await connection.execute(
                "INSERT INTO auth.users "
                "(user_id, organization_id, email, email_key, password_hash, create_time, password_time) "
                "VALUES ($1, $2, $3, $4, $5, $6, $7) "
                "ON CONFLICT DO NOTHING",
                user.id,
                user.organization_id,
                user.email,
                email_key(user.email),
                user.password_hash,
                now,
                now if user.password_hash else None,
            )
        if status == "INSERT 0 0":
            raise AppError(Reason.EMAIL_TAKEN)

    async def set_password_hash(self, user: User, password_hash: str) -> None:
        """Store the same password's hash with newer parameters, unless the password was changed meanwhile."""
        async with self._database.tenant(user.organization_id) as connection:
            await connection.execute(
                "UPDATE auth.users SET password_hash = $2 WHERE user_id = $1 AND password_hash = $3",
                user.id,
                password_hash,
                user.password_hash,
            )

    async def delete(self, organization_id: UUID, user_id: UUID, now: datetime) -> None:
        """Forget a user with their sessions and resets, and end their API keys."""
        async with self._database.tenant(organization_id) as connection:
            await connection.execute("DELETE FROM auth.sessions WHERE user_id = $1", user_id)
            await connection.execute("DELETE FROM auth.users WHERE user_id = $1", user_id)
            await connection.execute(
                "UPDATE auth.api_keys SET delete_time = $2 WHERE user_id = $1 AND delete_time IS NULL", user_id, now
            )
        async with self._database.tenant(NOBODY) as connection:
            await connection.execute("DELETE FROM auth.beginnings WHERE user_id = $1", user_id)

    async def _find(self, column: str, value: Any) -> User | None:
        async with self._database.queue() as connection:
            row = await connection.fetchrow(f"SELECT {_COLUMNS} FROM auth.users WHERE {column} = $1", value)  # noqa: S608
        return _user(row) if row else None


def _user(row: Mapping[str, Any]) -> User:
    return User(row["user_id"], row["organization_id"], row["email"], row["password_hash"])
