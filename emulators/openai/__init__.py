"""A strict stand-in for a server of OpenAI's chat completions; `emulators/README.md` describes its use."""

from emulators.models import Failed, RequestRecord, Said, StrictnessError
from emulators.openai.emulator import OpenAIEmulator
from emulators.openai.replies import Reply, completion, cut, error, raw, stall
from emulators.openai.reviewer import needle_reviewer
from emulators.openai.shapes import ChatRequest, Dialect

__all__ = [
    "ChatRequest",
    "Dialect",
    "Failed",
    "OpenAIEmulator",
    "Reply",
    "RequestRecord",
    "Said",
    "StrictnessError",
    "completion",
    "cut",
    "error",
    "needle_reviewer",
    "raw",
    "stall",
]
