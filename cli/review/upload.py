"""A change as the messages of `UploadSource`: options, then the diff, then files, then SARIF."""

from collections.abc import Iterator

from lintel.review.v1.local_review_service_pb2 import FilePiece, LocalReviewOptions, UploadSourceRequest

from cli.review.change import Change

PIECE = 1 << 20  # bytes; far below what one message may hold


def pieces(change: Change, sarif: bytes, *, no_model: bool, dry_run: bool) -> Iterator[UploadSourceRequest]:
    """Yield the messages in the order the server wants them; an empty file is one empty piece."""
    yield UploadSourceRequest(
        options=LocalReviewOptions(
            repository=change.repository.encode(errors="replace").decode(),
            base_sha=change.base_sha,
            head_sha=change.head_sha,
            no_model=no_model,
            dry_run=dry_run,
        )
    )
    for part in _cut(change.diff):
        yield UploadSourceRequest(diff=part)
    for file in change.files:
        for content, is_base in ((file.head, False), (file.base, True)):
            if content is not None:
                for part in _cut(content):
                    yield UploadSourceRequest(file=FilePiece(path=file.path, base=is_base, data=part))
    if sarif:
        for part in _cut(sarif):
            yield UploadSourceRequest(sarif=part)


def _cut(content: bytes) -> Iterator[bytes]:
    for start in range(0, max(len(content), 1), PIECE):
        yield content[start : start + PIECE]
