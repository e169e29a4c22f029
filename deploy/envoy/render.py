"""Fills in envoy.yaml, and lets Envoy itself check the result."""

import json
import subprocess
from dataclasses import dataclass
from pathlib import Path
from string import Template
from typing import Any

from deploy.envoy.parts import Network, clusters, edge_routes, local_replies, webhook_routes

TEMPLATE = Path(__file__).with_name("envoy.yaml")
MIB = 1024 * 1024
MAX_REST_BODY = MIB
MAX_SOCKET_PATH = 107  # bytes of sun_path on Linux, without its final NUL
ROLES = ("auth", "orgs", "llm_gateway", "webhooks", "review")
# The public services, name by name: what is not here cannot be reached. A test holds it against the gateway's list.
PUBLIC_SERVICES = (
    ("lintel.auth.v1.AuthService", "auth"),
    ("lintel.auth.v1.SsoService", "auth"),
    ("lintel.auth.v1.ApiKeyService", "auth"),
    ("lintel.orgs.v1.OrganizationService", "orgs"),
    ("lintel.orgs.v1.UserService", "orgs"),
    ("lintel.orgs.v1.ParameterService", "orgs"),
    ("lintel.orgs.v1.PermissionService", "orgs"),
    ("lintel.orgs.v1.AuditLogService", "orgs"),
    ("lintel.orgs.v1.AnalyticsService", "orgs"),
    ("lintel.llm.v1.ModelService", "llm_gateway"),
    ("lintel.llm.v1.UsageService", "llm_gateway"),
    ("lintel.webhooks.v1.DeliveryService", "webhooks"),
    ("lintel.review.v1.CodeReviewService", "review"),
    ("lintel.review.v1.LocalReviewService", "review"),
)


@dataclass(frozen=True, slots=True)
class Tls:
    """PEM files of the certificate chain and its key; Envoy reads them again when it is restarted."""

    certificate: Path
    key: Path


@dataclass(frozen=True, slots=True)
class EnvoySettings:
    """What the configuration depends on; README.md says more of each."""

    run_dir: Path
    edge_port: int = 3001
    webhooks_port: int = 3332
    legacy_port: int | None = None
    bind_address: str = "127.0.0.1"
    is_production: bool = False
    tls: Tls | None = None
    trusted_hops: int = 0
    requests_per_second: int = 500
    requests_per_second_of_client: int = 200
    max_connections: int = 2000
    max_heap_bytes: int = 256 * MIB
    network: Network | None = None


class EnvoyConfigError(ValueError):
    """The settings make no configuration, or Envoy refuses it; the message says why."""


def render(settings: EnvoySettings) -> str:
    """Answer the configuration as YAML. Raises EnvoyConfigError if a socket's path would be too long."""
    longest = max(len(str(settings.run_dir / f"{role}.public.sock").encode()) for role in ROLES)
    if longest > MAX_SOCKET_PATH:
        raise EnvoyConfigError(f"{settings.run_dir} is too long by {longest - MAX_SOCKET_PATH} bytes for a unix socket")
    values: dict[str, Any] = {
        "ADMIN_SOCKET": str(settings.run_dir / "envoy-admin.sock"),
        "BIND_ADDRESS": settings.bind_address,
        "EDGE_PORT": settings.edge_port,
        "WEBHOOKS_PORT": settings.webhooks_port,
        "ADDITIONAL_ADDRESSES": _legacy(settings),
        "TLS": _tls(settings.tls),
        "TRUSTED_HOPS": settings.trusted_hops,
        "MAX_HEAP_BYTES": settings.max_heap_bytes,
        "MAX_CONNECTIONS": settings.max_connections,
        "TOTAL_PER_SECOND": settings.requests_per_second,
        "TOTAL_BURST": settings.requests_per_second * 2,
        "CLIENT_PER_SECOND": settings.requests_per_second_of_client,
        "CLIENT_BURST": settings.requests_per_second_of_client * 2,
        "MAX_REST_BODY": MAX_REST_BODY,
        "LOCAL_REPLIES": local_replies(MAX_REST_BODY),
        "EDGE_ROUTES": edge_routes(PUBLIC_SERVICES, with_reflection=not settings.is_production),
        "WEBHOOK_ROUTES": webhook_routes(),
        "CLUSTERS": clusters(settings.run_dir, ROLES, settings.network),
    }
    return Template(TEMPLATE.read_text(encoding="utf-8")).substitute({k: json.dumps(v) for k, v in values.items()})


def validate(binary: Path, configuration: Path) -> None:
    """Let Envoy check a file (about 0.1 s). Raises EnvoyConfigError with its words."""
    done = subprocess.run(
        [str(binary), "--mode", "validate", "-c", str(configuration), "-l", "error"],
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    if done.returncode != 0:
        raise EnvoyConfigError(f"Envoy refuses {configuration}: {(done.stderr or done.stdout).strip()[:2000]}")


def _legacy(settings: EnvoySettings) -> list[dict[str, Any]]:
    if settings.legacy_port is None:
        return []
    address = {"address": settings.bind_address, "port_value": settings.legacy_port}
    return [{"address": {"socket_address": address}}]


def _tls(tls: Tls | None) -> dict[str, Any] | None:
    if tls is None:
        return None
    chain = {"certificate_chain": {"filename": str(tls.certificate)}, "private_key": {"filename": str(tls.key)}}
    return {
        "name": "envoy.transport_sockets.tls",
        "typed_config": {
            "@type": "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.DownstreamTlsContext",
            "common_tls_context": {
                "alpn_protocols": ["h2", "http/1.1"],
                "tls_params": {"tls_minimum_protocol_version": "TLSv1_2"},
                "tls_certificates": [chain],
            },
        },
    }
