"""A private RabbitMQ from an installed `rabbitmq-server`: own node, files, ports and epmd, on loopback only.

The tests use it; a laptop needs no broker. Run it from one thread that lives as long as the broker shall.
"""

import os
import secrets
import shutil
import signal
import socket
import subprocess
import time
from pathlib import Path
from urllib.parse import quote

from cli.engines import processes
from cli.engines.accounts import EngineError, private_directory, unprivileged
from cli.engines.spawn import Command, spawn
from cli.supervisor import ports

HINT = "Debian: apt-get install rabbitmq-server; macOS: brew install rabbitmq"
STOP_LADDER = [(signal.SIGTERM, 30.0), (signal.SIGKILL, 5.0)]
# The scripts themselves, not Debian's wrapper around them, which insists on `su` (measured: reference A4).
PLACES = (
    "/usr/lib/rabbitmq/lib/rabbitmq_server-*/sbin/rabbitmq-server",
    "/opt/rabbitmq/sbin/rabbitmq-server",
    "/opt/homebrew/opt/rabbitmq/sbin/rabbitmq-server",
    "/usr/local/opt/rabbitmq/sbin/rabbitmq-server",
)
USER = "lintel"
_GREETING = b"AMQP\x00\x00\x09\x01"
# Few schedulers that do not spin while they wait: a test machine has other things to do.
_ERLANG = "+S 2:2 +SDcpu 1:1 +sbwt none +sbwtdcpu none +sbwtdio none -kernel inet_dist_use_interface {127,0,0,1}"


def find_server() -> Path | None:
    """Return the script that starts a broker, None where none is installed."""
    for pattern in PLACES:
        found = sorted(Path("/").glob(pattern.removeprefix("/")))
        if found:
            return found[-1]
    named = shutil.which("rabbitmq-server")
    return Path(named).resolve() if named else None


class RabbitMqEngine:
    """One broker; `start` and `stop` as often as wanted, `close` at the end.

    It keeps its files from one start to the next, until `delete_disk`.
    """

    def __init__(self) -> None:
        script, epmd = find_server(), shutil.which("epmd")
        if script is None or epmd is None:
            raise EngineError(f"no rabbitmq-server is installed ({HINT})")
        self._script, self._epmd = script, Path(epmd)
        self._account = unprivileged()
        self.home = private_directory(self._account, [Path("/tmp"), Path("/var/tmp")], "lintel-rabbitmq-")  # noqa: S108
        self.log = self.home / "rabbitmq.log"
        taken: set[int] = set()
        for _ in range(3):
            taken.add(ports.find_free(taken))
        self.port, self._dist_port, self._epmd_port = sorted(taken)
        self._password = secrets.token_hex(16)
        self._broker: subprocess.Popen[bytes] | None = None
        self._names: subprocess.Popen[bytes] | None = None

    @property
    def uri(self) -> str:
        """The URI that clients connect to; it holds the password."""
        return f"amqp://{USER}:{quote(self._password)}@127.0.0.1:{self.port}/"

    @property
    def pid(self) -> int:
        """The broker's pid after `start`."""
        if self._broker is None:
            raise EngineError("RabbitMQ is not started")
        return self._broker.pid

    def start(self, timeout: float = 120.0) -> None:
        """Start the broker and return when it greets clients; raises EngineError with the end of its log."""
        self._start_names()
        self._write("rabbitmq.conf", _CONFIGURATION.format(port=self.port, user=USER, password=self._password))
        self._write("enabled_plugins", "[].\n")
        command = Command(
            [str(self._script)],
            env=self._environment(),
            account=self._account,
            death_signal=signal.SIGKILL,
            cwd=self.home,
        )
        with self.log.open("ab") as output:
            self._broker = spawn(command, output)
        deadline = time.monotonic() + timeout
        while not self.is_ready():
            if self._broker.poll() is not None or time.monotonic() > deadline:
                self.stop()
                tail = b"\n".join(self.log.read_bytes().splitlines()[-15:]).decode(errors="replace")
                raise EngineError(f"RabbitMQ did not start; the end of {self.log}:\n{tail}")
            time.sleep(0.05)

    def is_ready(self) -> bool:
        """Tell whether the broker answers a client's greeting."""
        try:
            with socket.create_connection(("127.0.0.1", self.port), timeout=1) as client:
                client.sendall(_GREETING)
                return client.recv(1) == b"\x01"  # a method frame: Connection.Start
        except OSError:
            return False

    def stop(self) -> None:
        """Stop the broker in order, harder if it does not go."""
        _end(self._broker, STOP_LADDER)
        self._broker = None

    def kill(self) -> None:
        """End the broker as a power cut does."""
        _end(self._broker, STOP_LADDER[-1:])
        self._broker = None

    def delete_disk(self) -> None:
        """Forget every queue, message and user of the stopped broker; the next start makes the user again."""
        if self._broker is not None:
            raise EngineError("stop the broker before its disk is deleted")
        shutil.rmtree(self.home / "mnesia", ignore_errors=True)

    def close(self) -> None:
        """Stop everything and remove its files."""
        self.stop()
        _end(self._names, [(signal.SIGTERM, 5.0), (signal.SIGKILL, 5.0)])
        self._names = None
        shutil.rmtree(self.home, ignore_errors=True)

    def _start_names(self) -> None:
        """Run epmd as a child of ours: one that the broker starts itself would outlive it."""
        if self._names is not None and self._names.poll() is None:
            return
        words = [str(self._epmd), "-port", str(self._epmd_port), "-address", "127.0.0.1"]
        command = Command(words, account=self._account, death_signal=signal.SIGKILL, cwd=self.home)
        self._names = spawn(command, subprocess.DEVNULL)

    def _environment(self) -> dict[str, str]:
        home = str(self.home)
        return {
            "PATH": os.environ.get("PATH", os.defpath),
            "HOME": home,  # the node's cookie lies there
            "LANG": "C.UTF-8",
            "ERL_EPMD_PORT": str(self._epmd_port),
            "ERL_EPMD_ADDRESS": "127.0.0.1",
            "RUNNING_UNDER_SYSTEMD": "true",  # the script becomes the broker, so that its pid is the broker's
            "RABBITMQ_NODENAME": f"lintel{self.port}@localhost",
            "RABBITMQ_DIST_PORT": str(self._dist_port),
            "RABBITMQ_MNESIA_BASE": f"{home}/mnesia",
            "RABBITMQ_LOG_BASE": f"{home}/log",
            "RABBITMQ_CONFIG_FILE": f"{home}/rabbitmq.conf",
            "RABBITMQ_CONF_ENV_FILE": f"{home}/none",
            "RABBITMQ_ENABLED_PLUGINS_FILE": f"{home}/enabled_plugins",
            "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": _ERLANG,
        }

    def _write(self, name: str, text: str) -> None:
        path = self.home / name
        path.write_text(text, encoding="utf-8")
        path.chmod(0o600)
        if self._account:
            os.chown(path, self._account.uid, self._account.gid)


_CONFIGURATION = """
listeners.tcp.1 = 127.0.0.1:{port}
default_user = {user}
default_pass = {password}
log.console = true
log.console.level = warning
log.file = false
vm_memory_high_watermark.absolute = 512MiB
disk_free_limit.absolute = 50MB
"""


def _end(process: "subprocess.Popen[bytes] | None", ladder: list[tuple[signal.Signals, float]]) -> None:
    """Signal a child and everything it started that is still of its session, by pid, and wait for it."""
    if process is None:
        return
    family = [found for pid in processes.family(process.pid) if (found := processes.identify(pid)) is not None]
    for number, seconds in ladder:
        if process.poll() is None:
            process.send_signal(signal.SIGCONT)  # it may be paused
            process.send_signal(number)
        try:
            process.wait(seconds)
            break
        except subprocess.TimeoutExpired:
            continue
    processes.end(family, [(signal.SIGKILL, 5.0)])
