"""What the stand-ins for model providers share: what a model says, how it can misbehave, and a server that does it."""

from emulators.models.core import ModelEmulator, RequestRecord, StrictnessError
from emulators.models.said import Failed, Reply, Said, cut, raw, stall

__all__ = ["Failed", "ModelEmulator", "Reply", "RequestRecord", "Said", "StrictnessError", "cut", "raw", "stall"]
