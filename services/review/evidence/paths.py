"""Which files of a change a claimed path names."""

from collections import defaultdict
from collections.abc import Sequence

from services.kit.diff.model import FileDiff, Side


def path_text(path: bytes) -> str:
    """Return the path as claims and findings spell it: UTF-8, each invalid byte as U+FFFD."""
    return path.decode("utf-8", "replace")


class PathBook:
    """The names a change gives to its files, on each side.

    A claimed path is taken as it stands where the change has it. Otherwise `./`, then one `a/` or `b/`, is taken off;
    otherwise letter case is ignored, but only where that leaves one name. Anything else names nothing.
    """

    def __init__(self, diff: Sequence[FileDiff]) -> None:
        self._on: dict[Side, dict[str, list[int]]] = {Side.LEFT: defaultdict(list), Side.RIGHT: defaultdict(list)}
        self._folded: dict[str, set[str]] = defaultdict(set)
        self._spellings: dict[str, set[bytes]] = defaultdict(set)
        for number, file in enumerate(diff):
            if file.new_path is not None:
                self._add(Side.RIGHT, file.new_path, number)
            if file.old_path is not None:
                # The old text of a renamed file may be spoken of by either name.
                for path in {file.old_path, file.path}:
                    self._add(Side.LEFT, path, number)

    def _add(self, side: Side, path: bytes, number: int) -> None:
        text = path_text(path)
        self._on[side][text].append(number)
        self._folded[text.casefold()].add(text)
        self._spellings[text].add(path)

    def name(self, claimed: str) -> str | None:
        """Return the name in the change that `claimed` means, None where there is none or more than one."""
        forms = list(dict.fromkeys(_forms(claimed)))
        for form in forms:
            if form in self._spellings:
                return form
        for form in forms:
            names = self._folded.get(form.casefold(), set())
            if names:
                return next(iter(names)) if len(names) == 1 else None
        return None

    def files(self, name: str, side: Side) -> tuple[int, ...]:
        """Return which files of the diff have `name` on `side`, by index; more than one after a swap of names."""
        return tuple(self._on[side].get(name, ()))

    def is_shared(self, name: str) -> bool:
        """Tell whether files with different bytes in their paths read alike, so that `name` leads to neither."""
        return len(self._spellings.get(name, ())) > 1


def _forms(claimed: str) -> tuple[str, ...]:
    plain = claimed
    while plain.startswith("./"):
        plain = plain[2:]
    return claimed, plain, plain[2:] if plain.startswith(("a/", "b/")) else plain
