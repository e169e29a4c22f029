"""A child that overruns, crashes or lies costs its own results and nothing else."""

# ruff: noqa: ASYNC110

import asyncio
import time
from dataclasses import replace
from pathlib import Path

import pytest

from services.review.analyzers.limits import Limits
from services.review.analyzers.runner import ISOLATION, AnalysisChild
from services.review.domain import Analysis, Fate
from tests.integration.analysis_child.conftest import PROGRAMS, Attack, added

SHORT = Limits(seconds=1.0)
SMALL = Limits(seconds=10.0, total_memory=200 * 2**20)


def told(analysis: Analysis) -> str:
    """Why the attack ended, after checking that everything has a fate and a reason."""
    reports = {report.name: report for report in analysis.analyzers}
    assert reports[ISOLATION].fate is Fate.FAILED
    assert reports["attacker"].fate is Fate.FAILED
    assert reports["second"].fate is Fate.SKIPPED
    assert (reports["second"].reason or "").startswith("not reached: the analysis child ")
    assert [file.fate for file in analysis.files] == [Fate.PARTIAL]
    assert analysis.files[0].reason == reports["attacker"].reason
    assert analysis.findings == ()
    return (reports["attacker"].reason or "").removeprefix("the analysis child ")


@pytest.mark.parametrize("name", ["spin", "sleep"])
async def test_a_child_that_does_not_end_is_ended(attack: Attack, name: str) -> None:
    started = time.monotonic()
    assert told(await attack(name, limits=SHORT)) == "took longer than 1 s"
    assert time.monotonic() - started < 10


async def test_cpu_time_has_a_limit_of_its_own(attack: Attack) -> None:
    assert told(await attack("spin", limits=Limits(seconds=20.0, cpu_seconds=1))) == "was ended by SIGKILL"


@pytest.mark.parametrize("name", ["allocate", "allocate_in_many"])
async def test_memory_of_all_its_processes_is_counted(attack: Attack, name: str) -> None:
    assert told(await attack(name, limits=SMALL)) == "used more than 200 MiB of memory"


async def test_address_space_of_one_process_is_limited(attack: Attack) -> None:
    analysis = await attack("allocate", limits=replace(SMALL, memory=150 * 2**20))
    reports = {report.name: report for report in analysis.analyzers}
    assert (reports["attacker"].fate, reports["attacker"].reason) == (Fate.FAILED, "out of memory")
    assert reports["second"].fate is Fate.RAN


async def test_disk_is_limited(attack: Attack) -> None:
    limits = Limits(seconds=20.0, total_disk=50 * 2**20)
    assert told(await attack("fill_disk", limits=limits)) == "wrote more than 50 MiB"


@pytest.mark.parametrize(("name", "reason"), [("exit", "ended with status 7"), ("segfault", "was ended by SIGSEGV")])
async def test_a_crash_is_told(attack: Attack, name: str, reason: str) -> None:
    assert told(await attack(name)) == reason


async def test_an_error_in_an_analyzer_is_told_without_its_text(attack: Attack) -> None:
    reports = {report.name: report for report in (await attack("panic")).analyzers}
    assert reports["attacker"].reason == "stopped by an error of its own (KeyboardInterrupt)"
    assert reports["second"].fate is Fate.RAN


@pytest.mark.parametrize("name", ["forge_json", "forge_deep", "forge_type", "forge_end", "forge_done", "forge_long"])
async def test_forged_answers_are_refused(attack: Attack, name: str) -> None:
    assert told(await attack(name, limits=Limits(seconds=20.0))).startswith("broke the protocol: ")


async def test_a_program_that_is_not_there_or_says_nothing(tmp_path: Path) -> None:
    for program in (tmp_path / "missing.py", PROGRAMS / "mute.py"):
        async with AnalysisChild(program=program) as child:
            analysis = await child.analyze([added("a.py", b"x = 1\n")])
        assert {report.fate for report in analysis.analyzers} == {Fate.FAILED, Fate.SKIPPED}
        assert [file.fate for file in analysis.files] == [Fate.FAILED]
        assert "did not start" in (analysis.files[0].reason or "")


@pytest.mark.parametrize("strict", [True, False])
async def test_missing_walls_are_told_and_where_strict_nothing_is_read(strict: bool) -> None:
    async with AnalysisChild(SHORT, strict=strict, program=PROGRAMS / "no_walls.py") as child:
        analysis = await child.analyze([added("a.py", b"x = 1\n")])
    isolation, *others = analysis.analyzers
    assert isolation.fate is Fate.FAILED
    assert "no filter" in (isolation.reason or "")
    assert ("sockets can't be denied here" in (isolation.reason or "")) == strict
    assert {report.fate for report in others} == {Fate.SKIPPED}
    assert [file.fate for file in analysis.files] == [Fate.FAILED]


async def test_a_cancelled_analysis_leaves_no_child(attack: Attack) -> None:
    before = _children()
    task = asyncio.create_task(attack("sleep"))
    async with asyncio.timeout(20):
        while _children() == before:
            await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    assert _children() == before


def _children() -> set[str]:
    return {pid for task in Path("/proc/self/task").iterdir() for pid in (task / "children").read_text().split()}


async def test_a_child_may_wait_unused_and_serves_once() -> None:
    async with AnalysisChild() as child:
        pass
    async with AnalysisChild() as child:
        await child.analyze([])
        with pytest.raises(RuntimeError):
            await child.analyze([])


async def test_closing_in_the_middle_is_safe() -> None:
    child = await AnalysisChild().__aenter__()
    await child.aclose()
    await child.aclose()
    analysis = await child.analyze([added("a.py", b"x = 1\n")])
    assert [file.fate for file in analysis.files] == [Fate.FAILED]
