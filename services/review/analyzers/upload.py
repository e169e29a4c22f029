"""A change that arrived whole: one unified diff and the contents of its files, told apart in the child only."""

from collections.abc import Mapping, Sequence
from typing import Any

from services.kit.diff.errors import DiffError
from services.kit.diff.model import FileDiff, FileStatus, Hunk
from services.kit.diff.parser import parse_diff
from services.review.analyzers.frames import FrameError
from services.review.analyzers.limits import Limits
from services.review.analyzers.prepare import MAX_CONTENT
from services.review.domain import SourceFile, Upload
from services.review.evidence.paths import path_text

MAX_FILES = 10_000
MAX_PATH = 4096  # bytes; that of Linux
_STATUSES = frozenset({"added", "removed", "modified", "renamed", "copied", "changed"})
_BINARY = b"Binary files differ"  # as a patch says it


class SourceInvalidError(Exception):
    """The upload can't be read; the text is for its sender and quotes nothing of it."""


def encode_upload(upload: Upload, limits: Limits) -> tuple[dict[str, Any], list[bytes]]:
    """The request and the blobs it refers to by number; the parent looks into none of them."""
    blobs = [upload.diff]
    files = []
    for file in upload.files:
        entry = [len(blobs), None]
        blobs.append(file.path)
        if file.head is not None:
            entry[1] = len(blobs)
            # One byte more than is read tells the child that there is more.
            blobs.append(file.head[: MAX_CONTENT + 1])
        files.append(entry)
    sarif = None
    if upload.sarif is not None:
        sarif = len(blobs)
        blobs.append(upload.sarif)
    request = {
        "upload": {"files": files, "sarif": sarif},
        "blobs": len(blobs),
        "seconds": limits.seconds * 0.9,  # the child stops by itself a little earlier than it is stopped
        "findings": limits.findings,
    }
    return request, blobs


def read_upload(request: Mapping[str, Any], blobs: Sequence[bytes]) -> list[SourceFile]:
    """The changed files of an upload, on the child's side. Raises SourceInvalidError."""
    heads = {blobs[path]: blobs[head] for path, head in request["files"] if head is not None}
    files: list[SourceFile] = []
    try:
        for diff in parse_diff(blobs[0]):
            if len(files) == MAX_FILES:
                raise SourceInvalidError(f"the diff names more than {MAX_FILES:,} files")
            if any(len(path) > MAX_PATH or b"\0" in path for path in (diff.old_path, diff.new_path) if path):
                raise SourceInvalidError(f"a path in the diff is longer than {MAX_PATH:,} bytes, or has a NUL in it")
            files.append(_source_file(diff, heads))
    except DiffError as error:
        raise SourceInvalidError(str(error)) from None
    return files


def _source_file(diff: FileDiff, heads: Mapping[bytes, bytes]) -> SourceFile:
    is_removed = diff.status is FileStatus.REMOVED
    moved = diff.status in (FileStatus.RENAMED, FileStatus.COPIED)
    return SourceFile(
        path=diff.path,
        status="changed" if diff.status is FileStatus.MODE_CHANGED else diff.status.value,
        previous_path=diff.old_path if moved else None,
        patch=_BINARY if diff.is_binary else b"".join(map(_patch, diff.hunks)),
        head=None if is_removed else heads.get(diff.path),
        old_mode=diff.old_mode,
        new_mode=diff.new_mode,
    )


def _patch(hunk: Hunk) -> bytes:
    header = b"@@ -%d,%d +%d,%d @@" % (hunk.old_start, hunk.old_count, hunk.new_start, hunk.new_count)
    end = b"" if hunk.body.endswith(b"\n") else b"\n"
    return b"%b %b\n%b%b" % (header, hunk.section, hunk.body, end)


def encode_listing(files: Sequence[SourceFile]) -> dict[str, Any]:
    """What the child found in the diff, which the parent can't know."""
    return {"type": "source", "files": [[path_text(file.path), file.status] for file in files]}


def decode_listing(message: Mapping[str, Any]) -> tuple[SourceFile, ...]:
    """The names and fates of the files, as far as anything the child says is believed. Raises FrameError."""
    rows = message.get("files")
    if not isinstance(rows, list) or len(rows) > MAX_FILES:
        raise FrameError("the child's list of files is malformed or too long")
    return tuple(_listed(row) for row in rows)


def _listed(row: object) -> SourceFile:
    match row:
        case [str() as path, str() as status] if status in _STATUSES and 0 < len(path) <= MAX_PATH and "\0" not in path:
            return SourceFile(path.encode("utf-8", "replace"), status)
    raise FrameError("the child's list of files is malformed")


def decode_invalid(message: Mapping[str, Any]) -> SourceInvalidError:
    """Why the child could not read the upload. Raises FrameError."""
    reason = message.get("reason")
    if not isinstance(reason, str) or not 0 < len(reason) <= 400 or not reason.isprintable():
        raise FrameError("the child's reason is malformed")
    return SourceInvalidError(reason)
