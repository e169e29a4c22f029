"""Reads what we use out of GitHub's answers; an answer without it is UnavailableError, never another exception."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from services.webhooks.hosts.base import NotFoundError, PullRequest, PullRequestRef, RepositoryRef, UnavailableError
from services.webhooks.hosts.github.parse import REPOSITORY, SHA


def repository_path(ref: PullRequestRef | RepositoryRef) -> str:
    """Answer /repos/owner/name; NotFoundError if the name is none, so that no odd name becomes another path."""
    if not REPOSITORY.fullmatch(ref.repository):
        raise NotFoundError("the repository's name is not owner/name")
    return f"/repos/{ref.repository}"


def pull_path(ref: PullRequestRef) -> str:
    """Answer the path of the pull request."""
    return f"{repository_path(ref)}/pulls/{int(ref.number)}"


def item(value: Any, *names: str) -> Any:
    """Answer what lies under the names, None where something on the way is missing."""
    for name in names:
        if not isinstance(value, Mapping):
            return None
        value = value.get(name)
    return value


def text(value: Any, *names: str) -> str:
    """Answer the text under the names, which must be there."""
    found = item(value, *names)
    if not isinstance(found, str):
        raise UnavailableError(f"the host's answer lacks {'.'.join(names)}")
    return found


def number(value: Any, *names: str) -> int:
    """Answer the integer under the names, which must be there."""
    found = item(value, *names)
    if not isinstance(found, int) or isinstance(found, bool):
        raise UnavailableError(f"the host's answer lacks {'.'.join(names)}")
    return found


def time(value: Any, *names: str) -> datetime:
    """Answer the moment under the names, which must be there."""
    try:
        found = datetime.fromisoformat(text(value, *names))
    except ValueError:
        found = datetime.min
    if found.tzinfo is None:
        raise UnavailableError(f"the host's {'.'.join(names)} is not a moment")
    return found


def sha(value: Any, *names: str) -> str:
    """Answer the full hash under the names, which must be there."""
    found = text(value, *names)
    if not SHA.fullmatch(found):
        raise UnavailableError(f"the host's {'.'.join(names)} is not the full hash of an object")
    return found


def pull_request(ref: PullRequestRef, value: Any) -> PullRequest:
    """Read a pull request; `base_sha` is the tip of the base branch.

    Raises NotFoundError when the name has come to another repository than the one the event was about: what is known of
    one, its reviews and marks, must not be mixed with the other's.
    """
    if str(number(value, "base", "repo", "id")) != ref.repository_id:
        raise NotFoundError(f"the name {ref.repository} is not that repository's (any more)")
    title = item(value, "title")
    return PullRequest(
        ref=ref,
        open=text(value, "state") == "open",
        draft=item(value, "draft") is True,
        head_sha=sha(value, "head", "sha"),
        base_ref=text(value, "base", "ref"),
        base_sha=sha(value, "base", "sha"),
        url=text(value, "html_url"),
        title=title if isinstance(title, str) else "",
    )
