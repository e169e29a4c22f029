"""What a server has shown that it does not know: each request leaves that out, and no server is asked twice."""

from dataclasses import dataclass, replace
from enum import StrEnum


class Structure(StrEnum):
    """How an answer is made to be JSON, from the strictest way to the loosest."""

    JSON_SCHEMA = "json_schema"
    JSON_OBJECT = "json_object"
    INSTRUCTIONS = "instructions"


@dataclass(frozen=True, slots=True)
class Abilities:
    """What is sent to one model of one server. `switched` says that its other name of the limit was tried."""

    structure: Structure = Structure.JSON_SCHEMA
    temperature: bool = True
    limit: str = "max_completion_tokens"
    switched: bool = False

    def without(self, param: str | None, message: str) -> "Abilities | None":
        """Answer what is left when a 400 names `param`, or speaks of it in its message; None where it means nothing."""
        text = f"{param or ''} {message}".lower()
        if param in ("temperature",) or (param is None and "temperature" in text):
            return replace(self, temperature=False) if self.temperature else None
        if self.limit in text and not self.switched:
            other = "max_tokens" if self.limit == "max_completion_tokens" else "max_completion_tokens"
            return replace(self, limit=other, switched=True)
        if any(word in text for word in ("response_format", "json_schema", "json_object", "structured output")):
            if self.structure is Structure.JSON_SCHEMA:
                return replace(self, structure=Structure.JSON_OBJECT)
            if self.structure is Structure.JSON_OBJECT:
                return replace(self, structure=Structure.INSTRUCTIONS)
        return None
