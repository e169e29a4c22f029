"""Takes in a webhook request: verify, a bounded look at kind and id, one insert. Nothing else before the answer."""

import hashlib
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from uuid import UUID

from services.kit.errors import AppError, Reason
from services.kit.postgres.pool import Database
from services.kit.telemetry import trace
from services.webhooks import store
from services.webhooks.domain import IngestOutcome
from services.webhooks.hosts import ADAPTERS


@dataclass(frozen=True, slots=True)
class Intake:
    """The use case behind IngestService; `secrets` answers what may sign a host's deliveries."""

    database: Database
    secrets: Callable[[str], list[str]]
    default_organization: Callable[[], Awaitable[UUID]]

    async def ingest(
        self, host: str, connection_id: str, headers: Mapping[str, str], body: bytes
    ) -> tuple[IngestOutcome, UUID | None]:
        """Store a verified delivery of ours. Raises AppError(SIGNATURE_INVALID) unless a known secret signed it."""
        adapter = ADAPTERS.get(host)
        # A connection that is not known has no secret: the answer does not tell the two apart.
        secrets = self.secrets(host) if not connection_id else []
        if adapter is None or not secrets or not adapter.webhooks.verify(headers, body, secrets):
            raise AppError(Reason.SIGNATURE_INVALID)
        event = adapter.webhooks.event(headers)
        if not adapter.webhooks.is_ours(event):
            return IngestOutcome.NOT_OURS, None
        host_delivery_id = adapter.webhooks.delivery_id(headers) or f"sha256:{hashlib.sha256(body).hexdigest()}"
        organization_id = await self.default_organization()
        kept = {name: value for name, value in headers.items() if name in adapter.webhooks.kept_headers}
        async with self.database.tenant(organization_id) as connection:
            delivery_id = await store.add_delivery(
                connection,
                organization_id,
                host,
                connection_id,
                host_delivery_id,
                event,
                kept,
                body,
                trace.traceparent(),
            )
        return (IngestOutcome.STORED if delivery_id else IngestOutcome.DUPLICATE), delivery_id
