"""What the orgs service reads from the environment."""

from services.kit.postgres.settings import DatabaseSettings


class OrgsSettings(DatabaseSettings):
    """Configuration of the service."""
