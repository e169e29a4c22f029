"""Starts, watches and ends the child process; knows nothing of what it says."""

import asyncio
import fcntl
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from services.review.analyzers.frames import LENGTH, FrameError
from services.review.analyzers.limits import Limits

_PREFIX = "lintel-analysis-"
_YOUNG_SECONDS = 60.0  # a folder may have been made and not be held yet
_WATCH_SECONDS = 0.1
_PAGE = os.sysconf("SC_PAGE_SIZE")
_MAX_ENTRIES = 20_000


class ChildProcess:
    """A running child in a session, a folder and an environment of its own; `close` leaves nothing of it behind.

    Must be started from the thread of the event loop: the kernel ends the child when the thread that started it ends.
    """

    def __init__(self, popen: subprocess.Popen[bytes], folder: Path, held: int) -> None:
        self._popen = popen
        self._folder = folder
        self._held: int | None = held  # a descriptor of the folder: whoever is killed lets go of it
        self.reader: asyncio.StreamReader
        self.writer: asyncio.StreamWriter
        self._transports: list[asyncio.BaseTransport] = []
        self.peak_memory = 0  # bytes, of all processes together, as sampled

    @property
    def pid(self) -> int:
        """The process id, which is the group's and the session's too."""
        return self._popen.pid

    @classmethod
    async def start(cls, program: Path, limits: Limits, *, strict: bool) -> "ChildProcess":
        """Run `program` in isolated mode with pipes for stdin and stdout and nothing else; raises OSError."""
        folder = Path(tempfile.mkdtemp(prefix=_PREFIX))
        held = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        fcntl.flock(held, fcntl.LOCK_EX)  # ends with this process, however that ends
        options = {"strict": strict, "limits": {name: getattr(limits, name) for name in _PROCESS_LIMITS}}
        try:
            popen = _popen(program, folder, json.dumps(options))
        except OSError:
            os.close(held)
            _remove(folder)
            raise
        child = cls(popen, folder, held)
        try:
            await child._connect()
        except BaseException:
            await child.close()
            raise
        return child

    async def _connect(self) -> None:
        loop = asyncio.get_running_loop()
        self.reader = asyncio.StreamReader()
        transport, _ = await loop.connect_read_pipe(
            lambda: asyncio.StreamReaderProtocol(self.reader), self._popen.stdout
        )
        self._transports.append(transport)
        # Only its flow control is used.
        out, protocol = await loop.connect_write_pipe(
            lambda: asyncio.StreamReaderProtocol(asyncio.StreamReader()), self._popen.stdin
        )
        self._transports.append(out)
        self.writer = asyncio.StreamWriter(out, protocol, None, loop)

    async def receive(self, limit: int) -> bytes:
        """Await one frame of at most `limit` bytes; raises FrameError, or EOFError where the child closed its pipe."""
        (length,) = LENGTH.unpack(await self.reader.readexactly(LENGTH.size))
        if length > limit:
            raise FrameError("the answer is too large")
        return await self.reader.readexactly(length)

    async def watch(self, limits: Limits, overrun: Callable[[str], None]) -> None:
        """Sample memory and disk of the whole group until one is over its limit, then tell why and kill the group."""
        while True:
            memory = _memory(self.pid)
            self.peak_memory = max(self.peak_memory, memory)
            if memory > limits.total_memory:
                overrun(f"used more than {limits.total_memory // 2**20} MiB of memory")
                return self.kill()
            if _disk(self._folder) > limits.total_disk:
                overrun(f"wrote more than {limits.total_disk // 2**20} MiB")
                return self.kill()
            await asyncio.sleep(_WATCH_SECONDS)

    def kill(self) -> None:
        """Kill every process of the group; the filter lets none leave it."""
        if self._popen.returncode is None:  # not yet reaped, so the number is still ours
            with suppress(ProcessLookupError):
                os.killpg(self.pid, signal.SIGKILL)

    def how_it_ended(self) -> str:
        """For a person: what became of the process, after it closed its pipe."""
        code = self._popen.returncode
        if code is None:
            return "closed its answer"
        if code >= 0:
            return f"ended with status {code}"
        name = signal.Signals(-code).name if -code in signal.Signals.__members__.values() else str(-code)
        return f"was ended by {name}"

    async def ended(self, seconds: float) -> None:
        """Wait a moment for a child that closed its pipe to be gone by itself, so that its status can be told."""
        end = time.monotonic() + seconds
        while not _is_zombie(self.pid) and time.monotonic() < end:  # noqa: ASYNC110
            await asyncio.sleep(0.005)  # the kernel has no event for this that every loop can wait for
        if _is_zombie(self.pid):
            # The rest of the group first: the number is ours only until the status is taken.
            self.kill()
            self._popen.wait()  # it has ended

    async def close(self) -> None:
        """Kill what still runs, take its status, close the pipes, remove the folder."""
        self.kill()
        for transport in self._transports:
            if isinstance(transport, asyncio.WriteTransport):
                if not transport.is_closing() or transport.get_write_buffer_size():
                    transport.abort()
            else:
                transport.close()
        for pipe in (self._popen.stdin, self._popen.stdout):
            if pipe is not None and not self._transports:
                pipe.close()
        await asyncio.shield(asyncio.to_thread(self._finish))

    def _finish(self) -> None:
        self._popen.wait()
        _remove(self._folder)
        if self._held is not None:
            os.close(self._held)
            self._held = None


def remove_left_behind(*, young: float = _YOUNG_SECONDS) -> int:
    """Remove the folders of processes that were killed, with copies of files in them; answers how many.

    One that is held, or was changed within `young` seconds, is left alone.
    """
    removed = 0
    for folder in Path(tempfile.gettempdir()).glob(f"{_PREFIX}*"):
        with suppress(OSError):  # somebody else's, held, or gone meanwhile
            if time.time() - folder.stat().st_mtime < young:
                continue
            held = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
            try:
                fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
                _remove(folder)
                removed += not folder.exists()
            finally:
                os.close(held)
    return removed


def _popen(program: Path, folder: Path, options: str) -> subprocess.Popen[bytes]:
    """Start the interpreter with plain pipes: those of the event loop would be sockets. Takes a few milliseconds."""
    return subprocess.Popen(
        [sys.executable, "-I", "-B", str(program), options],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        cwd=folder,
        env={"LC_ALL": "C.UTF-8"},
        close_fds=True,
        start_new_session=True,
    )


_PROCESS_LIMITS = ("memory", "cpu_seconds", "file_size", "processes", "open_files")


def _is_zombie(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()[0] == b"Z"
    except OSError:
        return True


def _memory(pid: int) -> int:
    """Resident bytes of the process and its descendants: an orphan falls to the child, so none is missed."""
    total, stack, seen = 0, [pid], 0
    while stack and seen < 256:
        current = stack.pop()
        seen += 1
        with suppress(OSError, ValueError, IndexError):
            total += int(Path(f"/proc/{current}/statm").read_bytes().split()[1]) * _PAGE
            for task in Path(f"/proc/{current}/task").iterdir():
                stack += map(int, (task / "children").read_bytes().split())
    return total


def _disk(folder: Path) -> int:
    total, stack, seen = 0, [str(folder)], 0
    while stack and seen < _MAX_ENTRIES:
        with suppress(OSError), os.scandir(stack.pop()) as entries:
            for entry in entries:
                seen += 1
                if entry.is_dir(follow_symlinks=False):
                    stack.append(entry.path)
                else:
                    total += entry.stat(follow_symlinks=False).st_blocks * 512
    return total


def _remove(folder: Path) -> None:
    """Remove the folder, even where the child took away our right to; it is dead by now and can't interfere."""
    stack = [str(folder)]
    while stack:
        path = stack.pop()
        with suppress(OSError):
            Path(path).chmod(0o700)
            with os.scandir(path) as entries:
                stack += [entry.path for entry in entries if entry.is_dir(follow_symlinks=False)]
    shutil.rmtree(folder, ignore_errors=True)
