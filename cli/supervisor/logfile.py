"""A log file that is rotated by size."""

from pathlib import Path

MAX_BYTES = 10 * 1024 * 1024
KEPT = 3


class RotatingLog:
    """Appends bytes to `path`; at MAX_BYTES the file becomes `path.1`, the older ones move up, the oldest goes.

    Rotation happens between lines only, so no line is torn in two. What the disk does not take is dropped and counted
    in `lost_bytes`: a full disk must not stop the system.
    """

    def __init__(self, path: Path, max_bytes: int = MAX_BYTES) -> None:
        self.path = path
        self._max_bytes = max_bytes
        self.lost_bytes = 0
        self._file = path.open("ab", buffering=0)
        self._size = path.stat().st_size

    def write(self, data: bytes) -> None:
        """Append the data, rotating first at a line end when the file is full; never raises OSError."""
        try:
            self._write(data)
        except OSError:
            self.lost_bytes += len(data)

    def _write(self, data: bytes) -> None:
        if self._size >= self._max_bytes:
            head, newline, rest = data.partition(b"\n")
            if newline:
                self._append(head + newline)
                self._rotate()
                data = rest
        if data:
            self._append(data)

    def hint(self, lines: int = 6) -> str:
        """Return where the log is and how it ends, for an error message."""
        tail = self.path.read_bytes()[-4096:].decode(errors="replace").splitlines()[-lines:]
        return f"the end of {self.path}:\n" + "\n".join(f"    {line}" for line in tail) if tail else f"log: {self.path}"

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def _append(self, data: bytes) -> None:
        written = self._file.write(data)
        self._size += written
        self.lost_bytes += len(data) - written

    def _rotate(self) -> None:
        self._file.close()
        for number in range(KEPT, 0, -1):
            older = self.path.with_name(f"{self.path.name}.{number}")
            newer = self.path.with_name(f"{self.path.name}.{number - 1}") if number > 1 else self.path
            if newer.exists():
                newer.replace(older)
        self._file = self.path.open("ab", buffering=0)
        self._size = 0
