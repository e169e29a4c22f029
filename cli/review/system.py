"""The Lintel that does the review: the one that is named, the one that runs here, or one started for it."""

import os
import signal
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from cli import embedded
from cli import environment as environments
from cli.embedded import Embedded, SystemStartError
from cli.engines.accounts import EngineError
from cli.layout import Layout, state_directory
from cli.review.errors import ConfigurationError, NotCompletedError
from client.address import Address, parse_url, unix_socket
from client.errors import RefusedError, UnavailableError
from client.reviews import ReviewClient

# What a local review needs. No edge: the command line reads the review service's socket in a directory of its own.
ROLES = ("auth", "orgs", "llm_gateway", "review", "review_worker")
_SOCKET = "review.public.sock"
_TOKEN_FILE = "LINTEL_TOKEN_FILE"  # noqa: S105 - the name of a variable

Watcher = Callable[[str], None]


@contextmanager
def reviewing(inherited: Mapping[str, str], watch: Watcher) -> Iterator[tuple[ReviewClient, str]]:
    """Give a connected client and, in words, whose it is; a system that was started ends with the block.

    Raises ConfigurationError for settings that can't be used, NotCompletedError when no system answers or starts.
    """
    layout = Layout(state_directory(inherited))
    settings = environments.resolve(inherited, Path.cwd(), layout)
    try:
        place = _named(settings) or _running(layout)
        if place is not None:
            address, token = place
            with ReviewClient(address, token) as client:
                yield client, f"the Lintel at {address.shown}"
            return
        with _started(settings, watch) as (address, token), ReviewClient(address, token) as client:
            yield client, "a Lintel started for this review"
    except RefusedError as error:
        raise ConfigurationError(str(error)) from None
    except (UnavailableError, SystemStartError, EngineError) as error:
        raise NotCompletedError(str(error)) from None


def _named(settings: Mapping[str, str]) -> tuple[Address, str] | None:
    url = settings.get("LINTEL_URL")
    if not url:
        return None
    token = settings.get("LINTEL_TOKEN") or _from_file(settings.get(_TOKEN_FILE))
    if not token:
        raise ConfigurationError("LINTEL_URL is set and LINTEL_TOKEN is not: make an API key there, and set it")
    return parse_url(url), token


def _from_file(name: str | None) -> str:
    if not name:
        return ""
    try:
        return Path(name).read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"{_TOKEN_FILE} can't be read: {type(error).__name__}") from None


def _running(layout: Layout) -> tuple[Address, str] | None:
    """Answer the system of the state directory; None when none is ready, or its key is not ours to read."""
    status = embedded.running(layout)
    if status is None or status.phase != "ready" or "edge" not in status.ports:
        return None
    url = status.url("grpc" if "grpc" in status.ports else "edge")
    try:
        token = layout.api_key.read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError):
        return None
    return None if url is None else (parse_url(url), token)


@contextmanager
def _started(settings: Mapping[str, str], watch: Watcher) -> Iterator[tuple[Address, str]]:
    """Start a system in a directory of its own; both are gone afterwards, after SIGTERM and SIGHUP too."""
    earlier = {number: signal.signal(number, signal.default_int_handler) for number in (signal.SIGTERM, signal.SIGHUP)}
    try:
        with (
            tempfile.TemporaryDirectory(prefix="lintel-review-") as state,
            Embedded(Path(state), env={**settings, "LINTEL_STATE_DIR": state}, roles=ROLES, watch=watch) as system,
        ):
            socket = Path(system.status.sockets) / _SOCKET
            yield unix_socket(os.fspath(socket)), system.api_key
    finally:
        for number, handler in earlier.items():
            signal.signal(number, handler)
