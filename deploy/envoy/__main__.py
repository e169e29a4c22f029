"""python -m deploy.envoy: print the configuration that the environment asks for.

Reads LINTEL_RUN_DIR, which Envoy shares with the gateway role, LINTEL_MESH_TLS, LINTEL_MESH_HOSTS and LINTEL_MESH_PORT
as every role does, LINTEL_BIND_ADDRESS, API_PORT, API_WEBHOOKS_PORT, API_NODE_ENV, LINTEL_TRUSTED_HOPS, and for TLS to
the outside LINTEL_EDGE_TLS, a directory with cert.pem and key.pem.
"""

import sys
from pathlib import Path

from pydantic import Field

from deploy.envoy.parts import Network
from deploy.envoy.render import ROLES, EnvoyConfigError, EnvoySettings, Tls, render
from services.kit.config import ConfigError, load
from services.kit.rpc.addresses import Addresses, AddressSettings


class EdgeSettings(AddressSettings):
    """What Envoy's configuration depends on."""

    address: str = Field("0.0.0.0", alias="LINTEL_BIND_ADDRESS")  # noqa: S104 - the edge is for everybody
    port: int = Field(3001, alias="API_PORT", ge=1, le=65535)
    webhooks_port: int = Field(3332, alias="API_WEBHOOKS_PORT", ge=1, le=65535)
    environment: str = Field("development", alias="API_NODE_ENV")
    trusted_hops: int = Field(0, alias="LINTEL_TRUSTED_HOPS", ge=0, le=10)
    edge_tls: Path | None = Field(None, alias="LINTEL_EDGE_TLS")


def settings_of(given: EdgeSettings) -> EnvoySettings:
    """Answer what `render` takes."""
    network = None
    if given.tls is not None:
        addresses = Addresses.of(given)
        split = {role: addresses.public(role).rpartition(":") for role in ROLES}
        network = Network(given.tls, {role: (host, int(port)) for role, (host, _, port) in split.items()})
    return EnvoySettings(
        given.run_dir,
        given.port,
        given.webhooks_port,
        bind_address=given.address,
        is_production=given.environment == "production",
        tls=None if given.edge_tls is None else Tls(given.edge_tls / "cert.pem", given.edge_tls / "key.pem"),
        trusted_hops=given.trusted_hops,
        network=network,
    )


def main() -> int:
    """Print it; answers 0, or 1 with the reason on stderr."""
    try:
        print(render(settings_of(load(EdgeSettings))))
    except (ConfigError, EnvoyConfigError) as error:
        print(f"envoy: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
