"""The operations on reviews: create, read, edit, submit, delete."""

from __future__ import annotations

from typing import Any

from emulators.github import rules
from emulators.github.answers import Answer, Call, RefusedError, json_answer, not_found, paged
from emulators.github.host import Host
from emulators.github.model import Anchor, PullRequest, PullState, Review, ReviewComment


def unprocessable(errors: list[str]) -> RefusedError:
    """Returns the refusal of the review operations, whose errors are plain strings."""
    return RefusedError(422, "Unprocessable Entity", errors)


class Reviews:
    """Handlers of reviews; a call either takes effect as a whole or not at all."""

    def __init__(self, host: Host) -> None:
        self._host = host

    def _review(self, call: Call) -> Review:
        number = self._host.pull(call.integer("pull_number")).number
        review = self._host.state.reviews.get(call.integer("review_id"))
        if review is None or review.number != number or not review.visible_to(call.user):
            raise not_found()
        return review

    def _own(self, call: Call) -> Review:
        review = self._review(call)
        if review.user.id != call.user.id:
            raise RefusedError(403, "Must be the author of the review")
        return review

    def _answer(self, review: Review) -> Answer:
        return json_answer(self._host.render.review(review))

    async def listing(self, call: Call) -> Answer:
        """Answers the reviews that the user may see, oldest first."""
        number = self._host.pull(call.integer("pull_number")).number
        every = self._host.state.reviews.values()
        found = [review for review in every if review.number == number and review.visible_to(call.user)]
        page, headers = paged(call, found, self._host.limits.page, self._host.api)
        return json_answer([self._host.render.review(review) for review in page], headers=headers)

    async def get(self, call: Call) -> Answer:
        """Answers one review."""
        return self._answer(self._review(call))

    async def create(self, call: Call) -> Answer:
        """Creates a review, pending without an event; one bad comment refuses the whole."""
        host, pull, body = self._host, self._host.pull(call.integer("pull_number")), call.body or {}
        event = body.get("event")
        errors = rules.event_errors(event, pull, call.user)
        required = event in ("COMMENT", "REQUEST_CHANGES")
        errors += rules.body_errors(body.get("body"), host.limits, required=required)
        if errors:
            raise unprocessable(errors)
        state = await state_at(host, pull, body.get("commit_id"))
        if state is None:
            raise unprocessable([rules.BAD_COMMIT])
        anchors = self._anchors(body.get("comments", []), state)
        if host.state.pending_of(pull.number, call.user) is not None:
            raise unprocessable([rules.ONE_PENDING])
        now = host.clock()
        review = Review(
            host.state.new_id(),
            pull.number,
            call.user,
            body.get("body") or "",
            rules.STATES[event] if event else "PENDING",
            state.head,
            now if event else None,
        )
        host.state.reviews[review.id] = review
        for comment, anchor in zip(body.get("comments", []), anchors, strict=True):
            add_comment(host, review, comment["body"], anchor.path, anchor, state)
        host.touch(pull)
        return self._answer(review)

    def _anchors(self, comments: list[dict[str, Any]], state: PullState) -> list[Anchor]:
        placed: list[Anchor] = []
        errors: list[str] = []
        for comment in comments:
            errors += rules.body_errors(comment["body"], self._host.limits, required=True)
            place = rules.anchor(comment, state, self._host.limits)
            if isinstance(place, str):
                errors.append(place)
            else:
                placed.append(place)
        if errors:
            # The host joins what it has to say without naming the comment, so that a client can't just drop one.
            raise unprocessable([" and ".join(dict.fromkeys(errors))])
        return placed

    async def update(self, call: Call) -> Answer:
        """Replaces the text of the user's own review."""
        review, text = self._own(call), call.body["body"]
        errors = rules.body_errors(text, self._host.limits, required=True)
        if errors:
            raise unprocessable(errors)
        review.body = text
        return self._answer(review)

    async def delete(self, call: Call) -> Answer:
        """Deletes the user's own review while it is pending."""
        review = self._own(call)
        if review.state != "PENDING":
            raise unprocessable(["Can not delete a non-pending pull request review"])
        del self._host.state.reviews[review.id]
        for comment in self._host.state.comments_of(review.id):
            del self._host.state.comments[comment.id]
        return self._answer(review)

    async def submit(self, call: Call) -> Answer:
        """Submits the user's own pending review with an event."""
        host, review, event = self._host, self._own(call), call.body["event"]
        if review.state != "PENDING":
            raise unprocessable(["Can not submit a review that is not pending"])
        text = call.body.get("body", review.body)
        errors = rules.event_errors(event, host.pull(review.number), call.user)
        errors += rules.body_errors(text, host.limits, required=event != "APPROVE")
        if errors:
            raise unprocessable(errors)
        review.body, review.state, review.submitted_at = text, rules.STATES[event], host.clock()
        for comment in host.state.comments_of(review.id):
            comment.created_at = comment.updated_at = review.submitted_at
        host.touch(host.pull(review.number))
        return self._answer(review)

    async def comments(self, call: Call) -> Answer:
        """Answers the inline comments of one review."""
        review = self._review(call)
        found = self._host.state.comments_of(review.id)
        page, headers = paged(call, found, self._host.limits.page, self._host.api)
        shapes = [self._host.render.comment(comment, *await self._host.place(comment)) for comment in page]
        return json_answer(shapes, headers=headers)


async def state_at(host: Host, pull: PullRequest, commit: str | None) -> PullState | None:
    """Returns the pull request as of one of its commits (None is the head), or None for any other commit."""
    if commit is None or commit == pull.head_sha:
        return pull.state_now
    if commit not in pull.state_now.commits:
        return None
    return await host.pull_state(pull.base_sha, commit)


def add_comment(
    host: Host, review: Review, body: str, path: str, anchor: Anchor | None, state: PullState
) -> ReviewComment:
    """Adds an inline comment to a review and returns it."""
    now = host.clock()
    comment = ReviewComment(
        host.state.new_id(),
        review.number,
        review.id,
        review.user,
        body,
        path,
        state.head,
        state.merge_base,
        anchor,
        now,
        now,
    )
    host.state.comments[comment.id] = comment
    return comment
