"""Holds the parser and the position map against what git says of the same commits."""

import traceback
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from services.kit.diff.model import FileDiff, FileStatus, Hunk, LineKind, Side
from services.kit.diff.parser import parse_diff
from services.kit.diff.positions import PositionMap
from tests.unit.diff.gitfacts import (
    Blobs,
    Change,
    Count,
    first_parent_pairs,
    read_changes,
    read_counts,
    read_patches,
    without_missing_objects,
)

_STATUS = {
    "A": FileStatus.ADDED,
    "D": FileStatus.REMOVED,
    "M": FileStatus.MODIFIED,
    "R": FileStatus.RENAMED,
    "C": FileStatus.COPIED,
}
_EMPTY_BLOB = "e69de29bb2d1d6434b8b29ae775ad8c2e48c5391"
_GAINED = {Side.LEFT: LineKind.REMOVED, Side.RIGHT: LineKind.ADDED}


@dataclass
class Tally:
    """What was checked, and what did not agree."""

    commits: int = 0
    left_out: int = 0  # commits with a content that this copy of the repository lacks
    files: int = 0
    hunks: int = 0
    lines: int = 0
    statuses: set[tuple[FileStatus, bool]] = field(default_factory=set)  # with whether it was binary
    mismatches: list[str] = field(default_factory=list)


def check_history(
    repository: Path,
    limit: int | None = None,
    quote_path: bool = True,
    pairing: Sequence[str] = (),
    form: Sequence[str] = (),
) -> Tally:
    """Check every commit of a repository against its first parent; a mismatch is counted, not raised.

    `pairing` are further options on which files git compares, `form` on how the patch alone is written.
    """
    every = first_parent_pairs(repository, limit)
    pairs = without_missing_objects(repository, every)
    changes, counts = read_changes(repository, pairs, *pairing), read_counts(repository, pairs, *pairing)
    tally, unseen = Tally(len(pairs), len(every) - len(pairs)), changes.keys() | counts.keys()
    with Blobs(repository) as blobs:
        for commit, patch in read_patches(repository, pairs, *pairing, *form, quote_path=quote_path):
            unseen.discard(commit)
            try:
                _check_commit(list(parse_diff(patch)), changes[commit], counts[commit], blobs, tally)
            except Exception as error:  # whatever is wrong with a commit is its mismatch; the others follow
                where = traceback.extract_tb(error.__traceback__)[-1]
                tally.mismatches.append(f"{commit}: {type(error).__name__}: {error} [{where.name}: {where.line}]")
    tally.mismatches += [f"{commit}: git has changes, the patch has none" for commit in sorted(unseen)]
    return tally


def _check_commit(
    files: Sequence[FileDiff], changes: Sequence[Change], counts: Sequence[Count], blobs: Blobs, tally: Tally
) -> None:
    _check_counts(files, changes, counts)
    # A change of type (file, symlink, submodule) is one entry in raw form, and a deletion and an addition in a patch.
    expected = [part for change in changes for part in (_split(change) if change.letter == "T" else (change,))]
    assert len(files) == len(expected), f"{len(files)} files, git has {len(expected)}"
    for file, change in zip(files, expected, strict=True):
        check_headers(file, change)
        tally.files += 1
        tally.statuses.add((file.status, file.is_binary))
        tally.hunks += len(file.hunks)
        if file.is_binary:
            assert not file.hunks
            continue
        old, new = blobs.read(change.old_id, change.old_mode), blobs.read(change.new_id, change.new_mode)
        assert apply(old, file.hunks, Side.RIGHT) == new, f"{file.path!r} forward"
        assert apply(new, file.hunks, Side.LEFT) == old, f"{file.path!r} backward"
        check_positions(file.hunks, old, new)
        tally.lines += sum(hunk.old_count + hunk.new_count for hunk in file.hunks)


def check_headers(file: FileDiff, change: Change) -> None:
    """Status, paths, modes and similarity are those git gives in raw form; a mode may be missing where git has none."""
    status = _STATUS[change.letter]
    if status is FileStatus.MODIFIED and change.old_id == change.new_id:
        status = FileStatus.MODE_CHANGED
    assert (file.status, file.old_path, file.new_path) == (status, change.old_path, change.new_path)
    assert file.similarity == change.similarity
    modes = (change.old_mode, change.new_mode)
    unstated = change.old_id == change.new_id and change.old_mode == change.new_mode  # a pure rename has no index line
    assert (file.old_mode, file.new_mode) == ((None, None) if unstated else modes)


def _check_counts(files: Sequence[FileDiff], changes: Sequence[Change], counts: Sequence[Count]) -> None:
    """Added and removed lines by path are those of numstat, and so is what is binary."""
    assert len(counts) == len(changes)
    found: dict[tuple[bytes, bytes], list[FileDiff]] = {}
    for file in files:
        key = (file.old_path or file.path, file.new_path or file.path)
        found.setdefault(key, []).append(file)
    for count, change in zip(counts, changes, strict=True):
        if change.letter == "T":  # counted by git as a change of the content, shown as two whole files
            continue
        parts = found[(count.old_path, count.new_path)]
        if count.added is None or count.removed is None:
            # Where there is no difference in content, a patch has nothing to say of binary.
            empty = {change.old_id, change.new_id} <= {_EMPTY_BLOB, "0" * len(_EMPTY_BLOB)}
            assert any(part.is_binary for part in parts) or change.old_id == change.new_id or empty
            continue
        (part,) = parts
        kinds = [line.kind for hunk in part.hunks for line in hunk.lines()]
        assert not part.is_binary
        assert (kinds.count(LineKind.ADDED), kinds.count(LineKind.REMOVED)) == (count.added, count.removed)


def _split(change: Change) -> tuple[Change, Change]:
    none = "0" * len(change.old_id)
    return (
        replace(change, letter="D", new_path=None, new_mode=None, new_id=none),
        replace(change, letter="A", old_path=None, old_mode=None, old_id=none),
    )


def split_lines(content: bytes) -> list[bytes]:
    """Lines with their line feed; a last line without one is a line too."""
    parts = content.split(b"\n")
    return [part + b"\n" for part in parts[:-1]] + ([parts[-1]] if parts[-1] else [])


def apply(content: bytes, hunks: Sequence[Hunk], to: Side) -> bytes:
    """Turn the content of one side into that of side `to`; what the hunks say of `content` must be so exactly."""
    lines, result, at = split_lines(content), [], 0
    lost = _GAINED[Side.LEFT if to is Side.RIGHT else Side.RIGHT]
    for hunk in hunks:
        for line in hunk.lines():
            raw = line.text + (b"\n" if line.newline else b"")
            if line.kind is not _GAINED[to]:
                number = line.number(Side.LEFT if to is Side.RIGHT else Side.RIGHT)
                assert number is not None and number > at
                result += lines[at : number - 1]
                at = number
                assert lines[number - 1] == raw, f"line {number} is not what the hunk says"
            else:
                # Nothing but the hunk header says where an addition to an otherwise untouched place belongs.
                first = (hunk.old_first if to is Side.RIGHT else hunk.new_first) - 1
                result += lines[at:first]
                at = max(at, first)
            if line.kind is not lost:
                number = line.number(to)
                result.append(raw)
                assert number == len(result), f"line {number} on the new side comes as line {len(result)}"
    return b"".join(result + lines[at:])


def check_positions(hunks: Sequence[Hunk], old: bytes, new: bytes) -> None:
    """The map gives the lines of both contents, and pairs exactly those that no hunk changes."""
    positions = PositionMap(hunks)
    texts = {Side.LEFT: [line.removesuffix(b"\n") for line in split_lines(old)]}
    texts[Side.RIGHT] = [line.removesuffix(b"\n") for line in split_lines(new)]
    for index, hunk in enumerate(hunks):
        spans = {Side.LEFT: (hunk.old_start, hunk.old_count), Side.RIGHT: (hunk.new_start, hunk.new_count)}
        for side, (start, count) in spans.items():
            if count:
                assert positions.anchor_hunk(side, start, start + count - 1) == index
                assert positions.text(side, start, start + count - 1).split(b"\n") == texts[side][start - 1 :][:count]
    removed, added = (set(positions.changed_lines(side)) for side in (Side.LEFT, Side.RIGHT))
    kept_old = [number for number in range(1, len(texts[Side.LEFT]) + 1) if number not in removed]
    kept_new = [number for number in range(1, len(texts[Side.RIGHT]) + 1) if number not in added]
    assert [positions.to_new(number) for number in kept_old] == kept_new
    assert [positions.to_old(number) for number in kept_new] == kept_old
    assert all(positions.to_new(number) is None for number in removed)
    assert all(positions.to_old(number) is None for number in added)
