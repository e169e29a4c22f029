"""Sessions, their refresh tokens, and links to set a new password, in Postgres."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import Enum, auto
from typing import Any
from uuid import UUID

from services.auth.domain import EndReason, Session, User
from services.kit.postgres import audit
from services.kit.postgres.pool import Connection, Database

_COLUMNS = "session_id, organization_id, user_id, method, create_time, expire_time"
_END = "UPDATE auth.sessions SET end_time = $2, end_reason = $3 WHERE {} AND end_time IS NULL"


class Turn(Enum):
    """What became of a refresh token that was brought."""

    EXCHANGED = auto()
    REUSED = auto()  # it had been used before: the session is ended now
    REFUSED = auto()  # expired, or its session has ended


@dataclass(frozen=True, slots=True)
class RefreshToken:
    """A refresh token as it is stored."""

    sha256: bytes
    create_time: datetime
    expire_time: datetime


class SessionStore:
    """Sessions are found by id or by refresh token before their organisation is known, and changed inside it."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def begin(self, session: Session, token: RefreshToken) -> None:
        """Store a session with its first refresh token."""
        async with self._database.tenant(session.organization_id) as connection:
            await connection.execute(
                f"INSERT INTO auth.sessions ({_COLUMNS}) VALUES ($1, $2, $3, $4, $5, $6)",  # noqa: S608
                session.id,
                session.organization_id,
                session.user_id,
                session.method,
                session.create_time,
                session.expire_time,
            )
            await _insert(connection, session, token)

    async def find_living(self, session_id: UUID, now: datetime) -> Session | None:
        """Answer a session that has not ended."""
        async with self._database.queue() as connection:
            row = await connection.fetchrow(
                f"SELECT {_COLUMNS} FROM auth.sessions WHERE session_id = $1 AND end_time IS NULL AND expire_time > $2",  # noqa: S608
                session_id,
                now,
            )
        return _session(row) if row else None

    async def find_by_token(self, token_sha256: bytes) -> Session | None:
        """Answer the session of a refresh token, whatever became of either."""
        async with self._database.queue() as connection:
            row = await connection.fetchrow(
                f"SELECT {_COLUMNS} FROM auth.sessions WHERE session_id = "  # noqa: S608
                "(SELECT session_id FROM auth.refresh_tokens WHERE token_sha256 = $1)",
                token_sha256,
            )
        return _session(row) if row else None

    async def exchange(self, session: Session, old_sha256: bytes, new: RefreshToken) -> Turn:
        """Use up a refresh token and store the next one. One that was used before ends the session: of two holders
        one is a thief, and nobody knows which."""
        async with self._database.tenant(session.organization_id) as connection:
            row = await connection.fetchrow(
                "SELECT t.use_time, t.expire_time > $2 AND s.expire_time > $2 AND s.end_time IS NULL AS is_living "
                "FROM auth.refresh_tokens t JOIN auth.sessions s USING (session_id) "
                "WHERE t.token_sha256 = $1 FOR UPDATE",
                old_sha256,
                new.create_time,
            )
            if row is not None and row["use_time"] is not None:
                if await _end(connection, "session_id = $1", session.id, new.create_time, "reuse"):
                    actor = audit.Actor("system", "auth")
                    await audit.record(
                        connection, session.organization_id, actor, "session.reuse", ("user", str(session.user_id))
                    )
                return Turn.REUSED
            if row is None or not row["is_living"]:
                return Turn.REFUSED
            await connection.execute(
                "UPDATE auth.refresh_tokens SET use_time = $2 WHERE token_sha256 = $1", old_sha256, new.create_time
            )
            await _insert(connection, session, new)
        return Turn.EXCHANGED

    async def end(self, session: Session, now: datetime, reason: EndReason) -> bool:
        """End a session; False if it had ended."""
        async with self._database.tenant(session.organization_id) as connection:
            return await _end(connection, "session_id = $1", session.id, now, reason) > 0

    async def end_all(self, organization_id: UUID, user_id: UUID, now: datetime, reason: EndReason) -> int:
        """End every session of a user and answer how many there were."""
        async with self._database.tenant(organization_id) as connection:
            return await _end(connection, "user_id = $1", user_id, now, reason)

    async def insert_reset(
        self, user: User, token_sha256: bytes, now: datetime, expire_time: datetime, actor: audit.Actor | None
    ) -> None:
        """Store a link to set a new password in place of those before it; one that `actor` made is in the audit log."""
        async with self._database.tenant(user.organization_id) as connection:
            await connection.execute("DELETE FROM auth.password_resets WHERE user_id = $1", user.id)
            await connection.execute(
                "INSERT INTO auth.password_resets (token_sha256, organization_id, user_id, create_time, expire_time) "
                "VALUES ($1, $2, $3, $4, $5)",
                token_sha256,
                user.organization_id,
                user.id,
                now,
                expire_time,
            )
            if actor is not None:
                await audit.record(
                    connection, user.organization_id, actor, "password_link.create", ("user", str(user.id))
                )

    async def find_reset(self, token_sha256: bytes, now: datetime) -> tuple[UUID, UUID] | None:
        """Answer the organisation and the user of a link that still works."""
        async with self._database.queue() as connection:
            row = await connection.fetchrow(
                "SELECT organization_id, user_id FROM auth.password_resets "
                "WHERE token_sha256 = $1 AND use_time IS NULL AND expire_time > $2",
                token_sha256,
                now,
            )
        return (row["organization_id"], row["user_id"]) if row else None

    async def use_reset(self, user: User, token_sha256: bytes, password_hash: str, now: datetime) -> bool:
        """Set the new password, end every session, use up the link; False if the link was used up meanwhile."""
        async with self._database.tenant(user.organization_id) as connection:
            used = await connection.execute(
                "UPDATE auth.password_resets SET use_time = $2 "
                "WHERE token_sha256 = $1 AND use_time IS NULL AND expire_time > $2",
                token_sha256,
                now,
            )
            if used != "UPDATE 1":
                return False
            await connection.execute(
                "UPDATE auth.users SET password_hash = $2, password_time = $3 WHERE user_id = $1",
                user.id,
                password_hash,
                now,
            )
            await _end(connection, "user_id = $1", user.id, now, "password")
            actor = audit.Actor("user", str(user.id))
            await audit.record(connection, user.organization_id, actor, "password.update", ("user", str(user.id)))
        return True

    async def sweep(self) -> None:
        """Forget what expired more than a day ago (row-level security lets nothing else go)."""
        async with self._database.queue() as connection:
            for table in ("refresh_tokens", "sessions", "password_resets"):
                await connection.execute(f"DELETE FROM auth.{table} WHERE expire_time < now() - interval '1 day'")  # noqa: S608


async def _insert(connection: Connection, session: Session, token: RefreshToken) -> None:
    await connection.execute(
        "INSERT INTO auth.refresh_tokens (token_sha256, organization_id, session_id, create_time, expire_time) "
        "VALUES ($1, $2, $3, $4, $5)",
        token.sha256,
        session.organization_id,
        session.id,
        token.create_time,
        token.expire_time,
    )


async def _end(connection: Connection, which: str, key: UUID, now: datetime, reason: EndReason) -> int:
    return int((await connection.execute(_END.format(which), key, now, reason)).split()[-1])


def _session(row: Mapping[str, Any]) -> Session:
    return Session(
        row["session_id"],
        row["organization_id"],
        row["user_id"],
        row["method"],
        row["create_time"],
        row["expire_time"],
    )
