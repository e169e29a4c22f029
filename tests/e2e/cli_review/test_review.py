"""The command against a running system, through Envoy: ranges, formats, statuses, and no trace in the repository."""

import json
import os
from pathlib import Path

import pytest
from jsonschema import Draft4Validator

from cli.embedded import Embedded
from tests.e2e.cli_review.lines import CALCULATOR, environment, report, review
from tests.unit.cli.review.repositories import Made

SCHEMA = Path(__file__).parents[2] / "fixtures" / "sarif" / "sarif-schema-2.1.0.json"
ODD = ["with space.py", 'quo"te.py', "new\nline.py", "-leading.py", "back\\slash.py", os.fsdecode(b"\xff.py"), "ü.py"]


def test_the_working_tree_is_reviewed_and_left_alone(repository: Made, local: dict[str, str]) -> None:
    repository.write({"calculator.py": CALCULATOR, "gone.py": None})
    before = repository.trace()
    done = review(repository.path, local, "--format", "json")
    assert repository.trace() == before
    found = report(done)
    assert done.returncode == 1
    assert found["review"]["state"] == "completed"
    assert sorted(file["path"] for file in found["receipt"]["files"]) == ["calculator.py", "gone.py"]
    lines = CALCULATOR.split("\n")
    assert found["findings"]
    for finding in found["findings"]:
        assert finding["path"] == "calculator.py"
        assert finding["quote"] == "\n".join(lines[finding["startLine"] - 1 : finding["endLine"]])


def test_each_range_reads_its_own_change(repository: Made, local: dict[str, str]) -> None:
    repository.git("checkout", "-q", "-b", "topic")
    repository.commit({"committed.py": CALCULATOR})
    repository.write({"staged.py": CALCULATOR})
    repository.git("add", "staged.py")
    repository.write({"untracked.py": CALCULATOR})
    diff = repository.git("diff", "--cached").encode() + b"\n"

    def read(*words: str, given: bytes = b"") -> list[str]:
        found = report(review(repository.path, local, "--format", "json", *words, given=given))
        assert {finding["path"] for finding in found["findings"]} == {
            file["path"] for file in found["receipt"]["files"]
        }
        return sorted(file["path"] for file in found["receipt"]["files"])

    before = repository.trace()
    assert read() == ["committed.py", "staged.py", "untracked.py"]
    assert read("--staged") == ["staged.py"]
    assert read("--base", "main") == ["committed.py"]
    assert read("--base", "main", "--head", "topic") == ["committed.py"]
    assert read("--diff", "-", given=diff) == ["staged.py"]
    assert repository.trace() == before


def test_a_diff_needs_no_repository(tmp_path: Path, local: dict[str, str]) -> None:
    added = "".join(f"+{line}\n" for line in CALCULATOR.splitlines())
    diff = f"--- /dev/null\n+++ b/calculator.py\n@@ -0,0 +1,{len(CALCULATOR.splitlines())} @@\n{added}"
    found = report(review(tmp_path, local, "--diff", "-", "--format", "json", given=diff.encode()))
    assert [file["path"] for file in found["receipt"]["files"]] == ["calculator.py"]


def test_odd_names_arrive(repository: Made, local: dict[str, str]) -> None:
    repository.write(dict.fromkeys(ODD, CALCULATOR))
    found = report(review(repository.path, local, "--format", "json"))
    shown = sorted(os.fsencode(name).decode(errors="replace") for name in ODD)
    assert sorted(file["path"] for file in found["receipt"]["files"]) == shown
    assert {finding["path"] for finding in found["findings"]} == set(shown)


def test_every_format_tells_the_same(repository: Made, local: dict[str, str], tmp_path: Path) -> None:
    repository.write({"calculator.py": CALCULATOR})
    findings = report(review(repository.path, local, "--format", "json"))["findings"]
    output = tmp_path / "out.sarif"
    assert review(repository.path, local, "--format", "sarif", "--output", str(output)).stdout == b""
    log = json.loads(output.read_text())
    Draft4Validator(json.loads(SCHEMA.read_text())).validate(log)
    results = log["runs"][0]["results"]
    assert [r["partialFingerprints"]["lintelFingerprint/v1"] for r in results] == [f["fingerprint"] for f in findings]
    page = review(repository.path, local).stdout.decode()
    text = review(repository.path, local, "--format", "markdown").stdout.decode()
    for finding in findings:
        assert f"  {finding['startLine']}" in page
        assert f"calculator.py:{finding['startLine']}" in text
    assert "\x1b" not in page and page.splitlines()[-1].startswith(f"{len(findings)} finding")


def test_the_limit_decides_between_zero_and_one(repository: Made, local: dict[str, str]) -> None:
    repository.write({"calculator.py": CALCULATOR})
    assert review(repository.path, local, "--fail-on", "never").returncode == 0
    assert review(repository.path, local, "--fail-on", "low").returncode == 1
    repository.write({"calculator.py": "two = 2\n"})
    assert review(repository.path, local, "--fail-on", "low").returncode == 0


def test_results_of_another_tool_are_bound_to_the_diff(repository: Made, local: dict[str, str], tmp_path: Path) -> None:
    repository.write({"kept.py": "one = 1\ntwo = 2\n"})

    def result(line: int) -> dict[str, object]:
        place = {"artifactLocation": {"uri": "kept.py"}, "region": {"startLine": line}}
        return {"ruleId": "R1", "message": {"text": "Told by another"}, "locations": [{"physicalLocation": place}]}

    log = {"version": "2.1.0", "runs": [{"tool": {"driver": {"name": "other"}}, "results": [result(2), result(999)]}]}
    file = tmp_path / "log.sarif"
    file.write_text(json.dumps(log))
    found = report(review(repository.path, local, "--format", "json", "--sarif", str(file)))
    told = [(f["path"], f["startLine"], f["source"]["kind"], f["source"]["ruleId"]) for f in found["findings"]]
    assert told == [("kept.py", 2, "import", "R1")]


def test_a_dry_run_says_what_would_be_read(repository: Made, local: dict[str, str]) -> None:
    repository.write({"calculator.py": CALCULATOR})
    done = review(repository.path, local, "--dry-run")
    assert done.returncode in (0, 1)
    assert "calculator.py" in done.stdout.decode()


def test_a_large_change_is_sent_in_pieces(repository: Made, local: dict[str, str]) -> None:
    line = "value = 'abcdefghijklmnopqrstuvwxyz'\n"
    repository.write({f"part{number}.py": line * 20_000 for number in range(12)})
    found = report(review(repository.path, local, "--format", "json"))
    assert len(found["receipt"]["files"]) == 12


def test_the_named_system_is_used_and_a_wrong_token_is_told(system: Embedded, repository: Made, tmp_path: Path) -> None:
    repository.write({"calculator.py": CALCULATOR})
    named = environment(tmp_path, {"LINTEL_URL": system.edge_url, "LINTEL_TOKEN": system.api_key})
    assert report(review(repository.path, named, "--format", "json"))["findings"]
    done = review(repository.path, named | {"LINTEL_TOKEN": "not-a-key-of-this-system"})
    assert done.returncode == 2
    assert b"does not know this token" in done.stderr and b"not-a-key" not in done.stderr


@pytest.mark.parametrize("words", [("--base", "nowhere"), ("--diff", "-")])
def test_bad_input_is_two_without_a_traceback(repository: Made, local: dict[str, str], words: tuple[str, ...]) -> None:
    done = review(repository.path, local, *words, given=b"no diff at all\n")
    assert done.returncode == 2
    assert done.stderr.startswith(b"lintel: ") and b"Traceback" not in done.stderr
