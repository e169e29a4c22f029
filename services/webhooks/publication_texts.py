"""What a run posts, as frozen by its first call, and the texts made of it."""

import hashlib
import json
from collections.abc import Collection, Sequence
from dataclasses import asdict, dataclass
from uuid import UUID

from services.webhooks.hosts.base import InlineComment, Mark, MarkKind

_CODE_MAX = 400


@dataclass(frozen=True, slots=True)
class Finding:
    """A finding to post: its identity, its lines on one side of a file, and Markdown."""

    fingerprint: str
    path: str
    left: bool
    start_line: int
    end_line: int
    body: str

    @property
    def digest(self) -> str:
        """The identity as it stands in marks and in the ledger; lines are no part of it."""
        identity = self.fingerprint or f"\0{self.path}\0{self.left}\0{self.start_line}\0{self.end_line}\0{self.body}"
        return hashlib.sha256(identity.encode("utf-8", "surrogatepass")).hexdigest()[:32]

    @property
    def placeable(self) -> bool:
        """Whether its lines can be those of a file at all."""
        return 1 <= self.start_line <= self.end_line and bool(self.path) and bool(self.body.strip())


@dataclass(frozen=True, slots=True)
class Items:
    """All that a run posts."""

    summary: str
    findings: tuple[Finding, ...]

    def freeze(self) -> bytes:
        """Answer the bytes the ledger keeps."""
        return json.dumps(asdict(self), ensure_ascii=True, separators=(",", ":")).encode()

    @staticmethod
    def thaw(data: bytes) -> "Items":
        """Read what `freeze` wrote."""
        value = json.loads(data)
        return Items(value["summary"], tuple(Finding(**one) for one in value["findings"]))

    def unposted(self, posted: Collection[str]) -> list[int]:
        """Answer which findings were never posted, each once, by index."""
        seen = set(posted)
        fresh: list[int] = []
        for index, finding in enumerate(self.findings):
            if finding.digest not in seen:
                seen.add(finding.digest)
                fresh.append(index)
        return fresh


def inline(items: Items, indexes: Sequence[int]) -> list[InlineComment]:
    """Answer the comments of those findings, each with its own mark."""
    return [
        InlineComment(
            path=finding.path,
            left=finding.left,
            start_line=finding.start_line,
            end_line=finding.end_line,
            body=finding.body,
            mark=Mark(MarkKind.FINDING, finding.digest),
        )
        for finding in (items.findings[index] for index in indexes)
    ]


def summary_body(items: Items, refused: Sequence[int]) -> str:
    """Answer the summary, with the findings that the host would not take at their lines told in full."""
    if not refused:
        return items.summary
    parts = [items.summary.rstrip(), "**Findings that could not be placed in the diff**"]
    for index in refused:
        finding = items.findings[index]
        lines = f"{finding.start_line}"
        if finding.end_line != finding.start_line:
            lines += f"-{finding.end_line}"
        side = ", before the change" if finding.left else ""
        parts.append(f"{_code(f'{finding.path}:{lines}')}{side}\n\n{_closed(finding.body)}")
    return "\n\n".join(parts)


def findings_body(count: int, head_sha: str) -> str:
    """Answer the body of a review that only adds findings."""
    noun = "finding" if count == 1 else "findings"
    return f"{count} new {noun} at `{head_sha[:12]}`. The summary in the first review is up to date."


def content_mark(kind: MarkKind, run_id: UUID, body: str, comments: Sequence[InlineComment]) -> Mark:
    """Answer a mark that names the run and exactly this content, so that a half-made draft is not taken for it."""
    said = json.dumps([body, [asdict(comment) for comment in comments]], ensure_ascii=True)
    return Mark(kind, f"{run_id.hex}.{hashlib.sha256(said.encode()).hexdigest()[:24]}")


def run_of(mark: Mark | None) -> str:
    """Answer the run that a mark of a review names, as hex; empty without one."""
    return mark.key.partition(".")[0] if mark else ""


def _code(text: str) -> str:
    text = "".join(c if c.isprintable() else "?" for c in text[:_CODE_MAX]).replace("`", "'")
    return f"`{text}`"


def _closed(body: str) -> str:
    """A fence that a finding leaves open must not swallow the next finding."""
    open_fence = ""
    for line in body.splitlines():
        bare = line.strip()
        run = bare[: len(bare) - len(bare.lstrip(bare[:1]))] if bare[:1] in ("`", "~") else ""
        if not open_fence and len(run) >= 3:
            open_fence = run
        elif open_fence and bare == run and run[:1] == open_fence[:1] and len(run) >= len(open_fence):
            open_fence = ""
    return f"{body}\n{open_fence}" if open_fence else body
