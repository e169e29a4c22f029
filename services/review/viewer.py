"""Who looks at reviews, and which of them that is allowed to see."""

from dataclasses import dataclass
from typing import Self
from uuid import UUID

from services.kit.postgres.pool import Row
from services.kit.repositories import repository_id
from services.kit.rpc.context import Principal
from services.review.domain import LOCAL
from services.review.local.options import creator_of

LIMITED = frozenset({"repo_admin", "contributor"})  # to the repositories they are assigned to (contract, section 9)


@dataclass(frozen=True, slots=True)
class Viewer:
    """Somebody of an organisation; `own` names them where local reviews of others are none of their business.

    `repositories` are the ids of those whose reviews they may see, None: all.
    """

    organization_id: UUID
    own: str = ""
    repositories: frozenset[str] | None = None

    @classmethod
    def of(cls, who: Principal) -> Self:
        """A contributor sees their own local reviews, the other roles those of everybody."""
        return cls(
            who.organization_id,
            creator_of(who) if who.role == "contributor" else "",
            who.assigned_repositories if who.role in LIMITED else None,
        )

    def sees(self, review: Row) -> bool:
        """Whether a review of the organisation may be shown."""
        if review["host"] == LOCAL:
            return not self.own or bool(review["creator"] == self.own)
        if self.repositories is None:
            return True
        return repository_id(review["host"], review["host_repository_id"], review["connection_id"]) in self.repositories
