"""Code hosts by connection: built once with their credential, and their failures in the words of the mesh."""

from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta

from services.kit.errors import AppError, Reason
from services.webhooks.hosts import ADAPTERS
from services.webhooks.hosts.base import (
    ForbiddenError,
    HostError,
    InvalidError,
    ListedPullRequest,
    MovedError,
    NotFoundError,
    PullRequest,
    PullRequestRef,
    RateLimitedError,
    RepositoryRef,
    ReviewHost,
    SourcePiece,
    StaticToken,
    UnauthorizedError,
)
from services.webhooks.hosts.marker import Marker

_MIN_WAIT = timedelta(seconds=1)


class CodeHosts:
    """The hosts of the environment; `token` and `api_url` answer what is configured for one."""

    def __init__(
        self, token: Callable[[str], str | None], api_url: Callable[[str], str | None], marker: Marker
    ) -> None:
        self._token = token
        self._api_url = api_url
        self._marker = marker
        self._open: dict[str, ReviewHost] = {}

    def get(self, ref: PullRequestRef | RepositoryRef) -> ReviewHost:
        """Answer the host of it. Raises AppError(HOST_NOT_CONFIGURED) without a credential for that."""
        adapter, token = ADAPTERS.get(ref.host), self._token(ref.host)
        if adapter is None or ref.connection_id or not token:
            raise AppError(
                Reason.HOST_NOT_CONFIGURED,
                f"There is no credential for {ref.host}; set {token_variable(ref.host)} and restart.",
                host=ref.host,
            )
        if ref.host not in self._open:
            url = self._api_url(ref.host) or adapter.default_api_url
            self._open[ref.host] = adapter.connect(StaticToken(token), url, self._marker)
        return self._open[ref.host]

    async def get_pull_request(self, ref: PullRequestRef) -> PullRequest:
        """Answer the pull request as it is now."""
        host = self.get(ref)
        with host_errors(ref.host):
            return await host.get_pull_request(ref)

    async def list_open(self, repository: RepositoryRef) -> AsyncGenerator[ListedPullRequest, None]:
        """Yield the open pull requests, those that changed last first."""
        host = self.get(repository)
        with host_errors(repository.host):
            async for listed in host.list_open(repository):
                yield listed

    async def read_source(self, ref: PullRequestRef) -> AsyncIterator[SourcePiece]:
        """Yield the change, piece by piece."""
        host = self.get(ref)
        with host_errors(ref.host):
            async for piece in host.read_source(ref):
                yield piece

    async def close(self) -> None:
        """Give up the connections."""
        for host in self._open.values():
            await host.close()


def token_variable(host: str) -> str:
    """Answer the name of the variable that holds the environment's token for a host."""
    return f"{host.upper().replace('-', '_')}_TOKEN"


@contextmanager
def host_errors(host: str) -> Iterator[None]:
    """Turn a host's failure inside the block into an AppError that says what to do."""
    try:
        yield
    except UnauthorizedError as error:
        raise AppError(Reason.HOST_REFUSED, f"{error}; check {token_variable(host)}") from None
    except (ForbiddenError, NotFoundError, InvalidError) as error:
        raise AppError(Reason.HOST_REFUSED, str(error)) from None
    except RateLimitedError as error:
        wait = max(error.until - datetime.now(UTC), _MIN_WAIT)
        raise AppError(Reason.HOST_RATE_LIMITED, str(error), retry_after=wait) from None
    except MovedError as error:
        raise AppError(Reason.UNAVAILABLE, str(error), retry_after=_MIN_WAIT, moved="true") from None
    except HostError as error:
        raise AppError(Reason.HOST_UNAVAILABLE, str(error)) from None
