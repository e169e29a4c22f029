"""Chunks in MongoDB, for changes too large to sit beside the rows that decide.

No transaction holds a put together: one may last a minute at most, and a single server has none. Instead the chunks are
written under a generation of their own, and one write of the manifest makes that generation the artefact. Nothing
expires by itself either: how long a run lasts is known to Postgres alone, and the sweep asks there.
"""

import contextlib
import warnings
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit
from uuid import UUID

from bson import SON
from bson.codec_options import CodecOptions
from pymongo import AsyncMongoClient, ReadPreference, ReturnDocument, WriteConcern
from pymongo.asynchronous.database import AsyncDatabase
from pymongo.errors import DocumentTooLarge, PyMongoError
from pymongo.read_concern import ReadConcern

from services.kit.artefacts.port import Holder, Key, Manifest
from services.kit.artefacts.settings import DATABASE
from services.kit.config import ConfigError
from services.kit.errors import AppError, Reason
from services.kit.ids import new_id
from services.kit.telemetry import log

Document = dict[str, Any]

ARTEFACTS = "artefacts"
CHUNKS = "artefact_chunks"
# Bounds where the URI names none, in milliseconds: a store that is away makes work wait, not hang.
_BOUNDS = {"serverSelectionTimeoutMS": 5_000, "connectTimeoutMS": 5_000, "socketTimeoutMS": 30_000}
_MAJORITY_MS = 20_000
_SOON = timedelta(seconds=1)
_REASON = 300  # characters of what the driver says; then it repeats itself for each server
_logger = log.get("artefacts")


class MongoChunks:
    """The ChunkStore of the production profile; close it at the end. Raises ConfigError for a URI that can't be one."""

    def __init__(self, uri: str) -> None:
        try:
            parts = urlsplit(uri)
            given = {name.lower() for name, _ in parse_qsl(parts.query)}
            bounds: dict[str, Any] = {name: value for name, value in _BOUNDS.items() if name.lower() not in given}
            # The driver would go on without an option that it can not read, such as tls=yes.
            with warnings.catch_warnings(action="error", category=UserWarning):
                self._client: AsyncMongoClient[Document] = AsyncMongoClient(uri, appname="lintel", **bounds)
        except (PyMongoError, ValueError, OSError, Warning) as error:
            raise ConfigError(f"MONGODB_URI can't be used: {_without(uri, str(error))}") from None
        self._database: AsyncDatabase[Document] = self._client.get_database(
            unquote(parts.path.removeprefix("/")) or DATABASE,
            codec_options=CodecOptions(uuid_representation=4, tz_aware=True, tzinfo=UTC),
            read_preference=ReadPreference.PRIMARY,
            read_concern=ReadConcern("majority"),
            write_concern=WriteConcern("majority", wtimeout=_MAJORITY_MS, j=True),
        )
        self._artefacts = self._database[ARTEFACTS]
        self._chunks = self._database[CHUNKS]

    async def close(self) -> None:
        """Give the connections back."""
        await self._client.close()

    async def problem(self) -> str | None:
        """Answer what is wrong with the store, empty if nothing is."""
        try:
            with _errors():
                await self._database.command("ping")
        except AppError as error:
            return error.message
        return ""

    async def put(self, key: Key, chunks: AsyncIterator[bytes], manifest: Callable[[], Manifest]) -> None:
        """Keep an artefact: its chunks, then the manifest that makes them one, then what it replaces is removed."""
        generation = new_id()
        names = {"organization_id": key.organization_id, "run_id": key.run_id, "name": key.name}
        first = {"$setOnInsert": names | {"create_time": datetime.now(UTC)}}
        with _errors():
            # A holder from the start, so that the sweep finds the chunks of a put that broke off.
            await self._artefacts.update_one({"_id": _id(key)}, first, upsert=True)
        try:
            position = 0
            async for chunk in chunks:
                with _errors():
                    await self._chunks.insert_one({"_id": SON(g=generation, p=position), **names, "data": chunk})
                position += 1
            made = manifest()
            sealed = {"generation": generation, "size": made.size, "chunks": made.chunks, "sha256": made.sha256}
            with _errors():
                before = await self._artefacts.find_one_and_update(
                    {"_id": _id(key)},
                    {"$set": sealed, **first},
                    upsert=True,
                    return_document=ReturnDocument.BEFORE,
                )
        except BaseException:
            with contextlib.suppress(AppError), _errors():  # the sweep does it later
                await self._forget(generation)
            raise
        if before is not None and "generation" in before:
            with contextlib.suppress(AppError), _errors():  # likewise
                await self._forget(before["generation"])

    async def manifest(self, key: Key) -> Manifest | None:
        """Answer the manifest, None where there is no such artefact."""
        found = await self._sealed(key)
        return Manifest(found["size"], found["sha256"], found["chunks"]) if found else None

    async def chunk(self, key: Key, position: int) -> bytes | None:
        """Answer one chunk of the generation that the manifest names."""
        found = await self._sealed(key)
        if found is None:
            return None
        with _errors():
            chunk = await self._chunks.find_one({"_id": SON(g=found["generation"], p=position)}, {"data": True})
        return bytes(chunk["data"]) if chunk else None

    async def delete(self, organization_id: UUID, run_id: UUID) -> None:
        """Forget every artefact of a run: the chunks first, as whoever holds none is not found again."""
        mine = {"organization_id": organization_id, "run_id": run_id}
        with _errors():
            await self._chunks.delete_many(mine)
            await self._artefacts.delete_many(mine)

    async def holders(self, after: UUID | None, limit: int) -> list[Holder]:
        """Answer runs that have artefacts, of all organisations, by id from behind `after`."""
        stages: list[Document] = [
            {"$match": {} if after is None else {"run_id": {"$gt": after}}},
            {
                "$group": {
                    "_id": {"run_id": "$run_id", "organization_id": "$organization_id"},
                    "create_time": {"$min": "$create_time"},
                }
            },
            {"$sort": {"_id.run_id": 1}},
            {"$limit": limit},
        ]
        with _errors():
            cursor = await self._artefacts.aggregate(stages)
            rows = await cursor.to_list()
        return [Holder(r["_id"]["organization_id"], r["_id"]["run_id"], r["create_time"]) for r in rows]

    async def _sealed(self, key: Key) -> Document | None:
        with _errors():
            found = await self._artefacts.find_one({"_id": _id(key)})
        return found if found is not None and "generation" in found else None

    async def _forget(self, generation: UUID) -> None:
        await self._chunks.delete_many({"_id": {"$gte": SON(g=generation, p=0), "$lte": SON(g=generation, p=2**31)}})


def _id(key: Key) -> SON[str, Any]:
    return SON(o=key.organization_id, r=key.run_id, n=key.name)


@contextmanager
def _errors() -> Iterator[None]:
    """Whatever the driver raises means that work waits, but for a document that is larger than MongoDB takes."""
    try:
        yield
    except DocumentTooLarge:
        raise
    except PyMongoError as error:
        _logger.warning("document store lost", error=type(error).__name__, reason=str(error)[:_REASON])
        raise AppError(
            Reason.UNAVAILABLE, f"The document store does not answer ({type(error).__name__}).", retry_after=_SOON
        ) from None


def _without(uri: str, text: str) -> str:
    """Answer `text` without what stands between the scheme and the host of `uri`."""
    login = uri.partition("://")[2].rpartition("@")[0]
    for secret in filter(None, (login, login.partition(":")[2])):
        text = text.replace(secret, "…")
    return text
