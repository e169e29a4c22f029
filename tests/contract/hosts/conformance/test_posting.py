"""The adapter by itself, posting: at the lines that were meant, without effect of what is written, and once."""

import pytest

from services.webhooks.hosts.abilities import ABILITIES, Ability
from services.webhooks.hosts.base import InlineComment, InvalidError, Mark, MarkKind, NotFoundError, Problem
from tests.contract.hosts.conformance.steps import need
from tests.contract.hosts.rigs import Rig

HOSTILE = """@everyone look, and @acme/admins too
/merge
  /approve
/close

Closes #1, see !2 and ~bug and %3 and &4, [issue:5]. <img src=x onerror=alert(1)> <script>alert(1)</script>
![x](https://evil.example/leak?q=1) [click](javascript:alert(1)) https://evil.example www.evil.example

````suggestion
/merge
````

~~~
/approve
~~~

```
/close
<!-- lintel:1:summary:spoofed:00000000000000000000000000000000 -->
"""


def comment(line: int, *, path: str = "wide.py", start: int | None = None, left: bool = False) -> InlineComment:
    name = f"{path.replace('/', '-').replace('_', '-')}.{start or line}.{line}.{left}"
    return InlineComment(path, left, start or line, line, f"Finding {name}.", Mark(MarkKind.FINDING, name))


def rig_is_silent(rig: Rig) -> bool:
    return rig.summaries(1) == [] and rig.comments(1) == []


async def test_comments_stand_where_they_were_meant_on_either_side_and_over_several_lines(small: Rig) -> None:
    need(small, Ability.LINE_RANGES)
    host = small.host()
    try:
        wanted = [
            comment(5),
            comment(5, left=True),
            comment(3),
            comment(8, start=4),
            comment(31, start=29),
            comment(2, path="new.py", start=1),
        ]
        draft = await host.create_draft(
            small.ref(), small.emulator.pull(1).head_sha, "Body", Mark(MarkKind.SUMMARY, "run.1"), wanted
        )
        assert draft.draft and rig_is_silent(small)
        review = await host.submit_draft(small.ref(), draft.id)
        assert not review.draft and review.url
        found = sorted((one.path, one.side, one.line) for one in small.comments(1))
        sides = sorted((one.path, "LEFT" if one.left else "RIGHT", one.end_line) for one in wanted)
        assert found == sides
        assert [(one.id, one.mark) for one in await host.list_own_reviews(small.ref())] == [(review.id, review.mark)]
        assert set(await host.list_posted_marks(small.ref())) == {one.mark for one in wanted}
    finally:
        await host.close()


@pytest.mark.parametrize(
    "misfit",
    [
        comment(15),
        comment(9_999),
        comment(30, start=5),
        comment(1, path="nowhere.py"),
        comment(1, path="./wide.py"),
        comment(5, path="WIDE.py"),
        comment(1, path="new.py", left=True),
    ],
    ids=lambda misfit: misfit.mark.key,
)
async def test_lines_that_are_not_of_the_diff_are_refused_and_leave_nothing(small: Rig, misfit: InlineComment) -> None:
    host = small.host()
    try:
        head, mark = small.emulator.pull(1).head_sha, Mark(MarkKind.SUMMARY, "run.1")
        with pytest.raises(InvalidError) as refused:
            await host.create_draft(small.ref(), head, "Body", mark, [comment(5), misfit])
        assert refused.value.problem is Problem.LINES
        if Ability.NAMED_MISFITS in ABILITIES[small.name]:
            assert refused.value.culprits == (1,)
        assert rig_is_silent(small) and small.unseen(1) == 0
    finally:
        await host.close()


async def test_misfits_are_told_apart_without_asking(small: Rig) -> None:
    need(small, Ability.NAMED_MISFITS)
    host = small.host()
    try:
        with pytest.raises(InvalidError) as refused:
            await host.create_draft(
                small.ref(), None, "Body", Mark(MarkKind.SUMMARY, "run.1"), [comment(15), comment(5), comment(16)]
            )
        assert refused.value.culprits == (0, 2)
        assert small.emulator.calls(small.operations["draft"]) == []
    finally:
        await host.close()


async def test_a_commit_that_is_gone_is_said_to_be(small: Rig) -> None:
    host = small.host()
    try:
        with pytest.raises(InvalidError) as refused:
            await host.create_draft(small.ref(), "0" * 40, "Body", Mark(MarkKind.SUMMARY, "run.1"), [comment(5)])
        assert refused.value.problem is Problem.COMMIT_GONE
    finally:
        await host.close()


async def test_no_text_of_a_model_takes_effect(small: Rig) -> None:
    host = small.host()
    try:
        hostile = InlineComment("wide.py", False, 5, 5, HOSTILE, Mark(MarkKind.FINDING, "f"))
        draft = await host.create_draft(
            small.ref(), small.emulator.pull(1).head_sha, HOSTILE, Mark(MarkKind.SUMMARY, "run.1"), [hostile]
        )
        review = await host.submit_draft(small.ref(), draft.id)
        await host.edit_review(small.ref(), review.id, HOSTILE + "x" * 1_500_000, Mark(MarkKind.SUMMARY, "run.2"))
        texts = [*small.summaries(1), *(one.body for one in small.comments(1))]
        for text in texts:
            for dangerous in ("@everyone", "@acme", "<img", "<script", "](http", "](java", "https://", "www.e", "#1"):
                assert dangerous not in text, dangerous
            assert "spoofed" not in text
        own = await host.list_own_reviews(small.ref())
        assert [one.mark for one in own] == [Mark(MarkKind.SUMMARY, "run.2")]  # and the mark survived the cut
    finally:
        await host.close()


async def test_a_mark_of_ours_on_the_words_of_another_does_not_count(small: Rig) -> None:
    host, ref = small.host(), small.ref()
    try:
        draft = await host.create_draft(ref, None, "Body", Mark(MarkKind.SUMMARY, "run.1"), [])
        review = await host.submit_draft(ref, draft.id)
        (text,) = small.summaries(1)
        other = await small.open("topic-1", "main")
        if small.name == "gitlab":
            small.say(1, text)
        assert [one.id for one in await host.list_own_reviews(ref)] == [review.id]
        # Nor does one that was made for another pull request.
        elsewhere = await host.create_draft(small.ref(other), None, text, Mark(MarkKind.SUMMARY, "run.2"), [])
        assert elsewhere.mark == Mark(MarkKind.SUMMARY, "run.2")
        with pytest.raises(NotFoundError):
            await host.get_own_review(ref, "999999")
    finally:
        await host.close()


async def test_a_duplicate_of_ours_is_taken_away(small: Rig) -> None:
    need(small, Ability.DELETES_REVIEWS)
    host, ref = small.host(), small.ref()
    try:
        reviews = []
        for _ in range(2):
            draft = await host.create_draft(ref, None, "Body", Mark(MarkKind.SUMMARY, "run.1"), [])
            reviews.append(await host.submit_draft(ref, draft.id))
        await host.remove_review(ref, reviews[1].id, reviews[0].url)
        assert [one.id for one in await host.list_own_reviews(ref)] == [reviews[0].id]
    finally:
        await host.close()
