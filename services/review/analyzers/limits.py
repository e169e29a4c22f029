"""What one analysis may cost."""

from dataclasses import dataclass

_MIB = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds of one analysis child; bytes and seconds. The first group holds for all its processes together."""

    seconds: float = 60.0
    total_memory: int = 1024 * _MIB
    total_disk: int = 512 * _MIB
    input_bytes: int = 96 * _MIB
    answer_bytes: int = 16 * _MIB
    findings: int = 500  # per analyzer

    memory: int = 2048 * _MIB  # address space of one process, which is more than it uses
    cpu_seconds: int = 60
    file_size: int = 64 * _MIB
    processes: int = 24  # threads count too
    open_files: int = 128
