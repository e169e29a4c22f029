"""The words of orgs: an organisation is what every other thing belongs to."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

DEFAULT_NAME = "Default"


@dataclass(frozen=True, slots=True)
class Organization:
    """An organisation; the default one owns what the environment configures."""

    id: UUID
    name: str
    is_default: bool
    create_time: datetime
