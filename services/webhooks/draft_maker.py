"""Writes the draft of a review: clears the way, asks the host once, and finds out which findings it does not take."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace

from services.webhooks.hosts.base import (
    HostError,
    InDoubtError,
    InlineComment,
    InvalidError,
    Mark,
    MarkKind,
    OwnReview,
    Problem,
    ReviewHost,
    UnavailableError,
)
from services.webhooks.ledger import Effect, EffectKind, EffectState, Lease
from services.webhooks.ledger_store import LedgerStore
from services.webhooks.publication_texts import Items, content_mark, findings_body, inline, summary_body

MAX_ROUNDS = 6  # creations of the whole draft in one call of Publish
MAX_PROBES = 24  # drafts of a part, to find what the host refuses; GitHub allows about 80 creations a minute


class SupersededError(Exception):
    """The pull request is no longer what was reviewed, and nothing of the run is visible."""


class BlockedError(Exception):
    """Something that is not ours to remove is in the way; it may be gone later."""


class DraftMaker:
    """Makes drafts for one run. `make` raises SupersededError, BlockedError, HostError, LeaseLostError or AppError."""

    def __init__(
        self,
        store: LedgerStore,
        host: ReviewHost,
        lease: Lease,
        items: Items,
        head_sha: str,
        steps: Callable[[str], Awaitable[None]],
    ) -> None:
        self._store = store
        self._host = host
        self._lease = lease
        self._items = items
        self._head_sha = head_sha
        self._step = steps
        self._probes = 0

    async def make(
        self, effect: Effect, reviews: Sequence[OwnReview], *, commit_may_be_gone: bool
    ) -> tuple[Effect, OwnReview | None]:
        """Answer the effect as it stands and its draft, found or new; None if no finding is left to place in the diff.

        `reviews` are our own as last listed. The effect is IN_DOUBT from before the draft is asked for.
        """
        for _ in range(MAX_ROUNDS):
            placed = _placed(effect)
            if effect.kind is EffectKind.FINDINGS_REVIEW and not placed:
                none = replace(effect, state=EffectState.REJECTED)
                return await self._store.save(self._lease, none, error="no finding can be placed in the diff"), None
            body, mark, comments = self._content(effect, placed)
            found = await self._clear(reviews, mark)
            await self._step("doubt draft")
            doubtful = replace(effect, state=EffectState.IN_DOUBT, host_id=found.id if found else "")
            effect = await self._store.save(self._lease, doubtful, attempt=found is None)
            if found:
                return effect, found
            try:
                await self._step("create")
                commit = self._head_sha if effect.pin_commit else None
                return effect, await self._host.create_draft(self._lease.ref, commit, body, mark, comments)
            except InDoubtError:
                raise
            except HostError as error:
                planned = replace(effect, state=EffectState.PLANNED)
                effect = await self._store.save(self._lease, planned, error=str(error))
                if not isinstance(error, InvalidError):
                    raise
                effect = await self._yield_to(error, effect, commit_may_be_gone=commit_may_be_gone)
            reviews = await self._host.list_own_reviews(self._lease.ref)
        raise UnavailableError("the host kept refusing the draft for changing reasons")

    def _content(self, effect: Effect, placed: Sequence[int]) -> tuple[str, Mark, list[InlineComment]]:
        comments = inline(self._items, placed)
        if effect.kind is EffectKind.SUMMARY_REVIEW:
            kind, body = MarkKind.SUMMARY, summary_body(self._items, effect.refused)
        else:
            kind, body = MarkKind.FINDINGS, findings_body(len(placed), self._head_sha)
        return body, content_mark(kind, self._lease.run_id, body, comments), comments

    async def _clear(self, reviews: Sequence[OwnReview], mark: Mark) -> OwnReview | None:
        """Answer the draft with exactly this content; any other of ours is deleted, as there can be only one."""
        for review in reviews:
            if not review.draft or review.partial:
                continue
            if review.mark == mark:
                return review
            if not review.marked:
                # A person shares the token's account; their unfinished words are not ours to throw away.
                raise BlockedError(
                    "The account of the token has an unfinished review of its own on this pull request. "
                    "Submit or discard it, or give Lintel an account of its own."
                )
            await self._delete(review.id)
        return None

    async def _delete(self, review_id: str) -> None:
        await self._store.renew(self._lease)
        await self._step("delete draft")
        await self._host.delete_draft(self._lease.ref, review_id)

    async def _yield_to(self, error: InvalidError, effect: Effect, *, commit_may_be_gone: bool) -> Effect:
        """Give way to what the host found wrong, or raise."""
        placed = _placed(effect)
        if error.problem is Problem.DRAFT_EXISTS:
            return effect
        if error.problem is Problem.COMMIT_GONE:
            if not commit_may_be_gone:
                raise SupersededError("the reviewed commit is no longer part of the pull request") from None
            if not effect.pin_commit:
                raise error
            unpinned = replace(effect, pin_commit=False, refused=effect.findings)
            return await self._store.save(self._lease, unpinned, error=str(error))
        if not placed:
            raise error
        before = effect.refused
        named = [placed[index] for index in error.culprits if index < len(placed)]
        if named:  # this host says which, so there is nothing to find out
            await self._step("refuse")
            refused = tuple(sorted({*before, *named}))
            return await self._store.save(self._lease, replace(effect, refused=refused), error=str(error))
        effect = await self._sift(effect, placed, str(error))
        if effect.refused == before:
            # Each part is taken, but not the whole: better told in the summary than not at all.
            effect = await self._store.save(self._lease, replace(effect, refused=effect.findings), error=str(error))
        return effect

    async def _sift(self, effect: Effect, bad: Sequence[int], error: str) -> Effect:
        """Halve `bad`, which the host refuses as a whole, until the culprits are found or the probes are spent."""
        if len(bad) == 1 or self._probes + 2 > MAX_PROBES:
            refused = tuple(sorted({*effect.refused, *bad}))
            await self._step("refuse")
            return await self._store.save(self._lease, replace(effect, refused=refused), error=error)
        middle = len(bad) // 2
        left, right = bad[:middle], bad[middle:]
        if await self._takes(effect, left):
            return await self._sift(effect, right, error)
        takes_right = await self._takes(effect, right)
        effect = await self._sift(effect, left, error)
        return effect if takes_right else await self._sift(effect, right, error)

    async def _takes(self, effect: Effect, indexes: Sequence[int]) -> bool:
        """Whether the host takes these findings in place, shown by a draft that is deleted at once."""
        self._probes += 1
        await self._store.renew(self._lease)
        await self._step("probe")
        mark = Mark(MarkKind.PROBE, self._lease.run_id.hex)
        commit = self._head_sha if effect.pin_commit else None
        try:
            draft = await self._host.create_draft(
                self._lease.ref, commit, "Lintel is placing its findings.", mark, inline(self._items, indexes)
            )
        except InvalidError as error:
            if error.problem in (Problem.DRAFT_EXISTS, Problem.COMMIT_GONE):
                raise UnavailableError("the pull request changed while findings were placed") from None
            return False
        await self._delete(draft.id)
        return True


def _placed(effect: Effect) -> tuple[int, ...]:
    refused = set(effect.refused)
    return tuple(index for index in effect.findings if index not in refused)
