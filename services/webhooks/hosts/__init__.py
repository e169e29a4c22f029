"""The code hosts we speak to: one table, one line per host."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from services.webhooks.hosts.base import Credential, ReviewHost, WebhookFormat
from services.webhooks.hosts.github.client import DEFAULT_URL as GITHUB_URL
from services.webhooks.hosts.github.client import Client as GitHubClient
from services.webhooks.hosts.github.parse import GitHubWebhooks
from services.webhooks.hosts.github.reviews import GitHub
from services.webhooks.hosts.marker import Marker


@dataclass(frozen=True, slots=True)
class Adapter:
    """What we have for one host: its webhooks, the default address of its API, and how to talk to it."""

    webhooks: WebhookFormat
    default_api_url: str
    connect: Callable[[Credential, str, Marker], ReviewHost]


def _github(credential: Credential, api_url: str, marker: Marker) -> ReviewHost:
    return GitHub(GitHubClient(credential, api_url), marker)


ADAPTERS: Mapping[str, Adapter] = {
    "github": Adapter(webhooks=GitHubWebhooks(), default_api_url=GITHUB_URL, connect=_github),
}
