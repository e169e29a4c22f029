"""The programs of others, run inside the walls."""

from services.kit.diff.model import Side
from services.review.analyzers.runner import AnalysisChild
from services.review.analyzers.tools import PROGRAMS
from services.review.domain import Analysis, Fate, SourceFile
from tests.integration.analysis_child.conftest import added

WORKFLOW = b"""on: issues
jobs:
  greet:
    runs-on: ubuntu-latest
    steps:
      - run: echo "${{ github.event.issue.title }}"  # zizmor: ignore[template-injection]
"""


async def analyze(*files: SourceFile) -> Analysis:
    async with AnalysisChild(strict=True) as child:
        return await child.analyze(files)


async def test_every_program_answers_behind_the_walls_and_heeds_no_pragma() -> None:
    analysis = await analyze(
        added("bin/clean", b'#!/bin/bash\n# shellcheck disable=SC2115\nrm -rf "$x/"*\n'),
        added(".github/workflows/greet.yml", WORKFLOW),
        added("Dockerfile", b"FROM a:1\n# hadolint ignore=DL3014\nRUN apt-get install curl\n"),
        added("a.py", b"eval(input())  # noqa\n"),
        added(".shellcheckrc", b"disable=all\n"),
        added(".hadolint.yaml", b"ignored: [DL3014]\n"),
        added("zizmor.yml", b"rules:\n  template-injection:\n    disable: true\n"),
    )
    assert [(f.path, f.start_line, f.source.name) for f in analysis.findings] == [
        (".github/workflows/greet.yml", 6, "zizmor"),
        ("Dockerfile", 3, "hadolint"),
        ("a.py", 1, "ruff"),
        ("bin/clean", 3, "shellcheck"),
    ]
    fates = {report.name: (report.fate, bool(report.version)) for report in analysis.analyzers}
    assert {fates[name] for name in PROGRAMS} == {(Fate.RAN, True)}


async def test_what_is_removed_is_told_on_the_old_side() -> None:
    patch = b"@@ -1,3 +1,2 @@\n from app import view\n-@login_required\n def index(): ...\n"
    head = b"from app import view\ndef index(): ...\n"
    analysis = await analyze(SourceFile(b"views.py", "modified", patch=patch, head=head))
    (finding,) = analysis.findings
    assert (finding.side, finding.start_line, finding.quote) == (Side.LEFT, 2, "@login_required")
