"""The audit log as an operator takes it elsewhere and verifies it there, without believing the server."""

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

from google.protobuf.timestamp_pb2 import Timestamp
from lintel.orgs.v1 import audit_log_service_pb2 as pb

from client.connection import Connection

EXPORT_SECONDS = 1800.0
_SERVICE = "lintel.orgs.v1.AuditLogService."
_FORMAT = "lintel-audit-1"
_NOTHING = "0" * 64

Json = dict[str, Any]


class AuditClient(Connection):
    """A connection with the calls of the audit log. Each raises RefusedError and UnavailableError."""

    def export(self, after: int = 0) -> Iterator[pb.AuditEntry]:
        """Yield every entry numbered above `after`, oldest first, each of them once."""
        request = pb.ExportAuditLogRequest(after_sequence=after)
        for answer in self.stream(_SERVICE + "ExportAuditLog", request, pb.ExportAuditLogResponse, EXPORT_SECONDS):
            if answer.entry.sequence > after:  # a stream that was taken up again begins at the beginning
                after = answer.entry.sequence
                yield answer.entry


def as_json(entry: pb.AuditEntry) -> Json:
    """Answer an entry as REST shows it."""
    return {
        "organizationId": entry.organization_id,
        "sequence": entry.sequence,
        "createTime": entry.create_time.ToJsonString(),
        "actor": {"kind": entry.actor.kind, "id": entry.actor.id},
        "action": entry.action,
        "resourceKind": entry.resource_kind,
        "resourceId": entry.resource_id,
        "changes": [
            {
                "field": change.field,
                "before": change.before if change.HasField("before") else None,
                "after": change.after if change.HasField("after") else None,
            }
            for change in entry.changes
        ],
        "requestId": entry.request_id,
        "address": entry.address,
        "previousSha256": entry.previous_sha256,
        "sha256": entry.sha256,
    }


@dataclass(frozen=True, slots=True)
class Chain:
    """What following a log came to: whole if there is no `problem`; `first` is the number of its first entry."""

    first: int = 0
    last: int = 0
    last_sha256: str = _NOTHING
    problem: str = ""


def follow(entries: Iterable[Mapping[str, Any]], head: tuple[int, str] | None = None) -> Chain:
    """Follow entries in the shape of `as_json`, oldest first; `head` is a number and digest from before.

    An export that does not begin with the first entry is followed from where it begins.
    """
    chain = Chain()
    for entry in entries:
        problem = _problem(entry, chain, head)
        if problem:
            return Chain(chain.first, chain.last, chain.last_sha256, f"entry {entry.get('sequence')}: {problem}")
        chain = Chain(chain.first or entry["sequence"], entry["sequence"], entry["sha256"])
    if head is not None and chain.last < head[0]:
        return Chain(
            chain.first, chain.last, chain.last_sha256, f"it ends with entry {chain.last}; there was an entry {head[0]}"
        )
    return chain


def digest(entry: Mapping[str, Any]) -> str:
    """Answer what an entry's digest must be, in hexadecimal. Raises KeyError, TypeError or ValueError for no entry."""
    time = Timestamp()
    time.FromJsonString(entry["createTime"])
    changes = [[change["field"], change["before"], change["after"]] for change in entry["changes"]]
    digested = [
        *(_FORMAT, entry["organizationId"], entry["sequence"], time.ToMicroseconds()),
        *(entry["actor"]["kind"], entry["actor"]["id"], entry["action"]),
        *(entry["resourceKind"], entry["resourceId"], _compact(changes)),
        *(entry["requestId"], entry["address"], entry["previousSha256"]),
    ]
    return sha256(_compact(digested).encode()).hexdigest()


def _problem(entry: Mapping[str, Any], chain: Chain, head: tuple[int, str] | None) -> str:
    try:
        expected = digest(entry)
        sequence, stated, previous = entry["sequence"], entry["sha256"], entry["previousSha256"]
    except (KeyError, TypeError, ValueError):
        return "is no entry of an audit log"
    if chain.last and sequence != chain.last + 1:
        return f"follows entry {chain.last}; those between are missing, or it stands in the wrong place"
    if (chain.last or sequence == 1) and previous != chain.last_sha256:
        return "does not follow the entry before it"
    if stated != expected:
        return "was changed after it was written"
    if head is not None and sequence == head[0] and stated != head[1]:
        return "is not the one that was there when its digest was noted"
    return ""


def _compact(value: object) -> str:
    return json.dumps(value, ensure_ascii=True, separators=(",", ":"))
