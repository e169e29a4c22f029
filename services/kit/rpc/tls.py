"""Who a process is to the others where the mesh goes over a network: mutual TLS, the role's name in the certificate.

A directory holds `ca.pem`, `cert.pem` and `key.pem`. The certificate names, as DNS names, every role its process runs
(`review-worker` for review_worker: a host name has no underscore). `python -m deploy.certificates` makes such
directories for trying it out. A renewed certificate is read when the process starts again.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import grpc
from pydantic import Field

from services.kit.config import ConfigError, Settings, load

CA, CERTIFICATE, KEY = "ca.pem", "cert.pem", "key.pem"


class TlsSettings(Settings):
    """Where the process's identity lies; without it the mesh is unix sockets."""

    directory: Path | None = Field(None, alias="LINTEL_MESH_TLS")


@dataclass(frozen=True, slots=True)
class Identity:
    """The authority everybody trusts, and this process's certificate and key, as PEM."""

    ca: bytes
    certificate: bytes
    key: bytes

    def for_server(self) -> grpc.ServerCredentials:
        """Answer credentials that ask every caller for a certificate of the same authority."""
        return grpc.ssl_server_credentials([(self.key, self.certificate)], self.ca, require_client_auth=True)

    def for_channel(self) -> grpc.ChannelCredentials:
        """Answer credentials that show our certificate and check the other's."""
        return grpc.ssl_channel_credentials(self.ca, self.key, self.certificate)


@cache
def identity() -> Identity:
    """Answer who this process is. Raises ConfigError where there is no identity, or a file of it cannot be read."""
    directory = load(TlsSettings).directory
    if directory is None:
        raise ConfigError("LINTEL_MESH_TLS is needed: roles talk over a network only with certificates")
    try:
        return Identity(*((directory / name).read_bytes() for name in (CA, CERTIFICATE, KEY)))
    except OSError as error:
        raise ConfigError(f"LINTEL_MESH_TLS: {error.filename} cannot be read: {error.strerror}") from None


def host_name(role: str) -> str:
    """Answer a role's name as a certificate has it."""
    return role.replace("_", "-")


def is_named(context: Any, names: Iterable[str]) -> bool:
    """Tell whether the caller's certificate carries one of these roles' names; the handshake has checked the rest."""
    shown = context.auth_context().get("x509_subject_alternative_name", ())
    return bool({host_name(name).encode() for name in names}.intersection(shown))
