"""Where a Lintel is: one URL, as people write it, made into what gRPC dials."""

from dataclasses import dataclass
from urllib.parse import urlsplit

from client.errors import RefusedError

EDGE_PORT = 3001  # contract section 7
DIRECT_GRPC_PORT = 3002  # gRPC's own port at an edge without Envoy: design section 2
_LOOPBACK = ("localhost", "127.0.0.1", "::1")


@dataclass(frozen=True, slots=True)
class Address:
    """`targets` are tried in order until one speaks gRPC; `shown` is how people know the place."""

    shown: str
    targets: tuple[str, ...]
    is_secure: bool = False
    is_local: bool = False  # never through a proxy


def parse_url(url: str) -> Address:
    """Read `http(s)://HOST[:PORT]`; raises RefusedError that says what is wrong with it, without its credentials."""
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError:
        raise RefusedError("the URL of Lintel can't be read; write it like http://127.0.0.1:3001") from None
    if parts.scheme not in ("http", "https") or not host or parts.username is not None or parts.query or parts.fragment:
        raise RefusedError("the URL of Lintel must be http(s)://HOST[:PORT], without user, query or fragment")
    if parts.path not in ("", "/"):
        raise RefusedError("the URL of Lintel must have no path: gRPC has none")
    secure = parts.scheme == "https"
    number = port or (443 if secure else 80)
    name = f"[{host}]" if ":" in host else host
    targets = [f"{name}:{number}"]
    if number == EDGE_PORT and not secure:
        targets.append(f"{name}:{DIRECT_GRPC_PORT}")
    return Address(f"{parts.scheme}://{name}:{number}", tuple(targets), secure, host in _LOOPBACK)


def unix_socket(path: str) -> Address:
    """The address of a role's socket on this machine."""
    return Address(f"the socket {path}", (f"unix:{path}",), is_local=True)
