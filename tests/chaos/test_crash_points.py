"""One kill of the real process right before and right after each commit of a review's way; then everything is checked.

The proxy in front of Postgres sees the commit, withholds it or its answer, and the process is killed there: nothing of
that is in the system itself.
"""

from pathlib import Path

import pytest

from tests.chaos.points import POINTS
from tests.chaos.stage import staged

CASES = [(point, when) for point in POINTS for when in ("before", "after")]


@pytest.mark.timeout(600)
async def test_a_kill_before_and_after_each_commit_loses_and_doubles_nothing(tmp_path: Path) -> None:
    async with staged(tmp_path, len(CASES)) as stage:
        for number, (point, when) in enumerate(CASES, start=1):
            await stage.kill_at(point, when, number)
        found, totals = await stage.verdict()
    told = {number: f"{point.name}, {when}" for number, (point, when) in enumerate(CASES, start=1)}
    assert not found, "\n".join([*map(str, found), str(told)])
    assert totals["published"] == len(CASES) + sum(point.push for point, _ in CASES)
