"""What a note sets off when it appears: quick actions that are carried out, people and things that are told of it.

Stricter than the real one where sources differ: a quick action counts inside any fence but a plain one of three.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

_FENCE = re.compile(r"^```[^`\n]*\n.*?^```$", re.DOTALL | re.MULTILINE)
_SHELTERED = re.compile(r"^(`{3,}|~{3,})[^\n]*\n.*?^\1[`~]*[ \t]*$", re.DOTALL | re.MULTILINE)
_SPAN = re.compile(r"(`+)(?!`).+?(?<!`)\1(?!`)")
_COMMENT = re.compile(r"<!--.*?-->", re.DOTALL)
_COMMAND = re.compile(r"^[ \t]{0,3}/([a-z_]+)", re.MULTILINE)
_MENTION = re.compile(r"(?<![\w@&#;])@[A-Za-z0-9_][\w.-]*")
_REFERENCE = re.compile(r"(?<![\w&])(?:[#!$][0-9]+|%[0-9]+|&[0-9]+|~(?:\"|[A-Za-z]\w*)|GL-[0-9]+)|\[[a-z_]+:[0-9]+\]")
_HTML = re.compile(r"<(?!/?(?:details|summary)>)[A-Za-z/!?][^>]*>")
_LINK = re.compile(r"\]\([^)]*\)|https?://|www\.\S")
ACTIONS = frozenset(
    {
        "approve",
        "assign",
        "assign_reviewer",
        "award",
        "close",
        "confidential",
        "copy_metadata",
        "draft",
        "due",
        "duplicate",
    }
    | {
        "label",
        "lock",
        "merge",
        "milestone",
        "move",
        "promote",
        "ready",
        "reassign",
        "rebase",
        "relabel",
        "remove_due_date",
    }
    | {"reopen", "request_review", "spend", "submit_review", "subscribe", "tag", "target_branch", "title", "todo"}
    | {
        "unapprove",
        "unassign",
        "unlabel",
        "unlock",
        "unsubscribe",
        "zoom",
        "create_merge_request",
        "invite_email",
        "run",
    }
)


def effects(body: str) -> Iterator[tuple[str, str]]:
    """Yields kind and text of what the body sets off."""
    for match in _COMMAND.finditer(_FENCE.sub("", body)):
        if match[1] in ACTIONS:
            yield "command", match[0].strip()
    text = _SPAN.sub("", _SHELTERED.sub("", _COMMENT.sub("", body)))
    # Entities are read before references are looked for.
    text = text.replace("&amp;", "&").replace("&#47;", "/").replace("&#8203;", "\u200b")
    for kind, pattern in (("mention", _MENTION), ("reference", _REFERENCE), ("html", _HTML), ("link", _LINK)):
        for match in pattern.finditer(text):
            yield kind, match[0]


def without_commands(body: str) -> str:
    """Returns the body as it is stored: lines of quick actions are carried out and taken away."""

    def cut(match: re.Match[str]) -> str:
        return "" if match[1] in ACTIONS else match[0]

    parts = re.split(f"({_FENCE.pattern})", body, flags=_FENCE.flags)
    line = re.compile(_COMMAND.pattern + r"[^\n]*\n?", re.MULTILINE)
    return "".join(part if _FENCE.fullmatch(part) else line.sub(cut, part) for part in parts)
