"""Passwords: hashed and compared off the event loop, so many at a time and no more."""

import asyncio
import secrets
import unicodedata
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import TypeVar

from argon2 import PasswordHasher, Type
from argon2.exceptions import InvalidHashError, VerificationError

from services.kit.errors import AppError, Reason

ResultT = TypeVar("ResultT")

AT_ONCE = 2  # hashes under way: each takes 19 MiB and a core for some 50 ms
WAITING = 32  # more would wait longer than a caller does


class Passwords:
    """Argon2id (RFC 9106) with 19 MiB of memory, two passes and one lane.

    The parameters are the first ones of OWASP's Password Storage Cheat Sheet. A hash made with others still verifies,
    and is made anew at the next login.
    """

    def __init__(self, hasher: PasswordHasher | None = None) -> None:
        self._hasher = hasher or PasswordHasher(
            time_cost=2, memory_cost=19 * 1024, parallelism=1, hash_len=32, salt_len=16, type=Type.ID
        )
        self._threads = ThreadPoolExecutor(AT_ONCE, thread_name_prefix="passwords")
        self._inside = 0
        # What a password is compared with where there is no account, so that both cases take the same time.
        self._nobody = self._hasher.hash(secrets.token_hex(16))

    def close(self) -> None:
        """End the threads; what is under way comes to its end."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    async def hash(self, password: str) -> str:
        """Answer what is stored of a password. Raises AppError(OVERLOADED) if too many are waiting."""
        return await self._run(lambda: self._hasher.hash(_normal(password)))

    async def verify(self, stored: str | None, password: str) -> bool:
        """Tell whether a password is the stored one; with none stored it takes as long and is False."""
        is_right = await self._run(lambda: self._verify(stored or self._nobody, password))
        return is_right and stored is not None

    def is_outdated(self, stored: str) -> bool:
        """Tell whether a hash was made with other parameters than today's."""
        return self._hasher.check_needs_rehash(stored)

    def _verify(self, stored: str, password: str) -> bool:
        try:
            return self._hasher.verify(stored, _normal(password))
        except (VerificationError, InvalidHashError):
            return False

    async def _run(self, work: Callable[[], ResultT]) -> ResultT:
        if self._inside >= AT_ONCE + WAITING:
            raise AppError(Reason.OVERLOADED, retry_after=timedelta(seconds=2))
        self._inside += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(self._threads, work)
        finally:
            self._inside -= 1


def _normal(password: str) -> bytes:
    """Answer the bytes to hash: NFKC (NIST SP 800-63B), so that it is the same password from every keyboard."""
    return unicodedata.normalize("NFKC", password).encode()
