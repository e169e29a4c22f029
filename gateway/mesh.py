"""The channels from the edge to the roles, over their unix sockets."""

from pathlib import Path
from types import TracebackType

import grpc

from gateway.public import ROLES
from services.kit.rpc.channel import open_channel

CALLER = "gateway"


class Mesh:
    """One channel per socket, opened on entering (needs a running loop) and closed on leaving."""

    def __init__(self, run_dir: Path) -> None:
        self._run_dir = run_dir
        self._public: dict[str, grpc.aio.Channel] = {}
        self._webhooks: grpc.aio.Channel | None = None

    async def __aenter__(self) -> "Mesh":
        """Open the channels; they connect on first use."""
        self._public = {role: open_channel(f"unix:{self.public_socket(role)}", CALLER) for role in ROLES}
        self._webhooks = open_channel(f"unix:{self._run_dir / 'webhooks.sock'}", CALLER)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the channels; calls under way are cancelled."""
        for channel in (*self._public.values(), self._webhooks):
            if channel is not None:
                await channel.close()

    def public_socket(self, role: str) -> Path:
        """Answer where a role serves its public services."""
        return self._run_dir / f"{role}.public.sock"

    def public(self, role: str) -> grpc.aio.Channel:
        """Answer the channel to the public services of a role."""
        return self._public[role]

    @property
    def webhooks(self) -> grpc.aio.Channel:
        """The channel to the internal services of the webhooks role."""
        if self._webhooks is None:
            raise RuntimeError("the mesh is not open")
        return self._webhooks
