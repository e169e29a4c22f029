"""Which change is meant: the words of the command line, resolved against the repository."""

from dataclasses import dataclass
from enum import Enum

import click

from cli.review.git import Repository

_CANDIDATES = (
    *("refs/remotes/origin/main", "refs/remotes/origin/master"),
    *("refs/heads/main", "refs/heads/master"),
)


class Until(Enum):
    """Where a change ends."""

    WORKING_TREE = "the working tree"
    INDEX = "the index"
    COMMIT = "a commit"


@dataclass(frozen=True, slots=True)
class Range:
    """A change between two places; `base` is a commit or the empty tree, `head` a commit where it ends at one."""

    base: str
    until: Until
    description: str
    base_commit: str = ""  # empty for the empty tree
    head: str = ""


def resolve(repository: Repository, base: str | None, head: str | None, *, staged: bool) -> Range:
    """Answer the range that is meant. Raises click.UsageError that says what is wrong with the words given."""
    if staged and (base or head):
        raise click.UsageError("--staged is a range of its own: leave --base and --head away")
    if base is not None or head is not None:
        return _three_dot(repository, base, head or "HEAD")
    if repository.is_bare:
        raise click.UsageError("a bare repository has no working tree; name a range with --base REF and --head REF")
    tip = repository.commit("HEAD")
    if staged:
        start, told = (tip, "HEAD") if tip else (_empty_tree(repository), "the empty tree (there is no commit yet)")
        return Range(start, Until.INDEX, f"what is staged, against {told}", tip or "")
    if tip is None:
        told = "the working tree, against the empty tree (there is no commit yet)"
        return Range(_empty_tree(repository), Until.WORKING_TREE, told)
    return _to_working_tree(repository, tip)


def _to_working_tree(repository: Repository, tip: str) -> Range:
    branch = default_branch(repository)
    if branch is None:
        told = "the working tree, against HEAD (no default branch: neither origin/HEAD nor main nor master)"
        return Range(tip, Until.WORKING_TREE, told, tip)
    start = _merge_base(repository, branch, "HEAD")
    told = f"the working tree, against {start[:12]}, where HEAD left {_short(branch)}"
    if start == tip:
        told = f"the working tree, against HEAD (nothing is committed that {_short(branch)} does not have)"
    return Range(start, Until.WORKING_TREE, told, start)


def _three_dot(repository: Repository, base: str | None, head: str) -> Range:
    tip = _require(repository, head)
    if base is None:
        base = default_branch(repository)
        if base is None:
            raise click.UsageError("there is no default branch (origin/HEAD, main, master): name one with --base REF")
    _require(repository, base)
    start = _merge_base(repository, base, head)
    return Range(start, Until.COMMIT, f"{_short(base)}...{head}", start, tip)


def default_branch(repository: Repository) -> str | None:
    """Answer the full name of the default branch: what origin/HEAD says, else main or master; None without any."""
    said = repository.ask("symbolic-ref", "--quiet", "refs/remotes/origin/HEAD")
    candidates = [said, *_CANDIDATES] if said else [*_CANDIDATES]
    return next((name for name in candidates if repository.commit(name)), None)


def _merge_base(repository: Repository, base: str, head: str) -> str:
    first, second = _require(repository, base), _require(repository, head)
    found = repository.ask("merge-base", first, second)
    if found is not None:
        return found.splitlines()[0]
    if repository.is_shallow:
        raise click.UsageError(
            f"this clone is shallow and does not reach back to where {_short(head)} left {_short(base)}; "
            "fetch more of it: git fetch --unshallow (in CI: a checkout with fetch-depth 0)"
        )
    raise click.UsageError(f"{_short(base)} and {_short(head)} have no commit in common")


def _require(repository: Repository, revision: str) -> str:
    found = repository.commit(revision)
    if found is None:
        cut = " (the clone is shallow: git fetch --unshallow)" if repository.is_shallow else ""
        raise click.UsageError(f"{revision!r} is not a commit of {repository.root}{cut}")
    return found


def _empty_tree(repository: Repository) -> str:
    return repository.run("hash-object", "-t", "tree", "--stdin").decode("ascii").strip()


def _short(name: str) -> str:
    return name.removeprefix("refs/heads/").removeprefix("refs/remotes/")
