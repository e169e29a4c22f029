"""Where the roles listen: sockets in a private directory, or TCP with certificates, by one table of ports."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from pydantic import Field, field_validator

from services.kit.config import Settings
from services.kit.rpc.tls import host_name

# Of each role's internal listener, above the base; its public one is the next. Fixed, so that any set of roles fits
# into one process and the others find it.
PORTS: Mapping[str, int] = {
    "auth": 10,
    "orgs": 20,
    "llm_gateway": 30,
    "webhooks": 40,
    "webhooks_worker": 50,
    "review": 60,
    "review_worker": 70,
}


class Target(str):
    """A gRPC target that knows whose it is, to hold a certificate against, and where its owner listens."""

    __slots__ = ("listen", "role")
    role: str
    listen: str

    def __new__(cls, address: str, role: str, listen: str = "") -> Self:
        """Make one of the address that others dial."""
        made = super().__new__(cls, address)
        made.role, made.listen = role, listen or address
        return made


class AddressSettings(Settings):
    """Where to listen and whom to call; the network is used only where LINTEL_MESH_TLS is set."""

    run_dir: Path = Field(alias="LINTEL_RUN_DIR")
    tls: Path | None = Field(None, alias="LINTEL_MESH_TLS")
    hosts: dict[str, str] = Field({}, alias="LINTEL_MESH_HOSTS")
    base_port: int = Field(7000, alias="LINTEL_MESH_PORT", ge=1, le=65400)
    bind: str = Field("[::]", alias="LINTEL_MESH_BIND")

    @field_validator("hosts", mode="before")
    @classmethod
    def _pairs(cls, value: object) -> object:
        """Read `auth=10.0.0.5,review=reviews.internal`; a role that is not named is found under its own name."""
        if not isinstance(value, str):
            return value
        pairs = [part.strip().partition("=") for part in value.split(",") if part.strip()]
        if wrong := [role for role, sign, host in pairs if role not in PORTS or not sign or not host]:
            raise ValueError(f"{wrong[0]!r} is no ROLE=HOST; the roles are {', '.join(PORTS)}")
        return {role: host for role, _, host in pairs}


@dataclass(frozen=True, slots=True)
class Addresses:
    """gRPC targets of the roles' listeners."""

    run_dir: Path
    hosts: Mapping[str, str] | None = None  # None: unix sockets
    base_port: int = 7000
    bind: str = "[::]"

    @classmethod
    def of(cls, settings: AddressSettings) -> Self:
        """Answer what the settings say."""
        hosts = None if settings.tls is None else settings.hosts
        return cls(settings.run_dir, hosts, settings.base_port, settings.bind)

    def internal(self, role: str) -> Target:
        """Answer a role's internal listener."""
        return self._target(role, f"{role}.sock", 0)

    def public(self, role: str) -> Target:
        """Answer a role's public listener, which only the edge opens."""
        return self._target(role, f"{role}.public.sock", 1)

    def _target(self, role: str, socket: str, listener: int) -> Target:
        if self.hosts is None:
            return Target(f"unix:{self.run_dir / socket}", role)
        port = self.base_port + PORTS[role] + listener
        return Target(f"{self.hosts.get(role) or host_name(role)}:{port}", role, f"{self.bind}:{port}")
