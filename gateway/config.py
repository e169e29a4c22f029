"""Configuration of the edge: where it listens and how much it takes in."""

from typing import Literal

from pydantic import Field

from services.kit.rpc.addresses import AddressSettings

MIB = 1024 * 1024
DEFAULT_PORT = 3001
LEGACY_PORT = 3331
MAX_REST_BODY = MIB
MAX_WEBHOOK_BODY = 26_214_400  # contract, section 5: the largest body a code host sends


class GatewayConfig(AddressSettings):
    """Settings of the gateway role.

    With `LINTEL_EDGE=envoy` it listens on `gateway.sock` (HTTP) and `edge.sock` (gRPC) in the run directory; with
    `direct` on TCP ports of `LINTEL_BIND_ADDRESS`, where 0 means a free one.
    """

    edge: Literal["envoy", "direct"] = Field("direct", alias="LINTEL_EDGE")
    bind_address: str = Field("127.0.0.1", alias="LINTEL_BIND_ADDRESS")
    port: int = Field(DEFAULT_PORT, alias="API_PORT", ge=0, le=65535)
    webhooks_port: int = Field(3332, alias="API_WEBHOOKS_PORT", ge=0, le=65535)
    grpc_port: int = Field(3002, alias="LINTEL_GRPC_PORT", ge=0, le=65535)
    environment: str = Field("development", alias="API_NODE_ENV")
    webhook_bytes_in_flight: int = Field(128 * MIB, alias="LINTEL_WEBHOOK_BYTES_IN_FLIGHT", ge=MAX_WEBHOOK_BODY)

    @property
    def legacy_port(self) -> int | None:
        """An older spelling of the default port, served where it is free; none beside a port of one's own choice."""
        return LEGACY_PORT if self.port == DEFAULT_PORT else None

    @property
    def is_production(self) -> bool:
        """Whether the edge hides reflection."""
        return self.environment == "production"
