"""Makes Markdown harmless on GitLab, where a line that begins with a slash is a command, given with our rights."""

import re

from services.webhooks.hosts import markdown
from services.webhooks.hosts.markdown import COMMON, Flavour

MAX_CHARACTERS = 200_000  # GitLab's limit is 1,000,000; nobody reads more than this

_COMMAND = re.compile(r"/(?=[A-Za-z_])")
_GITLAB = Flavour(
    unsafe=(
        (re.compile(r"\A([ \t]*)/(?=[A-Za-z_])"), r"\1&#47;"),  # quick actions
        *COMMON,
        (re.compile(r"([!$%~^])(?=[\d\"])"), r"\1&#8203;"),  # merge requests, snippets, milestones, labels, alerts
        (re.compile(r"([%~])(?=[A-Za-z_])"), r"\1&#8203;"),
        (re.compile(r"&amp;(?=\d)"), "&amp;&#8203;"),  # epics
        (re.compile(r"(?i)\[(?=[a-z_]+:)"), "[&#8203;"),  # [vulnerability:1], [issue:1] and their kind
        (re.compile(r"(?<=:)(?=:include\b)"), "&#8203;"),
        (re.compile(r"\[(?=\[|toc\]|TOC\])"), "[&#8203;"),  # pages of the wiki, tables of contents
    ),
    # suggestion: only we say where one is offered
    drawn=re.compile(r"(?i)\s*(?:mermaid|plantuml|kroki|math|suggestion|json:table|geojson|stl|dot|ditaa)\b.*"),
    command=_COMMAND,
)


def neutralise(text: str, longest: int = MAX_CHARACTERS) -> str:
    """`text` made harmless, with every fence closed, and cut at a line so that it has at most `longest` characters."""
    return markdown.neutralise(text, longest, _GITLAB)
