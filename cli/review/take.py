"""Takes a change from git, and writes nothing into the repository."""

import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import click

from cli.review.change import MAX_DIFF, MAX_TOTAL, Allowance, Change, File
from cli.review.contents import read_objects, read_working_file
from cli.review.git import Repository
from cli.review.ranges import Range, Until

_LINK, _SUBMODULE = "120000", "160000"
_MOST_HIDDEN = 500  # their names are words of a command


@dataclass(frozen=True, slots=True)
class _Record:
    """A changed file as `git diff --raw` names it; an object of zeros is one git has not hashed."""

    old_mode: str
    new_mode: str
    old_object: str
    new_object: str
    status: str
    old_path: bytes
    new_path: bytes


def take(repository: Repository, wanted: Range, inherited: Mapping[str, str], reserved: int = 0) -> Change:
    """Answer the change of a range; `reserved` bytes of the upload are for something else.

    Raises click.UsageError and NotCompletedError.
    """
    end = ["--cached"] if wanted.until is Until.INDEX else []
    commits = [wanted.base, wanted.head] if wanted.until is Until.COMMIT else [wanted.base]
    notes: list[str] = []
    with _index(repository, wanted, inherited, notes) as extra:
        if wanted.until is not Until.COMMIT:
            _refuse_conflicts(repository, extra)
        words = [*end, *commits, "--"]
        raw = repository.diff("--raw", "-z", "--no-abbrev", *words, limit=MAX_DIFF, extra=extra)
        records = list(_records(raw))
        diff = repository.diff("--full-index", *words, limit=MAX_DIFF, extra=extra) if records else b""
        allowance = Allowance(MAX_TOTAL - len(diff) - reserved)
        files = _files(repository, wanted, records, allowance)
        if hidden := _hidden(repository, words, records, files, extra):
            diff = _with_hidden(repository, words, hidden, extra)
            notes.append(f"read as text, whatever .gitattributes says: {_listed([each.new_path for each in hidden])}")
    return Change(
        repository.name,
        wanted.description,
        diff,
        files,
        wanted.base_commit,
        wanted.head,
        (*notes, *allowance.notes()),
    )


def _files(repository: Repository, wanted: Range, records: list[_Record], allowance: Allowance) -> tuple[File, ...]:
    files = [File(record.new_path) for record in records]
    heads, bases = [], []
    for file, record in zip(files, records, strict=True):
        if _is_text(record.new_mode):
            if wanted.until is Until.WORKING_TREE:
                file.head = read_working_file(repository.root, record.new_path, allowance)
            else:
                heads.append((record.new_path, record.new_object))
        if _is_text(record.old_mode):
            bases.append((record.new_path, record.old_object))
    at_head = read_objects(repository, heads, allowance)
    at_base = read_objects(repository, bases, allowance)
    for file, record in zip(files, records, strict=True):
        if file.head is None and _is_text(record.new_mode):
            file.head = at_head.get(record.new_object)
        if _is_text(record.old_mode):
            file.base = at_base.get(record.old_object)
    return tuple(files)


def _hidden(
    repository: Repository,
    words: list[str],
    records: list[_Record],
    files: tuple[File, ...],
    extra: Mapping[str, str],
) -> list[_Record]:
    """Answer the changed text files of which git shows no lines: attributes of the repository call them binary.

    A change that brings `*.py -diff` would else keep its own code from being read.
    """
    numbers = iter(repository.diff("--numstat", "-z", *words, limit=MAX_DIFF, extra=extra).split(b"\0"))
    silent = set()
    for entry in numbers:
        _, _, path = entry.partition(b"\t-\t")
        if not path and entry.endswith(b"\t"):  # renamed: both names follow
            next(numbers)
            path = next(numbers)
        if entry.startswith(b"-\t-\t"):
            silent.add(path)
    return [
        record
        for record, file in zip(records, files, strict=True)
        if record.new_path in silent
        and (file.head is not None or not _is_text(record.new_mode))
        and (file.base is not None or not _is_text(record.old_mode))
    ][:_MOST_HIDDEN]


def _with_hidden(repository: Repository, words: list[str], hidden: list[_Record], extra: Mapping[str, str]) -> bytes:
    """Answer the diff of everything else, then that of the hidden files as text."""
    paths = [os.fsdecode(path) for path in dict.fromkeys(p for each in hidden for p in (each.old_path, each.new_path))]
    others = [f":(top,literal,exclude){path}" for path in paths]
    magic = {**extra, "GIT_LITERAL_PATHSPECS": "0"}
    shown = repository.diff("--full-index", *words, *others, limit=MAX_DIFF, extra=magic)
    text = repository.diff("--text", "--full-index", *words, *paths, limit=MAX_DIFF - len(shown), extra=extra)
    return shown + text


def _listed(paths: list[bytes]) -> str:
    shown = ", ".join(path.decode(errors="replace") for path in paths[:3])
    return shown + (f" and {len(paths) - 3} more" if len(paths) > 3 else "")


def _is_text(mode: str) -> bool:
    """Tell an ordinary file; links, submodules and what is not there have no contents to read."""
    return mode not in (_LINK, _SUBMODULE) and int(mode, 8) != 0


def _records(raw: bytes) -> Iterator[_Record]:
    """Read `git diff --raw -z`: a header, then one path, or two where a file was renamed or copied."""
    fields = iter(raw.split(b"\0"))
    for header in fields:
        if not header.startswith(b":"):
            continue
        old_mode, new_mode, old_object, new_object, status = header[1:].decode("ascii").split(" ")
        old_path = next(fields)
        new_path = next(fields) if status[0] in "RC" else old_path
        yield _Record(old_mode, new_mode, old_object, new_object, status[0], old_path, new_path)


def _refuse_conflicts(repository: Repository, extra: Mapping[str, str]) -> None:
    listed = repository.run("ls-files", "--unmerged", "-z", extra=extra).split(b"\0")
    conflicts = sorted({line.partition(b"\t")[2].decode(errors="replace") for line in listed if line})
    if conflicts:
        shown = ", ".join(conflicts[:3])
        raise click.UsageError(f"a merge is not finished, so there is no change to review yet: {shown}")


@contextmanager
def _index(
    repository: Repository, wanted: Range, inherited: Mapping[str, str], notes: list[str]
) -> Iterator[Mapping[str, str]]:
    """Give the environment that names the index to compare with.

    For the working tree a copy of the user's, to which the untracked files are added with no content: git then shows
    them as new, in one diff with everything else, renames found. `update-index --index-info` takes object names as
    they are, so no object is written, as `git add --intent-to-add` would; and the user's index is only read.
    """
    current = _current_index(repository, inherited)
    if wanted.until is not Until.WORKING_TREE:
        yield {} if current is None else {"GIT_INDEX_FILE": str(current)}
        return
    untracked = _untracked(repository, notes)
    if not untracked:
        yield {}
        return
    with tempfile.TemporaryDirectory(prefix="lintel-review-") as directory:
        copy = Path(directory) / "index"
        original = repository.git_dir / "index"
        if original.exists():
            shutil.copy2(original, copy)  # its time too: git tells by it which entries it has to look at
        extra = {"GIT_INDEX_FILE": str(copy)}
        empty = repository.run("hash-object", "-t", "blob", "--stdin").strip()
        lines = b"".join(b"100644 " + empty + b" 0\t" + path + b"\0" for path in untracked)
        repository.run("update-index", "--add", "--replace", "-z", "--index-info", given=lines, extra=extra)
        yield extra


def _untracked(repository: Repository, notes: list[str]) -> list[bytes]:
    listed = repository.run("ls-files", "--others", "--exclude-standard", "-z").split(b"\0")
    nested = [path for path in listed if path.endswith(b"/")]
    if nested:
        names = ", ".join(path.decode(errors="replace") for path in nested[:3])
        notes.append(f"another repository lies in {names}: it is not read")
    files = [path for path in listed if path and not path.endswith(b"/")]
    closed = [path for path in files if not _can_be_read(repository.root / os.fsdecode(path))]
    if closed:  # git would give up over one of them
        notes.append(f"not read, as the file is closed to you: {_listed(closed)}")
    return [path for path in files if path not in set(closed)]


def _can_be_read(path: Path) -> bool:
    return path.is_symlink() or os.access(path, os.R_OK)


def _current_index(repository: Repository, inherited: Mapping[str, str]) -> Path | None:
    """Answer the index git itself names while a commit hook runs: with `git commit -a` it is not the usual one."""
    named = inherited.get("GIT_INDEX_FILE")
    if not named:
        return None
    path = Path(os.path.realpath(repository.root / named))
    inside = path.is_relative_to(os.path.realpath(repository.git_dir))
    return path if inside and path.is_file() else None
