"""What the caller of a local review wants, and who the caller is."""

from dataclasses import dataclass

from services.kit.rpc.context import Principal


@dataclass(frozen=True, slots=True)
class Options:
    """What a local review shall do; commits are for people and may be empty."""

    repository: str = ""
    base_sha: str = ""
    head_sha: str = ""
    no_model: bool = False
    dry_run: bool = False


def creator_of(who: Principal) -> str:
    """Name the caller for as long as a review is kept: the user, or the key where it is nobody's."""
    return f"user:{who.user_id}" if who.user_id else f"credential:{who.credential_id}"
