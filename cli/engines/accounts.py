"""Running an engine as an unprivileged user when we are root, wherever its files lie."""

import os
import pwd
import shutil
import stat
import tempfile
from pathlib import Path

from cli.engines.spawn import Account, Command, run

CANDIDATES = ("lintel", "postgres", "nobody")
CACHE = Path("/var/cache/lintel/engines")


class EngineError(Exception):
    """An engine that can't run here; the message says why and what to do."""


def unprivileged() -> Account | None:
    """Return the account engines run under when we are root, None (ourselves) otherwise.

    Raises EngineError when no such user exists.
    """
    if os.geteuid() != 0:
        return None
    for name in CANDIDATES:
        try:
            entry = pwd.getpwnam(name)
        except KeyError:
            continue
        if entry.pw_uid != 0:
            return Account(name, entry.pw_uid, entry.pw_gid)
    raise EngineError(
        "Postgres refuses to run as root and none of the users lintel, postgres, nobody exists here; "
        "create one with `useradd --system lintel`"
    )


def may_enter(path: Path, account: Account | None) -> bool:
    """Tell whether the account can pass through every directory above `path`, by permission bits."""
    if account is None:
        return True
    for directory in path.resolve().parents:
        try:
            entry = directory.stat()
        except OSError:
            return False
        if entry.st_uid == account.uid:
            needed = stat.S_IXUSR
        elif entry.st_gid == account.gid:
            needed = stat.S_IXGRP
        else:
            needed = stat.S_IXOTH
        if not entry.st_mode & needed:
            return False
    return True


def version_seen_by(account: Account | None, binary: Path) -> str | None:
    """Return the last word of what `--version` prints to the account, None when it can't run the program."""
    done = run(Command([str(binary), "--version"], account=account))
    return done.stdout.decode(errors="replace").split()[-1] if done.returncode == 0 else None


def reachable_copy(tree: Path, parts: list[str], label: str) -> Path:
    """Copy the named parts of an engine to a place every user can read and return it; made once per label.

    The copy belongs to root, so the account that runs it can't change it.
    """
    place = CACHE / label
    if place.is_dir():
        return place
    try:
        CACHE.mkdir(parents=True, exist_ok=True)
        staging = Path(tempfile.mkdtemp(prefix=f".{label}.", dir=CACHE))
    except OSError as error:
        raise EngineError(
            f"{tree} lies below a directory closed to the unprivileged user and {CACHE} can't be written ({error}); "
            "clone Lintel to a place every user may enter, such as /opt"
        ) from error
    try:
        for part in parts:
            shutil.copytree(tree / part, staging / part, symlinks=True)
        staging.chmod(0o755)
        staging.rename(place)
    except OSError as error:
        shutil.rmtree(staging, ignore_errors=True)
        if not place.is_dir():  # otherwise another process was faster with the same tree
            raise EngineError(f"cannot copy {tree} to {place}: {error}") from error
    return place


def private_directory(account: Account | None, parents: list[Path], prefix: str) -> Path:
    """Make a fresh 0700 directory owned by the account below the first of `parents` that it can enter."""
    for parent in parents:
        if not may_enter(parent / "x", account):
            continue
        try:
            made = Path(tempfile.mkdtemp(prefix=prefix, dir=parent))
        except OSError:
            continue
        if account:
            os.chown(made, account.uid, account.gid)
        return made
    raise EngineError(f"none of {', '.join(map(str, parents))} can hold a socket directory; set TMPDIR to one that can")
