"""The words of orgs: an organisation is what every other thing belongs to, a member is a user who belongs to it."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from hashlib import sha256
from uuid import UUID

DEFAULT_NAME = "Default"


class Role(StrEnum):
    """What a member may do (contract, section 9)."""

    OWNER = "owner"
    BILLING_MANAGER = "billing_manager"
    REPO_ADMIN = "repo_admin"
    CONTRIBUTOR = "contributor"


class MemberState(StrEnum):
    """Where a member stands; a removed one is kept for the log, and is not a member any more."""

    ACTIVE = "ACTIVE"
    DISABLED = "DISABLED"
    REMOVED = "REMOVED"


class Action(StrEnum):
    """What can be done with a resource; `manage` is all of it."""

    MANAGE = "manage"
    CREATE = "create"
    READ = "read"
    UPDATE = "update"
    DELETE = "delete"


class Resource(StrEnum):
    """What actions are done with, in the rows of the contract's table of roles."""

    ORGANIZATION = "organization"
    PARAMETERS = "parameters"
    MODEL_KEYS = "model_keys"
    SSO = "sso"
    AUDIT_LOG = "audit_log"
    USERS = "users"
    INVITATIONS = "invitations"
    REPOSITORY_ASSIGNMENTS = "repository_assignments"
    PROFILE = "profile"
    API_KEYS = "api_keys"
    CODE_HOSTS = "code_hosts"
    REPOSITORY_SETTINGS = "repository_settings"
    RULES = "rules"
    REVIEWS = "reviews"
    FEEDBACK = "feedback"
    LOCAL_REVIEWS = "local_reviews"
    DRY_RUNS = "dry_runs"
    AGENT = "agent"
    DELIVERIES = "deliveries"
    DEAD_LETTERS = "dead_letters"
    USAGE = "usage"
    BUDGET = "budget"
    METRICS = "metrics"


@dataclass(frozen=True, slots=True)
class Permission:
    """What a role allows on a resource."""

    resource: Resource
    actions: tuple[Action, ...]
    is_limited: bool  # to assigned repositories


@dataclass(frozen=True, slots=True)
class Organization:
    """An organisation; the default one owns what the environment configures."""

    id: UUID
    name: str
    is_default: bool
    create_time: datetime


@dataclass(frozen=True, slots=True)
class Member:
    """A user and what they are in their organisation."""

    organization_id: UUID
    user_id: UUID
    email: str
    name: str
    role: Role
    state: MemberState
    create_time: datetime
    update_time: datetime

    @property
    def is_active_owner(self) -> bool:
        """Whether they count as an owner that an organisation has to keep one of."""
        return self.role is Role.OWNER and self.state is MemberState.ACTIVE


@dataclass(frozen=True, slots=True)
class Invitation:
    """An offer to become a member, for whoever holds its token; the token itself is kept nowhere."""

    organization_id: UUID
    id: UUID
    email: str
    role: Role
    repository_ids: tuple[str, ...]
    inviter: str
    create_time: datetime
    expire_time: datetime
    accept_user_id: UUID | None = None


@dataclass(frozen=True, slots=True)
class Team:
    """Members who are looked at together."""

    organization_id: UUID
    id: UUID
    name: str
    create_time: datetime
    update_time: datetime


@dataclass(frozen=True, slots=True)
class Parameter:
    """A setting of an organisation, without secrets."""

    organization_id: UUID
    key: str
    value: dict[str, object]
    etag: str
    update_time: datetime


def digest(token: str) -> bytes:
    """Answer what an invitation's token is stored as: SHA-256, as 256 random bits need no slow hash."""
    return sha256(token.encode()).digest()
