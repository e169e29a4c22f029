"""The host's JSON for accounts and the repository."""

from __future__ import annotations

import base64
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from emulators.github.model import User

Json = dict[str, Any]
_SUFFIXED = {
    "archive": "/{archive_format}{/ref}",
    "assignees": "{/user}",
    "branches": "{/branch}",
    "collaborators": "{/collaborator}",
    "comments": "{/number}",
    "commits": "{/sha}",
    "compare": "/{base}...{head}",
    "contents": "/{+path}",
    "contributors": "",
    "deployments": "",
    "downloads": "",
    "events": "",
    "forks": "",
    "hooks": "",
    "issues": "{/number}",
    "keys": "{/key_id}",
    "labels": "{/name}",
    "languages": "",
    "merges": "",
    "milestones": "{/number}",
    "notifications": "{?since,all,participating}",
    "pulls": "{/number}",
    "releases": "{/id}",
    "stargazers": "",
    "statuses": "/{sha}",
    "subscribers": "",
    "subscription": "",
    "tags": "",
    "teams": "",
}


def node_id(kind: str, number: int) -> str:
    """Returns an opaque node id."""
    return base64.b64encode(f"{kind}:{number}".encode()).decode()


@dataclass(frozen=True)
class RepositoryShapes:
    """What does not depend on a pull request; `api` is the emulator's address, `web` that of the pages."""

    api: str
    owner: User
    name: str
    repository_id: int
    default_branch: str
    private: bool
    archived: bool
    created_at: str
    web: str = "https://github.com"

    @property
    def full_name(self) -> str:
        """The repository's `owner/name`."""
        return f"{self.owner.login}/{self.name}"

    @property
    def repo_api(self) -> str:
        """The repository's address in the API."""
        return f"{self.api}/repos/{self.full_name}"

    @property
    def repo_web(self) -> str:
        """The repository's page."""
        return f"{self.web}/{self.full_name}"

    def user(self, user: User) -> Json:
        """Returns the short form of an account."""
        url = f"{self.api}/users/{quote(user.login)}"
        return {
            "login": user.login,
            "id": user.id,
            "node_id": node_id("User", user.id),
            "avatar_url": f"https://avatars.githubusercontent.com/u/{user.id}?v=4",
            "gravatar_id": "",
            "url": url,
            "html_url": f"{self.web}/{quote(user.login)}",
            "followers_url": f"{url}/followers",
            "following_url": f"{url}/following{{/other_user}}",
            "gists_url": f"{url}/gists{{/gist_id}}",
            "starred_url": f"{url}/starred{{/owner}}{{/repo}}",
            "subscriptions_url": f"{url}/subscriptions",
            "organizations_url": f"{url}/orgs",
            "repos_url": f"{url}/repos",
            "events_url": f"{url}/events{{/privacy}}",
            "received_events_url": f"{url}/received_events",
            "type": user.type,
            "user_view_type": "public",
            "site_admin": False,
        }

    def account(self, user: User) -> Json:
        """Returns the public form of the account that asks."""
        blank = dict.fromkeys(("name", "company", "blog", "location", "email", "hireable", "bio"))
        counts = dict.fromkeys(("public_repos", "public_gists", "followers", "following"), 0)
        return {**self.user(user), **blank, **counts, "created_at": self.created_at, "updated_at": self.created_at}

    def repository(self, user: User, open_pulls: int, *, full: bool = False) -> Json:
        """Returns the repository as that user sees it."""
        writes = user.access == "write"
        shape: Json = {
            "id": self.repository_id,
            "node_id": node_id("Repository", self.repository_id),
            "name": self.name,
            "full_name": self.full_name,
            "private": self.private,
            "owner": self.user(self.owner),
            "html_url": self.repo_web,
            "description": None,
            "fork": False,
            "url": self.repo_api,
            **{f"{name}_url": f"{self.repo_api}/{name}{suffix}" for name, suffix in _SUFFIXED.items()},
            "archive_url": f"{self.repo_api}/{{archive_format}}{{/ref}}",
            "blobs_url": f"{self.repo_api}/git/blobs{{/sha}}",
            "git_commits_url": f"{self.repo_api}/git/commits{{/sha}}",
            "git_refs_url": f"{self.repo_api}/git/refs{{/sha}}",
            "git_tags_url": f"{self.repo_api}/git/tags{{/sha}}",
            "trees_url": f"{self.repo_api}/git/trees{{/sha}}",
            "issue_comment_url": f"{self.repo_api}/issues/comments{{/number}}",
            "issue_events_url": f"{self.repo_api}/issues/events{{/number}}",
            "git_url": f"git://github.com/{self.full_name}.git",
            "ssh_url": f"git@github.com:{self.full_name}.git",
            "clone_url": f"{self.repo_web}.git",
            "svn_url": self.repo_web,
            "mirror_url": None,
            "homepage": None,
            "language": None,
            "license": None,
            "topics": [],
            **dict.fromkeys(("forks_count", "forks", "stargazers_count", "watchers_count", "watchers", "size"), 0),
            "open_issues_count": open_pulls,
            "open_issues": open_pulls,
            "default_branch": self.default_branch,
            **dict.fromkeys(("has_issues", "has_projects", "has_wiki", "has_downloads"), True),
            **dict.fromkeys(("has_pages", "has_discussions", "disabled", "is_template"), False),
            "archived": self.archived,
            "visibility": "private" if self.private else "public",
            "allow_forking": True,
            "web_commit_signoff_required": False,
            **dict.fromkeys(("created_at", "updated_at", "pushed_at"), self.created_at),
            "permissions": {"admin": False, "maintain": False, "push": writes, "triage": writes, "pull": True},
        }
        if full:
            shape |= {"network_count": 0, "subscribers_count": 0}
        return shape

    def association(self, user: User) -> str:
        """Returns how the user is tied to the repository."""
        if user.id == self.owner.id:
            return "OWNER"
        return "COLLABORATOR" if user.access == "write" else "CONTRIBUTOR"
