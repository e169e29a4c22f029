"""Changes as a model's pass gets them."""

from services.kit.diff.model import LineKind
from services.review.model_port import ShownFile, ShownHunk, ShownLine, SourceView


def hunk(*lines: str, section: str = "") -> ShownHunk:
    """Each line with its mark in front."""
    old = new = 1
    made = []
    for line in lines:
        kind = LineKind(line[0])
        on_old, on_new = kind is not LineKind.ADDED, kind is not LineKind.REMOVED
        made.append(ShownLine(kind, old if on_old else None, new if on_new else None, line[1:]))
        old, new = old + on_old, new + on_new
    return ShownHunk(section, tuple(made))


def file(path: str, *hunks: ShownHunk) -> ShownFile:
    return ShownFile(path, "modified", None, hunks)


def view(*files: ShownFile) -> SourceView:
    return SourceView(files)
