"""The work of one call of Publish while it holds the lease: reconcile, plan, fence, effect, record."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace

from services.kit.telemetry import log, metrics
from services.webhooks.draft_maker import DraftMaker, SupersededError
from services.webhooks.hosts.base import (
    HostError,
    InDoubtError,
    InvalidError,
    Mark,
    MarkKind,
    NotFoundError,
    OwnReview,
    ReviewHost,
    UnavailableError,
)
from services.webhooks.ledger import Begun, Effect, EffectKind, EffectState, Lease
from services.webhooks.ledger_store import LedgerStore
from services.webhooks.publication_texts import Items, content_mark, run_of, summary_body

_logger = log.get("publishing")

_MARK_OF = {EffectKind.SUMMARY_REVIEW: MarkKind.SUMMARY, EffectKind.FINDINGS_REVIEW: MarkKind.FINDINGS}


class Publishing:
    """Drives the effects of one run as far as they go now. `run` raises SupersededError, BlockedError, HostError,
    LeaseLostError or AppError; the ledger then says what was done and what is in doubt."""

    def __init__(
        self,
        *,
        store: LedgerStore,
        host: ReviewHost,
        lease: Lease,
        begun: Begun,
        head_may_have_moved: bool,
        steps: Callable[[str], Awaitable[None]],
    ) -> None:
        self._store = store
        self._host = host
        self._lease = lease
        self._publication = begun.publication
        self._summary_id = begun.summary_review_id
        self._head_may_have_moved = head_may_have_moved
        self._step = steps
        self._items = Items.thaw(begun.publication.items)
        self._visible = begun.publication.visible
        self._url = begun.publication.url
        self._effects = {effect.kind: effect for effect in begun.publication.effects}
        self._reviews: list[OwnReview] = []
        self._drafts = DraftMaker(store, host, lease, self._items, begun.publication.head_sha, steps)

    async def run(self) -> None:
        """Make all effects of the run, or raise why not now."""
        await self._step("list")
        self._reviews = await self._host.list_own_reviews(self._lease.ref)
        await self._learn()
        await self._plan()
        await self._reconcile()
        await self._remove_duplicates()
        for kind in (EffectKind.SUMMARY_REVIEW, EffectKind.FINDINGS_REVIEW):
            if self._open(kind):
                await self._post_review(kind)
        if self._open(EffectKind.SUMMARY_EDIT):
            await self._edit_summary()

    async def drop_drafts(self) -> None:
        """Delete what only we see of a superseded run; what can't be deleted now goes when the next run drafts."""
        try:
            await self._store.renew(self._lease)
            for review in await self._host.list_own_reviews(self._lease.ref):
                # What is half-made can only be this run's: there is one at a time.
                if review.draft and (review.partial or run_of(review.mark) == self._lease.run_id.hex):
                    await self._step("drop draft")
                    await self._host.delete_draft(self._lease.ref, review.id)
        except HostError as error:
            _logger.info("draft left behind", run_id=str(self._lease.run_id), error=type(error).__name__)

    def _open(self, kind: EffectKind) -> bool:
        effect = self._effects.get(kind)
        return effect is not None and effect.state in (EffectState.PLANNED, EffectState.IN_DOUBT)

    # Reconcile

    def _shown(self, kind: MarkKind) -> list[OwnReview]:
        return [review for review in self._reviews if not review.draft and review.mark and review.mark.kind is kind]

    async def _learn(self) -> None:
        """Take over from the host what the ledger does not know: a run that was fenced or a database that was lost may
        have posted without a record. Only our own marks count."""
        visible = [review for review in self._reviews if not review.draft]
        summaries = self._shown(MarkKind.SUMMARY)
        before = self._summary_id
        if before not in {review.id for review in visible}:
            self._summary_id = summaries[0].id if summaries else ""
        known = await self._store.posted_reviews(self._lease)
        ours = self._lease.run_id.hex
        reviews = [*summaries, *self._shown(MarkKind.FINDINGS)]
        unknown = [review.id for review in reviews if review.id not in known and run_of(review.mark) != ours]
        if not unknown and self._summary_id == before:
            return
        marks = await self._host.list_posted_marks(self._lease.ref) if unknown else []
        digests = {mark.key for mark in marks if mark.kind is MarkKind.FINDING}
        await self._step("learn")
        await self._store.learn(self._lease, self._summary_id, unknown, digests)

    async def _plan(self) -> None:
        """Decide which effects there are; again only while nothing is visible and the host differs from the plan."""
        planned = {kind for kind, effect in self._effects.items() if effect.state is not EffectState.REJECTED}
        first = EffectKind.SUMMARY_REVIEW in planned
        holder = next((review for review in self._reviews if review.id == self._summary_id), None)
        foreign = holder is not None and run_of(holder.mark) != self._lease.run_id.hex
        fits = not foreign if first else holder is not None
        if planned and (self._visible or fits):
            return
        wanted = self._wanted(first=holder is None, posted=await self._store.posted_findings(self._lease))
        await self._step("plan")
        await self._store.plan(self._lease, wanted, "another plan took its place")
        self._effects = {effect.kind: effect for effect in wanted}

    def _wanted(self, *, first: bool, posted: set[str]) -> list[Effect]:
        fresh = self._items.unposted(posted)
        refused = tuple(index for index in fresh if not self._items.findings[index].placeable)
        posting = tuple(index for index in fresh if index not in refused)
        if first:
            return [_planned(EffectKind.SUMMARY_REVIEW, posting, refused)]
        # A review without comments of its own would say nothing that the summary does not.
        reviews = [_planned(EffectKind.FINDINGS_REVIEW, posting, refused)] if fresh else []
        return [*reviews, _planned(EffectKind.SUMMARY_EDIT, (), ())]

    async def _reconcile(self) -> None:
        """Find on the host what the ledger does not know to be there."""
        for kind, mark_kind in _MARK_OF.items():
            if not self._open(kind):
                continue
            for review in self._reviews:
                ours = review.mark is not None and review.mark.kind is mark_kind
                ours = ours and run_of(review.mark) == self._lease.run_id.hex
                # By its id too: a person with rights there may have edited the mark away.
                if not review.draft and (ours or review.id == self._effects[kind].host_id):
                    await self._record(kind, review)
                    break

    async def _remove_duplicates(self) -> None:
        """Leave one summary on the pull request and one review of findings a run; ours alone, the oldest stays."""
        kept: dict[str, OwnReview] = {}
        doubles: list[OwnReview] = []
        known = {self._summary_id, *(effect.host_id for effect in self._effects.values())}
        shown = [review for kind in (MarkKind.SUMMARY, MarkKind.FINDINGS) for review in self._shown(kind)]
        for review in sorted(shown, key=lambda review: review.id not in known):
            assert review.mark is not None
            name = "summary" if review.mark.kind is MarkKind.SUMMARY else run_of(review.mark)
            if kept.setdefault(name, review) is not review:
                doubles.append(review)
        for review in doubles:
            assert review.mark is not None
            name = "summary" if review.mark.kind is MarkKind.SUMMARY else run_of(review.mark)
            await self._store.renew(self._lease)
            await self._step("remove duplicate")
            await self._host.remove_review(self._lease.ref, review.id, kept[name].url)
            metrics.DUPLICATES_REMOVED.inc()

    # Fence

    async def _fence(self) -> None:
        """Make sure that the pull request is what was reviewed; the claim last, as its lease covers what follows."""
        if not self._visible:
            await self._step("fence")
            pull = await self._host.get_pull_request(self._lease.ref)
            if not pull.open:
                raise SupersededError("the pull request is closed")
            if pull.base_ref != self._publication.base_ref:
                raise SupersededError("the pull request has another base branch now")
            if pull.head_sha != self._publication.head_sha and not self._head_may_have_moved:
                raise SupersededError("the pull request has a newer head")
        await self._step("fence epoch")
        await self._store.renew(self._lease)

    # Effects

    async def _post_review(self, kind: EffectKind) -> None:
        """Draft, record its id, fence, submit that id, record."""
        await self._fence()
        effect, draft = await self._drafts.make(
            self._effects[kind], self._reviews, commit_may_be_gone=self._head_may_have_moved
        )
        self._effects[kind] = effect
        if draft is None:  # the host takes none of the findings in place, so the summary tells them all
            return
        await self._step("record draft")
        effect = await self._store.save(self._lease, replace(effect, host_id=draft.id))
        self._effects[kind] = effect
        await self._fence()
        await self._step("submit")
        try:
            review = await self._host.submit_draft(self._lease.ref, draft.id)
        except InDoubtError:
            raise
        except (NotFoundError, InvalidError) as error:
            review = await self._seen(effect, draft.id, error)
        except HostError as error:
            await self._undo(effect, error)
            raise
        await self._record(kind, review)

    async def _undo(self, effect: Effect, error: HostError) -> None:
        """The host said no: what was in doubt is only planned again."""
        planned = replace(effect, state=EffectState.PLANNED)
        self._effects[effect.kind] = await self._store.save(self._lease, planned, error=str(error))

    async def _seen(self, effect: Effect, review_id: str, error: HostError) -> OwnReview:
        """Answer the review if someone submitted it before us; a draft that somebody dropped is made again later."""
        try:
            review = await self._host.get_own_review(self._lease.ref, review_id)
        except NotFoundError:
            await self._undo(replace(effect, host_id=""), error)
            raise UnavailableError("the draft is gone from the host and will be written again") from None
        if review.draft:
            await self._undo(effect, error)
            raise error
        return review

    async def _record(self, kind: EffectKind, review: OwnReview) -> None:
        effect = replace(self._effects[kind], host_id=review.id)
        digests = [self._items.findings[i].digest for i in effect.findings if i not in effect.refused]
        summary = review.id if kind is not EffectKind.FINDINGS_REVIEW else ""
        # People are led to the review of this head; an edited summary is that only where there is nothing else.
        self._url = self._url if kind is EffectKind.SUMMARY_EDIT and self._url else review.url
        await self._step(f"record {kind}")
        self._effects[kind] = await self._store.post(
            self._lease, effect, url=self._url, digests=digests, summary_review_id=summary
        )
        self._summary_id = summary or self._summary_id
        self._visible = True

    async def _edit_summary(self) -> None:
        """Bring the first summary up to date; doing that twice is doing it once."""
        kind = EffectKind.SUMMARY_EDIT
        body, mark = self._edit_text()
        holder = next((review for review in self._reviews if review.id == self._summary_id), None)
        if holder is not None and holder.mark == mark:
            await self._record(kind, holder)
            return
        await self._fence()
        await self._step("doubt edit")
        effect = replace(self._effects[kind], state=EffectState.IN_DOUBT, host_id=self._summary_id)
        self._effects[kind] = await self._store.save(self._lease, effect, attempt=True)
        await self._step("edit")
        try:
            review = await self._host.edit_review(self._lease.ref, self._summary_id, body, mark)
        except InDoubtError:
            raise
        except HostError as error:
            await self._undo(effect, error)
            raise
        await self._record(kind, review)

    def _edit_text(self) -> tuple[str, Mark]:
        findings = self._effects.get(EffectKind.FINDINGS_REVIEW)
        body = summary_body(self._items, findings.refused if findings else ())
        return body, content_mark(MarkKind.SUMMARY, self._lease.run_id, body, ())


def _planned(kind: EffectKind, findings: Sequence[int], refused: Sequence[int]) -> Effect:
    return Effect(kind, EffectState.PLANNED, (*findings, *refused), tuple(refused), pin_commit=True, host_id="")
