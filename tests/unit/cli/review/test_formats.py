"""The four formats: the contract's JSON to the letter, SARIF against its schema, text that can't steer its reader."""

import json
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft4Validator
from lintel.review.v1 import review_pb2 as pb
from lintel.review.v1.code_review_service_pb2 import GetReviewResponse

from cli.review.formats import markdown, sarif, terminal
from cli.review.formats.text import fix
from cli.review.output import render, version
from cli.review.run import Outcome, unread
from client.shape import as_json
from tests.unit.cli.review.answers import finding, outcome

SCHEMA = Path(__file__).parents[3] / "fixtures" / "sarif" / "sarif-schema-2.1.0.json"
HOSTILE = "\x1b[2J\x1b]0;owned\x07 \u202eright to left\u202c \x9b31m zero\u200bwidth"


@pytest.fixture(scope="module")
def validator() -> Draft4Validator:
    schema = json.loads(SCHEMA.read_text())
    Draft4Validator.check_schema(schema)
    return Draft4Validator(schema, format_checker=Draft4Validator.FORMAT_CHECKER)


def test_json_is_the_contracts_shape_to_the_letter() -> None:
    model = pb.ModelReceipt(provider="openai", model="m", calls=2, input_tokens=10, output_tokens=3, prompt_hash="ab")
    found = json.loads(render(outcome(finding(), finding(suggestion=None), models=[model]), "json"))
    assert list(found) == ["review", "findings", "receipt"]
    assert found["review"] == {
        "id": "0198c0de-0000-7000-8000-000000000000",
        "state": "completed",
        "stateReason": "",
        "repository": "made",
        "baseSha": "",
        "headSha": "",
        "createTime": "2026-01-02T03:04:05Z",
        "finishTime": None,
        "summary": "",
    }
    first, second = found["findings"]
    assert first == {
        "id": "0198c0de-0000-7000-8000-000000000001",
        "fingerprint": "f" * 64,
        "path": "src/app.py",
        "side": "RIGHT",
        "startLine": 9,
        "endLine": 10,
        "quote": "def run(name):\n\tos.system('ls ' + name)",
        "severity": "high",
        "category": "security",
        "confidence": 0.95,
        "title": "A command goes through the shell",
        "body": "Whoever chooses `name` chooses the command.\n\nGive the words as a list.",
        "suggestion": {"replacement": "def run(name):\n\tsubprocess.run(['ls', name])", "level": "applies"},
        "source": {"kind": "analyzer", "name": "structural", "ruleId": "python-shell", "model": ""},
        "state": "open",
    }
    assert second["suggestion"] is None
    assert found["receipt"] == {
        "files": [
            {
                "path": "src/app.py",
                "status": "modified",
                "fate": "reviewed",
                "reason": "",
                "hunks": 1,
                "hunksRead": 1,
                "notes": [],
            },
            {
                "path": "uv.lock",
                "status": "added",
                "fate": "skipped",
                "reason": "lock file",
                "hunks": 1,
                "hunksRead": 0,
                "notes": [],
            },
        ],
        "analyzers": [{"name": "ruff", "version": "0.17.6", "fate": "ran", "reason": "", "durationMs": 12}],
        "models": [
            {
                "provider": "openai",
                "model": "m",
                "calls": 2,
                "inputTokens": 10,
                "cachedTokens": 0,
                "outputTokens": 3,
                "costUsd": None,
                "promptHash": "ab",
            }
        ],
        "droppedFindings": [{"reason": "outside_diff", "count": 3}],
    }


def test_absent_objects_are_null() -> None:
    assert as_json(GetReviewResponse()) == {"review": None, "findings": [], "receipt": None}


def _valid(validator: Draft4Validator, given: Outcome) -> dict[str, Any]:
    log: dict[str, Any] = json.loads(render(given, "sarif"))
    assert [error.message for error in validator.iter_errors(log)] == []
    run: dict[str, Any] = log["runs"][0]
    return run


def test_sarif_holds_rules_levels_fingerprints_and_fixes(validator: Draft4Validator) -> None:
    low = finding(path="a b/ü#%.py", severity=pb.SEVERITY_LOW, suggestion=None, category="style", confidence=0.5)
    by_model = finding(source=pb.FindingSource(kind=pb.SOURCE_KIND_MODEL, name="openai", model="m"), category="bug")
    run = _valid(validator, outcome(finding(), finding(severity=pb.SEVERITY_MEDIUM), low, by_model))
    assert run["tool"]["driver"]["semanticVersion"] == version()
    assert [rule["id"] for rule in run["tool"]["driver"]["rules"]] == ["structural/python-shell", "openai/bug"]
    assert [result["level"] for result in run["results"]] == ["error", "warning", "note", "error"]
    assert [result["ruleIndex"] for result in run["results"]] == [0, 0, 0, 1]
    first, _, third, _ = run["results"]
    assert set(first["partialFingerprints"].values()) == {"f" * 64}
    place = first["locations"][0]["physicalLocation"]
    assert place["artifactLocation"] == {"uri": "src/app.py", "uriBaseId": "%SRCROOT%"}
    assert (place["region"]["startLine"], place["region"]["endLine"]) == (9, 10)
    replaced = first["fixes"][0]["artifactChanges"][0]["replacements"][0]
    last = finding().quote.split("\n")[-1]
    assert replaced["deletedRegion"] == {"startLine": 9, "startColumn": 1, "endLine": 10, "endColumn": len(last) + 1}
    assert third["locations"][0]["physicalLocation"]["artifactLocation"]["uri"] == "a%20b/%C3%BC%23%25.py"
    assert run["invocations"][0]["executionSuccessful"] is True


def test_sarif_columns_count_utf16_units(validator: Draft4Validator) -> None:
    run = _valid(validator, outcome(finding(quote="x = '😀'\r", end_line=9)))
    replaced = run["results"][0]["fixes"][0]["artifactChanges"][0]["replacements"][0]
    assert replaced["deletedRegion"]["endColumn"] == 9


def test_sarif_names_no_line_for_what_was_removed(validator: Draft4Validator) -> None:
    run = _valid(validator, outcome(finding(side=pb.SIDE_LEFT)))
    place = run["results"][0]["locations"][0]["physicalLocation"]
    assert "region" not in place
    assert "Removed lines 9-10" in run["results"][0]["message"]["text"]


def test_sarif_tells_what_failed(validator: Draft4Validator) -> None:
    broken = pb.AnalyzerReceipt(name="ruff", fate=pb.ANALYZER_FATE_FAILED, reason="out of time")
    run = _valid(validator, outcome(analyzers=[broken], model_failure="429", notes=["a note"]))
    (invocation,) = run["invocations"]
    assert invocation["executionSuccessful"] is False
    told = [(n["level"], n["message"]["text"]) for n in invocation["toolExecutionNotifications"]]
    assert told == [
        ("error", "the model did not look at everything: 429"),
        ("error", "ruff failed: out of time"),
        ("note", "a note"),
    ]
    assert run["results"] == []


def test_an_empty_range_is_a_valid_log_too(validator: Draft4Validator) -> None:
    assert _valid(validator, Outcome(GetReviewResponse()))["results"] == []


def test_terminal_groups_by_file_and_fits_eighty_columns() -> None:
    long = finding(
        path="z.py", title="word " * 40, body="word " * 100, quote="x = " + "1" * 200, end_line=9, suggestion=None
    )
    page = terminal.render(outcome(finding(), finding(severity=pb.SEVERITY_LOW), long), colour=False, receipt=True)
    assert all(len(line) <= terminal.WIDTH for line in page.splitlines())
    assert page.count("src/app.py\n") == 1
    assert "     9 | def run(name):" in page and "10 |     os.system('ls ' + name)" in page
    assert "    -     os.system('ls ' + name)" in page and "    +     subprocess.run(['ls', name])" in page
    assert page.splitlines()[-1] == "3 findings (2 high, 1 low); 1 of 2 files read; no model."
    assert "uv.lock: skipped" in page and "dropped: 3 outside_diff" in page


def test_terminal_colours_only_when_told() -> None:
    assert "\x1b[" in terminal.render(outcome(finding()), colour=True)
    assert "\x1b" not in terminal.render(outcome(finding()), colour=False)


def test_nothing_of_others_steers_the_terminal() -> None:
    page = terminal.render(
        outcome(
            finding(path=HOSTILE, title=HOSTILE, body=HOSTILE, quote=HOSTILE, category=HOSTILE),
            notes=[HOSTILE],
            files=[pb.FileReceipt(path=HOSTILE, reason=HOSTILE, notes=[HOSTILE], fate=pb.FILE_FATE_SKIPPED)],
        ),
        colour=False,
        receipt=True,
    )
    assert set(page) & set("\x1b\x07\x9b\u202e\u202c\u200b") == set()
    assert "\\x1b[2J" in page and "<U+202E>" in page


def test_silence_after_a_failure_is_no_clean_bill() -> None:
    page = terminal.render(outcome(model_failure="the provider refused"), colour=False)
    assert "No findings" not in page and "silence means nothing" in page
    assert "No findings in what was read" in terminal.render(outcome(), colour=False)


def test_markdown_lets_nobody_out_of_a_block() -> None:
    evil = "```\n<script>alert(1)</script>\n@everyone ![x](http://x.invalid/)"
    page = markdown.render(
        outcome(finding(quote=evil, title=evil, body=evil + "\n# heading\n- list\n1. one", suggestion=None))
    )
    fence = page.split("\n````\n")
    assert len(fence) == 3 and fence[1].startswith("```\n<script>")
    outside = fence[0] + fence[2]
    assert "<script>" not in outside.replace("\\<script", "") and "![x]" not in outside
    assert "\n# heading" not in page and "\n- list" not in page and "\n1. one" not in page
    assert "````diff\n" in markdown.render(outcome(finding(quote=evil)))


def test_markdown_tells_failures_first() -> None:
    page = markdown.render(outcome(finding(), model_failure="no answer"))
    assert page.index("Not completed") < page.index("A command goes")


def test_a_fix_is_a_diff_of_the_quote() -> None:
    assert fix(finding()) == [
        " def run(name):",
        "-\tos.system('ls ' + name)",
        "+\tsubprocess.run(['ls', name])",
    ]
    assert fix(finding(suggestion=None)) == []
    assert fix(finding(quote="x", suggestion=pb.Suggestion(replacement=""))) == ["-x"]


def test_what_is_made_to_be_published_masks_secrets_and_what_is_for_the_caller_does_not() -> None:
    secret = "ghp_" + "a1B2" * 10
    leaky = finding(quote=f"token = '{secret}'", end_line=9, body=f"{secret} is public", title=f"Like {secret}")
    leaky.suggestion.replacement = f"other = '{secret}'"
    for side in (pb.SIDE_RIGHT, pb.SIDE_LEFT):
        leaky.side = side
        for form in ("markdown", "sarif"):
            assert secret not in render(outcome(leaky), form)
            assert "[masked:github-token]" in render(outcome(leaky), form).replace("\\", "")
        for form in ("terminal", "json"):
            assert secret in render(outcome(leaky), form)
    result = json.loads(render(outcome(leaky), "sarif"))["runs"][0]["results"][0]
    assert "fixes" not in result  # a fix that writes the mask would break the file
    assert "fixes" in json.loads(render(outcome(finding()), "sarif"))["runs"][0]["results"][0]


def test_who_did_not_read_everything_is_told(validator: Draft4Validator) -> None:
    partial = pb.AnalyzerReceipt(name="ruff", fate=pb.ANALYZER_FATE_PARTIAL, reason="1 file had no whole content")
    told = outcome(analyzers=[partial])
    assert unread(told.answer) == ("ruff did not read everything: 1 file had no whole content",)
    log = json.loads(render(told, "sarif"))
    validator.validate(log)
    notes = log["runs"][0]["invocations"][0]["toolExecutionNotifications"]
    assert [(note["level"], note["message"]["text"]) for note in notes] == [("note", unread(told.answer)[0])]


def test_a_model_that_failed_is_not_called_no_model() -> None:
    assert terminal.totals(outcome(model_failure="it hung up")).endswith("the model failed.")
    used = pb.ModelReceipt(provider="openai", model="m", calls=1)
    assert terminal.totals(outcome(models=[used], model_failure="x")).endswith("the model failed (openai:m).")


def test_a_model_that_a_dry_run_named_was_not_asked() -> None:
    named = pb.ModelReceipt(provider="openai", model="m", input_tokens=100)
    assert terminal.totals(outcome(models=[named])).endswith("; openai:m was not asked.")


def test_sarif_rule_of_a_model_is_its_category() -> None:
    assert sarif.rule_id(finding(source=pb.FindingSource(name="openai", model="m"), category="bug")) == "openai/bug"
