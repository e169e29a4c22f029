"""A change as it is uploaded: its diff, and the contents of its files on both sides."""

from dataclasses import dataclass, field

MAX_FILE = 1_000_000  # bytes; a larger one is generated, or nothing that anybody reads
MAX_TOTAL = 63 << 20  # what the server takes is 64 MiB, and messages have envelopes
MAX_DIFF = 50 << 20
MAX_SARIF = 10 << 20
_SNIFFED = 8000  # bytes git looks at to tell binary content: buffer_is_binary


@dataclass(slots=True)
class File:
    """One changed file; `path` is the one at head, at base for a removed one. None: absent, or left out."""

    path: bytes
    head: bytes | None = None
    base: bytes | None = None


@dataclass(frozen=True, slots=True)
class Change:
    """What is reviewed; `notes` say in words what was left out."""

    repository: str
    description: str
    diff: bytes
    files: tuple[File, ...]
    base_sha: str = ""
    head_sha: str = ""
    notes: tuple[str, ...] = ()


@dataclass(slots=True)
class Allowance:
    """What may still be uploaded, and how much was left out for which reason."""

    left: int
    omitted: dict[str, list[bytes]] = field(default_factory=dict)

    def admit(self, path: bytes, size: int) -> bool:
        """Tell whether contents of this size fit, and count them; what does not is remembered."""
        if size > MAX_FILE:
            return self.omit(path, "larger than 1 MB")
        if size > self.left:
            return self.omit(path, "beyond 64 MiB in all")
        self.left -= size
        return True

    def omit(self, path: bytes, reason: str) -> bool:
        """Remember what was left out, and why."""
        paths = self.omitted.setdefault(reason, [])
        if path not in paths:
            paths.append(path)
        return False

    def notes(self) -> tuple[str, ...]:
        """Say what was left out, a line for each reason."""
        return tuple(_note(reason, paths) for reason, paths in self.omitted.items())


def is_binary(content: bytes) -> bool:
    """Tell whether git would call this binary."""
    return b"\0" in content[:_SNIFFED]


def _note(reason: str, paths: list[bytes]) -> str:
    shown = ", ".join(path.decode(errors="replace") for path in paths[:3])
    more = f" and {len(paths) - 3} more" if len(paths) > 3 else ""
    return f"only the diff is read of {shown}{more}: {reason}"
