"""What each role may do (contract, section 9), and which repositories a member is assigned to."""

from collections.abc import Iterable, Mapping, Sequence
from uuid import UUID

from services.kit.postgres import audit
from services.kit.postgres.audit import Change
from services.kit.postgres.pool import Database
from services.orgs import member_store as store
from services.orgs.domain import Action, Permission, Resource, Role
from services.orgs.members import living, locked

_OWNER, _BILLING, _ADMIN, _CONTRIBUTOR = Role.OWNER, Role.BILLING_MANAGER, Role.REPO_ADMIN, Role.CONTRIBUTOR
_ALL, _READ = (Action.MANAGE,), (Action.READ,)
_CREATE_READ = (Action.CREATE, Action.READ)
_CREATE_READ_UPDATE = (Action.CREATE, Action.READ, Action.UPDATE)

# What is not here is denied.
ALLOWED: Mapping[Resource, Mapping[Role, tuple[Action, ...]]] = {
    Resource.ORGANIZATION: {_OWNER: _ALL},
    Resource.PARAMETERS: {_OWNER: _ALL},
    Resource.MODEL_KEYS: {_OWNER: _ALL},
    Resource.SSO: {_OWNER: _ALL},
    Resource.AUDIT_LOG: {_OWNER: _ALL, _BILLING: _READ, _ADMIN: _READ, _CONTRIBUTOR: _READ},
    Resource.USERS: {_OWNER: _ALL, _BILLING: _READ},
    Resource.INVITATIONS: {_OWNER: _ALL, _BILLING: _READ},
    Resource.REPOSITORY_ASSIGNMENTS: {_OWNER: _ALL, _BILLING: _READ},
    # Who one is oneself, everybody may know; see docs/decisions/0036-who-one-is.md.
    Resource.PROFILE: {_OWNER: _ALL, _BILLING: _READ, _ADMIN: _READ, _CONTRIBUTOR: (Action.READ, Action.UPDATE)},
    Resource.API_KEYS: {_OWNER: _ALL, _BILLING: _ALL, _ADMIN: _ALL, _CONTRIBUTOR: _ALL},
    Resource.CODE_HOSTS: {_OWNER: _ALL, _BILLING: _READ, _ADMIN: _READ, _CONTRIBUTOR: _READ},
    Resource.REPOSITORY_SETTINGS: {
        _OWNER: _ALL,
        _BILLING: _READ,
        _CONTRIBUTOR: _READ,
        _ADMIN: _CREATE_READ_UPDATE,
    },
    Resource.RULES: {
        _OWNER: _ALL,
        _BILLING: _READ,
        _CONTRIBUTOR: _READ,
        _ADMIN: (*_CREATE_READ_UPDATE, Action.DELETE),
    },
    Resource.REVIEWS: {_OWNER: _ALL, _ADMIN: _ALL, _CONTRIBUTOR: _CREATE_READ},
    Resource.FEEDBACK: {_OWNER: _ALL, _ADMIN: _ALL, _CONTRIBUTOR: _CREATE_READ},
    Resource.LOCAL_REVIEWS: {_OWNER: _ALL, _ADMIN: _ALL, _CONTRIBUTOR: _CREATE_READ},
    Resource.DRY_RUNS: {_OWNER: _ALL, _ADMIN: _ALL, _CONTRIBUTOR: _CREATE_READ},
    Resource.AGENT: {_OWNER: _ALL, _ADMIN: _ALL, _CONTRIBUTOR: _CREATE_READ},
    Resource.DELIVERIES: {_OWNER: _ALL, _ADMIN: (Action.READ, Action.UPDATE)},
    Resource.DEAD_LETTERS: {_OWNER: _ALL, _ADMIN: _READ},
    Resource.USAGE: {_OWNER: _ALL, _BILLING: _READ, _ADMIN: _READ},
    Resource.BUDGET: {_OWNER: _ALL, _BILLING: _READ, _ADMIN: _READ},
    Resource.METRICS: {_OWNER: _READ, _ADMIN: _READ},
}
# Where a role is held to the repositories it is assigned to; local reviews have none, and are their maker's own.
_LIMITED: Mapping[Role, frozenset[Resource]] = {
    _ADMIN: frozenset(
        {
            *(Resource.REPOSITORY_SETTINGS, Resource.RULES, Resource.REVIEWS, Resource.FEEDBACK),
            *(Resource.DRY_RUNS, Resource.AGENT),
        }
    ),
    _CONTRIBUTOR: frozenset({Resource.REVIEWS, Resource.FEEDBACK, Resource.DRY_RUNS, Resource.AGENT}),
}


def allows(role: Role, action: Action, resource: Resource) -> bool:
    """Tell whether a role may do something; it may still be limited to assigned repositories."""
    actions = ALLOWED[resource].get(role, ())
    return action in actions or Action.MANAGE in actions


def permissions_of(role: Role) -> Sequence[Permission]:
    """Answer everything a role may do."""
    limited = _LIMITED.get(role, frozenset())
    return [
        Permission(resource, allowed[role], resource in limited)
        for resource, allowed in ALLOWED.items()
        if role in allowed
    ]


class Assignments:
    """Which repositories a member of an organisation is assigned to. Raises AppError(NOT_FOUND) for no member."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def of(self, organization_id: UUID, user_id: UUID) -> list[str]:
        """Answer the ids of a member's repositories, sorted."""
        async with self._database.tenant(organization_id) as connection:
            await living(connection, organization_id, user_id)
            return await store.assigned(connection, organization_id, user_id)

    async def assign(self, organization_id: UUID, user_id: UUID, repository_ids: Iterable[str]) -> list[str]:
        """Assign a member to exactly these repositories and answer them, sorted."""
        async with self._database.tenant(organization_id) as connection:
            await locked(connection, organization_id, user_id)
            before = await store.assigned(connection, organization_id, user_id)
            await store.assign(connection, organization_id, user_id, repository_ids)
            after = await store.assigned(connection, organization_id, user_id)
            if before != after:
                gone = [Change("repositoryIds", each, None) for each in sorted({*before} - {*after})]
                new = [Change("repositoryIds", None, each) for each in sorted({*after} - {*before})]
                await audit.record(
                    *(connection, organization_id, audit.caller(), "member.assign", ("member", str(user_id))),
                    [*gone, *new],
                )
        return after
