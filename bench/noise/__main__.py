"""Runs every analyzer over real merged changes: `python -m bench.noise REPOSITORY… --merges N --out FILE`.

A repository is local and may be bare. Changes are chosen by rule: the last N steps of the first-parent history that
touch more than documentation and change --least-lines to --lines lines. Each finding becomes one line of JSON with its
code in FILE, for somebody to judge; FILE holds other people's code and is not committed. `--tree` reads whole trees
instead, which shows how precise a rule is, but not how often it speaks up in a review.
"""

import argparse
import asyncio
import json
import statistics
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TextIO

from bench.noise.changes import Change, files_of, git, merged, tree_files
from services.review.analyzers.limits import Limits
from services.review.analyzers.runner import AnalysisChild
from services.review.domain import Analysis, Fate, SourceFile

_TREE_BATCH = 150  # files in one child
_ORDINARY = {Fate.RAN, Fate.SKIPPED}


@dataclass(slots=True)
class Tally:
    """What the run of one repository amounts to."""

    changes: int = 0
    silent: int = 0
    findings: Counter[str] = field(default_factory=Counter)
    seconds: list[float] = field(default_factory=list)
    troubles: Counter[str] = field(default_factory=Counter)


async def analyse(files: Sequence[SourceFile]) -> Analysis:
    """One analysis in a child of its own, as a review does it, with ample time: the machine may be busy."""
    async with AnalysisChild(Limits(seconds=180.0, cpu_seconds=180)) as child:
        return await child.analyze(files)


def record(out: TextIO, project: str, commit: str, analysis: Analysis, tally: Tally) -> None:
    """Write every finding as a line of JSON and count it."""
    tally.changes += 1
    tally.silent += not analysis.findings
    for finding in analysis.findings:
        rule = f"{finding.source.name}/{finding.source.rule_id}"
        tally.findings[rule] += 1
        row = {
            "project": project, "commit": commit, "path": finding.path, "line": finding.start_line,
            "side": finding.side, "rule": rule, "severity": finding.severity, "title": finding.title,
            "quote": finding.quote[:400],
        }  # fmt: skip
        out.write(json.dumps(row, ensure_ascii=False) + "\n")
    for report in analysis.analyzers:
        if report.fate not in _ORDINARY:
            tally.troubles[f"{report.name}: {report.reason}"] += 1
    out.flush()


async def over_changes(repository: Path, project: str, changes: Sequence[Change], out: TextIO) -> Tally:
    """Analyse each change by itself."""
    tally = Tally()
    for change in changes:
        files = files_of(repository, change.commit)
        started = time.monotonic()
        analysis = await analyse(files)
        tally.seconds.append(time.monotonic() - started)
        record(out, project, change.commit[:12], analysis, tally)
    return tally


async def over_tree(repository: Path, project: str, revision: str, out: TextIO) -> Tally:
    """Analyse a whole tree, in batches."""
    commit = git(repository, "rev-parse", revision).decode().strip()
    files = tree_files(repository, commit)
    tally = Tally()
    for first in range(0, len(files), _TREE_BATCH):
        started = time.monotonic()
        analysis = await analyse(files[first : first + _TREE_BATCH])
        tally.seconds.append(time.monotonic() - started)
        record(out, project, commit[:12], analysis, tally)
    return tally


def summary(project: str, tally: Tally) -> str:
    """One line for a person, then the rules that spoke."""
    total = sum(tally.findings.values())
    middle = statistics.median(tally.seconds) if tally.seconds else 0.0
    slowest = max(tally.seconds, default=0.0)
    text = (
        f"{project}: {tally.changes} changes, {total} findings, {tally.silent} changes without any; "
        f"median {middle:.2f} s, slowest {slowest:.2f} s"
    )
    rows = [f"    {count:5} {rule}" for rule, count in tally.findings.most_common()]
    rows += [f"    {count:5} trouble: {reason}" for reason, count in tally.troubles.most_common(5)]
    return "\n".join([text, *rows])


def project_name(repository: Path) -> str:
    """The name of a repository by its folder, or by the one above where that is called repo or .git."""
    folder = repository.resolve()
    while folder.name in ("repo", ".git"):
        folder = folder.parent
    return folder.name.removesuffix(".git").replace("+", "/")


def main() -> None:
    options = argparse.ArgumentParser(prog="python -m bench.noise", description="find out how noisy the analyzers are")
    options.add_argument("repositories", nargs="+", type=Path, metavar="REPOSITORY")
    which = options.add_mutually_exclusive_group(required=True)
    which.add_argument("--merges", type=int, metavar="N", help="the last N changes of the main line")
    which.add_argument("--range", metavar="A..B", help="every change of the main line in the range")
    which.add_argument("--tree", action="store_true", help="the whole tree, as if it were new")
    options.add_argument("--until", default="HEAD", metavar="REVISION", help="the newest change looked at")
    options.add_argument("--lines", type=int, default=1000, help="changes with more lines are passed over")
    options.add_argument("--least-lines", type=int, default=1, help="changes with fewer lines are passed over")
    options.add_argument("--out", type=Path, required=True, metavar="FILE", help="findings, one a line; not to commit")
    chosen = options.parse_args()
    with chosen.out.open("a", encoding="utf-8") as out:
        for repository in chosen.repositories:
            name = project_name(repository)
            if chosen.tree:
                tally = asyncio.run(over_tree(repository, name, chosen.until, out))
            else:
                size = range(chosen.least_lines, chosen.lines + 1)
                wanted = chosen.merges if chosen.merges is not None else -1
                changes = list(merged(repository, wanted, size, chosen.range or chosen.until))
                tally = asyncio.run(over_changes(repository, name, changes, out))
            print(summary(name, tally), flush=True)


if __name__ == "__main__":
    main()
