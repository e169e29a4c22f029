"""GitLab's reviews: draft notes that are published at once, with every text neutralised and marked on its way out."""

from collections.abc import Mapping, Sequence
from typing import Any

from services.webhooks.hosts.answers import item, number, sha, text
from services.webhooks.hosts.base import (
    HostError,
    InDoubtError,
    InlineComment,
    InvalidError,
    Mark,
    NotFoundError,
    OwnReview,
    Problem,
    PullRequestRef,
    UnavailableError,
)
from services.webhooks.hosts.gitlab import drafts as made
from services.webhooks.hosts.gitlab import shapes
from services.webhooks.hosts.gitlab.client import Client
from services.webhooks.hosts.gitlab.drafts import Drafts
from services.webhooks.hosts.gitlab.markdown import MAX_CHARACTERS, neutralise
from services.webhooks.hosts.gitlab.positions import Positions
from services.webhooks.hosts.gitlab.source import Reader
from services.webhooks.hosts.marker import Marker, looks_marked

_INLINE = "DiffNote"


class GitLab(Reader):
    """The GitLab adapter: reads merge requests and writes reviews with one credential. Methods raise HostError."""

    def __init__(self, client: Client, marker: Marker, web_url: str) -> None:
        super().__init__(client)
        self._marker = marker
        self._web_url = web_url
        self._account = 0

    async def account_id(self) -> int:
        """Answer the id of the account whose credential it is; asked once."""
        if not self._account:
            self._account = number(await self._client.get("/user"), "id")
        return self._account

    async def list_own_reviews(self, ref: PullRequestRef) -> list[OwnReview]:
        """Answer the notes of our own account that stand on no line, oldest first, and what is drafted."""
        notes = await self._own_notes(ref)
        shown = [self._own(ref, note) for note in notes if item(note, "type") != _INLINE]
        return [*shown, *(await self._drafts(ref)).reviews()]

    async def get_own_review(self, ref: PullRequestRef, review_id: str) -> OwnReview:
        """Answer one of them; NotFoundError when it is gone or another account's."""
        if review_id.startswith(made.PREFIX):
            for review in (await self._drafts(ref)).reviews():
                if review.id == review_id:
                    return review
            raise NotFoundError("the draft is gone")
        note = await self._client.get(_note_path(ref, review_id))
        if item(note, "author", "id") != await self.account_id() or item(note, "type") == _INLINE:
            raise NotFoundError("the note is another account's, or stands on a line")
        return self._own(ref, note)

    async def list_posted_marks(self, ref: PullRequestRef) -> list[Mark]:
        """Answer the valid marks of our own inline comments."""
        return [mark for _, mark in await self._posted(ref)]

    async def create_draft(
        self, ref: PullRequestRef, commit: str | None, body: str, mark: Mark, comments: Sequence[InlineComment]
    ) -> OwnReview:
        """Write the notes of a review, those of lines first; without `commit` they stand at the present head.

        Notes that are there already are kept, others of ours are dropped: a call that was cut short is taken up.
        """
        wanted = await self._wanted(ref, commit, comments)
        there = await self._drafts(ref)
        ids: list[int] = []
        left = list(there.ours)
        for index, (note, position) in wanted.items():
            kept = next((draft for draft in left if made.is_same(draft, note, position)), None)
            if kept is not None:
                left.remove(kept)
                ids.append(kept.id)
                continue
            ids.append(await self._write_draft(ref, {"note": note, "position": position}, index))
        for draft in left:
            await self._delete(ref, draft.id)
        tail = self._marker.write(ref, made.parts(ids))
        head = await self._write_draft(ref, {"note": self._render(ref, body, mark, tail)}, None)
        return OwnReview(f"{made.PREFIX}{head}", True, "", mark, True)

    async def submit_draft(self, ref: PullRequestRef, review_id: str) -> OwnReview:
        """Publish the notes, and answer the one with the body under the id it has from then on."""
        drafts = await self._drafts(ref)
        if not any(f"{made.PREFIX}{draft.id}" == review_id for draft in drafts.ours):
            raise NotFoundError("the draft is gone")
        if drafts.head is None or drafts.foreign or f"{made.PREFIX}{drafts.head.id}" != review_id:
            # All drafts of the account go out together, so nothing else may be among them.
            raise UnavailableError("the drafts on the merge request are not the ones that were written")
        mark = drafts.head.mark
        await self._client.write("POST", f"{shapes.request_path(ref)}/draft_notes/bulk_publish")
        try:
            shown = [self._own(ref, note) for note in await self._own_notes(ref)]
        except HostError as error:
            raise InDoubtError(f"published, but not seen there yet: {error}") from None
        found = next((review for review in reversed(shown) if review.mark == mark), None)
        if found is None:
            raise InDoubtError("the host took the review, and does not show it yet")
        return found

    async def delete_draft(self, ref: PullRequestRef, review_id: str) -> None:
        """Drop a draft with all its notes; one that is gone already is no error."""
        for draft in reversed((await self._drafts(ref)).ours):
            await self._delete(ref, draft.id)

    async def edit_review(self, ref: PullRequestRef, review_id: str, body: str, mark: Mark) -> OwnReview:
        """Replace the body of a visible review."""
        value = {"body": self._render(ref, body, mark)}
        note = await self._client.write("PUT", _note_path(ref, review_id), value)
        try:
            return self._own(ref, note)
        except UnavailableError as error:
            raise InDoubtError(str(error)) from None

    async def remove_review(self, ref: PullRequestRef, review_id: str, kept_url: str) -> None:
        """Delete a duplicate, and of comments that say the same all but the oldest."""
        if review_id.startswith(made.PREFIX):
            await self.delete_draft(ref, review_id)
            return
        await self.get_own_review(ref, review_id)
        await self._delete_note(ref, review_id)
        seen: set[Mark] = set()
        for note_id, mark in await self._posted(ref):
            if mark in seen:
                await self._delete_note(ref, note_id)
            seen.add(mark)

    async def _wanted(
        self, ref: PullRequestRef, commit: str | None, comments: Sequence[InlineComment]
    ) -> Mapping[int, tuple[str, Mapping[str, Any]]]:
        """Answer text and position of the comments that are not visible yet, by index; InvalidError names misfits."""
        if not comments:
            return {}
        positions = Positions(await self._version(ref, commit))
        places = [positions.place(comment) for comment in comments]
        bad = [index for index, place in enumerate(places) if place is None]
        if bad:
            raise InvalidError(Problem.LINES, ["the lines are not part of the diff"], bad)
        # Publishing many notes can stop half-way: what is visible is not said again.
        visible = {mark for _, mark in await self._posted(ref)}
        return {
            index: (self._render(ref, comment.body, comment.mark), place)
            for index, (comment, place) in enumerate(zip(comments, places, strict=True))
            if place is not None and comment.mark not in visible
        }

    async def _version(self, ref: PullRequestRef, commit: str | None) -> Any:
        """Answer the newest version with that head, with its diff."""
        path = f"{shapes.request_path(ref)}/versions"
        async for version in self._client.pages(path):
            if commit in (None, sha(version, "head_commit_sha")):
                return await self._client.get(f"{path}/{number(version, 'id')}")
        raise InvalidError(Problem.COMMIT_GONE, ["the merge request never had that commit as its head"])

    async def _write_draft(self, ref: PullRequestRef, value: Mapping[str, Any], index: int | None) -> int:
        try:
            draft = await self._client.write("POST", f"{shapes.request_path(ref)}/draft_notes", value)
        except InvalidError as error:
            if error.problem is Problem.LINES and index is not None:
                raise InvalidError(Problem.LINES, error.details, [index]) from None
            raise
        try:
            return number(draft, "id")
        except UnavailableError as error:
            raise InDoubtError(str(error)) from None

    async def _delete(self, ref: PullRequestRef, draft_id: int) -> None:
        try:
            await self._client.write("DELETE", f"{shapes.request_path(ref)}/draft_notes/{draft_id}")
        except NotFoundError:
            return

    async def _delete_note(self, ref: PullRequestRef, note_id: str) -> None:
        try:
            await self._client.write("DELETE", _note_path(ref, note_id))
        except NotFoundError:
            return

    async def _drafts(self, ref: PullRequestRef) -> Drafts:
        path = f"{shapes.request_path(ref)}/draft_notes"
        return Drafts(ref, self._marker, [one async for one in self._client.pages(path)])

    async def _own_notes(self, ref: PullRequestRef) -> list[Any]:
        account = await self.account_id()
        query = {"sort": "asc", "order_by": "created_at"}
        return [
            note
            async for note in self._client.pages(f"{shapes.request_path(ref)}/notes", query)
            if item(note, "author", "id") == account and item(note, "system") is not True
        ]

    async def _posted(self, ref: PullRequestRef) -> list[tuple[str, Mark]]:
        """Answer ids and marks of our own visible comments on lines, oldest first."""
        notes = [note for note in await self._own_notes(ref) if item(note, "type") == _INLINE]
        marks = [(str(number(note, "id")), self._marker.read(ref, text(note, "body"))) for note in notes]
        return [(note_id, mark) for note_id, mark in marks if mark]

    def _render(self, ref: PullRequestRef, body: str, mark: Mark, more: str = "") -> str:
        tail = "\n\n" + (f"{more}\n" if more else "") + self._marker.write(ref, mark)
        return neutralise(body, MAX_CHARACTERS - len(tail)) + tail

    def _own(self, ref: PullRequestRef, note: Any) -> OwnReview:
        body = item(note, "body")
        body = body if isinstance(body, str) else ""
        note_id = str(number(note, "id"))
        return OwnReview(
            id=note_id,
            draft=False,
            url=f"{self._web_url}/{ref.repository}/-/merge_requests/{ref.number}#note_{note_id}",
            mark=self._marker.read(ref, body),
            marked=looks_marked(body),
        )


def _note_path(ref: PullRequestRef, note_id: str) -> str:
    return f"{shapes.request_path(ref)}/notes/{shapes.number_path(note_id)}"
