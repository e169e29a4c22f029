"""The operations on comments: inline ones outside a review, replies, and those on the page."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any, TypeVar

from emulators.github import rules
from emulators.github.answers import Answer, Call, RefusedError, json_answer, not_found, paged
from emulators.github.host import Host
from emulators.github.model import Anchor, IssueComment, PullRequest, PullState, Review, ReviewComment
from emulators.github.reviews import add_comment, state_at

_Comment = TypeVar("_Comment", ReviewComment, IssueComment)


def _failed(resource: str, field: str, message: str, code: str = "custom") -> RefusedError:
    error = {"resource": resource, "code": code, "field": field, "message": message}
    return RefusedError(422, "Validation Failed", [error])


class Comments:
    """Handlers of inline comments and page comments."""

    def __init__(self, host: Host) -> None:
        self._host = host

    def _text(self, call: Call, resource: str) -> str:
        text = str(call.body["body"])
        for message in rules.body_errors(text, self._host.limits, required=True):
            raise _failed(resource, "body", message)
        return text

    async def inline_list(self, call: Call) -> Answer:
        """Answers the inline comments of a pull request that the user may see."""
        number = self._host.pull(call.integer("pull_number")).number
        state = self._host.state
        seen = [
            comment
            for comment in state.comments.values()
            if comment.number == number and state.reviews[comment.review_id].visible_to(call.user)
        ]
        found = _since(call, seen)
        field = f"{call.query['sort']}_at"
        found.sort(key=lambda c: (getattr(c, field), c.id), reverse=call.query.get("direction") == "desc")
        page, headers = paged(call, found, self._host.limits.page, self._host.api)
        return json_answer([await self._shape(comment) for comment in page], headers=headers)

    async def _shape(self, comment: ReviewComment) -> dict[str, Any]:
        return self._host.render.comment(comment, *await self._host.place(comment))

    async def inline_create(self, call: Call) -> Answer:
        """Creates one inline comment (a review of its own), or a reply when `in_reply_to` is given."""
        pull = self._host.pull(call.integer("pull_number"))
        text = self._text(call, "PullRequestReviewComment")
        if "in_reply_to" in call.body:
            return await self._reply(call, pull, call.body["in_reply_to"], text)
        state = await state_at(self._host, pull, call.body["commit_id"])
        if state is None:
            raise _failed("PullRequestReviewComment", "commit_id", rules.BAD_COMMIT)
        if call.body.get("subject_type") == "file":
            return await self._posted(call, pull, text, self._file_path(call, state), None, state)
        place = rules.anchor(call.body, state, self._host.limits)
        if isinstance(place, str):
            field = "path" if place == rules.BAD_PATH else "pull_request_review_thread.line"
            raise _failed("PullRequestReviewComment", field, place)
        return await self._posted(call, pull, text, place.path, place, state)

    def _file_path(self, call: Call, state: PullState) -> str:
        path = str(call.body["path"])
        if {"line", "position", "start_line"} & set(call.body):
            raise _failed("PullRequestReviewComment", "subject_type", "a comment on a file has no line")
        if state.file(path) is None:
            raise _failed("PullRequestReviewComment", "path", rules.BAD_PATH)
        return path

    async def _posted(
        self, call: Call, pull: PullRequest, text: str, path: str, place: Anchor | None, state: PullState
    ) -> Answer:
        comment = add_comment(self._host, self._own_review(call, pull, state.head), text, path, place, state)
        self._host.touch(pull)
        shape = await self._shape(comment)
        return json_answer(shape, 201, {"Location": shape["url"]})

    def _own_review(self, call: Call, pull: PullRequest, commit: str) -> Review:
        host = self._host
        if host.state.pending_of(pull.number, call.user) is not None:
            message = "user_id can only have one pending review per pull request"
            raise _failed("PullRequestReview", "user_id", message)
        review = Review(host.state.new_id(), pull.number, call.user, "", "COMMENTED", commit, host.clock())
        host.state.reviews[review.id] = review
        return review

    async def inline_reply(self, call: Call) -> Answer:
        """Replies to a top-level inline comment."""
        pull = self._host.pull(call.integer("pull_number"))
        text = self._text(call, "PullRequestReviewComment")
        return await self._reply(call, pull, call.integer("comment_id"), text)

    async def _reply(self, call: Call, pull: PullRequest, parent_id: int, text: str) -> Answer:
        parent = self._host.state.comments.get(parent_id)
        if parent is None or parent.number != pull.number or not self._seen(call, parent):
            raise not_found()
        if parent.in_reply_to is not None:
            message = "replies to replies are not supported"
            raise _failed("PullRequestReviewComment", "in_reply_to", message)
        review = self._own_review(call, pull, parent.commit_id)
        state = await self._host.pull_state(parent.merge_base, parent.commit_id)
        comment = add_comment(self._host, review, text, parent.path, parent.anchor, state)
        comment.in_reply_to = parent.id
        shape = await self._shape(comment)
        return json_answer(shape, 201, {"Location": shape["url"]})

    def _seen(self, call: Call, comment: ReviewComment) -> bool:
        return self._host.state.reviews[comment.review_id].visible_to(call.user)

    def _inline(self, call: Call) -> ReviewComment:
        comment = self._host.state.comments.get(call.integer("comment_id"))
        if comment is None or not self._seen(call, comment):
            raise not_found()
        return comment

    async def inline_get(self, call: Call) -> Answer:
        """Answers one inline comment."""
        return json_answer(await self._shape(self._inline(call)))

    async def inline_update(self, call: Call) -> Answer:
        """Replaces the text of an inline comment; others' only with write access."""
        comment = self._editable(call, self._inline(call))
        comment.body, comment.updated_at = self._text(call, "PullRequestReviewComment"), self._host.clock()
        return json_answer(await self._shape(comment))

    async def inline_delete(self, call: Call) -> Answer:
        """Deletes an inline comment; the review that only held it goes with its last comment."""
        comment, state = self._editable(call, self._inline(call)), self._host.state
        del state.comments[comment.id]
        review = state.reviews[comment.review_id]
        if review.state == "COMMENTED" and not review.body and not state.comments_of(review.id):
            del state.reviews[review.id]
        return Answer(204)

    def _editable(self, call: Call, comment: _Comment) -> _Comment:
        if comment.user.id != call.user.id and call.user.access != "write":
            raise RefusedError(403, "Must have admin rights to Repository.")
        return comment

    async def page_list(self, call: Call) -> Answer:
        """Answers the comments on the page of a pull request, oldest first."""
        number = self._host.pull(call.integer("issue_number")).number
        found = _since(call, (c for c in self._host.state.issue_comments.values() if c.number == number))
        page, headers = paged(call, found, self._host.limits.page, self._host.api)
        return json_answer([self._host.render.issue_comment(comment) for comment in page], headers=headers)

    async def page_create(self, call: Call) -> Answer:
        """Creates a comment on the page of a pull request."""
        host, pull = self._host, self._host.pull(call.integer("issue_number"))
        text, now = self._text(call, "IssueComment"), self._host.clock()
        comment = IssueComment(host.state.new_id(), pull.number, call.user, text, now, now)
        host.state.issue_comments[comment.id] = comment
        host.touch(pull)
        shape = host.render.issue_comment(comment)
        return json_answer(shape, 201, {"Location": shape["url"]})

    def _page_comment(self, call: Call) -> IssueComment:
        comment = self._host.state.issue_comments.get(call.integer("comment_id"))
        if comment is None:
            raise not_found()
        return comment

    async def page_get(self, call: Call) -> Answer:
        """Answers one comment of the page."""
        return json_answer(self._host.render.issue_comment(self._page_comment(call)))

    async def page_update(self, call: Call) -> Answer:
        """Replaces the text of a comment of the page; others' only with write access."""
        comment = self._editable(call, self._page_comment(call))
        comment.body, comment.updated_at = self._text(call, "IssueComment"), self._host.clock()
        return json_answer(self._host.render.issue_comment(comment))

    async def page_delete(self, call: Call) -> Answer:
        """Deletes a comment of the page; others' only with write access."""
        del self._host.state.issue_comments[self._editable(call, self._page_comment(call)).id]
        return Answer(204)


def _since(call: Call, comments: Iterable[_Comment]) -> list[_Comment]:
    since = call.query.get("since")
    after = datetime.fromisoformat(since).timestamp() if since else 0.0
    return [comment for comment in comments if comment.updated_at >= after]
