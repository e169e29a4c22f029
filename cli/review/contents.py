"""Contents of files: from git by object name, from the working tree without following any link."""

import os
import stat
from collections.abc import Iterable, Mapping
from pathlib import Path

from cli.review.change import MAX_FILE, Allowance, is_binary
from cli.review.git import Repository


def read_objects(
    repository: Repository, wanted: Iterable[tuple[bytes, str]], allowance: Allowance
) -> Mapping[str, bytes]:
    """Answer the contents of blobs by their name; `wanted` pairs each name with the path it is for.

    Asked by name and not by path, so that no path can be misread. Text only; what is large, binary or not in this
    clone is left out.
    """
    pairs = dict.fromkeys(wanted)
    if not pairs:
        return {}
    asked = "".join(f"{name}\n" for _, name in pairs).encode("ascii")
    answers = repository.run("cat-file", "--batch-check=%(objecttype) %(objectsize)", given=asked).splitlines()
    admitted = []
    for (path, name), answer in zip(pairs, answers, strict=True):
        kind, _, size = answer.partition(b" ")
        if kind != b"blob":
            allowance.omit(path, "not in this clone")
        elif allowance.admit(path, int(size)):
            admitted.append((path, name))
    if not admitted:
        return {}
    asked = "".join(f"{name}\n" for _, name in admitted).encode("ascii")
    return _split(repository.run("cat-file", "--batch", given=asked), admitted, allowance)


def _split(answer: bytes, admitted: list[tuple[bytes, str]], allowance: Allowance) -> dict[str, bytes]:
    found = {}
    at = 0
    for path, name in admitted:
        header_end = answer.index(b"\n", at)
        size = int(answer[at:header_end].rpartition(b" ")[2])
        content = answer[header_end + 1 : header_end + 1 + size]
        at = header_end + size + 2
        if is_binary(content):
            allowance.omit(path, "binary")
        else:
            found[name] = content
    return found


def read_working_file(root: Path, path: bytes, allowance: Allowance) -> bytes | None:
    """Answer a file of the working tree; None when it is no ordinary text file, or a link stands in its way."""
    try:
        descriptor = _open(root, path)
    except OSError as error:
        allowance.omit(path, f"can't be opened ({error.strerror})")
        return None
    with os.fdopen(descriptor, "rb") as file:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            allowance.omit(path, "no ordinary file")
            return None
        if not allowance.admit(path, status.st_size):
            return None
        content = file.read(MAX_FILE + 1)
    allowance.left -= len(content) - status.st_size  # it may have grown since
    if is_binary(content) or len(content) > MAX_FILE:
        allowance.omit(path, "binary" if is_binary(content) else "larger than 1 MB")
        return None
    return content


def _open(root: Path, path: bytes) -> int:
    """Open component by component, so that no link leads out of the repository; never waits for a pipe."""
    *directories, name = path.split(b"/")
    if any(part in (b"", b".", b"..") for part in (*directories, name)):
        raise OSError(0, "not a path below the repository")
    place = os.open(root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        for part in directories:
            below = os.open(part, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=place)
            os.close(place)
            place = below
        return os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=place)
    finally:
        os.close(place)
