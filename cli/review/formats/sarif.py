"""Findings as SARIF 2.1.0, in the form code scanning of GitHub and GitLab's importers take.

A log is made to be uploaded, where more people read it than those who may see the file: secrets are masked.
"""

from typing import Any
from urllib.parse import quote

from lintel.review.v1 import review_pb2 as pb

from cli.review.formats.text import rule
from cli.review.run import Outcome, unread
from client.shape import severity
from services.kit.redact import mask

Json = dict[str, Any]
SCHEMA = "https://json.schemastore.org/sarif-2.1.0.json"
FINGERPRINT = "lintelFingerprint/v1"
_ROOT = "%SRCROOT%"
_LEVELS = {"critical": "error", "high": "error", "medium": "warning", "low": "note"}
# What GitHub reads a security alert's severity from: above 9 critical, from 7 high, from 4 medium.
_SCORES = {"critical": "9.5", "high": "8.0", "medium": "5.5", "low": "2.0"}


def render(outcome: Outcome, version: str) -> Json:
    """Answer the log: one run, a rule for each rule that found something, what failed as notifications."""
    findings = list(outcome.answer.findings)
    rules = _rules(findings)
    index = {found["id"]: number for number, found in enumerate(rules)}
    return {
        "$schema": SCHEMA,
        "version": "2.1.0",
        "runs": [
            {
                "tool": {"driver": {"name": "Lintel", "semanticVersion": version, "rules": rules}},
                "automationDetails": {"id": "lintel/"},
                "columnKind": "utf16CodeUnits",
                "originalUriBaseIds": {_ROOT: {"description": {"text": "The top of the repository."}}},
                "invocations": [
                    {
                        "executionSuccessful": not outcome.failures,
                        "toolExecutionNotifications": [
                            *(_notification("error", text) for text in outcome.failures),
                            *(_notification("note", text) for text in _notes(outcome)),
                        ],
                    }
                ],
                "results": [_result(finding, index[rule_id(finding)]) for finding in findings],
            }
        ],
    }


def _notes(outcome: Outcome) -> tuple[str, ...]:
    return (*unread(outcome.answer), *outcome.answer.receipt.notes, *outcome.notes)


def rule_id(finding: pb.Finding) -> str:
    """Answer a name that stays the same from review to review: the tool's rule, or the model's category."""
    return rule(finding) if finding.source.rule_id else f"{finding.source.name}/{finding.category}"


def _rules(findings: list[pb.Finding]) -> list[Json]:
    rules: dict[str, Json] = {}
    for finding in findings:
        level = severity(finding)
        properties: Json = {"tags": [finding.category], "precision": _precision(finding.confidence)}
        if finding.category == "security":
            properties["security-severity"] = _SCORES[level]
        rules.setdefault(
            rule_id(finding),
            {
                "id": rule_id(finding),
                "shortDescription": {"text": mask(finding.title) or rule_id(finding)},
                "fullDescription": {"text": mask(finding.body or finding.title) or rule_id(finding)},
                "defaultConfiguration": {"level": _LEVELS[level]},
                "properties": properties,
            },
        )
    return list(rules.values())


def _precision(confidence: float) -> str:
    steps = ((0.9, "very-high"), (0.7, "high"), (0.4, "medium"))
    return next((name for least, name in steps if confidence >= least), "low")


def _result(finding: pb.Finding, rule_index: int) -> Json:
    artifact = {"uri": quote(finding.path, safe="/~"), "uriBaseId": _ROOT}
    text = mask(f"{finding.title}\n\n{finding.body}".strip()) or rule_id(finding)
    result: Json = {
        "ruleId": rule_id(finding),
        "ruleIndex": rule_index,
        "level": _LEVELS[severity(finding)],
        "message": {"text": text},
        "partialFingerprints": {FINGERPRINT: finding.fingerprint, "primaryLocationLineHash": finding.fingerprint},
        "properties": {
            "severity": severity(finding),
            "category": finding.category,
            "confidence": finding.confidence,
            "side": "LEFT" if finding.side == pb.SIDE_LEFT else "RIGHT",
        },
    }
    if finding.side == pb.SIDE_LEFT:
        # Removed lines have no place in the file that is there now: only the file is named.
        removed = f"{text}\n\nRemoved lines {finding.start_line}-{finding.end_line}:\n{mask(finding.quote)}"
        return result | {
            "message": {"text": removed},
            "locations": [{"physicalLocation": {"artifactLocation": artifact}}],
        }
    region = {"startLine": finding.start_line, "endLine": finding.end_line, "snippet": {"text": mask(finding.quote)}}
    result["locations"] = [{"physicalLocation": {"artifactLocation": artifact, "region": region}}]
    if finding.HasField("suggestion") and mask(finding.suggestion.replacement) == finding.suggestion.replacement:
        result["fixes"] = [_fix(finding, artifact)]
    return result


def _fix(finding: pb.Finding, artifact: Json) -> Json:
    last = finding.quote.rpartition("\n")[2].removesuffix("\r")
    units = len(last.encode("utf-16-le", errors="surrogatepass")) // 2
    deleted = {
        "startLine": finding.start_line,
        "startColumn": 1,
        "endLine": finding.end_line,
        "endColumn": units + 1,
    }
    inserted = {"text": finding.suggestion.replacement.removesuffix("\n")}
    return {
        "description": {"text": "What Lintel suggests in place of these lines."},
        "artifactChanges": [
            {"artifactLocation": artifact, "replacements": [{"deletedRegion": deleted, "insertedContent": inserted}]}
        ],
    }


def _notification(level: str, text: str) -> Json:
    return {"level": level, "message": {"text": text or "no reason was given"}}
