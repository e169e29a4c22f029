"""Writing reviews on the strict emulator."""

import pytest

from emulators.github import GitHubEmulator
from services.webhooks.hosts.base import (
    ForbiddenError,
    InDoubtError,
    InlineComment,
    InvalidError,
    Mark,
    MarkKind,
    NotFoundError,
    Problem,
    StaticToken,
)
from services.webhooks.hosts.github.client import Client
from services.webhooks.hosts.github.reviews import GitHub
from services.webhooks.hosts.marker import Marker
from tests.contract.hosts.github.conftest import make_ref

REF = make_ref()
SUMMARY = Mark(MarkKind.SUMMARY, "run1.abc")


def comment(line: int, *, start: int | None = None, left: bool = False, path: str = "wide.py") -> InlineComment:
    return InlineComment(path, left, start or line, line, f"about {line}", Mark(MarkKind.FINDING, f"f{line}"))


@pytest.fixture(autouse=True)
async def pull(emulator: GitHubEmulator) -> str:
    return (await emulator.open_pull(head="topic-1", base="main")).head_sha


async def test_a_draft_is_unseen_until_it_is_submitted(emulator: GitHubEmulator, host: GitHub, pull: str) -> None:
    comments = [comment(5), comment(6, start=4), comment(30, left=True)]
    draft = await host.create_draft(REF, pull, "All of it, @everyone.", SUMMARY, comments)
    assert draft.draft and draft.mark == SUMMARY and emulator.reviews(1) == []
    assert await host.list_own_reviews(REF) == [draft]
    submitted = await host.submit_draft(REF, draft.id)
    assert not submitted.draft and submitted.id == draft.id and submitted.url.startswith("http")
    assert await host.get_own_review(REF, draft.id) == submitted
    (review,) = emulator.reviews(1)
    assert review.state == "COMMENTED" and "@&#8203;everyone" in review.body and review.commit_id == pull
    places = [c.anchor for c in emulator.review_comments(1) if c.anchor]
    assert [(p.side, p.start_line, p.line) for p in places] == [("RIGHT", None, 5), ("RIGHT", 4, 6), ("LEFT", None, 30)]
    assert await host.list_posted_marks(REF) == [one.mark for one in comments]
    edited = await host.edit_review(REF, draft.id, "New text", Mark(MarkKind.SUMMARY, "run2.def"))
    assert edited.mark == Mark(MarkKind.SUMMARY, "run2.def") and emulator.reviews(1)[0].body.startswith("New text")
    emulator.check()


async def test_drafts_are_deleted_and_gone_ones_are_no_error(emulator: GitHubEmulator, host: GitHub, pull: str) -> None:
    draft = await host.create_draft(REF, pull, "x", SUMMARY, [])
    with pytest.raises(InvalidError) as caught:
        await host.create_draft(REF, pull, "y", SUMMARY, [])
    assert caught.value.problem is Problem.DRAFT_EXISTS
    await host.delete_draft(REF, draft.id)
    await host.delete_draft(REF, draft.id)
    assert await host.list_own_reviews(REF) == [] and emulator.reviews(1, pending=True) == []
    with pytest.raises(NotFoundError):
        await host.submit_draft(REF, draft.id)
    for odd in ("", "../1", "1/events"):
        with pytest.raises(NotFoundError):
            await host.get_own_review(REF, odd)


@pytest.mark.parametrize(
    "bad",
    [
        comment(15),
        comment(99999),
        comment(5, left=True, path="new.py"),
        comment(30, start=5),
        comment(5, path="WIDE.py"),
        comment(5, path="nowhere.py"),
        comment(5, path="./wide.py"),
    ],
)
async def test_lines_outside_the_diff_refuse_the_whole(
    emulator: GitHubEmulator, host: GitHub, pull: str, bad: InlineComment
) -> None:
    with pytest.raises(InvalidError) as caught:
        await host.create_draft(REF, pull, "x", SUMMARY, [comment(5), bad])
    assert caught.value.problem is Problem.LINES
    assert emulator.reviews(1, pending=True) == [] and emulator.review_comments(1) == []


async def test_a_commit_that_is_gone(emulator: GitHubEmulator, host: GitHub, pull: str) -> None:
    await emulator.set_head(1, "rewritten")
    with pytest.raises(InvalidError) as caught:
        await host.create_draft(REF, pull, "x", SUMMARY, [])
    assert caught.value.problem is Problem.COMMIT_GONE
    assert (await host.create_draft(REF, None, "x", SUMMARY, [])).draft


async def test_bodies_never_reach_the_limit_of_the_host(emulator: GitHubEmulator, host: GitHub, pull: str) -> None:
    draft = await host.create_draft(REF, pull, "@x " * 60_000, SUMMARY, [])
    assert draft.mark == SUMMARY and len(emulator.reviews(1, pending=True)[0].body) <= 60_000


async def test_a_mark_in_foreign_text_is_not_ours(emulator: GitHubEmulator, host: GitHub, pull: str) -> None:
    marker = Marker([b"k" * 32])
    real = marker.write(REF, SUMMARY)
    other = emulator.add_user("someone", "another-token-of-the-tests")
    theirs = GitHub(Client(StaticToken("another-token-of-the-tests"), emulator.url), marker)
    await theirs.submit_draft(REF, (await theirs.create_draft(REF, pull, "x", SUMMARY, [comment(5)])).id)
    assert await host.list_own_reviews(REF) == [] and await host.list_posted_marks(REF) == []
    with pytest.raises(NotFoundError):
        await host.get_own_review(REF, str(emulator.reviews(1)[0].id))
    assert emulator.reviews(1)[0].user.id == other.id
    draft = await host.create_draft(REF, pull, f"quoting {real}", Mark(MarkKind.FINDINGS, "mine"), [])
    assert draft.mark == Mark(MarkKind.FINDINGS, "mine")
    assert emulator.reviews(1, pending=True)[0].body.count("<!-- lintel") == 1
    await theirs.close()


async def test_previous_keys_still_verify(emulator: GitHubEmulator, host: GitHub, pull: str) -> None:
    await host.create_draft(REF, pull, "x", SUMMARY, [])
    for keys, known in (([b"n" * 32, b"k" * 32], True), ([b"n" * 32], False)):
        rotated = GitHub(Client(StaticToken("ghs_123_token-of-the-tests"), emulator.url), Marker(keys))
        (review,) = await rotated.list_own_reviews(REF)
        assert (review.mark == SUMMARY) is known and review.marked
        await rotated.close()


async def test_a_duplicate_is_taken_back(emulator: GitHubEmulator, host: GitHub, pull: str) -> None:
    first = await host.submit_draft(REF, (await host.create_draft(REF, pull, "x", SUMMARY, [comment(5)])).id)
    second = await host.submit_draft(REF, (await host.create_draft(REF, pull, "x", SUMMARY, [comment(5)])).id)
    await host.remove_review(REF, second.id, first.url)
    assert [c.review_id for c in emulator.review_comments(1)] == [int(first.id)]
    kept, removed = await host.list_own_reviews(REF)
    assert kept.mark == SUMMARY and removed.mark and removed.mark.kind is MarkKind.REMOVED
    draft = await host.create_draft(REF, pull, "x", SUMMARY, [])
    await host.remove_review(REF, draft.id, first.url)
    assert emulator.reviews(1, pending=True) == []


@pytest.mark.parametrize("operation", ["create", "submit", "edit"])
async def test_a_lost_answer_leaves_doubt_and_not_an_error(
    emulator: GitHubEmulator, host: GitHub, pull: str, operation: str
) -> None:
    draft = await host.create_draft(REF, pull, "x", SUMMARY, []) if operation != "create" else None
    if operation == "edit" and draft:
        await host.submit_draft(REF, draft.id)
    name = {"create": "create-review", "submit": "submit-review", "edit": "update-review"}[operation]
    for order in ({"status": 502}, {"action": "close"}):
        emulator.fail(f"pulls/{name}", when="after", **order)
        with pytest.raises(InDoubtError):
            if draft is None:
                await host.create_draft(REF, pull, "x", SUMMARY, [])
            elif operation == "submit":
                await host.submit_draft(REF, draft.id)
            else:
                await host.edit_review(REF, draft.id, "new", SUMMARY)
        (review,) = await host.list_own_reviews(REF)
        assert review.mark == SUMMARY and review.draft is (operation == "create")
        if operation != "edit":
            return


async def test_what_the_token_may_not_do(emulator: GitHubEmulator, host: GitHub, pull: str) -> None:
    emulator.archive()
    with pytest.raises(ForbiddenError):
        await host.create_draft(REF, pull, "x", SUMMARY, [])
