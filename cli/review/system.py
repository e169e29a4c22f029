"""The Lintel that does the review: the one that is named, the one that runs here, or one started for it."""

import os
import signal
import tempfile
import textwrap
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

from cli import embedded
from cli import environment as environments
from cli.embedded import EXTERNAL_ENGINES, Embedded, SystemStartError
from cli.engines.accounts import EngineError
from cli.layout import Layout, state_directory
from cli.review.errors import ConfigurationError, NotCompletedError
from cli.review.git import find_repository
from client.address import Address, parse_url, unix_socket
from client.errors import RefusedError, UnavailableError
from client.reviews import ReviewClient

# What a local review needs. No edge: the command line reads the review service's socket in a directory of its own.
ROLES = ("auth", "orgs", "llm_gateway", "review", "review_worker")
_SOCKET = "review.public.sock"
_MEMORY = Path("/dev/shm")  # noqa: S108 - a directory of our own is made in it
_ROOM = 512 << 20  # bytes; the state of a review was 47 MB, and containers often give 64 MB to all
_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_INVALID = "The configuration is not valid:"  # how a role begins what it says of its variables
_TOKEN_FILE = "LINTEL_TOKEN_FILE"  # noqa: S105 - the name of a variable

Watcher = Callable[[str], None]


@contextmanager
def reviewing(inherited: Mapping[str, str], watch: Watcher) -> Iterator[tuple[ReviewClient, str]]:
    """Give a connected client and, in words, whose it is; a system that was started ends with the block.

    Raises ConfigurationError for settings that can't be used, NotCompletedError when no system answers or starts.
    """
    layout = Layout(state_directory(inherited))
    settings = settings_of(inherited, layout)
    try:
        place = named(settings) or running(layout)
        if place is not None:
            address, token = place
            with ReviewClient(address, token) as client:
                yield client, f"the Lintel at {address.shown}"
            return
        with _started(settings, watch) as (address, token), ReviewClient(address, token) as client:
            yield client, "a Lintel started for this review"
    except RefusedError as error:
        raise ConfigurationError(str(error)) from None
    except SystemStartError as error:
        said = str(error).partition(_INVALID)
        if said[1]:  # by the role that read it; the log's end in front of it says nothing more
            raise ConfigurationError(said[1] + textwrap.dedent(said[2])) from None
        raise NotCompletedError(str(error)) from None
    except (UnavailableError, EngineError) as error:
        raise NotCompletedError(str(error)) from None


def settings_of(inherited: Mapping[str, str], layout: Layout) -> dict[str, str]:
    """Merge the process environment, `.env` here and `.env` of the state directory, the first winning.

    A `.env` that git tracks came with the repository: it must not say where the code and the user's token go.
    """
    here = Path.cwd()
    repository = find_repository(here, inherited)
    is_foreign = repository is not None and repository.tracks(here / ".env")
    files = environments.read_file(layout.state / ".env")
    if not is_foreign:
        files |= environments.read_file(here / ".env")
    return files | {name: value for name, value in inherited.items() if value or name not in files}


def named(settings: Mapping[str, str]) -> tuple[Address, str] | None:
    """Answer the system that LINTEL_URL names and the token for it, None where it names none."""
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


def running(layout: Layout) -> tuple[Address, str] | None:
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
    """Start a system in a directory of its own; both are gone afterwards, however the block ends."""
    wanted = {name: value for name, value in settings.items() if name not in EXTERNAL_ENGINES}
    with (
        _one_interrupt(),
        tempfile.TemporaryDirectory(prefix="lintel-review-", dir=_in_memory(settings)) as state,
        Embedded(Path(state), env={**wanted, "LINTEL_STATE_DIR": state}, roles=ROLES, watch=watch) as system,
    ):
        socket = Path(system.status.sockets) / _SOCKET
        yield unix_socket(os.fspath(socket)), system.api_key


def _in_memory(settings: Mapping[str, str]) -> Path | None:
    """Answer a directory in memory with room to spare, None for the usual place of temporary files.

    A database that lives for seconds has nothing to win from a disk: making and stopping it takes half as long.
    """
    if settings.get("TMPDIR"):
        return None
    try:
        room = os.statvfs(_MEMORY)
    except OSError:
        return None
    has_room = room.f_bavail * room.f_frsize >= _ROOM and os.access(_MEMORY, os.W_OK | os.X_OK)
    return _MEMORY if has_room else None


@contextmanager
def _one_interrupt() -> Iterator[None]:
    """Take Ctrl-C, SIGTERM and SIGHUP as one interrupt; further ones don't disturb the end in order."""

    def interrupt(number: int, frame: FrameType | None) -> None:
        for each in _SIGNALS:
            signal.signal(each, signal.SIG_IGN)
        raise KeyboardInterrupt

    earlier = {number: signal.signal(number, interrupt) for number in _SIGNALS}
    try:
        yield
    finally:
        for number, handler in earlier.items():
            signal.signal(number, handler)
