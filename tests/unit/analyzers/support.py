from services.review.analyzers.target import AddedLine, Target


def target(path: str, source: str, *, copy: str | None = None) -> Target:
    """A file of which every line is new."""
    lines = tuple(AddedLine(number, text) for number, text in enumerate(source.split("\n"), 1))
    return Target(path, path.rpartition(".")[2], lines, source.encode(), copy)
