"""Reads request bodies within a limit of bytes and of time, whatever Content-Length says."""

import asyncio
import re
from collections.abc import AsyncIterator, Callable

from starlette.requests import ClientDisconnect, Request

from services.kit.errors import AppError, Reason

DRAIN_LIMIT = 64 * 1024 * 1024  # a client that sends more than this after our refusal is cut off
_JSON = re.compile(r"^application/(json|[a-z0-9!#$&^_.+-]+\+json)$")


async def read_body(
    request: Request, limit: int, seconds: float, reserve: Callable[[int], None] | None = None
) -> bytes:
    """Answer the whole body. `reserve` is told of each piece before it is kept and may refuse it.

    Raises AppError: BODY_TOO_LARGE above `limit` bytes, BODY_TOO_SLOW after `seconds`, and what `reserve` raises.
    A refused body is read to its end and thrown away, for most clients look for an answer only after they have sent.
    """
    arriving = request.stream()  # one iterator for both loops: it cannot be begun twice
    pieces: list[bytes] = []
    size = 0
    try:
        async with asyncio.timeout(seconds):
            try:
                if declares_more(request, limit):
                    raise too_large(limit)
                async for piece in arriving:
                    size += len(piece)
                    if size > limit:
                        raise too_large(limit)
                    if reserve is not None:
                        reserve(len(piece))
                    pieces.append(piece)
            except AppError:
                pieces.clear()
                await _drain(arriving)
                raise
    except TimeoutError:
        raise AppError(Reason.BODY_TOO_SLOW, f"The body did not arrive within {seconds:g} seconds.") from None
    except ClientDisconnect:
        raise AppError(Reason.BODY_TOO_SLOW, "The connection ended before the body did.") from None
    return b"".join(pieces)


def too_large(limit: int) -> AppError:
    """Answer the refusal of a body, which names the limit."""
    return AppError(Reason.BODY_TOO_LARGE, f"The body may have at most {limit:,} bytes.")


def declares_more(request: Request, limit: int) -> bool:
    """Tell whether Content-Length alone says that the body is too large; it is never believed when it says less."""
    declared = request.headers.get("content-length", "")
    return declared.isdecimal() and (len(declared) > 18 or int(declared) > limit)


def is_json(content_type: str) -> bool:
    """Tell whether a Content-Type is JSON in UTF-8."""
    kind, _, parameters = content_type.lower().partition(";")
    charset = [p.partition("=")[2].strip(' "') for p in parameters.split(";") if p.strip().startswith("charset")]
    return bool(_JSON.match(kind.strip())) and charset in ([], ["utf-8"], ["utf8"])


def check_encoding(request: Request) -> None:
    """Refuse a compressed body: nothing here unpacks what strangers packed."""
    if request.headers.get("content-encoding", "identity").strip().lower() not in ("", "identity"):
        raise AppError(Reason.UNSUPPORTED_MEDIA_TYPE, "Send the body without Content-Encoding.")


async def _drain(arriving: AsyncIterator[bytes]) -> None:
    left = DRAIN_LIMIT
    async for piece in arriving:
        left -= len(piece)
        if left < 0:
            return
