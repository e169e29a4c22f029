"""Our diff parser beside unidiff and whatthepatch on one large diff: `python -m bench.diff [--lines N] [--rounds N]`.

Every run is a process of its own, so that its peak memory is its own; rounds are interleaved, so that a busy machine is
unfair to all alike. "lines" makes an object of every line, as both others always do; "hunks" stops at the hunks, which
is all that anchoring takes.
"""

import argparse
import json
import random
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import whatthepatch
from unidiff.patch import PatchSet

from services.kit.diff.model import LineKind
from services.kit.diff.parser import parse_diff

Counts = tuple[int, int, int]  # files, added lines, removed lines


def ours_hunks(path: Path) -> Counts | None:
    with path.open("rb") as source:
        for _ in parse_diff(source):
            pass
    return None  # at this depth there is nothing to count


def ours_lines(path: Path) -> Counts:
    files = added = removed = 0
    with path.open("rb") as source:
        for file in parse_diff(source):
            files += 1
            for hunk in file.hunks:
                for line in hunk.lines():
                    added += line.kind is LineKind.ADDED
                    removed += line.kind is LineKind.REMOVED
    return files, added, removed


def by_unidiff(path: Path) -> Counts:
    patch = PatchSet.from_filename(str(path), encoding="utf-8", newline="\n")
    return len(patch), patch.added, patch.removed


def by_whatthepatch(path: Path) -> Counts:
    files = added = removed = 0
    for diff in whatthepatch.parse_patch(path.read_text(encoding="utf-8")):
        files += 1
        for change in diff.changes or ():
            added += change.old is None
            removed += change.new is None
    return files, added, removed


CONTESTANTS: dict[str, Callable[[Path], Counts | None]] = {
    "lintel, hunks": ours_hunks,
    "lintel, lines": ours_lines,
    "unidiff": by_unidiff,
    "whatthepatch": by_whatthepatch,
}
REFERENCE = "lintel, lines"


def make_diff(lines: int, seed: int = 1) -> Iterator[bytes]:
    """Yield a git diff of about `lines` lines: files of 1 to 40 hunks, lines of 0 to 100 bytes."""
    chance = random.Random(seed)
    texts = [b" " * chance.choice((0, 4, 8)) + b"abcdefghij " * chance.randrange(9) for _ in range(500)]
    made = number = 0
    while made < lines:
        number += 1
        name = b"src/package%d/module%d.py" % (number % 50, number)
        yield b"diff --git a/%s b/%s\nindex 1234567..89abcde 100644\n--- a/%s\n+++ b/%s\n" % (name, name, name, name)
        made += 4
        old = new = 1
        for _ in range(chance.randint(1, 40)):
            removed, added = chance.randrange(8), chance.randrange(1, 12)
            body = [b" "] * 3 + [b"-"] * removed + [b"+"] * added + [b" "] * 3
            yield b"@@ -%d,%d +%d,%d @@ def function():\n" % (old, removed + 6, new, added + 6)
            yield b"".join(mark + chance.choice(texts) + b"\n" for mark in body)
            made += len(body) + 1
            gap = chance.randint(10, 80)
            old, new = old + removed + 6 + gap, new + added + 6 + gap


def measure(name: str, path: Path) -> None:
    """Run one contestant in this process and print what it took."""
    start = time.perf_counter()
    counts = CONTESTANTS[name](path)
    seconds = time.perf_counter() - start
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024  # Linux counts in KiB
    print(json.dumps({"seconds": seconds, "peak": peak, "counts": counts}))


def compare(lines: int, rounds: int) -> None:
    """Run all contestants in turn and print the table; raises SystemExit if they count differently."""
    seconds: dict[str, list[float]] = {name: [] for name in CONTESTANTS}
    peaks: dict[str, list[int]] = {name: [] for name in CONTESTANTS}
    counts: dict[str, list[int]] = {}
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "large.diff"
        with path.open("wb") as target:  # in pieces: a child begins with the peak of the process that starts it
            target.writelines(make_diff(lines))
        size = path.stat().st_size
        for _ in range(rounds):
            for name in CONTESTANTS:
                command = [sys.executable, "-m", "bench.diff", "--measure", name, str(path)]
                result = json.loads(subprocess.run(command, check=True, capture_output=True).stdout)
                seconds[name].append(result["seconds"])
                peaks[name].append(result["peak"])
                if result["counts"]:
                    counts[name] = result["counts"]
    if len({tuple(count) for count in counts.values()}) != 1:
        raise SystemExit(f"the contestants disagree on files, added and removed lines: {counts}")
    files, added, removed = counts[REFERENCE]
    print(f"{lines:,} lines, {size / 1e6:.1f} MB, {files:,} files, +{added:,} -{removed:,}; medians of {rounds} rounds")
    print(f"{'':15}{'seconds':>9}{'ratio':>8}{'peak MB':>9}")
    base = statistics.median(seconds[REFERENCE])
    for name in CONTESTANTS:
        middle = statistics.median(seconds[name])
        print(f"{name:15}{middle:9.2f}{middle / base:8.2f}{statistics.median(peaks[name]) / 1e6:9.0f}")


def main() -> None:
    options = argparse.ArgumentParser(description="measure the diff parser beside two others")
    options.add_argument("--lines", type=int, default=1_000_000)
    options.add_argument("--rounds", type=int, default=5)
    options.add_argument("--measure", nargs=2, metavar=("NAME", "FILE"), help="run one contestant and print JSON")
    chosen = options.parse_args()
    if chosen.measure:
        measure(chosen.measure[0], Path(chosen.measure[1]))
    else:
        compare(chosen.lines, chosen.rounds)


if __name__ == "__main__":
    main()
