"""Channel arguments, in one place: gRPC ignores a misspelt one, so tests assert what each of them does."""

from typing import Any

MIB = 1024 * 1024

SERVER: list[tuple[str, Any]] = [
    ("grpc.so_reuseport", 0),  # otherwise a second server silently shares the port and takes half of the calls
    ("grpc.max_receive_message_length", 32 * MIB),  # a webhook is 25 MiB; the source of a change is chunked below this
    ("grpc.max_send_message_length", 32 * MIB),
    ("grpc.http2.min_ping_interval_without_data_ms", 20_000),  # clients ping every 30 s; the default ends them
    ("grpc.keepalive_permit_without_calls", 1),
]

CHANNEL: list[tuple[str, Any]] = [
    ("grpc.max_receive_message_length", 32 * MIB),
    ("grpc.max_send_message_length", 32 * MIB),
    ("grpc.keepalive_time_ms", 30_000),
    ("grpc.http2.ping_timeout_ms", 10_000),  # grpc.keepalive_timeout_ms has no effect in grpcio 1.85; default 60 s
    ("grpc.keepalive_permit_without_calls", 1),
    ("grpc.enable_retries", 0),  # retries belong to the caller, who knows what is idempotent
    ("grpc.initial_reconnect_backoff_ms", 100),  # a restarted process on this machine is back within a second
    ("grpc.max_reconnect_backoff_ms", 2_000),
]

# A name may stand for several instances of a role; each gets its share, and one that is gone is left out.
SPREAD: list[tuple[str, Any]] = [("grpc.service_config", '{"loadBalancingConfig": [{"round_robin": {}}]}')]
