"""How often something may fail: after so many attempts it is refused for a while, longer each time.

Every attempt is counted before it is made, so that a thousand at once are no way around; a success is taken back.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from hashlib import sha256
from ipaddress import IPv6Address, ip_address

from services.auth.domain import email_key
from services.auth.throttle_store import Count, ThrottleStore
from services.kit.errors import AppError, Reason

FIRST_WAIT = timedelta(minutes=1)
LONGEST_WAIT = timedelta(minutes=15)  # some hundred guesses a day at one account, and an owner who is not locked out
MEMORY = timedelta(hours=1)  # without an attempt, after which counting begins anew


@dataclass(frozen=True, slots=True)
class Limit:
    """So many attempts are free; each one after them waits, a minute first, then twice as long up to a quarter hour."""

    kind: str
    attempts: int


ACCOUNT = Limit("login-account", 10)  # contract section 4: the eleventh wrong password is a 429
ADDRESS = Limit("login-address", 50)  # many people may share one
REGISTRATION = Limit("registration-address", 20)
MAILS = Limit("mail-account", 3)
MAIL_ADDRESS = Limit("mail-address", 20)


class Throttle:
    """Counts in Postgres, so that a restart forgets nothing. Accounts and addresses are kept as digests."""

    def __init__(self, store: ThrottleStore, now: Callable[[], datetime]) -> None:
        self._store = store
        self._now = now

    async def login(self, email: str, address: str) -> None:
        """Count an attempt to sign in. Raises AppError(TOO_MANY_ATTEMPTS), for accounts that do not exist as well."""
        await self._take(*_login(email, address))

    async def succeeded(self, email: str, address: str) -> None:
        """Take an attempt back that succeeded; the account's earlier failures are forgotten, the address's are not."""
        account, *others = _login(email, address)
        await self._store.forgive(forget=[account], take_back=others)

    async def registration(self, address: str) -> None:
        """Count an attempt to register. Raises AppError(TOO_MANY_ATTEMPTS)."""
        await self._take(*_addresses(REGISTRATION, address))

    async def mail(self, email: str, address: str) -> bool:
        """Count a mail that was asked for; False if the account has had enough of late, which nobody is told.

        Raises AppError(TOO_MANY_ATTEMPTS) for an address that asks for many.
        """
        await self._take(*_addresses(MAIL_ADDRESS, address))
        try:
            await self._take(_count(MAILS, email_key(email)))
        except AppError:
            return False
        return True

    async def forget(self, email: str) -> None:
        """Forget the failures of an account, whose password was set anew."""
        await self._store.forgive(forget=[_count(ACCOUNT, email_key(email))], take_back=[])

    async def _take(self, *counts: Count) -> None:
        now = self._now()
        blocked_until = await self._store.take(counts, now, now - MEMORY, FIRST_WAIT, LONGEST_WAIT)
        if blocked_until is not None:
            raise AppError(Reason.TOO_MANY_ATTEMPTS, retry_after=blocked_until - now)


def _login(email: str, address: str) -> list[Count]:
    return [_count(ACCOUNT, email_key(email)), *_addresses(ADDRESS, address)]


def _addresses(limit: Limit, address: str) -> list[Count]:
    """Answer the count of an address; an IPv6 caller has a whole /64 to call from."""
    try:
        parsed = ip_address(address)
    except ValueError:  # not known: no edge in front, as in a test
        return []
    if isinstance(parsed, IPv6Address):
        parsed = parsed.ipv4_mapped or IPv6Address(int(parsed) >> 64 << 64)
    return [_count(limit, str(parsed))]


def _count(limit: Limit, key: str) -> Count:
    return Count(limit.kind, sha256(key.encode()).digest(), limit.attempts)
