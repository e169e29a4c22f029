"""The code hosts we speak to: one table, one line per host."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from services.webhooks.hosts.base import Credential, ReviewHost, WebhookFormat
from services.webhooks.hosts.github.client import DEFAULT_URL as GITHUB_URL
from services.webhooks.hosts.github.client import Client as GitHubClient
from services.webhooks.hosts.github.parse import GitHubWebhooks
from services.webhooks.hosts.github.reviews import GitHub
from services.webhooks.hosts.gitlab.client import DEFAULT_URL as GITLAB_URL
from services.webhooks.hosts.gitlab.client import Client as GitLabClient
from services.webhooks.hosts.gitlab.client import api_url as gitlab_api_url
from services.webhooks.hosts.gitlab.parse import GitLabWebhooks
from services.webhooks.hosts.gitlab.reviews import GitLab
from services.webhooks.hosts.http import HttpClient
from services.webhooks.hosts.marker import Marker


@dataclass(frozen=True, slots=True)
class Adapter:
    """What we have for one host: its name for people, its webhooks, the address of its API, and how to talk to it."""

    title: str
    webhooks: WebhookFormat
    default_api_url: str
    connect: Callable[[Credential, str, Marker], ReviewHost]
    open_client: Callable[[Credential, str, float], HttpClient]  # of the API alone; a call takes that many seconds
    login_field: str  # of `GET /user`


def _github(credential: Credential, api_url: str, marker: Marker) -> ReviewHost:
    return GitHub(GitHubClient(credential, api_url), marker)


def _github_client(credential: Credential, api_url: str, seconds: float) -> HttpClient:
    return GitHubClient(credential, api_url, seconds=seconds)


def _gitlab_client(credential: Credential, api_url: str, seconds: float) -> HttpClient:
    return GitLabClient(credential, api_url, seconds=seconds)


def _gitlab(credential: Credential, api_url: str, marker: Marker) -> ReviewHost:
    web_url = gitlab_api_url(api_url).removesuffix("/api/v4")
    return GitLab(GitLabClient(credential, api_url), marker, web_url)


ADAPTERS: Mapping[str, Adapter] = {
    "github": Adapter("GitHub", GitHubWebhooks(), GITHUB_URL, _github, _github_client, "login"),
    "gitlab": Adapter("GitLab", GitLabWebhooks(), GITLAB_URL, _gitlab, _gitlab_client, "username"),
}
