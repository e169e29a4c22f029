"""The sweep: asks the hosts for open pull requests that no webhook told of, so that a lost webhook costs time only.

What it finds takes the way of every event, with an id that follows from what it says: two sweeps say it once.
"""

import random
from collections.abc import Callable
from contextlib import aclosing
from datetime import datetime, timedelta
from uuid import UUID, uuid5

from services.kit.bus.port import Envelope
from services.kit.errors import AppError, Reason
from services.kit.postgres import outbox
from services.kit.postgres.pool import Database, Row
from services.kit.telemetry import log, metrics
from services.webhooks import repository_store as store
from services.webhooks.code_hosts import CodeHosts
from services.webhooks.hosts import ADAPTERS
from services.webhooks.hosts.base import Action, ListedPullRequest, PullRequest, PullRequestChanged, RepositoryRef

MAX_PULL_REQUESTS = 300  # of one repository in one sweep: three calls of GitHub
FORGOTTEN = timedelta(days=90)  # heads that nobody spoke of since; a word about one more than needed does no harm
_OVERLAP = timedelta(minutes=5)  # clocks differ, and a list may lag
_SPREAD = 0.25
_NAMES = UUID("0c6f4a52-3d0b-4f0e-8a7b-6f2d9d8f4b10")  # the name space of the events' ids
_logger = log.get("sweep")
metrics.from_zero(metrics.SWEEPS, ADAPTERS, ["ok"])

Seal = Callable[[UUID, PullRequestChanged, UUID], Envelope]
_Known = dict[int, tuple[str, str]]


class Sweep:
    """Looks at one repository at a time, each every `cadence`; any number of processes share them."""

    def __init__(
        self,
        database: Database,
        hosts: CodeHosts,
        seal: Seal,
        cadence: timedelta,
        luck: Callable[[], float] = random.random,
    ) -> None:
        self._database = database
        self._hosts = hosts
        self._seal = seal
        self._cadence = cadence
        self._luck = luck

    async def run(self) -> bool:
        """Look at the repository that is due first; True if there was one."""
        async with self._database.queue() as connection:
            spread = self._cadence * (1 + _SPREAD * (2 * self._luck() - 1))
            row = await store.claim_sweep(connection, spread)
        if row is None:
            return False
        place = (row["organization_id"], row["host"], row["repository_id"], row["connection_id"])
        try:
            told = await self._look(row, place)
        except AppError as error:
            if error.reason is Reason.UNAVAILABLE:
                raise  # the database is away
            await self._failed(place, error)
            return True
        metrics.SWEEPS.labels(row["host"], "ok").inc()
        metrics.SWEPT.inc(told)
        if told:
            _logger.info("pull requests without a webhook", repository=row["repository"], found=told)
        return True

    async def _look(self, row: Row, place: store.Place) -> int:
        repository = RepositoryRef(row["host"], row["connection_id"], row["repository_id"], row["repository"])
        async with self._database.tenant(row["organization_id"]) as connection:
            known = await store.announced(connection, place)
        since = row["sweep_time"] - _OVERLAP if row["sweep_time"] else None
        listed, is_whole = await self._list(repository, since)
        async with self._database.tenant(row["organization_id"]) as connection:
            told = 0
            for one in listed:
                pull = one.pull_request
                event = _event(one, known, row["connect_time"], is_first=since is None)
                if event is not None:
                    envelope = self._seal(row["organization_id"], event, _name(row["organization_id"], pull, known))
                    await outbox.append(connection, "webhooks", envelope)
                    told += 1
                if not pull.draft:
                    await store.announce(connection, row["organization_id"], pull.ref, pull.head_sha, pull.base_ref)
            await store.forget_old_heads(connection, place, FORGOTTEN)
            if is_whole:
                gone = known.keys() - {one.pull_request.ref.number for one in listed}
                await store.forget_heads(connection, place, gone)
            await store.finish_sweep(connection, place, row["now"])
        return told

    async def _list(self, repository: RepositoryRef, since: datetime | None) -> tuple[list[ListedPullRequest], bool]:
        """Answer what changed `since` then, as far as one sweep goes, and whether that is all there is."""
        listed: list[ListedPullRequest] = []
        async with aclosing(self._hosts.list_open(repository)) as found:
            async for one in found:
                if (since is not None and one.update_time < since) or len(listed) >= MAX_PULL_REQUESTS:
                    return listed, False
                listed.append(one)
        return listed, True

    async def _failed(self, place: store.Place, error: AppError) -> None:
        organization_id, host, *_ = place
        pause = error.retry_after * (1 + _SPREAD * self._luck()) if error.retry_after else None
        async with self._database.tenant(organization_id) as connection:
            await store.fail_sweep(connection, place, error.message or error.reason.value, pause)
        metrics.SWEEPS.labels(host, error.reason.value.lower()).inc()
        _logger.warning("host not swept", host=host, reason=error.reason.value, message=error.message)


def _event(
    listed: ListedPullRequest, known: _Known, connect_time: datetime, *, is_first: bool
) -> PullRequestChanged | None:
    """What nobody has told of a pull request yet. Of those before the repository was connected, the first look only
    learns the head: they are reviewed when they change."""
    pull = listed.pull_request
    told = known.get(pull.ref.number)
    if pull.draft or told == (pull.head_sha, pull.base_ref):
        return None
    if told is None and is_first and listed.create_time < connect_time:
        return None
    action = Action.OPENED if told is None else Action.SYNCHRONIZED
    return PullRequestChanged(pull.ref, action, pull.head_sha, pull.base_ref, draft=False)


def _name(organization_id: UUID, pull: PullRequest, known: _Known) -> UUID:
    """The id of the event: the same for whoever finds that this head follows on that one."""
    ref = pull.ref
    before = known.get(ref.number, ("", ""))
    words = (organization_id, ref.host, ref.connection_id, ref.repository_id, ref.number, *before)
    return uuid5(_NAMES, "\0".join(map(str, (*words, pull.head_sha, pull.base_ref))))
