"""The audit log: who changed what, added in the transaction of the change, chained by digests per organisation.

Nobody may update or delete entries (the grants say so), and whoever does it past the grants breaks the chain: each
entry's digest covers that of the entry before. `orgs` reads the log; every service may add to it.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from uuid import UUID

from services.kit.postgres.pool import Connection
from services.kit.redact import mask
from services.kit.rpc import context

FIRST = bytes(32)  # what the first entry of an organisation follows
FORMAT = "lintel-audit-1"
LONGEST_VALUE = 500  # characters; of a longer one its digest is kept
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Actor:
    """Who did it: kind `user`, `installation` (its own API key) or `system` (a service, of its own accord)."""

    kind: str
    id: str


@dataclass(frozen=True, slots=True)
class Change:
    """A field and its values; None where there was or is none. Never a secret: give a mask or a key id instead."""

    field: str
    before: str | None
    after: str | None


@dataclass(frozen=True, slots=True)
class Entry:
    """A line of the log, as it is digested."""

    organization_id: UUID
    sequence: int
    time: datetime  # to the microsecond
    actor: Actor
    action: str
    resource_kind: str
    resource_id: str
    changes: tuple[Change, ...]
    request_id: str
    address: str  # of the caller as the edge saw it; empty where there is none
    previous_sha256: bytes

    @property
    def sha256(self) -> bytes:
        """SHA-256 of the entry as a JSON array of ASCII without spaces, that of the entry before included."""
        return sha256(_compact(self._fields()).encode()).digest()

    def _fields(self) -> list[object]:
        microseconds = (self.time - _EPOCH) // timedelta(microseconds=1)
        return [
            *(FORMAT, str(self.organization_id), self.sequence, microseconds, self.actor.kind, self.actor.id),
            *(self.action, self.resource_kind, self.resource_id, changes_to_json(self.changes)),
            *(self.request_id, self.address, self.previous_sha256.hex()),
        ]


def caller() -> Actor:
    """Answer who makes this public call. Raises AppError(UNAUTHENTICATED) if nobody is known."""
    who = context.principal()
    return Actor("user", str(who.user_id)) if who.user_id else Actor("installation", who.credential_id)


async def record(
    connection: Connection,
    organization_id: UUID,
    actor: Actor,
    action: str,
    resource: tuple[str, str],
    changes: Iterable[Change] = (),
) -> Entry:
    """Add an entry in the caller's transaction, which must be that of the organisation (`Database.tenant`).

    `action` is `noun.verb`, such as `member.update`; `resource` is its kind and its id. Call it as the last step: until
    the transaction ends, no other change of the organisation can be recorded. What looks like a secret is masked.
    """
    kept = tuple(Change(c.field, _kept(c.before), _kept(c.after)) for c in changes)
    # One after another in each organisation. The statement after it sees what was committed before the lock was had.
    await connection.execute("SELECT pg_advisory_xact_lock(hashtextextended($1, 0))", f"audit.{organization_id}")
    row = await connection.fetchrow(
        "SELECT clock_timestamp() AS now, last.sequence, last.sha256 FROM (VALUES (1)) AS always LEFT JOIN "
        "(SELECT sequence, sha256 FROM orgs.audit_log WHERE organization_id = $1 ORDER BY sequence DESC LIMIT 1) "
        "AS last ON true",
        organization_id,
    )
    assert row is not None, "a row comes whether there are entries or not"
    entry = Entry(
        organization_id=organization_id,
        sequence=(row["sequence"] or 0) + 1,
        time=row["now"],
        actor=actor,
        action=action,
        resource_kind=resource[0],
        resource_id=resource[1],
        changes=kept,
        request_id=context.request_id.get(),
        address=context.client_address.get(),
        previous_sha256=row["sha256"] or FIRST,
    )
    await _insert(connection, entry)
    return entry


async def _insert(connection: Connection, entry: Entry) -> None:
    await connection.execute(
        "INSERT INTO orgs.audit_log (organization_id, sequence, create_time, actor_kind, actor_id, action, "
        "resource_kind, resource_id, changes, request_id, address, previous_sha256, sha256) "
        "VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)",
        entry.organization_id,
        entry.sequence,
        entry.time,
        entry.actor.kind,
        entry.actor.id,
        entry.action,
        entry.resource_kind,
        entry.resource_id,
        changes_to_json(entry.changes),
        entry.request_id,
        entry.address,
        entry.previous_sha256,
        entry.sha256,
    )


def difference(before: Mapping[str, object] | None, after: Mapping[str, object] | None) -> list[Change]:
    """Answer the fields of two nested objects that differ, named by their path: `byokConfig.main.model`."""
    old, new = dict(_leaves(before or {})), dict(_leaves(after or {}))
    paths = sorted(old.keys() | new.keys())
    return [Change(path, old.get(path), new.get(path)) for path in paths if old.get(path) != new.get(path)]


def changes_to_json(changes: Sequence[Change]) -> str:
    """Answer changes as they are stored and digested."""
    return _compact([[change.field, change.before, change.after] for change in changes])


def changes_from_json(text: str) -> tuple[Change, ...]:
    """Answer the changes of a stored entry."""
    return tuple(Change(field, before, after) for field, before, after in json.loads(text))


def _leaves(value: Mapping[str, object], path: str = "") -> Iterable[tuple[str, str]]:
    for name, item in value.items():
        where = f"{path}.{name}" if path else name
        if isinstance(item, Mapping):
            yield from _leaves(item, where)
        elif item is not None:
            yield where, item if isinstance(item, str) else _compact(item)


def _kept(value: str | None) -> str | None:
    if value is None:
        return None
    if len(value) > LONGEST_VALUE:
        return f"sha256:{sha256(value.encode()).hexdigest()}"
    return mask(value)


def _compact(value: object) -> str:
    return json.dumps(value, ensure_ascii=True, separators=(",", ":"), sort_keys=True, default=str)
