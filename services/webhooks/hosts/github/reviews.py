"""GitHub's reviews: drafts that are submitted by id, with every text neutralised and marked on its way out."""

from collections.abc import Sequence
from typing import Any

from services.webhooks.hosts.base import (
    InDoubtError,
    InlineComment,
    Mark,
    MarkKind,
    NotFoundError,
    OwnReview,
    PullRequestRef,
    UnavailableError,
)
from services.webhooks.hosts.github import shapes
from services.webhooks.hosts.github.client import Client
from services.webhooks.hosts.github.markdown import MAX_CHARACTERS, neutralise
from services.webhooks.hosts.github.source import Reader
from services.webhooks.hosts.marker import Marker, looks_marked

_REVIEW_ID = frozenset("0123456789")


class GitHub(Reader):
    """The GitHub adapter: reads pull requests and writes reviews with one credential. Methods raise HostError."""

    def __init__(self, client: Client, marker: Marker) -> None:
        super().__init__(client)
        self._marker = marker
        self._account = 0

    async def account_id(self) -> int:
        """Answer the id of the account whose credential it is; asked once."""
        if not self._account:
            self._account = shapes.number(await self._client.get("/user"), "id")
        return self._account

    async def list_own_reviews(self, ref: PullRequestRef) -> list[OwnReview]:
        """Answer the reviews of our own account, drafts too, oldest first."""
        account = await self.account_id()
        path = f"{shapes.pull_path(ref)}/reviews"
        return [
            self._own(ref, item)
            async for item in self._client.pages(path)
            if shapes.item(item, "user", "id") == account
        ]

    async def get_own_review(self, ref: PullRequestRef, review_id: str) -> OwnReview:
        """Answer one of them; NotFoundError when it is gone or another account's."""
        item = await self._client.get(_review_path(ref, review_id))
        if shapes.item(item, "user", "id") != await self.account_id():
            raise NotFoundError("the review is another account's")
        return self._own(ref, item)

    async def list_posted_marks(self, ref: PullRequestRef) -> list[Mark]:
        """Answer the valid marks of our own inline comments."""
        account = await self.account_id()
        marks = [
            self._marker.read(ref, shapes.text(item, "body"))
            async for item in self._client.pages(f"{shapes.pull_path(ref)}/comments")
            if shapes.item(item, "user", "id") == account
        ]
        return [mark for mark in marks if mark]

    async def create_draft(
        self, ref: PullRequestRef, commit: str | None, body: str, mark: Mark, comments: Sequence[InlineComment]
    ) -> OwnReview:
        """Create a pending review, all or nothing; without `commit` it stands at the present head."""
        value: dict[str, Any] = {"body": self._render(ref, body, mark)}
        if commit is not None:
            value["commit_id"] = commit
        if comments:
            value["comments"] = [self._comment(ref, comment) for comment in comments]
        return self._written(ref, await self._client.write("POST", f"{shapes.pull_path(ref)}/reviews", value))

    async def submit_draft(self, ref: PullRequestRef, review_id: str) -> OwnReview:
        """Make a draft visible, as a comment without a verdict."""
        path = f"{_review_path(ref, review_id)}/events"
        return self._written(ref, await self._client.write("POST", path, {"event": "COMMENT"}))

    async def delete_draft(self, ref: PullRequestRef, review_id: str) -> None:
        """Drop a draft; one that is gone already is no error."""
        try:
            await self._client.write("DELETE", _review_path(ref, review_id))
        except NotFoundError:
            return

    async def edit_review(self, ref: PullRequestRef, review_id: str, body: str, mark: Mark) -> OwnReview:
        """Replace the body of a visible review."""
        value = {"body": self._render(ref, body, mark)}
        return self._written(ref, await self._client.write("PUT", _review_path(ref, review_id), value))

    async def remove_review(self, ref: PullRequestRef, review_id: str, kept_url: str) -> None:
        """Take a duplicate away: a draft goes; of a visible review, which GitHub never deletes, only a line stays."""
        review = await self.get_own_review(ref, review_id)
        if review.draft:
            await self.delete_draft(ref, review_id)
            return
        comments = [item async for item in self._client.pages(f"{_review_path(ref, review_id)}/comments")]
        for item in comments:
            try:
                path = f"{shapes.repository_path(ref)}/pulls/comments/{shapes.number(item, 'id')}"
                await self._client.write("DELETE", path)
            except NotFoundError:
                continue
        body = f"*Posted twice by mistake and taken back. The review is at `{kept_url}`.*"
        await self.edit_review(ref, review_id, body, Mark(MarkKind.REMOVED, review_id))

    def _render(self, ref: PullRequestRef, body: str, mark: Mark) -> str:
        tail = "\n\n" + self._marker.write(ref, mark)
        return neutralise(body, MAX_CHARACTERS - len(tail)) + tail

    def _comment(self, ref: PullRequestRef, comment: InlineComment) -> dict[str, Any]:
        side = "LEFT" if comment.left else "RIGHT"
        value: dict[str, Any] = {
            "path": comment.path,
            "body": self._render(ref, comment.body, comment.mark),
            "line": comment.end_line,
            "side": side,
        }
        if comment.start_line != comment.end_line:
            value |= {"start_line": comment.start_line, "start_side": side}
        return value

    def _own(self, ref: PullRequestRef, item: Any) -> OwnReview:
        body = shapes.item(item, "body")
        body = body if isinstance(body, str) else ""
        url = shapes.item(item, "html_url")
        return OwnReview(
            id=str(shapes.number(item, "id")),
            draft=shapes.text(item, "state").upper() == "PENDING",
            url=url if isinstance(url, str) else "",
            mark=self._marker.read(ref, body),
            marked=looks_marked(body),
        )

    def _written(self, ref: PullRequestRef, item: Any) -> OwnReview:
        try:
            return self._own(ref, item)
        except UnavailableError as error:
            raise InDoubtError(str(error)) from None


def _review_path(ref: PullRequestRef, review_id: str) -> str:
    if not review_id or set(review_id) - _REVIEW_ID:
        raise NotFoundError("the id of a review is a number")
    return f"{shapes.pull_path(ref)}/reviews/{review_id}"
