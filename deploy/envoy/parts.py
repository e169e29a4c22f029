"""The repeating parts of the configuration: routes, clusters and Envoy's own error bodies, as JSON-able values."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

Part: TypeAlias = dict[str, Any]

_EXTENSION = "type.googleapis.com/envoy.extensions"
STREAM_SECONDS = 1800
HOSTS = ("github", "gitlab", "bitbucket", "azure-repos", "forgejo")
WEBHOOK_PATH = f"/({'|'.join(HOSTS)})/webhook(/[^/]+)?"
HEALTH_PATH = "/health(/live|/ready)?"
SLOW_PATHS = (  # what the protos give more than ten seconds; a test holds them against the protos
    "/audit-log/verify",
    "/organization/parameters/models",
    "/organization/parameters/test-byok",
)
SLOW_SECONDS = 125
STREAM_PATH = "/.*/events"  # answered as server-sent events; a test holds it against the protos
REFLECTION = ("grpc.reflection.v1.ServerReflection", "grpc.reflection.v1alpha.ServerReflection")
HEALTH = "grpc.health.v1.Health"

# Status, reason, title: the catalogue's words (a test compares them). The detail says what Envoy found.
LOCAL_REPLIES = (
    (400, "INVALID_REQUEST", "The request is not valid", "The edge cannot read this request."),
    (403, "PERMISSION_DENIED", "Your role does not allow this", "The edge does not change protocols."),
    (404, "NOT_FOUND", "Not found", "There is no such route."),
    (408, "BODY_TOO_SLOW", "The body did not arrive in time", "The request did not arrive in time."),
    (413, "BODY_TOO_LARGE", "The body is too large", "The body may have at most {max_rest_body:,} bytes."),
    (426, "INVALID_REQUEST", "The request is not valid", "The edge speaks HTTP/1.1 and HTTP/2."),
    (429, "OVERLOADED", "Too many requests at once", "Too many requests from this address; wait a second."),
    (431, "INVALID_REQUEST", "The request is not valid", "The headers are too large."),
    (501, "UNIMPLEMENTED", "There is no such method", "The edge knows only `chunked` as transfer encoding."),
    (502, "UNAVAILABLE", "Temporarily unavailable", "The service ended the connection."),
    (503, "UNAVAILABLE", "Temporarily unavailable", "The service does not answer, or has all it can do."),
    (504, "DEADLINE_EXCEEDED", "The deadline passed", "The service did not answer in time."),
)
# As the gateway gives them with every answer.
SECURITY_HEADERS = {
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "no-referrer",
    "content-security-policy": "default-src 'none'; frame-ancestors 'none'",
    "cross-origin-resource-policy": "same-origin",
    "cache-control": "no-store",
}


def local_replies(max_rest_body: int) -> list[Part]:
    """Answer the mappers that make problem documents of what Envoy says itself; gRPC keeps its own form."""
    is_not_grpc = {
        "header_filter": {
            "header": {
                "name": "content-type",
                "string_match": {"prefix": "application/grpc"},
                "invert_match": True,
                "treat_missing_header_as_empty": True,
            }
        }
    }
    mappers = []
    for status, reason, title, detail in LOCAL_REPLIES:
        has_status = {"comparison": {"op": "EQ", "value": {"default_value": status, "runtime_key": "edge.status"}}}
        document = {
            "type": f"/docs#{reason.lower().replace('_', '-')}",
            "title": title,
            "status": "%RESPONSE_CODE%",
            "detail": detail.format(max_rest_body=max_rest_body),
            "instance": "%PATH(NQ)%",
            "reason": reason,
            "violations": [],
            "requestId": "%REQ(X-REQUEST-ID)%",
        }
        headers = {"x-request-id": "%REQ(X-REQUEST-ID)%", **SECURITY_HEADERS}
        headers |= {"retry-after": "1"} if status == 503 else {}
        mappers.append(
            {
                "filter": {"and_filter": {"filters": [{"status_code_filter": has_status}, is_not_grpc]}},
                "headers_to_add": [{"header": {"key": k, "value": v}} for k, v in headers.items()],
                "body_format_override": {"json_format": document, "content_type": "application/problem+json"},
            }
        )
    return mappers


def edge_routes(services: Iterable[tuple[str, str]], *, with_reflection: bool) -> list[Part]:
    """Answer the routes of the edge in order; `services` are the public proto services with their roles."""
    at_edge = (HEALTH, *REFLECTION) if with_reflection else (HEALTH,)
    return [
        *(_grpc(name, f"grpc_{role}") for name, role in services),
        *(_grpc(name, "grpc_edge") for name in at_edge),
        _nothing({"prefix": "/", "headers": [_GRPC_CONTENT]}),
        _webhooks(),
        {
            "match": {"safe_regex": {"regex": STREAM_PATH}, "headers": [_method("GET")]},
            "route": {"cluster": "gateway_streams", "timeout": "0s", "idle_timeout": "60s"}
            | {"max_stream_duration": {"max_stream_duration": f"{STREAM_SECONDS}s"}},
        },
        *({"match": {"path": path}, "route": {"cluster": "gateway", **_SLOW}} for path in SLOW_PATHS),
        {
            "match": {"prefix": "/", "headers": [_method("GET")]},
            "route": {"cluster": "gateway", "timeout": "15s", "retry_policy": _RETRY},
        },
        {"match": {"prefix": "/"}, "route": {"cluster": "gateway", "timeout": "15s"}},
    ]


def webhook_routes() -> list[Part]:
    """Answer the routes of the webhook port: webhooks and health, nothing else."""
    health = {"cluster": "gateway", "timeout": "5s", "retry_policy": _RETRY}
    return [
        _webhooks(),
        {"match": {"safe_regex": {"regex": HEALTH_PATH}}, "route": health},
        _nothing({"prefix": "/"}),
    ]


@dataclass(frozen=True, slots=True)
class Network:
    """The roles on other machines: host and port of each public listener, and the directory of our certificate."""

    identity: Path
    targets: Mapping[str, tuple[str, int]]


def clusters(run_dir: Path, roles: Iterable[str], network: Network | None = None) -> list[Part]:
    """Answer one cluster for each way to a socket or host; the limits are what one Python process can hold.

    REST, streams and webhooks have a cluster each, so that none of them can use up the others' share. The gateway is
    always beside us: what it and Envoy tell each other never leaves the directory they share.
    """
    gateway = _pipe(run_dir / "gateway.sock")
    return [
        _cluster("gateway", gateway, 128, is_http2=False),
        _cluster("gateway_streams", gateway, 128, is_http2=False),
        _cluster("gateway_webhooks", gateway, 64, is_http2=False),
        _cluster("grpc_edge", _pipe(run_dir / "edge.sock"), 256, is_http2=True),
        *(
            _cluster(f"grpc_{role}", _pipe(run_dir / f"{role}.public.sock"), 256, is_http2=True)
            if network is None
            else _remote(f"grpc_{role}", role.replace("_", "-"), network.targets[role], network.identity)
            for role in roles
        ),
    ]


def _pipe(socket: Path) -> Part:
    return {"pipe": {"path": str(socket)}}


def _remote(name: str, certified: str, target: tuple[str, int], identity: Path) -> Part:
    """Answer a cluster of every address that a host name has; each must show the role's certificate, and gets ours."""
    host, port = target
    cluster = _cluster(name, {"socket_address": {"address": host, "port_value": port}}, 256, is_http2=True)
    context = {
        # As a client Envoy stops at 1.2 unless it is told.
        "tls_params": {"tls_minimum_protocol_version": "TLSv1_3", "tls_maximum_protocol_version": "TLSv1_3"},
        "alpn_protocols": ["h2"],
        "tls_certificates": [
            {
                "certificate_chain": {"filename": str(identity / "cert.pem")},
                "private_key": {"filename": str(identity / "key.pem")},
            }
        ],
        "validation_context": {
            "trusted_ca": {"filename": str(identity / "ca.pem")},
            "match_typed_subject_alt_names": [{"san_type": "DNS", "matcher": {"exact": certified}}],
        },
    }
    return cluster | {
        "type": "STRICT_DNS",
        "connect_timeout": "5s",  # with the handshake, which a busy Python process is slow to answer
        "dns_lookup_family": "ALL",
        "transport_socket": {
            "name": "envoy.transport_sockets.tls",
            "typed_config": {
                "@type": f"{_EXTENSION}.transport_sockets.tls.v3.UpstreamTlsContext",
                "sni": certified,
                "common_tls_context": context,
            },
        },
    }


_GRPC_CONTENT = {"name": "content-type", "string_match": {"prefix": "application/grpc"}}
_RETRY = {
    "retry_on": "connect-failure,refused-stream",  # nothing was sent yet: the process is just being restarted
    "num_retries": 2,
    "retry_back_off": {"base_interval": "0.05s", "max_interval": "0.25s"},
}
_SLOW = {"timeout": f"{SLOW_SECONDS}s", "idle_timeout": f"{SLOW_SECONDS}s"}
_UNBUFFERED = {
    "envoy.filters.http.buffer": {"@type": f"{_EXTENSION}.filters.http.buffer.v3.BufferPerRoute", "disabled": True}
}

_UNLIMITED = {
    "envoy.filters.http.local_ratelimit": {
        "@type": "type.googleapis.com/envoy.config.route.v3.FilterConfig",
        "disabled": True,
    }
}


def _method(verb: str) -> Part:
    return {"name": ":method", "string_match": {"exact": verb}}


def _grpc(service: str, cluster: str) -> Part:
    duration = {"max_stream_duration": f"{STREAM_SECONDS}s", "grpc_timeout_header_max": f"{STREAM_SECONDS}s"}
    return {
        "match": {"prefix": f"/{service}/", "headers": [_GRPC_CONTENT]},
        "route": {"cluster": cluster, "timeout": "0s", "idle_timeout": "0s", "max_stream_duration": duration},
        "typed_per_filter_config": _UNBUFFERED,
    }


def _webhooks() -> Part:
    # Not buffered here: the gateway counts the bytes of all requests against one budget, and the bytes of one against
    # the limit, while they come in. Nor limited in rate: all deliveries of a host come from a few addresses, and not
    # every host sends again what was refused.
    return {
        "match": {"safe_regex": {"regex": WEBHOOK_PATH}},
        "route": {"cluster": "gateway_webhooks", "timeout": "10s"},
        "typed_per_filter_config": _UNBUFFERED | _UNLIMITED,
    }


def _nothing(match: Part) -> Part:
    return {"match": match, "direct_response": {"status": 404}}


def _cluster(name: str, address: Part, in_flight: int, *, is_http2: bool) -> Part:
    protocol = (
        {"http2_protocol_options": {"connection_keepalive": {"interval": "30s", "timeout": "10s"}}}
        if is_http2
        else {"http_protocol_options": {}}
    )
    limits = {
        "max_connections": 8 if is_http2 else in_flight,
        "max_pending_requests": 64,
        "max_requests": in_flight,
        "max_retries": 3,
    }
    endpoint = {"endpoint": {"address": address}}
    return {
        "name": name,
        "type": "STATIC",
        "connect_timeout": "1s",
        "per_connection_buffer_limit_bytes": 32768,
        "load_assignment": {"cluster_name": name, "endpoints": [{"lb_endpoints": [endpoint]}]},
        "circuit_breakers": {"thresholds": [limits]},
        "typed_extension_protocol_options": {
            "envoy.extensions.upstreams.http.v3.HttpProtocolOptions": {
                "@type": f"{_EXTENSION}.upstreams.http.v3.HttpProtocolOptions",
                "common_http_protocol_options": {"idle_timeout": "60s"},
                "explicit_http_config": protocol,
            }
        },
    }
