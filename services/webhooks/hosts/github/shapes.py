"""Reads what we use out of GitHub's answers; an answer without it is UnavailableError, never another exception."""

from typing import Any

from services.webhooks.hosts.answers import item as item
from services.webhooks.hosts.answers import number as number
from services.webhooks.hosts.answers import sha as sha
from services.webhooks.hosts.answers import text as text
from services.webhooks.hosts.answers import time as time
from services.webhooks.hosts.base import NotFoundError, PullRequest, PullRequestRef, RepositoryRef
from services.webhooks.hosts.github.parse import REPOSITORY


def repository_path(ref: PullRequestRef | RepositoryRef) -> str:
    """Answer /repos/owner/name; NotFoundError if the name is none, so that no odd name becomes another path."""
    if not REPOSITORY.fullmatch(ref.repository):
        raise NotFoundError("the repository's name is not owner/name")
    return f"/repos/{ref.repository}"


def pull_path(ref: PullRequestRef) -> str:
    """Answer the path of the pull request."""
    return f"{repository_path(ref)}/pulls/{int(ref.number)}"


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
