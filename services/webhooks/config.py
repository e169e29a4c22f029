"""What the webhooks service reads from the environment: the secrets and tokens of code hosts stay in this service."""

from datetime import timedelta

from pydantic import Field, SecretStr

from services.kit.crypto import CryptoSettings
from services.kit.postgres.settings import DatabaseSettings


class WebhooksSettings(DatabaseSettings, CryptoSettings):
    """Configuration of both roles of the service."""

    github_webhook_secret: SecretStr | None = Field(None, alias="GITHUB_WEBHOOK_SECRET")
    github_webhook_secret_previous: SecretStr | None = Field(None, alias="GITHUB_WEBHOOK_SECRET_PREVIOUS")
    github_token: SecretStr | None = Field(None, alias="GITHUB_TOKEN")
    github_api_url: str | None = Field(None, alias="LINTEL_GITHUB_API_URL")
    gitlab_webhook_secret: SecretStr | None = Field(None, alias="GITLAB_WEBHOOK_SECRET")
    gitlab_webhook_secret_previous: SecretStr | None = Field(None, alias="GITLAB_WEBHOOK_SECRET_PREVIOUS")
    gitlab_token: SecretStr | None = Field(None, alias="GITLAB_TOKEN")
    gitlab_api_url: str | None = Field(None, alias="LINTEL_GITLAB_API_URL")
    # How long a pull request stays with a call of Publish that is not heard of: three times the longest call to a host.
    publication_lease_seconds: float = Field(60, alias="LINTEL_PUBLICATION_LEASE_SECONDS", ge=5, le=3600)
    # How often the receiver of events is asked which it lacks; what the broker lost is sent again after that.
    outbox_ask_seconds: float = Field(60, alias="LINTEL_OUTBOX_ASK_SECONDS", ge=1, le=3600)

    @property
    def publication_lease(self) -> timedelta:
        """The lease under which a review is put on the host."""
        return timedelta(seconds=self.publication_lease_seconds)

    # How often each repository is asked for open pull requests that no webhook told of; 0: never.
    sweep_minutes: float = Field(10, alias="LINTEL_SWEEP_MINUTES", ge=0, le=10_080)
    keep_deliveries: int = Field(30, alias="LINTEL_KEEP_DELIVERIES_DAYS", ge=1, le=3650)  # handled ones
    keep_dead_letters: int = Field(90, alias="LINTEL_KEEP_DEAD_LETTERS_DAYS", ge=1, le=3650)

    def webhook_secrets(self, host: str) -> list[str]:
        """Answer the secrets that may sign a host's deliveries: the present one, and the one before it."""
        given = {
            "github": (self.github_webhook_secret, self.github_webhook_secret_previous),
            "gitlab": (self.gitlab_webhook_secret, self.gitlab_webhook_secret_previous),
        }.get(host, ())
        return [secret.get_secret_value() for secret in given if secret is not None]

    def token(self, host: str) -> str | None:
        """Answer the environment's token for a host."""
        given = {"github": self.github_token, "gitlab": self.gitlab_token}.get(host)
        return given.get_secret_value() if given is not None else None

    def api_url(self, host: str) -> str | None:
        """Answer the environment's address of a host's API, None for its public one."""
        return {"github": self.github_api_url, "gitlab": self.gitlab_api_url}.get(host)
