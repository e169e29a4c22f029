"""What our adapter of each host can do: one table, which the docs print and the conformance suite may skip by."""

from collections.abc import Mapping
from enum import StrEnum


class Ability(StrEnum):
    """Something that not every host, or not yet every adapter, can do; the value is how the docs call it."""

    SIGNED_BODY = "the webhook's body is signed"
    SIGNED_TIME = "the signature holds for minutes, so that a recorded delivery is refused"
    STABLE_DELIVERY_ID = "a redelivery has the id of the first"
    AUTOMATIC_REDELIVERY = "the host sends again by itself what was not taken"
    PATCH_PER_FILE = "the host gives the patch of each file"
    HIDDEN_REVIEW = "a review is written unseen and shown at once"
    LINE_RANGES = "a comment can stand on several lines"
    NAMED_MISFITS = "comments whose lines are no part of the diff are told apart without asking the host"
    DELETES_REVIEWS = "a duplicate of our own can be deleted"
    DRAFT_FLAG = "drafts are marked by the host, not by their title"
    READS_FORKS = "the head of a fork is read, even of one that is gone"
    SUGGESTIONS = "a suggestion can be applied with one click"
    RESOLVES_THREADS = "threads of ours are resolved when their finding is fixed"


_BOTH = frozenset(
    {
        Ability.STABLE_DELIVERY_ID,
        Ability.PATCH_PER_FILE,
        Ability.HIDDEN_REVIEW,
        Ability.LINE_RANGES,
        Ability.DRAFT_FLAG,
        Ability.READS_FORKS,
    }
)
ABILITIES: Mapping[str, frozenset[Ability]] = {
    "github": _BOTH | {Ability.SIGNED_BODY},
    # Its body is signed when the secret is a signing token (whsec_…); a plain token only shows who sent it.
    "gitlab": _BOTH
    | {
        Ability.SIGNED_BODY,
        Ability.SIGNED_TIME,
        Ability.AUTOMATIC_REDELIVERY,
        Ability.NAMED_MISFITS,
        Ability.DELETES_REVIEWS,
    },
}


def table(titles: Mapping[str, str]) -> str:
    """Answer the abilities as a table of Markdown, one column for each host that `titles` names."""
    lines = ["| | " + " | ".join(titles.values()) + " |", "|---|" + "---|" * len(titles)]
    for ability in Ability:
        marks = ("yes" if ability in ABILITIES[host] else "no" for host in titles)
        lines.append(f"| {ability.value} | " + " | ".join(marks) + " |")
    return "\n".join(lines)
