"""Access tokens for a Google service account, fetched through the guarded transport and kept until they are old."""

import asyncio
import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import jwt

from services.llm_gateway.providers.addresses import AddressRules
from services.llm_gateway.providers.faults import Fault, ProviderError
from services.llm_gateway.providers.reading import error_of_status, parse_object
from services.llm_gateway.providers.transport import GuardedTransport, exchange, make_client
from services.llm_gateway.providers.wire import Network

_SCOPE = "https://www.googleapis.com/auth/cloud-platform"
_LIFE = 3600  # seconds that we ask for; the most that Google gives
_EARLY = 300  # seconds before its end from which a token counts as old
_GRANT = "urn:ietf:params:oauth:grant-type:jwt-bearer"
_PROJECT = re.compile(r"[a-z][a-z0-9.:-]{4,60}")


@dataclass(frozen=True, slots=True)
class ServiceAccount:
    """What of a service account's JSON is used; its `token_uri` is not, it could be anybody's."""

    project_id: str
    client_email: str
    private_key_id: str
    private_key: str = field(repr=False)

    @classmethod
    def read(cls, found: object) -> "ServiceAccount":
        """Answer the account; BAD_REQUEST says what is wrong with the JSON, without showing it."""
        if not isinstance(found, Mapping) or found.get("type") != "service_account":
            raise ProviderError(Fault.BAD_REQUEST, words="the JSON must be of type service_account")
        names = ("project_id", "client_email", "private_key_id", "private_key")
        values = {name: found.get(name) for name in names}
        missing = [name for name, value in values.items() if not isinstance(value, str) or not value]
        if missing:
            raise ProviderError(Fault.BAD_REQUEST, words=f"the service account has no {missing[0]}")
        if not _PROJECT.fullmatch(str(values["project_id"])):
            raise ProviderError(Fault.BAD_REQUEST, words="the service account's project_id is none")
        return cls(**{name: str(value) for name, value in values.items()})


class TokenSource:
    """The bearer token of one account; `now` answers seconds of the epoch."""

    def __init__(self, account: ServiceAccount, network: Network, now: Callable[[], float] = time.time) -> None:
        self._account = account
        self._url = network.google_token_url
        self._now = now
        self._until = 0.0
        self._token = ""
        self._fetching = asyncio.Lock()
        self._http = make_client(GuardedTransport(AddressRules(), _nobody, network.waits.connect))

    async def headers(self) -> Mapping[str, str]:
        """Answer the header that proves who we are; raises ProviderError where Google gives no token."""
        if self._now() >= self._until:
            async with self._fetching:
                if self._now() >= self._until:
                    await self._fetch()
        return {"Authorization": f"Bearer {self._token}"}

    async def aclose(self) -> None:
        """Close the connections."""
        await self._http.aclose()

    async def _fetch(self) -> None:
        begun = self._now()
        form = {"grant_type": _GRANT, "assertion": await asyncio.to_thread(self._assertion, int(begun))}
        outer = exchange.set(None)  # what is seen there is the call that needs the token
        try:
            response = await self._http.post(self._url, data=form)
        finally:
            exchange.reset(outer)
        if response.status_code != 200:
            error = error_of_status(response.status_code, response.headers, response.content)
            # Google answers 400 invalid_grant for a key that was deleted, which is no fault of the request.
            raise ProviderError(
                Fault.AUTH if error.fault is Fault.BAD_REQUEST else error.fault,
                status=error.status,
                retry_after=error.retry_after,
                words=error.words,
            )
        found: Mapping[str, Any] = parse_object(response.content)
        token, life = found.get("access_token"), found.get("expires_in")
        if not isinstance(token, str) or not token:
            raise ProviderError(Fault.AUTH, words="Google answered without an access token")
        self._token = token
        self._until = begun + (life if isinstance(life, int) else _LIFE) - _EARLY

    def _assertion(self, now: int) -> str:
        account = self._account
        claims = {
            "iss": account.client_email,
            "scope": _SCOPE,
            "aud": self._url,
            "iat": now,
            "exp": now + _LIFE,
        }
        try:
            return jwt.encode(claims, account.private_key, "RS256", {"kid": account.private_key_id})
        except (ValueError, TypeError, jwt.PyJWTError):
            raise ProviderError(Fault.AUTH, words="the service account's private key cannot be read") from None


async def _nobody() -> Mapping[str, str]:
    return {}
