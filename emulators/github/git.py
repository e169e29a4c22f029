"""Reads a local git repository, through the `git` binary, with the user's and the repository's taste switched off."""

from __future__ import annotations

import asyncio
import hashlib
import os
import re
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

EMPTY_TREE = "4b825dc642cb6eb9a060e54bf8d69288fbee4904"
_LAST_SECOND = 253402300799  # the end of the year 9999, where datetime ends
_SHA = re.compile(r"[0-9a-f]{40}")
_REF = re.compile(r"(?!-)[^\x00-\x20~^:?*\[\\@{}\x7f]+")

# Attributes of the work tree would hide text as binary and change hunk headers; a bare view has no work tree, and the
# attribute source of newer versions is pointed at nothing.
_FIXED = (
    "core.bare=true",
    "core.fsmonitor=false",
    "core.hooksPath=/dev/null",
    "core.attributesFile=/dev/null",
    f"attr.tree={EMPTY_TREE}",
    "core.quotePath=true",
    "diff.suppressBlankEmpty=false",
    "diff.ignoreSubmodules=none",
    "diff.orderFile=/dev/null",
    "safe.directory=*",
)
DIFF_OPTIONS = (
    *("--no-color", "--no-ext-diff", "--no-textconv", "--full-index", "--src-prefix=a/", "--dst-prefix=b/"),
    *("--find-renames=50%", "-l1000", "--diff-algorithm=myers", "--indent-heuristic", "--inter-hunk-context=0"),
    "--submodule=short",
)


class GitError(Exception):
    """A git command failed; the text is git's own complaint."""


@dataclass(frozen=True)
class Commit:
    """What a commit says; times are ISO 8601 in UTC."""

    sha: str
    tree: str
    parents: tuple[str, ...]
    author: tuple[str, str, str]
    committer: tuple[str, str, str]
    message: str


@dataclass(frozen=True)
class TreeEntry:
    """One line of a tree: `kind` is blob, tree or commit; `size` is None for all but blobs."""

    mode: str
    kind: str
    sha: str
    size: int | None
    path: bytes


class GitRepository:
    """A read-only view of one repository, plus one commit that is not in it: the empty base."""

    def __init__(self, path: str | Path) -> None:
        self._path = Path(path)
        self._git_dir: str | None = None
        text = f"tree {EMPTY_TREE}\nauthor Nobody <> 0 +0000\ncommitter Nobody <> 0 +0000\n\nempty base\n"
        sha = hashlib.sha1(b"commit %d\0" % len(text) + text.encode(), usedforsecurity=False).hexdigest()
        epoch = ("Nobody", "", "1970-01-01T00:00:00Z")
        self.empty_base = Commit(sha, EMPTY_TREE, (), epoch, epoch, "empty base")
        self._commits: dict[str, Commit] = {sha: self.empty_base}

    async def run(self, *arguments: str, data: bytes | None = None) -> bytes:
        """Returns what git printed; GitError with its complaint when it failed."""
        if self._git_dir is None:
            found = await self._call(("-C", str(self._path), "rev-parse", "--absolute-git-dir"), None)
            self._git_dir = os.fsdecode(found.removesuffix(b"\n"))
        return await self._call((f"--git-dir={self._git_dir}", *arguments), data)

    async def _call(self, arguments: tuple[str, ...], data: bytes | None) -> bytes:
        environment = {key: value for key, value in os.environ.items() if not key.startswith("GIT_")}
        environment |= {"GIT_CONFIG_NOSYSTEM": "1", "GIT_CONFIG_GLOBAL": os.devnull, "GIT_OPTIONAL_LOCKS": "0"}
        environment |= {"LC_ALL": "C", "GIT_TERMINAL_PROMPT": "0", "GIT_NO_LAZY_FETCH": "1"}
        options = [item for setting in _FIXED for item in ("-c", setting)]
        if arguments[0] == "-C":
            options = ["-c", "safe.directory=*"]
        try:
            process = await asyncio.create_subprocess_exec(
                "git",
                *options,
                *arguments,
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.PIPE,
                env=environment,
                start_new_session=True,  # Ctrl-C at a terminal is for the program that asked, not for its git
            )
        except FileNotFoundError:
            raise GitError("the git program is not installed") from None
        out, err = await process.communicate(data or b"")
        if process.returncode != 0:
            raise GitError(err.decode("utf-8", "replace").strip() or f"git ended with {process.returncode}")
        return out

    async def resolve(self, ref: str) -> str | None:
        """Returns the commit that a sha, branch, tag or remote branch names, or None; no revision arithmetic."""
        if ref in self._commits:
            return ref
        if not _REF.fullmatch(ref) or ".." in ref:
            return None
        branches = (
            () if _SHA.fullmatch(ref) else (f"refs/heads/{ref}", f"refs/tags/{ref}", f"refs/remotes/origin/{ref}")
        )
        for candidate in (ref, *branches):
            try:
                out = await self.run("rev-parse", "--verify", "--quiet", "--end-of-options", candidate + "^{commit}")
            except GitError:
                continue
            return out.decode().strip()
        return None

    async def revision(self, ref: str) -> str:
        """Returns the commit for a revision that our own caller wrote (`HEAD~1` works); GitError when there is none."""
        if ref in self._commits:
            return ref
        try:
            out = await self.run("rev-parse", "--verify", "--end-of-options", ref + "^{commit}")
        except GitError as error:
            raise GitError(f"{ref!r} names no commit of the repository at {self._path}: {error}") from None
        return out.decode().strip()

    async def commit(self, sha: str) -> Commit:
        """Reads one commit; GitError when it isn't there."""
        if sha not in self._commits:
            form = "%T%x00%P%x00%an%x00%ae%x00%at%x00%cn%x00%ce%x00%ct%x00%B"
            out = await self.run("log", "-1", "--no-show-signature", "--encoding=UTF-8", f"--format={form}", sha, "--")
            tree, parents, *who, message = out.decode("utf-8", "replace").split("\0", 8)
            author, committer = (_person(*who[:3]), _person(*who[3:]))
            self._commits[sha] = Commit(sha, tree, tuple(parents.split()), author, committer, message.rstrip("\n"))
        return self._commits[sha]

    async def merge_base(self, one: str, other: str) -> str | None:
        """Returns the best common ancestor, or None for unrelated histories; the empty base precedes everything."""
        if self.empty_base.sha in (one, other):
            return self.empty_base.sha
        try:
            return (await self.run("merge-base", one, other)).decode().strip()
        except GitError:
            return None

    async def commits_between(self, base: str, head: str) -> list[str]:
        """Returns the commits reachable from head and not from base, oldest first."""
        if head == self.empty_base.sha:
            return []
        exclude = [] if base == self.empty_base.sha else [f"^{base}"]
        out = await self.run("rev-list", "--topo-order", "--reverse", head, *exclude, "--")
        return out.decode().split()

    async def object_kind(self, sha: str) -> tuple[str, int] | None:
        """Returns kind and size of an object, or None when it isn't there; the sha is 40 hex digits."""
        if not _SHA.fullmatch(sha):
            return None
        out = (await self.run("cat-file", "--batch-check", data=sha.encode() + b"\n")).decode().split()
        return None if out[-1] == "missing" else (out[1], int(out[2]))

    async def blob(self, sha: str) -> bytes:
        """Returns the content of a blob; GitError when it isn't one."""
        return await self.run("cat-file", "blob", sha)

    async def tree(self, sha: str, *, recursive: bool = False) -> list[TreeEntry]:
        """Lists a tree by its sha; recursive lists the inner trees too."""
        flags = ("-r", "-t") if recursive else ()
        out = await self.run("ls-tree", "-l", "-z", "--full-tree", *flags, sha)
        return [_entry(record) for record in out.split(b"\0") if record]

    async def entry(self, tree: str, path: bytes) -> TreeEntry | None:
        """Returns the entry at a path below a tree (None when there is none); walks names, so no pathspec magic."""
        found: TreeEntry | None = None
        for name in path.split(b"/"):
            if found is not None and found.kind != "tree":
                return None
            entries = await self.tree(tree if found is None else found.sha)
            found = next((entry for entry in entries if entry.path == name), None)
            if found is None:
                return None
        return found

    async def tree_of(self, sha: str) -> str:
        """Returns the tree of a commit."""
        return (await self.commit(sha)).tree


def _person(name: str, email: str, seconds: str) -> tuple[str, str, str]:
    return name, email, iso(float(seconds))


def iso(seconds: float) -> str:
    """Returns epoch seconds as GitHub writes time: UTC, whole seconds, `Z`."""
    moment = datetime.fromtimestamp(min(max(int(seconds), 0), _LAST_SECOND), UTC)
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")


def _entry(record: bytes) -> TreeEntry:
    head, _, path = record.partition(b"\t")
    mode, kind, sha, size = head.decode().split()
    return TreeEntry(mode, kind, sha, None if size == "-" else int(size), path)
