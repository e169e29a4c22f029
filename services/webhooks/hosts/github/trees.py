"""Modes, blobs and sizes of files at a commit, from its trees: one call, more only where GitHub cuts the tree short."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from services.webhooks.hosts.base import NotFoundError
from services.webhooks.hosts.github import shapes
from services.webhooks.hosts.github.client import Client

MAX_WALKED = 100  # trees read one by one when the whole is cut short

REGULAR_MODES = frozenset({"100644", "100755", "100664"})
LINK_MODE = "120000"
SUBMODULE_MODE = "160000"


@dataclass(frozen=True, slots=True)
class Entry:
    """A file at a commit; `size` in bytes is 0 for a submodule."""

    mode: str
    sha: str
    size: int


@dataclass(frozen=True, slots=True)
class Listing:
    """The entries that were found, by path; `complete` tells whether a missing one is really not there."""

    entries: dict[str, Entry]
    complete: bool


async def find(client: Client, repository: str, commit: str, paths: Iterable[str]) -> Listing:
    """Answer the entries of `paths` at a commit; an empty listing for a commit the host does not have."""
    wanted = set(paths)
    if not wanted or not commit:
        return Listing({}, complete=bool(commit))
    try:
        tree = await client.get(f"{repository}/git/trees/{commit}", query={"recursive": "1"})
    except NotFoundError:
        return Listing({}, complete=False)
    found = _entries(tree, "", wanted)
    if shapes.item(tree, "truncated") is not True:
        return Listing(found, complete=True)
    missing = wanted - found.keys()
    walked, complete = await _walk(client, repository, commit, missing)
    return Listing(found | walked, complete)


async def _walk(client: Client, repository: str, root: str, wanted: set[str]) -> tuple[dict[str, Entry], bool]:
    """Read only the directories that lead to `wanted`."""
    found: dict[str, Entry] = {}
    waiting = [("", root)]
    complete = True
    for _ in range(MAX_WALKED):
        if not waiting:
            break
        prefix, sha = waiting.pop(0)
        tree = await client.get(f"{repository}/git/trees/{sha}")
        found |= _entries(tree, prefix, wanted)
        complete = complete and shapes.item(tree, "truncated") is not True
        below = _directories(tree, prefix)
        waiting += [(path, child) for path, child in below if any(want.startswith(path) for want in wanted)]
    return found, complete and not waiting


def _items(tree: Any) -> list[Any]:
    items = shapes.item(tree, "tree")
    return items if isinstance(items, list) else []


def _directories(tree: Any, prefix: str) -> list[tuple[str, str]]:
    directories = [one for one in _items(tree) if shapes.item(one, "type") == "tree"]
    return [(f"{prefix}{shapes.text(one, 'path')}/", shapes.sha(one, "sha")) for one in directories]


def _entries(tree: Any, prefix: str, wanted: set[str]) -> dict[str, Entry]:
    found: dict[str, Entry] = {}
    for one in _items(tree):
        name = shapes.item(one, "path")
        if isinstance(name, str) and prefix + name in wanted and shapes.item(one, "type") != "tree":
            size = shapes.item(one, "size")
            found[prefix + name] = Entry(
                shapes.text(one, "mode"), shapes.sha(one, "sha"), size if isinstance(size, int) else 0
            )
    return found
