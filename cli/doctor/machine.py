"""What of this machine Lintel needs: Python, git, room, its directory, its ports, and whether it runs."""

import os
import shutil
import stat
import subprocess
import sys
from collections.abc import Mapping

import httpx2

from cli import embedded
from cli.doctor.finding import Finding
from cli.engines import envoy, rabbitmq
from cli.layout import Layout
from cli.supervisor import options, ports
from cli.supervisor.plan import bind_address
from cli.supervisor.status import Status

LEAST_ROOM, SOME_ROOM = 512 << 20, 2 << 30  # bytes: below the first the database stops, below the second it soon may
OLDEST_GIT = (2, 30)
HEALTH_SECONDS = 10.0


def look(layout: Layout, environment: Mapping[str, str]) -> list[Finding]:
    """Answer a finding for each."""
    running = embedded.running(layout)
    found = [_python(), _git(), _state(layout), _room(layout), _envoy(), _secrets(layout)]
    return [*found, _system(running, environment), *_health(running)]


def _python() -> Finding:
    return Finding("python", "ok", ".".join(map(str, sys.version_info[:3])))


def _git() -> Finding:
    try:
        said = subprocess.run(["git", "--version"], capture_output=True, text=True, check=True).stdout.split()
    except (OSError, subprocess.CalledProcessError):
        return Finding("git", "fail", "not found", "Install git: changes are read with it.")
    number = said[2] if len(said) > 2 else "0"
    version = tuple(int(part) for part in number.split(".")[:2] if part.isdecimal())
    if version < OLDEST_GIT:
        return Finding("git", "warn", f"{number} is old", f"Install git {'.'.join(map(str, OLDEST_GIT))} or newer.")
    return Finding("git", "ok", number)


def _state(layout: Layout) -> Finding:
    try:
        mode = stat.S_IMODE(layout.state.stat().st_mode)
    except FileNotFoundError:
        return Finding("state", "ok", f"{layout.state} is not there yet; `lintel up` makes it")
    except OSError as error:
        return Finding("state", "fail", f"{layout.state}: {error.strerror}", "Run as the user who owns it.")
    if not os.access(layout.state, os.W_OK | os.X_OK):
        return Finding("state", "fail", f"{layout.state} can't be written", "Run as the user who owns it.")
    if mode & 0o022:
        return Finding("state", "fail", f"others may write in {layout.state}", f"chmod go-w {layout.state}")
    return Finding("state", "ok", str(layout.state))


def _room(layout: Layout) -> Finding:
    place = layout.state
    while not place.exists():
        place = place.parent
    free = shutil.disk_usage(place).free
    words = f"{free / (1 << 30):.1f} GB free"
    if free < LEAST_ROOM:
        return Finding("disk", "fail", words, f"Make room on the disk of {place}; Postgres stops without.")
    return Finding("disk", "ok" if free >= SOME_ROOM else "warn", words, "" if free >= SOME_ROOM else "Make room soon.")


def _envoy() -> Finding:
    binary = envoy.find_binary()
    if binary is None:
        words = "not there for this machine; the gateway listens itself, and gRPC is on a port of its own"
        return Finding("envoy", "warn", words, "")
    broker = "" if rabbitmq.find_server() is None else "; a rabbitmq-server is installed"
    return Finding("envoy", "ok", f"{envoy.version(binary)}{broker}")


def _secrets(layout: Layout) -> Finding:
    for path in (layout.secrets, layout.api_key):
        try:
            mode = stat.S_IMODE(path.stat().st_mode)
        except OSError:
            continue
        if mode & 0o077:
            return Finding("secrets", "fail", f"others may read {path}", f"chmod 600 {path}, and make new ones.")
    return Finding("secrets", "ok", "only their owner reads them")


def _system(running: Status | None, environment: Mapping[str, str]) -> Finding:
    if running is not None:
        return Finding("system", "ok", f"it runs, {running.url('edge') or 'without an edge'}")
    wanted = {
        "API_PORT": environment.get("API_PORT") or str(options.EDGE_PORT),
        "API_WEBHOOKS_PORT": environment.get("API_WEBHOOKS_PORT") or str(options.WEBHOOKS_PORT),
    }
    for name, number in wanted.items():
        if number.isdecimal() and not ports.is_free(int(number), bind_address(environment)):
            words = f"port {number} is taken by another program"
            return Finding("system", "fail", words, f"End that program, or choose another port with {name}.")
    return Finding("system", "ok", "it does not run; its ports are free")


def _health(running: Status | None) -> list[Finding]:
    """What the running system says of itself, part by part."""
    url = running.url("edge") if running is not None else None
    if url is None:
        return []
    try:
        report = httpx2.get(f"{url}/health", timeout=HEALTH_SECONDS, trust_env=False).json()["details"]
    except (httpx2.HTTPError, ValueError, KeyError, TypeError):
        return [Finding("health", "fail", f"{url}/health does not answer as it should", "`lintel logs` says why.")]
    parts = {"database": report["database"], **{name: report[name] for name in ("broker", "worker", "llm")}}
    down = [name for name, part in parts.items() if part.get("status") == "down"]
    if down:
        return [Finding("health", "fail", f"down: {', '.join(down)}", "`lintel logs --level warning` says why.")]
    return [Finding("health", "ok", ", ".join(f"{name} {part.get('status')}" for name, part in parts.items()))]
