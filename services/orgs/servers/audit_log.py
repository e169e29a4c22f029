"""lintel.orgs.v1.AuditLogService: who changed what in the caller's organisation."""

from collections.abc import AsyncIterator

from lintel.orgs.v1 import audit_log_service_pb2 as pb
from lintel.orgs.v1.audit_log_service_pb2_grpc import AuditLogServiceServicer

from services.kit.rpc.chain import RpcContext
from services.kit.rpc.context import principal
from services.kit.timestamps import moment, timestamp
from services.orgs.audit_log import AuditLog
from services.orgs.audit_store import Filter, Stored


class AuditLogServer(AuditLogServiceServicer):
    """Reads only: what writes the log is the change itself."""

    def __init__(self, log: AuditLog) -> None:
        self._log = log

    async def ListAuditEntries(  # noqa: N802
        self, request: pb.ListAuditEntriesRequest, context: RpcContext
    ) -> pb.ListAuditEntriesResponse:
        """List entries, newest first."""
        wanted = Filter(
            action=request.action,
            actor_id=request.actor_id,
            resource_kind=request.resource_kind,
            resource_id=request.resource_id,
            since=moment("from_time", request.from_time),
            until=moment("to_time", request.to_time, whole_day=True),
        )
        found, token = await self._log.page(principal().organization_id, wanted, request.page_size, request.page_token)
        return pb.ListAuditEntriesResponse(entries=map(_message, found), next_page_token=token)

    async def ExportAuditLog(  # noqa: N802
        self, request: pb.ExportAuditLogRequest, context: RpcContext
    ) -> AsyncIterator[pb.ExportAuditLogResponse]:
        """Stream every entry, oldest first."""
        async for stored in self._log.export(principal().organization_id, request.after_sequence):
            yield pb.ExportAuditLogResponse(entry=_message(stored))

    async def VerifyAuditLog(self, request: pb.VerifyAuditLogRequest, context: RpcContext) -> pb.VerifyAuditLogResponse:  # noqa: N802
        """Tell whether the log is whole."""
        verdict = await self._log.verify(principal().organization_id)
        return pb.VerifyAuditLogResponse(
            ok=not verdict.problem,
            entries=verdict.entries,
            last_sha256=verdict.last_sha256.hex(),
            broken_sequence=verdict.broken_sequence,
            problem=verdict.problem,
        )


def _message(stored: Stored) -> pb.AuditEntry:
    entry = stored.entry
    return pb.AuditEntry(
        organization_id=str(entry.organization_id),
        sequence=entry.sequence,
        create_time=timestamp(entry.time),
        actor=pb.AuditActor(kind=entry.actor.kind, id=entry.actor.id),
        action=entry.action,
        resource_kind=entry.resource_kind,
        resource_id=entry.resource_id,
        changes=[pb.AuditChange(field=c.field, before=c.before, after=c.after) for c in entry.changes],
        request_id=entry.request_id,
        address=entry.address,
        previous_sha256=entry.previous_sha256.hex(),
        sha256=stored.sha256.hex(),
    )
