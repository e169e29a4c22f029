"""The prompts: versioned files, rendered once, never with anything of the change in them."""

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from string import Template
from typing import Any

FOLDER = Path(__file__).resolve().parent / "prompts"
MAX_FINDINGS = 50  # of one call
MAX_QUOTE_LINES = 10
MAX_TITLE, MAX_BODY = 80, 2000
CATEGORIES = ("bug", "security", "performance", "maintainability", "test", "style")
SEVERITIES = ("low", "medium", "high", "critical")


@dataclass(frozen=True, slots=True)
class Instructions:
    """A rendered prompt: its text is the same for every call. `hash` is the SHA-256 of the file."""

    name: str
    text: str
    hash: str
    json_schema: str
    max_output_tokens: int


def _object(**properties: Any) -> dict[str, Any]:
    # What every provider's strict mode takes: all properties required, none beside them, no limits.
    return {"type": "object", "properties": properties, "required": list(properties), "additionalProperties": False}


_TEXT = {"type": "string"}
FINDINGS_SCHEMA = _object(
    findings={
        "type": "array",
        "items": _object(
            path=_TEXT,
            side={"type": "string", "enum": ["RIGHT", "LEFT"]},
            quote=_TEXT,
            severity={"type": "string", "enum": list(SEVERITIES)},
            category={"type": "string", "enum": list(CATEGORIES)},
            title=_TEXT,
            body=_TEXT,
            replacement={"type": ["string", "null"]},
        ),
    }
)
VERDICTS_SCHEMA = _object(
    verdicts={"type": "array", "items": _object(index={"type": "integer"}, keep={"type": "boolean"}, reason=_TEXT)}
)


def render(name: str, schema: Any, max_output_tokens: int) -> Instructions:
    """Read and render one file of FOLDER; KeyError where it names something that is not known here."""
    source = (FOLDER / name).read_bytes()
    text = Template(source.decode()).substitute(
        max_findings=MAX_FINDINGS,
        max_quote_lines=MAX_QUOTE_LINES,
        max_title=MAX_TITLE,
        categories=", ".join(f'"{category}"' for category in CATEGORIES),
    )
    digest = hashlib.sha256(source).hexdigest()
    return Instructions(name, text, digest, json.dumps(schema, separators=(",", ":")), max_output_tokens)


REVIEW = render("review.v1.md", FINDINGS_SCHEMA, 6000)
VERIFY = render("verify.v1.md", VERDICTS_SCHEMA, 3000)
# What the receipt names: the SHA-256 of both files, one after the other, as one call without the other makes no review.
PROMPT_HASH = hashlib.sha256(b"".join((FOLDER / each.name).read_bytes() for each in (REVIEW, VERIFY))).hexdigest()
