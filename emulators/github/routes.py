"""Which handler serves which operation of the description."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from emulators.github.answers import Answer, Call, json_answer
from emulators.github.comments import Comments
from emulators.github.content import Content
from emulators.github.host import Host
from emulators.github.meter import Meter
from emulators.github.reading import Reading
from emulators.github.reviews import Reviews

Handler = Callable[[Call], Awaitable[Answer]]


def handlers(host: Host, meter: Meter) -> dict[str, Handler]:
    """Returns the handlers by operation id."""
    reading, content, reviews, comments = Reading(host), Content(host), Reviews(host), Comments(host)

    async def rate_limit(call: Call) -> Answer:
        core = meter.overview(call.user)
        resources = {"core": core, "graphql": core, "search": core}
        return json_answer({"resources": resources, "rate": core})

    return {
        "users/get-authenticated": reading.user,
        "rate-limit/get": rate_limit,
        "repos/get": reading.repository,
        "pulls/list": reading.pulls,
        "pulls/get": reading.pull,
        "pulls/list-files": reading.files,
        "pulls/list-commits": reading.commits,
        "repos/compare-commits-with-basehead": reading.compare,
        "repos/get-content": content.contents,
        "git/get-tree": content.tree,
        "git/get-blob": content.blob,
        "pulls/list-reviews": reviews.listing,
        "pulls/get-review": reviews.get,
        "pulls/create-review": reviews.create,
        "pulls/update-review": reviews.update,
        "pulls/delete-pending-review": reviews.delete,
        "pulls/submit-review": reviews.submit,
        "pulls/list-comments-for-review": reviews.comments,
        "pulls/list-review-comments": comments.inline_list,
        "pulls/create-review-comment": comments.inline_create,
        "pulls/create-reply-for-review-comment": comments.inline_reply,
        "pulls/get-review-comment": comments.inline_get,
        "pulls/update-review-comment": comments.inline_update,
        "pulls/delete-review-comment": comments.inline_delete,
        "issues/list-comments": comments.page_list,
        "issues/create-comment": comments.page_create,
        "issues/get-comment": comments.page_get,
        "issues/update-comment": comments.page_update,
        "issues/delete-comment": comments.page_delete,
    }
