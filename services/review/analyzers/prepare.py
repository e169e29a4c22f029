"""Decides what becomes of each changed file, and makes targets of those worth reading."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from services.kit.diff.errors import DiffError
from services.kit.diff.model import FileDiff, FileStatus, Hunk, LineKind
from services.kit.diff.parser import parse_patch
from services.review.analyzers.target import AddedLine, Target
from services.review.domain import Fate, FileReport, SourceFile
from services.review.evidence.paths import path_text

MAX_LINE = 64 * 1024  # bytes; no person wrote a longer one
MAX_CONTENT = 2 * 1024 * 1024  # bytes of a whole file given to parsers

_STATUS = {
    "added": FileStatus.ADDED,
    "removed": FileStatus.REMOVED,
    "renamed": FileStatus.RENAMED,
    "copied": FileStatus.COPIED,
    "mode_changed": FileStatus.MODE_CHANGED,
}
_LOCK_FILES = frozenset(
    b"package-lock.json npm-shrinkwrap.json yarn.lock pnpm-lock.yaml bun.lock bun.lockb poetry.lock uv.lock pdm.lock "
    b"pipfile.lock cargo.lock gemfile.lock composer.lock go.sum packages.lock.json flake.lock mix.lock pubspec.lock "
    b"gradle.lockfile podfile.lock package.resolved deno.lock .terraform.lock.hcl".split()
)
_GENERATED_NAMES = (
    b".min.js",
    b".min.css",
    b".map",
    b".pb.go",
    b"_pb2.py",
    b"_pb2_grpc.py",
    b"_pb2.pyi",
    b".g.dart",
    b".designer.cs",
)
# A mark counts in a comment only: a program that speaks of generated code is not generated itself.
_GENERATED_MARK = re.compile(
    rb"^[+ \t]*(?://|#|/?\*|--|;|<!--)[^\n]{0,80}?"
    rb"(?:@generated\b|\b(?:code|file)[ \w]{0,40}generated[^\n]{0,80}do not (?:edit|modify))",
    re.I | re.M,
)
_LFS = b"version https://git-lfs.github.com/spec/v1\n"
_SUBMODULE = re.compile(rb"[+-]Subproject commit [0-9a-f]{40,64}")
_EXTENSION = re.compile(r"[a-z0-9]{1,8}")


@dataclass(frozen=True, slots=True)
class Prepared:
    """One file after preparation: its diff for the evidence, its report, and a target if it is read."""

    diff: FileDiff
    report: FileReport
    target: Target | None


def prepare(files: Sequence[SourceFile], folder: Path) -> list[Prepared]:
    """Read the patches and write the copies that tools work on into `folder`, under names of our own."""
    return [_prepare(file, index, folder) for index, file in enumerate(files)]


def _prepare(file: SourceFile, index: int, folder: Path) -> Prepared:
    notes = _notes(file)
    try:
        hunks = parse_patch(file.patch) if file.patch else ()
        problem = None
    except DiffError as error:
        hunks, problem = (), f"the patch can't be read: {error}"
    diff = _diff(file, hunks)
    reason = _why_skipped(file) or problem or _why_without_lines(file, hunks)
    if reason:
        return Prepared(diff, _report(file, Fate.SKIPPED, reason, len(hunks), 0, notes), None)
    lines, unread = _added(hunks)
    target = replace(_target(file, lines, _head(file, hunks), index, folder), hunks=hunks)
    if unread:
        reason = f"lines longer than {MAX_LINE // 1024} KiB were not read"
        return Prepared(diff, _report(file, Fate.PARTIAL, reason, len(hunks), len(hunks) - unread, notes), target)
    if file.head is not None and len(file.head) > MAX_CONTENT:
        reason = f"larger than {MAX_CONTENT // 1024 // 1024} MiB: only its changed lines were read"
        return Prepared(diff, _report(file, Fate.PARTIAL, reason, len(hunks), len(hunks), notes), target)
    return Prepared(diff, _report(file, Fate.REVIEWED, None, len(hunks), len(hunks), notes), target)


def _report(
    file: SourceFile, fate: Fate, reason: str | None, hunks: int, read: int, notes: tuple[str, ...]
) -> FileReport:
    return FileReport(path_text(file.path), file.status, fate, reason, hunks, read, notes)


def _diff(file: SourceFile, hunks: tuple[Hunk, ...]) -> FileDiff:
    status = _STATUS.get(file.status, FileStatus.MODIFIED)
    old = None if status is FileStatus.ADDED else file.previous_path or file.path
    new = None if status is FileStatus.REMOVED else file.path
    return FileDiff(old, new, status, hunks, file.old_mode, file.new_mode)


def _notes(file: SourceFile) -> tuple[str, ...]:
    unread = (file.reason,) if file.reason and file.patch else ()  # without a patch it is why the file is skipped
    if file.new_mode == "100755" and file.old_mode != "100755":
        return ("new executable bit", *unread)
    if file.old_mode and file.new_mode and file.old_mode != file.new_mode:
        return (f"mode {file.old_mode} became {file.new_mode}", *unread)
    return unread


def _why_skipped(file: SourceFile) -> str | None:
    """The reason why nobody reads this file, from what it is rather than from what its lines say."""
    modes, patch, head = {file.old_mode, file.new_mode}, file.patch or b"", file.head or b""
    body = patch.partition(b"\n")[2]
    name = file.path.rsplit(b"/", 1)[-1].lower()
    if "160000" in modes or (body and all(_SUBMODULE.fullmatch(line) for line in body.rstrip(b"\n").split(b"\n"))):
        return "submodule"
    if "120000" in modes:
        return "symbolic link"
    if patch.startswith((b"Binary files ", b"GIT binary patch")) or b"\0" in patch or b"\0" in head[:8000]:
        return "binary"
    if file.status == "removed":
        return "file removed"
    if head.startswith(_LFS) or b"\n+" + _LFS in patch:
        return "LFS pointer"
    if name in _LOCK_FILES:
        return "lock file"
    if name.endswith(_GENERATED_NAMES) or _GENERATED_MARK.search(head[:2000] or body[:2000]):
        return "generated"
    return None


def _why_without_lines(file: SourceFile, hunks: Sequence[Hunk]) -> str | None:
    if hunks:
        return None if any(hunk.new_count for hunk in hunks) else "only lines removed"
    if file.status in ("renamed", "copied") and not file.reason:
        return f"{file.status} without changes"
    if file.old_mode and file.new_mode and file.old_mode != file.new_mode:
        return "only the mode changed"
    if file.patch is None:
        return file.reason or "the code host gave no patch"
    return "no changed lines"


def _added(hunks: Sequence[Hunk]) -> tuple[tuple[AddedLine, ...], int]:
    """The added lines that are short enough to read, and the number of hunks that hold a longer one."""
    lines: list[AddedLine] = []
    unread = 0
    for hunk in hunks:
        complete = True
        for kind, _, number, text, _ in hunk.lines():
            if kind is LineKind.ADDED and number is not None:
                if len(text) > MAX_LINE:
                    complete = False
                else:
                    lines.append(AddedLine(number, text.decode("utf-8", "replace")))
        unread += not complete
    return tuple(lines), unread


def _head(file: SourceFile, hunks: Sequence[Hunk]) -> bytes | None:
    """The whole new file: as it was fetched, or what the patch of an added file amounts to."""
    head = file.head
    if head is None and file.status == "added" and len(hunks) == 1 and hunks[0].old_count == 0:
        head = b"".join(line.text + (b"\n" if line.newline else b"") for line in hunks[0].lines())
    if head is None or len(head) > MAX_CONTENT or max(map(len, head.split(b"\n"))) > MAX_LINE:
        return None
    return head


def _target(file: SourceFile, lines: tuple[AddedLine, ...], head: bytes | None, index: int, folder: Path) -> Target:
    path = path_text(file.path)
    stem, _, suffix = path.rsplit("/", 1)[-1].lower().rpartition(".")
    extension = suffix if stem and _EXTENSION.fullmatch(suffix) else ""
    target = Target(path, extension, lines, head)
    if head is None:
        return target
    # A lone carriage return ends a line for most parsers but for no code host; a blank keeps columns and numbers.
    copy = f"f{index:05d}.{extension}" if extension else f"f{index:05d}"
    # Tools give up on a file with one byte that is not UTF-8; an invalid byte becomes U+FFFD, as in a quote.
    readable = head.decode("utf-8", "replace").encode()
    (folder / copy).write_bytes(re.sub(rb"\r(?!\n)", b" ", readable))
    return replace(target, copy=copy)
