"""A strict stand-in for a GitLab instance; `emulators/README.md` describes its use."""

from emulators.gitlab.emulator import GitLabEmulator
from emulators.gitlab.model import DraftNote, Limits, MergeRequest, Note, User
from emulators.gitlab.webhooks import Delivery, deliver, make_delivery

__all__ = [
    "Delivery",
    "DraftNote",
    "GitLabEmulator",
    "Limits",
    "MergeRequest",
    "Note",
    "User",
    "deliver",
    "make_delivery",
]
