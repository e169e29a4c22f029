"""Reads what we use out of GitLab's answers; an answer without it is UnavailableError, never another exception."""

from typing import Any
from urllib.parse import quote

from services.webhooks.hosts.answers import item, number, sha, text
from services.webhooks.hosts.base import NotFoundError, PullRequest, PullRequestRef, RepositoryRef, UnavailableError

_ID = frozenset("0123456789")


def project_path(ref: PullRequestRef | RepositoryRef) -> str:
    """Answer the path of the project, by its id: that outlives renames and transfers."""
    return f"/projects/{number_path(ref.repository_id)}"


def request_path(ref: PullRequestRef) -> str:
    """Answer the path of the merge request."""
    return f"{project_path(ref)}/merge_requests/{int(ref.number)}"


def file_path(ref: PullRequestRef, path: bytes) -> str:
    """Answer the path of the content of a file, whose name stands there as one segment."""
    # A dot stays a dot in a URL, and clients resolve such segments; GitLab decodes it.
    return f"{project_path(ref)}/repository/files/{quote(path, safe='').replace('.', '%2E')}/raw"


def number_path(value: str) -> str:
    """Answer an id as it stands in a path; NotFoundError if it is no number."""
    if not value or set(value) - _ID:
        raise NotFoundError("the id is not a number")
    return value


def merge_request(ref: PullRequestRef, value: Any, *, from_start: bool = False) -> PullRequest:
    """Read a merge request; `base_sha` is the tip of the target branch, or `from_start` where the diff starts.

    It is empty while GitLab has not compared the branches yet.
    """
    if str(number(value, "project_id")) != ref.repository_id or number(value, "iid") != ref.number:
        raise UnavailableError("the host answered with another merge request")
    title = item(value, "title")
    return PullRequest(
        ref=ref,
        open=text(value, "state") == "opened",
        draft=item(value, "draft") is True or item(value, "work_in_progress") is True,
        head_sha=sha(value, "sha"),
        base_ref=text(value, "target_branch"),
        base_sha=diff_ref(value, "base_sha" if from_start else "start_sha"),
        url=text(value, "web_url"),
        title=title if isinstance(title, str) else "",
    )


def diff_ref(value: Any, name: str) -> str:
    """Answer one of the commits that the diff is made of; empty while they are not known."""
    return sha(value, "diff_refs", name) if item(value, "diff_refs", name) else ""
