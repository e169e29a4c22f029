"""What only GitLab does: notes that are drafted one by one, published half-way, and diffs that come late or cut."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from emulators.gitlab import GitLabEmulator, Limits
from services.webhooks.hosts.base import (
    ChangedFile,
    ForbiddenError,
    InDoubtError,
    InlineComment,
    Mark,
    MarkKind,
    MovedError,
    Omission,
    PullRequestRef,
    RateLimitedError,
    StaticToken,
    UnavailableError,
)
from services.webhooks.hosts.gitlab.client import Client
from services.webhooks.hosts.gitlab.reviews import GitLab
from services.webhooks.hosts.marker import Marker
from tests.contract.hosts.github import repository

TOKEN = "glpat-" + "123token-of-the-tests"  # in two parts, for scanners
REF = PullRequestRef("gitlab", "", "4711", "acme/shop", 1)
SUMMARY = Mark(MarkKind.SUMMARY, "run.1")


@pytest.fixture(scope="session")
def small_repository(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return repository.small(tmp_path_factory.mktemp("small") / "repository").path


@pytest.fixture
async def emulator(small_repository: Path) -> AsyncIterator[GitLabEmulator]:
    async with GitLabEmulator(small_repository, "acme/shop", TOKEN) as running:
        await running.open_pull("topic-1", "main")
        yield running
        running.check()


@pytest.fixture
async def host(emulator: GitLabEmulator) -> AsyncIterator[GitLab]:
    made = GitLab(Client(StaticToken(TOKEN), emulator.url), Marker([b"k" * 32]), emulator.url)
    yield made
    await made.close()


def comments(*lines: int) -> list[InlineComment]:
    return [InlineComment("wide.py", False, n, n, f"At {n}.", Mark(MarkKind.FINDING, f"f{n}")) for n in lines]


async def test_a_draft_that_was_cut_short_is_taken_up(emulator: GitLabEmulator, host: GitLab) -> None:
    emulator.fail("create_draft", action="close", when="after", skip=2)
    with pytest.raises(InDoubtError):
        await host.create_draft(REF, None, "Body", SUMMARY, comments(3, 4, 5, 6))
    assert len(emulator.drafts(1)) == 3
    (partial,) = await host.list_own_reviews(REF)
    assert partial.draft and partial.partial and partial.marked
    draft = await host.create_draft(REF, None, "Body", SUMMARY, comments(3, 4, 5, 6))
    assert len(emulator.calls("create_draft")) == 5  # none twice
    await host.submit_draft(REF, draft.id)
    assert sorted(note.body[:5] for note in emulator.review_comments(1)) == ["At 3.", "At 4.", "At 5.", "At 6."]


async def test_what_another_review_left_is_dropped(emulator: GitLabEmulator, host: GitLab) -> None:
    emulator.fail("create_draft", status=502, skip=2)
    with pytest.raises(InDoubtError):
        await host.create_draft(REF, None, "Old", SUMMARY, comments(3, 4, 5))
    draft = await host.create_draft(REF, None, "New", SUMMARY, comments(4, 6))
    await host.submit_draft(REF, draft.id)
    assert sorted(note.body[:5] for note in emulator.review_comments(1)) == ["At 4.", "At 6."]
    assert [note.body[:3] for note in emulator.reviews(1)] == ["New"] and emulator.drafts(1) == []


@pytest.mark.parametrize("shown", [0, 1, 2, 3])
async def test_a_publishing_that_stopped_half_way_is_finished_without_doubles(
    emulator: GitLabEmulator, host: GitLab, shown: int
) -> None:
    draft = await host.create_draft(REF, None, "Body", SUMMARY, comments(3, 5))
    emulator.stop_publishing_after(shown)
    with pytest.raises(InDoubtError):
        await host.submit_draft(REF, draft.id)
    if not emulator.reviews(1):
        again = await host.create_draft(REF, None, "Body", SUMMARY, comments(3, 5))
        await host.submit_draft(REF, again.id)
    assert [review.mark for review in await host.list_own_reviews(REF)] == [SUMMARY]
    assert sorted(note.body[:5] for note in emulator.review_comments(1)) == ["At 3.", "At 5."]


async def test_nothing_of_a_person_is_published_with_it(emulator: GitLabEmulator, host: GitLab) -> None:
    draft = await host.create_draft(REF, None, "Body", SUMMARY, comments(3))
    client = Client(StaticToken(TOKEN), emulator.url)
    await client.write("POST", "/projects/4711/merge_requests/1/draft_notes", {"note": "I am not done"})
    await client.close()
    with pytest.raises(UnavailableError):
        await host.submit_draft(REF, draft.id)
    assert emulator.reviews(1) == []
    assert [one.marked for one in await host.list_own_reviews(REF) if not one.partial] == [False, True]


async def test_a_note_that_lands_late_stops_the_publishing(emulator: GitLabEmulator, host: GitLab) -> None:
    draft = await host.create_draft(REF, None, "Body", SUMMARY, comments(3))
    late = next(one for one in emulator.drafts(1) if one.position)
    client = Client(StaticToken(TOKEN), emulator.url)
    await client.write("POST", "/projects/4711/merge_requests/1/draft_notes", {"note": late.body})
    await client.close()
    with pytest.raises(UnavailableError):
        await host.submit_draft(REF, draft.id)
    again = await host.create_draft(REF, None, "Body", SUMMARY, comments(3))
    await host.submit_draft(REF, again.id)
    assert len(emulator.review_comments(1)) == 1 and len(emulator.reviews(1)) == 1


async def test_a_diff_that_is_not_made_yet_is_asked_for_again(emulator: GitLabEmulator, host: GitLab) -> None:
    emulator.prepare_slowly(1, 2)
    assert (await host.get_pull_request(REF)).base_sha == ""
    with pytest.raises(MovedError):
        _ = [piece async for piece in host.read_source(REF)]
    assert [piece async for piece in host.read_source(REF)]


async def test_a_sign_in_page_is_told_from_an_api(emulator: GitLabEmulator, host: GitLab) -> None:
    page = {"content-type": "text/html; charset=utf-8"}
    emulator.fail("merge_request", status=302, headers={"location": f"{emulator.url}/api/v4/user"})
    emulator.fail("user", status=200, headers=page, body=b"<html>Sign in</html>")
    with pytest.raises(UnavailableError, match="web page"):
        await host.get_pull_request(REF)


async def test_what_the_host_does_not_show_is_said(small_repository: Path) -> None:
    limits = Limits(patch_bytes=400, collapse_bytes=100, files=1)
    async with GitLabEmulator(small_repository, "acme/shop", TOKEN, limits=limits) as emulator:
        await emulator.open_pull("topic-1", "main")
        host = GitLab(Client(StaticToken(TOKEN), emulator.url), Marker([b"k" * 32]), emulator.url)
        pieces = [piece async for piece in host.read_source(REF)]
        await host.close()
    (omission,) = [piece for piece in pieces if isinstance(piece, Omission)]
    assert "1+" in omission.text
    (new,) = [piece for piece in pieces if isinstance(piece, ChangedFile)]
    assert new.path in (b"new.py", b"wide.py") and (new.patch is None) == bool(new.reason)


async def test_a_large_patch_is_left_out_and_the_contents_are_read(small_repository: Path) -> None:
    async with GitLabEmulator(small_repository, "acme/shop", TOKEN, limits=Limits(patch_bytes=100)) as emulator:
        await emulator.open_pull("topic-1", "main")
        host = GitLab(Client(StaticToken(TOKEN), emulator.url), Marker([b"k" * 32]), emulator.url)
        files = {piece.path: piece async for piece in host.read_source(REF) if isinstance(piece, ChangedFile)}
        await host.close()
    wide = files[b"wide.py"]
    assert wide.patch is None and wide.head == repository.changed_lines(5, 30).encode() and wide.base
    assert wide.reason == "the host gives no patch, as it is too large"


async def test_a_token_that_only_reads_is_told_apart(emulator: GitLabEmulator) -> None:
    emulator.add_user("reader", "glpat-read", access="read")
    host = GitLab(Client(StaticToken("glpat-read"), emulator.url), Marker([b"k" * 32]), emulator.url)
    with pytest.raises(ForbiddenError):
        await host.create_draft(REF, None, "Body", SUMMARY, [])
    await host.close()


async def test_notes_over_the_limit_of_a_minute_wait_and_are_not_lost(small_repository: Path) -> None:
    async with GitLabEmulator(small_repository, "acme/shop", TOKEN, limits=Limits(notes_per_minute=2)) as emulator:
        await emulator.open_pull("topic-1", "main")
        host = GitLab(Client(StaticToken(TOKEN), emulator.url), Marker([b"k" * 32]), emulator.url)
        with pytest.raises(RateLimitedError):
            await host.create_draft(REF, None, "Body", SUMMARY, comments(3, 4, 5))
        assert len(emulator.drafts(1)) == 2
        await host.close()
        emulator.check()
