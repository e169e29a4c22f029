"""Our unpublished notes on one merge request, read as the one draft of a review that they make.

GitLab knows no review: each note is a draft of its own, and all are published at once. The last one that is written
holds the body; it is marked with what the review is and with the ids of all others, so that only a whole set counts.
"""

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from services.webhooks.hosts.answers import item, number
from services.webhooks.hosts.base import Mark, MarkKind, OwnReview, PullRequestRef
from services.webhooks.hosts.marker import Marker, looks_marked

PREFIX = "draft-"  # before the id of a draft: notes are numbered apart from drafts
HEADS = (MarkKind.SUMMARY, MarkKind.FINDINGS, MarkKind.PROBE)


@dataclass(frozen=True, slots=True)
class Draft:
    """One unpublished note; `marked` tells that it is ours and not a person's who shares the account."""

    id: int
    text: str
    mark: Mark | None
    marked: bool
    value: Any


class Drafts:
    """All of them, as last listed."""

    def __init__(self, ref: PullRequestRef, marker: Marker, listed: Iterable[Any]) -> None:
        self.all: list[Draft] = []
        for value in listed:
            said = item(value, "note")
            said = said if isinstance(said, str) else ""
            self.all.append(Draft(number(value, "id"), said, marker.read(ref, said), looks_marked(said), value))
        self.ours = [draft for draft in self.all if draft.marked]
        self.foreign = [draft for draft in self.all if not draft.marked]
        self.head = self._whole(ref, marker)

    def _whole(self, ref: PullRequestRef, marker: Marker) -> Draft | None:
        """Answer the note with the body if it and exactly the notes it names are there."""
        heads = [draft for draft in self.ours if draft.mark and draft.mark.kind in HEADS]
        if len(heads) != 1:
            return None
        said = heads[0].text.rstrip()
        named = marker.read(ref, said[: said.rfind("<!--")])
        others = [draft.id for draft in self.ours if draft is not heads[0]]
        return heads[0] if named == parts(others) else None

    def reviews(self) -> list[OwnReview]:
        """Answer the review, whole or not, and every note of a person."""
        found = [OwnReview(f"{PREFIX}{one.id}", True, "", None, False) for one in self.foreign]
        if self.head is not None:
            found.append(OwnReview(f"{PREFIX}{self.head.id}", True, "", self.head.mark, True))
        elif self.ours:
            found.append(OwnReview(f"{PREFIX}{self.ours[-1].id}", True, "", None, True, partial=True))
        return found


def parts(ids: Sequence[int]) -> Mark:
    """Answer the mark that names the other notes of a review."""
    said = ",".join(str(one) for one in sorted(ids))
    return Mark(MarkKind.PARTS, hashlib.sha256(said.encode()).hexdigest()[:32])


def is_same(draft: Draft, note: str, position: Any) -> bool:
    """Whether a note that is there already says this at this place."""
    there = item(draft.value, "position")
    # The host writes ranges out with more fields than were given.
    named = {name: value for name, value in position.items() if name != "line_range"}
    return draft.text == note and all(item(there, name) == value for name, value in named.items())
