"""Which change the demo reviews: two commits of a local repository, checked before anything starts."""

import subprocess
from dataclasses import dataclass
from pathlib import Path

import click

from services.kit.diff.git import git_command, git_environment

WHOLE_TREE = "the whole tree"
LAST_COMMITS = 5  # what the demo shows of a repository when no range is named


@dataclass(frozen=True, slots=True)
class DemoChange:
    """A range of commits; `base` is None for the empty tree."""

    repository: Path
    base: str | None
    head: str
    description: str


class ChangeError(click.ClickException):
    """The words don't name a change; the message says what to do."""

    exit_code = 2


def resolve(repository: Path, base: str | None, head: str | None) -> DemoChange:
    """Answer the change that is meant. Raises ChangeError that says what is wrong with the words given."""
    if not repository.is_dir():
        raise ChangeError(f"{repository} is no directory; name a git repository with --repo PATH")
    is_bare = _git(repository, "rev-parse", "--is-bare-repository") == "true"
    root = str(repository.absolute()) if is_bare else _git(repository, "rev-parse", "--show-toplevel")
    if root is None:
        raise ChangeError(f"{repository} is not in a git repository; name one with --repo PATH")
    top = Path(root)
    head_sha = _commit(top, head or "HEAD")
    if base is not None:
        base_sha: str | None = _commit(top, base)
        described = f"{base}..{head or 'HEAD'}"
    else:
        base_sha, described = _last_commits(top, head_sha)
    if base_sha is not None and _tree(top, base_sha) == _tree(top, head_sha):
        raise ChangeError(
            f"there is nothing to review: no file differs in {described}; name others with --base and --head"
        )
    return DemoChange(top, base_sha, head_sha, described)


def _last_commits(repository: Path, head: str) -> tuple[str | None, str]:
    if _git(repository, "rev-parse", "--is-shallow-repository") == "true":
        return None, f"{WHOLE_TREE} (the clone is shallow: there is no earlier commit to compare with)"
    commits = (_git(repository, "rev-list", "--first-parent", f"--max-count={LAST_COMMITS + 1}", head) or "").split()
    number = len(commits) - 1
    if number < 1:
        return None, f"{WHOLE_TREE} (there is one commit)"
    return commits[-1], f"the last {number} commits" if number != 1 else "the last commit"


def _commit(repository: Path, revision: str) -> str:
    found = _git(repository, "rev-parse", "--verify", "--quiet", "--end-of-options", f"{revision}^{{commit}}")
    if found is None and revision == "HEAD":
        raise ChangeError(f"{repository} has no commit yet; commit something, or name another with --repo PATH")
    if found is None:
        raise ChangeError(f"{revision!r} is not a commit of {repository}; `git -C {repository} log` lists them")
    return found


def _tree(repository: Path, commit: str) -> str | None:
    return _git(repository, "rev-parse", f"{commit}^{{tree}}")


def _git(repository: Path, *words: str) -> str | None:
    try:
        done = subprocess.run(
            git_command("-C", str(repository), *words),
            env=git_environment(),
            capture_output=True,
            text=True,
            check=False,
        )
    except FileNotFoundError:
        raise ChangeError("the demo needs git; on Debian: apt install git") from None
    return done.stdout.strip() if done.returncode == 0 else None
