"""Makes Markdown harmless on GitHub."""

import re

from services.webhooks.hosts import markdown
from services.webhooks.hosts.markdown import COMMON, Flavour

MAX_CHARACTERS = 60_000  # GitHub's limit is 65,536 for most bodies

_GITHUB = Flavour(
    unsafe=(*COMMON, (re.compile(r"(?i)(?<![a-z0-9])(GH)-(?=\d)"), r"\1-&#8203;")),
    drawn=re.compile(r"(?i)\s*(?:mermaid|geojson|topojson|stl|math)\b.*"),
)


def neutralise(text: str, longest: int = MAX_CHARACTERS) -> str:
    """`text` made harmless, with every fence closed, and cut at a line so that it has at most `longest` characters."""
    return markdown.neutralise(text, longest, _GITHUB)
