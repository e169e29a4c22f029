"""The channels from the edge to the roles."""

from types import TracebackType

import grpc

from gateway.public import ROLES
from services.kit.rpc.addresses import Addresses
from services.kit.rpc.channel import open_channel

CALLER = "gateway"
INGEST_ROLE = "webhooks"
WORKERS = ("webhooks_worker", "review_worker")


class Mesh:
    """Channels by role, opened on entering (needs a running loop) and closed on leaving; they connect on first use."""

    def __init__(self, addresses: Addresses) -> None:
        self._addresses = addresses
        self._public: dict[str, grpc.aio.Channel] = {}
        self._internal: dict[str, grpc.aio.Channel] = {}

    async def __aenter__(self) -> "Mesh":
        """Open the channels."""
        self._public = {role: open_channel(self._addresses.public(role), CALLER) for role in ROLES}
        self._internal = {
            role: open_channel(self._addresses.internal(role), CALLER) for role in (INGEST_ROLE, *WORKERS)
        }
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the channels; calls under way are cancelled."""
        for channel in (*self._public.values(), *self._internal.values()):
            await channel.close()

    def public(self, role: str) -> grpc.aio.Channel:
        """Answer the channel to the public services of a role."""
        return self._public[role]

    def internal(self, role: str) -> grpc.aio.Channel:
        """Answer the channel to the internal listener of the webhooks role or of a worker."""
        return self._internal[role]
