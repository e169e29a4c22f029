"""Who looks at reviews, and which of them that is allowed to see."""

from dataclasses import dataclass
from typing import Self
from uuid import UUID

from services.kit.postgres.pool import Row
from services.kit.rpc.context import Principal
from services.review.domain import LOCAL
from services.review.local.options import creator_of


@dataclass(frozen=True, slots=True)
class Viewer:
    """Somebody of an organisation; `own` names them where local reviews of others are none of their business."""

    organization_id: UUID
    own: str = ""

    @classmethod
    def of(cls, who: Principal) -> Self:
        """A contributor sees their own local reviews, the other roles those of everybody."""
        return cls(who.organization_id, creator_of(who) if who.role == "contributor" else "")

    def sees(self, review: Row) -> bool:
        """Whether a review of the organisation may be shown."""
        return not self.own or review["host"] != LOCAL or bool(review["creator"] == self.own)
