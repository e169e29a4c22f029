"""Chunks in tables of the service, under its row-level security."""

from collections.abc import AsyncIterator, Callable
from uuid import UUID

from services.kit.artefacts.port import Holder, Key, Manifest
from services.kit.postgres.pool import Database


class PostgresChunks:
    """The ChunkStore of the embedded profile: tables `artefacts` and `artefact_chunks` of a service's schema."""

    def __init__(self, database: Database, schema: str) -> None:
        self._database = database
        self._artefacts = f"{schema}.artefacts"
        self._chunks = f"{schema}.artefact_chunks"

    async def put(self, key: Key, chunks: AsyncIterator[bytes], manifest: Callable[[], Manifest]) -> None:
        """Keep an artefact, in one transaction."""
        names = (key.organization_id, key.run_id, key.name)
        async with self._database.tenant(key.organization_id) as connection:
            await connection.execute(
                f"DELETE FROM {self._artefacts} WHERE organization_id = $1 AND run_id = $2 AND name = $3",  # noqa: S608
                *names,
            )
            position = 0
            async for chunk in chunks:
                await connection.execute(
                    f"INSERT INTO {self._chunks} (organization_id, run_id, name, position, data) "  # noqa: S608
                    "VALUES ($1, $2, $3, $4, $5)",
                    *names,
                    position,
                    chunk,
                )
                position += 1
            made = manifest()
            await connection.execute(
                f"INSERT INTO {self._artefacts} (organization_id, run_id, name, size, chunks, sha256) "  # noqa: S608
                "VALUES ($1, $2, $3, $4, $5, $6)",
                *names,
                made.size,
                made.chunks,
                made.sha256,
            )

    async def manifest(self, key: Key) -> Manifest | None:
        """Answer the manifest, None where there is no such artefact."""
        async with self._database.tenant(key.organization_id) as connection:
            row = await connection.fetchrow(
                f"SELECT * FROM {self._artefacts} WHERE organization_id = $1 AND run_id = $2 AND name = $3",  # noqa: S608
                key.organization_id,
                key.run_id,
                key.name,
            )
        return Manifest(row["size"], row["sha256"], row["chunks"]) if row else None

    async def chunk(self, key: Key, position: int) -> bytes | None:
        """Answer one chunk, counted from 0."""
        async with self._database.tenant(key.organization_id) as connection:
            data: bytes | None = await connection.fetchval(
                f"SELECT data FROM {self._chunks} "  # noqa: S608
                "WHERE organization_id = $1 AND run_id = $2 AND name = $3 AND position = $4",
                key.organization_id,
                key.run_id,
                key.name,
                position,
            )
        return data

    async def delete(self, organization_id: UUID, run_id: UUID) -> None:
        """Forget every artefact of a run; the chunks go with it."""
        async with self._database.tenant(organization_id) as connection:
            await connection.execute(
                f"DELETE FROM {self._artefacts} WHERE organization_id = $1 AND run_id = $2",  # noqa: S608
                organization_id,
                run_id,
            )

    async def problem(self) -> str | None:
        """The database tells for itself."""
        return None

    async def close(self) -> None:
        """The database is closed by whoever opened it."""

    async def holders(self, after: UUID | None, limit: int) -> list[Holder]:
        """Answer runs that have artefacts, of all organisations, by id from behind `after`."""
        async with self._database.queue() as connection:
            rows = await connection.fetch(
                "SELECT organization_id, run_id, min(create_time) AS create_time "  # noqa: S608
                f"FROM {self._artefacts} WHERE $1::uuid IS NULL OR run_id > $1 "
                "GROUP BY organization_id, run_id ORDER BY run_id LIMIT $2",
                after,
                limit,
            )
        return [Holder(row["organization_id"], row["run_id"], row["create_time"]) for row in rows]
