"""A large diff takes memory for the file at hand, and reads each byte once."""

import io
import tracemalloc
from collections.abc import Callable, Iterator

from services.kit.diff.model import Side
from services.kit.diff.parser import parse_diff
from services.kit.diff.positions import PositionMap

LINE = b"+    a line of ordinary length, as code has it\n"


class Stream(io.RawIOBase):
    """Bytes that are made while they are read, counted, and never all there."""

    def __init__(self, pieces: Iterator[bytes]) -> None:
        self._pieces = pieces
        self._left = b""
        self.given = 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        self._left = self._left or next(self._pieces, b"")
        size = min(len(buffer), len(self._left))
        buffer[:size], self._left = self._left[:size], self._left[size:]
        self.given += size
        return size


def small_file(number: int, lines: int = 1000) -> bytes:
    name = b"src/%d.py" % number
    head = b"diff --git a/%s b/%s\nnew file mode 100644\n--- /dev/null\n+++ b/%s\n" % (name, name, name)
    return head + b"@@ -0,0 +1,%d @@\n" % lines + LINE * lines


def one_file(lines: int) -> Iterator[bytes]:
    yield b"diff --git a/x b/x\nnew file mode 100644\n--- /dev/null\n+++ b/x\n@@ -0,0 +1,%d @@\n" % lines
    for _ in range(lines // 1000):
        yield LINE * 1000


def peak(work: Callable[[], None]) -> int:
    tracemalloc.start()
    try:
        work()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def test_a_stream_of_many_files_is_held_one_file_at_a_time() -> None:
    stream = io.BufferedReader(Stream(small_file(number) for number in range(400)))

    def read_all() -> None:
        files = parse_diff(stream)
        for _ in range(400):
            next(files)
        assert next(files, None) is None

    assert peak(read_all) < 4 * len(small_file(0))  # the diff has 400 times as much


def test_one_huge_file_costs_its_own_size_and_little_more() -> None:
    size = 100_000 * len(LINE)

    def read_all() -> None:
        (file,) = parse_diff(io.BufferedReader(Stream(one_file(100_000))))
        assert len(file.hunks[0].body) == size

    assert peak(read_all) < 1.3 * size  # a buffer that grows holds an eighth in reserve


def test_lines_of_a_hunk_are_made_one_at_a_time() -> None:
    (file,) = parse_diff(b"".join(one_file(100_000)))

    def walk() -> None:
        assert sum(1 for _ in file.hunks[0].lines()) == 100_000

    assert peak(walk) < 100_000


def test_positions_of_a_huge_hunk_are_compact() -> None:
    (file,) = parse_diff(b"".join(one_file(100_000)))
    kept: list[PositionMap] = []

    def build() -> None:
        kept.append(PositionMap(file.hunks))
        assert kept[0].text(Side.RIGHT, 99_999, 99_999) == LINE[1:-1]

    assert peak(build) < 100_000 * 8 * 1.3


def test_nothing_is_read_twice_or_ahead_of_need() -> None:
    stream = Stream(small_file(number) for number in range(50))
    files = parse_diff(stream)  # type: ignore[arg-type]
    size = len(small_file(0))
    for number in range(1, 40):
        next(files)
        assert stream.given <= number * (size + 4) + 2 * io.DEFAULT_BUFFER_SIZE
    assert sum(1 for _ in files) == 11
    assert stream.given == sum(len(small_file(number)) for number in range(50))
