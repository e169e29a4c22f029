"""SARIF logs of other tools: what is read of them, what is refused, and to which lines their results belong."""

import copy
import json
from pathlib import Path
from typing import Any

import pytest

from services.review.analyzers.imports import Importer
from services.review.analyzers.prepare import prepare
from services.review.analyzers.sarif import MAX_RESULTS, read_sarif
from services.review.analyzers.upload import SourceInvalidError
from services.review.domain import DropReason, Severity, SourceFile
from services.review.evidence.bind import Bound

HEAD = b"one\ntwo\nthree\ntwo\nfive\n"
CHANGE = SourceFile(
    b"src/a b.py", "modified", patch=b"@@ -1,4 +1,5 @@\n one\n+two\n three\n two\n five\n", head=HEAD + b"two\n"
)


def result(line: int | None = 2, end: int | None = None, uri: str = "src/a%20b.py", **values: Any) -> dict[str, Any]:
    region = {"startLine": line} | ({"endLine": end} if end else {})
    place = {"artifactLocation": {"uri": uri}} | ({"region": region} if line else {})
    return {"message": {"text": "It is wrong."}, "locations": [{"physicalLocation": place}]} | values


def log(*results: dict[str, Any], rules: tuple[dict[str, Any], ...] = ()) -> bytes:
    run = {"tool": {"driver": {"name": "tool", "rules": list(rules)}}, "results": list(results)}
    return json.dumps({"version": "2.1.0", "runs": [run]}).encode()


def bound(raw: bytes, tmp_path: Path, change: SourceFile = CHANGE) -> Bound:
    (run,) = read_sarif(raw)
    return Importer(prepare([change], tmp_path), [change]).bind(run, 500).bound


@pytest.mark.parametrize("uri", ["src/a%20b.py", "./src/a%20b.py", "file:///home/x/shop/src/a%20b.py", "src/a b.py#L2"])
def test_a_file_is_found_by_its_uri(tmp_path: Path, uri: str) -> None:
    (finding,) = bound(log(result(uri=uri)), tmp_path).findings
    assert (finding.path, finding.start_line, finding.quote) == ("src/a b.py", 2, "two")


@pytest.mark.parametrize("uri", ["a%20b.py", "b.py", "/b.py", "https://host/src/a%20b.py", "src/a%20b.py/", ""])
def test_another_file_is_outside_the_diff(tmp_path: Path, uri: str) -> None:
    assert bound(log(result(uri=uri)), tmp_path) == Bound((), {DropReason.OUTSIDE_DIFF: 1})


def test_the_same_text_at_another_line_is_another_place(tmp_path: Path) -> None:
    assert [f.start_line for f in bound(log(result(4)), tmp_path).findings] == [4]
    assert bound(log(result(6)), tmp_path) == Bound((), {DropReason.OUTSIDE_DIFF: 1})
    assert bound(log(result(None)), tmp_path) == Bound((), {DropReason.OUTSIDE_DIFF: 1})


def test_a_region_ends_with_its_hunk(tmp_path: Path) -> None:
    (finding,) = bound(log(result(3, 400)), tmp_path).findings
    assert (finding.start_line, finding.end_line, finding.quote) == (3, 5, "three\ntwo\nfive")


def test_a_tool_that_saw_another_file_is_not_believed(tmp_path: Path) -> None:
    stale = SourceFile(CHANGE.path, CHANGE.status, patch=CHANGE.patch, head=b"one\nquite\nanother\n")
    assert bound(log(result()), tmp_path, stale).findings == ()


@pytest.mark.parametrize(
    ("level", "score", "severity"),
    [
        ("error", None, Severity.HIGH),
        ("warning", None, Severity.MEDIUM),
        ("note", None, Severity.LOW),
        ("none", None, Severity.LOW),
        (None, None, Severity.MEDIUM),
        ("note", "9.0", Severity.CRITICAL),
        ("note", "7.0", Severity.HIGH),
        ("note", "4", Severity.MEDIUM),
        ("error", "0.0", Severity.LOW),
        ("error", "nan", Severity.HIGH),
        ("error", "11", Severity.HIGH),
    ],
)
def test_severity(tmp_path: Path, level: str | None, score: str | None, severity: Severity) -> None:
    rule: dict[str, Any] = {"id": "r/1"} | ({"properties": {"security-severity": score}} if score else {})
    values: dict[str, Any] = {"ruleId": "r/1"} | ({"level": level} if level else {})
    (finding,) = bound(log(result(**values), rules=(rule,)), tmp_path).findings
    assert (finding.severity, finding.source.name, finding.source.rule_id) == (severity, "tool", "r/1")


def test_words_of_a_rule_with_arguments(tmp_path: Path) -> None:
    rule = {
        "id": "r",
        "messageStrings": {"default": {"text": "{0} of {1}, {7}"}},
        "defaultConfiguration": {"level": "note"},
    }
    message = {"id": "default", "arguments": ["use", "x"]}
    (finding,) = bound(log(result(message=message, rule={"index": 0}), rules=(rule,)), tmp_path).findings
    assert (finding.title, finding.severity, finding.source.rule_id) == ("use of x, {7}", Severity.LOW, "r")


def test_what_is_no_open_problem_is_left_out(tmp_path: Path) -> None:
    raw = log(
        result(kind="pass"),
        result(baselineState="absent"),
        result(suppressions=[{"kind": "inSource"}]),
        result(suppressions=[{"kind": "external", "status": "rejected"}]),
    )
    found = bound(raw, tmp_path)
    assert (len(found.findings), found.dropped) == (1, {DropReason.SUPPRESSED: 1})


def test_too_many_results_are_counted(tmp_path: Path) -> None:
    found = bound(log(*[result()] * (MAX_RESULTS + 7)), tmp_path)
    assert found.dropped[DropReason.OVER_LIMIT] == 7
    assert len(found.findings) == 1


BROKEN: dict[str, tuple[list[Any], Any]] = {
    "version": (["version"], "2.0.0"),
    "runs": (["runs"], {}),
    "a run": (["runs", 0], 5),
    "tool": (["runs", 0, "tool"], None),
    "name": (["runs", 0, "tool", "driver", "name"], 5),
    "rules": (["runs", 0, "tool", "driver", "rules"], [[]]),
    "results": (["runs", 0, "results"], "x"),
    "level": (["runs", 0, "results", 0, "level"], "fatal"),
    "message": (["runs", 0, "results", 0, "message"], "text"),
    "text": (["runs", 0, "results", 0, "message", "text"], 5),
    "line": (["runs", 0, "results", 0, "locations", 0, "physicalLocation", "region", "startLine"], 0),
    "huge line": (["runs", 0, "results", 0, "locations", 0, "physicalLocation", "region", "startLine"], 2**40),
    "boolean line": (["runs", 0, "results", 0, "locations", 0, "physicalLocation", "region", "startLine"], True),
    "uri": (["runs", 0, "results", 0, "locations", 0, "physicalLocation", "artifactLocation", "uri"], ["x"]),
}


@pytest.mark.parametrize("name", BROKEN)
def test_what_breaks_the_schema_is_refused_and_named(name: str) -> None:
    at, value = BROKEN[name]
    broken = copy.deepcopy(json.loads(log(result())))
    node = broken
    for key in at[:-1]:
        node = node[key]
    node[at[-1]] = value
    with pytest.raises(SourceInvalidError, match=r"^the SARIF log") as refused:
        read_sarif(json.dumps(broken).encode())
    assert len(str(refused.value)) < 200


@pytest.mark.parametrize("raw", [b"", b"[", b"[]", b"\xff\xfe{}", b"[" * 100_000, b'"' + b"x" * 100])
def test_what_is_no_log_is_refused(raw: bytes) -> None:
    with pytest.raises(SourceInvalidError):
        read_sarif(raw)


def test_names_of_tools_and_rules_are_made_harmless(tmp_path: Path) -> None:
    raw = json.loads(log(result(ruleId="a b\u202e`<x>`\n")))
    raw["runs"][0]["tool"]["driver"]["name"] = "to\nol\u202e"
    (finding,) = bound(json.dumps(raw).encode(), tmp_path).findings
    assert (finding.source.name, finding.source.rule_id) == ("to ol", "a-b-`<x>`-")
