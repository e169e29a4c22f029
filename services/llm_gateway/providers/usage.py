"""Tokens of one call, in one convention whatever the provider's own is."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens of one call or of several that made one answer.

    `cached` (read from the provider's cache) and `cache_written` are among `input`; `reasoning` is among `output`.
    `reported` is False where the provider did not tell and the numbers are our estimate.
    """

    input: int = 0
    cached: int = 0
    cache_written: int = 0
    output: int = 0
    reasoning: int = 0
    reported: bool = True

    def __add__(self, other: "Usage") -> "Usage":
        return Usage(
            self.input + other.input,
            self.cached + other.cached,
            self.cache_written + other.cache_written,
            self.output + other.output,
            self.reasoning + other.reasoning,
            self.reported and other.reported,
        )
