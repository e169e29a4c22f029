"""Declares what is in migrations/mongo: the indexes of MongoDB, as often as wanted; what is there stays as it is.

A file is NNNN_name.json with `why` and, by collection, the `name` and `keys` of its indexes. Nothing is recorded, since
the server itself tells which indexes it has.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from pymongo import AsyncMongoClient, IndexModel
from pymongo.asynchronous.database import AsyncDatabase

from services.kit.artefacts.settings import DATABASE

ROOT = Path(__file__).resolve().parent / "mongo"
_TIMEOUT_MS = 10_000


@dataclass(frozen=True, slots=True)
class Index:
    """One index and the file that asks for it."""

    file: str
    collection: str
    name: str
    keys: tuple[tuple[str, int], ...]


def find(root: Path = ROOT) -> Iterator[Index]:
    """Answer every index in the order of the files."""
    for path in sorted(root.glob("*.json")):
        content: dict[str, Any] = json.loads(path.read_text())
        for collection, indexes in content["indexes"].items():
            for index in indexes:
                yield Index(path.name, collection, index["name"], tuple(index["keys"].items()))


async def run(uri: str, root: Path = ROOT) -> list[Index]:
    """Make the indexes that are not there and answer them. Raises PyMongoError."""
    async with _open(uri) as client:
        database = _database(client, uri)
        missing = [index for index, is_there in await _states(database, root) if not is_there]
        for index in missing:
            await database[index.collection].create_indexes([IndexModel(list(index.keys), name=index.name)])
        return missing


async def status(uri: str, root: Path = ROOT) -> list[tuple[Index, str]]:
    """Answer every index with `applied` or `pending`. Raises PyMongoError."""
    async with _open(uri) as client:
        states = await _states(_database(client, uri), root)
    return [(index, "applied" if is_there else "pending") for index, is_there in states]


async def _states(database: AsyncDatabase[dict[str, Any]], root: Path) -> list[tuple[Index, bool]]:
    wanted = list(find(root))
    there = {
        (collection, name)
        for collection in {index.collection for index in wanted}
        for name in await database[collection].index_information()
    }
    return [(index, (index.collection, index.name) in there) for index in wanted]


def _open(uri: str) -> AsyncMongoClient[dict[str, Any]]:
    return AsyncMongoClient(uri, appname="lintel migrate", serverSelectionTimeoutMS=_TIMEOUT_MS)


def _database(client: AsyncMongoClient[dict[str, Any]], uri: str) -> AsyncDatabase[dict[str, Any]]:
    return client[unquote(urlsplit(uri).path.removeprefix("/")) or DATABASE]
