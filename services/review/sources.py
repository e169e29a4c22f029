"""Where a run's change comes from: a code host, or an upload that was kept as artefacts."""

from typing import Protocol

from services.kit.artefacts.artefacts import Artefacts
from services.kit.artefacts.codec import ArtefactError
from services.kit.artefacts.port import Key
from services.kit.errors import AppError, Reason
from services.review.clients import CodeHosts
from services.review.domain import ChangeSource, PullRequest, Run, Upload
from services.review.local.pieces import DIFF, FILES, MAX_UPLOAD, SARIF, unpack_files


class Source(Protocol):
    """Reads the change of a run. Raises AppError: SOURCE_INVALID and HOST_REFUSED are for good."""

    async def read(self, run: Run) -> ChangeSource:
        """Answer the whole change."""


class CodeHostSource:
    """A pull request at its present head."""

    def __init__(self, hosts: CodeHosts) -> None:
        self._hosts = hosts

    async def read(self, run: Run) -> ChangeSource:
        """Read it from the host. Raises AppError(UNAVAILABLE) where the head is another than the run's."""
        return await self._hosts.read_source(run)


class UploadSource:
    """What the caller of a local review sent, untouched; the same for every attempt of the run."""

    def __init__(self, artefacts: Artefacts) -> None:
        self._artefacts = artefacts

    async def read(self, run: Run) -> ChangeSource:
        """Read it from the artefacts."""
        try:
            diff = await self._whole(run, DIFF)
            has_files, has_sarif = await self._has(run, FILES), await self._has(run, SARIF)
            packed = self._artefacts.get(self._key(run, FILES), MAX_UPLOAD)
            files = await unpack_files(packed) if has_files else ()
            sarif = await self._whole(run, SARIF) if has_sarif else None
        except ArtefactError as error:
            raise AppError(Reason.SOURCE_INVALID, f"the upload can't be read back: {error}") from None
        change = PullRequest(True, False, run.head_sha, run.base_ref, run.base_sha, "")
        return ChangeSource(change, (), (), Upload(diff, files, sarif))

    async def _has(self, run: Run, name: str) -> bool:
        return await self._artefacts.has(self._key(run, name))

    async def _whole(self, run: Run, name: str) -> bytes:
        content = bytearray()
        async for piece in self._artefacts.get(self._key(run, name), MAX_UPLOAD):
            content += piece
        return bytes(content)

    @staticmethod
    def _key(run: Run, name: str) -> Key:
        return Key(run.organization_id, run.id, name)
