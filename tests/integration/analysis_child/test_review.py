"""Whole analyses through the real child."""

import asyncio
from pathlib import Path

import pytest

from services.kit.diff.model import Side
from services.review.analyzers.limits import Limits
from services.review.analyzers.runner import ISOLATION, AnalysisChild
from services.review.analyzers.table import NAMES
from services.review.domain import Analysis, DropReason, Fate, Severity, SourceFile, SourceKind
from tests.integration.analysis_child.conftest import added
from tests.integration.analysis_child.hostile import HOSTILE

HERE = Path(__file__)
ROOT = HERE.parents[3]


async def analyze(*files: SourceFile, limits: Limits | None = None) -> Analysis:
    async with AnalysisChild(limits, strict=True) as child:
        return await child.analyze(files)


def rules(analysis: Analysis) -> list[tuple[str, int, str | None]]:
    return [(finding.path, finding.start_line, finding.source.rule_id) for finding in analysis.findings]


async def test_every_analyzer_finds_its_kind_at_its_line() -> None:
    key = "sk_" + "live_" + "zQ8WBuTR4SOoRi4A9spHcVY5"
    source = f'import subprocess\n\n\ndef run(command):\n    subprocess.run(command, shell=True)\n    return "{key}"\n'
    analysis = await analyze(
        added("app/run.py", source.encode()),
        added("web/a.js", b"const a = 1;\nconst b = eval(location.hash);\n"),
        added("web/b.ts", "const is\u200bAdmin = true;\n".encode()),
    )
    assert rules(analysis) == [
        ("app/run.py", 5, "S602"),
        ("app/run.py", 6, "stripe-key"),
        ("web/a.js", 2, "js-eval"),
        ("web/b.ts", 1, "invisible-character"),
    ]
    secret = analysis.findings[1]
    assert (secret.side, secret.quote, secret.severity) == (Side.RIGHT, f'    return "{key}"', Severity.CRITICAL)
    assert (secret.source.kind, secret.source.name) == (SourceKind.ANALYZER, "secrets")
    assert [report.name for report in analysis.analyzers] == [ISOLATION, *NAMES]
    assert {report.fate for report in analysis.analyzers} == {Fate.RAN}
    assert all(report.version for report in analysis.analyzers)


async def test_only_changed_lines_are_spoken_of() -> None:
    head = b"import os\nos.system(a)\nx = 1\nos.system(b)\n"
    patch = b"@@ -2,2 +2,3 @@\n os.system(a)\n x = 1\n+os.system(b)\n"
    analysis = await analyze(SourceFile(b"a.py", "modified", patch=patch, head=head))
    assert ("a.py", 4, "S605") in rules(analysis)
    assert {line for _, line, _ in rules(analysis)} == {4}


async def test_one_invalid_byte_does_not_hide_the_rest_of_a_file() -> None:
    head = b"import subprocess\nname = 'caf\xe9'\nsubprocess.run(cmd, shell=True)\n"
    analysis = await analyze(added("latin.py", head))
    assert ("latin.py", 3, "S602") in rules(analysis)


async def test_equal_lines_are_told_apart_by_where_the_tool_saw_them() -> None:
    analysis = await analyze(added("a.js", b"f(eval(x));\nlet y;\nf(eval(x));\n"))
    assert rules(analysis) == [("a.js", 1, "js-eval"), ("a.js", 3, "js-eval")]


async def test_hostile_files_get_their_fate_and_spare_their_neighbours() -> None:
    neighbour = added("neighbour.py", b"value = eval(input())\n")
    analysis = await analyze(*(file for file, _ in HOSTILE), neighbour)
    assert [(file.path, file.fate) for file in analysis.files[:-1]] == [
        (file.path.decode("utf-8", "replace"), fate) for file, fate in HOSTILE
    ]
    assert all(file.reason for file in analysis.files if file.fate is not Fate.REVIEWED)
    found = rules(analysis)
    assert ("neighbour.py", 1, "S307") in found
    assert ("noqa.py", 3, "S307") in found  # a suppression in the change silences nothing
    assert ("\ufffd\n.py", 1, "S307") in found
    assert {report.name: report.fate for report in analysis.analyzers}["secrets"] is Fate.RAN


@pytest.mark.parametrize("number", range(len(HOSTILE)))
async def test_no_hostile_file_stops_an_analyzer(number: int) -> None:
    analysis = await analyze(HOSTILE[number][0])
    assert {report.fate for report in analysis.analyzers} <= {Fate.RAN, Fate.SKIPPED}, analysis.analyzers


async def test_clean_code_gives_no_finding() -> None:
    sources = sorted((ROOT / "services").rglob("*.py"))
    assert len(sources) > 20
    analysis = await analyze(*(added(f"src/{number}.py", path.read_bytes()) for number, path in enumerate(sources)))
    assert [(str(sources[int(f.path[4:-3])]), f.start_line, f.title) for f in analysis.findings] == []
    assert analysis.summary_only == ()


async def test_the_limit_on_findings_is_kept_and_counted() -> None:
    lines = b"".join(b"x%d = eval(y%d)\n" % (number, number) for number in range(50))
    analysis = await analyze(added("a.js", lines), limits=Limits(findings=20))
    assert len(analysis.findings) == 20
    assert analysis.dropped == {DropReason.OVER_LIMIT: 30}


async def test_what_is_too_large_for_the_child_is_left_out_by_name() -> None:
    big = added("big.py", b"x = 1\n" * 100_000)
    analysis = await analyze(big, added("small.py", b"eval(input())\n"), limits=Limits(input_bytes=100_000))
    assert [(file.path, file.fate) for file in analysis.files] == [
        ("big.py", Fate.SKIPPED),
        ("small.py", Fate.REVIEWED),
    ]
    assert analysis.files[0].reason == "the change is too large: this file was left out"
    assert ("small.py", 1, "S307") in rules(analysis)


async def test_an_empty_change_is_no_failure() -> None:
    analysis = await analyze()
    assert (analysis.findings, analysis.files) == ((), ())
    assert {report.fate for report in analysis.analyzers} == {Fate.RAN, Fate.SKIPPED}


async def test_children_side_by_side_do_not_share_anything() -> None:
    files = [added(f"{number}.js", b"let a;\n" * number + b"eval(a);\n") for number in range(4)]
    analyses = await asyncio.gather(*(analyze(file) for file in files))
    assert [rules(analysis) for analysis in analyses] == [[(f"{n}.js", n + 1, "js-eval")] for n in range(4)]
