"""Answers of the API, made for one test of a format."""

from typing import Any

from lintel.review.v1 import review_pb2 as pb
from lintel.review.v1.code_review_service_pb2 import GetReviewResponse

from cli.review.run import Outcome, failures


def finding(**changes: Any) -> pb.Finding:
    values: dict[str, Any] = {
        "id": "0198c0de-0000-7000-8000-000000000001",
        "fingerprint": "f" * 64,
        "path": "src/app.py",
        "side": pb.SIDE_RIGHT,
        "start_line": 9,
        "end_line": 10,
        "quote": "def run(name):\n\tos.system('ls ' + name)",
        "severity": pb.SEVERITY_HIGH,
        "category": "security",
        "confidence": 0.95,
        "title": "A command goes through the shell",
        "body": "Whoever chooses `name` chooses the command.\n\nGive the words as a list.",
        "suggestion": pb.Suggestion(replacement="def run(name):\n\tsubprocess.run(['ls', name])", level="applies"),
        "source": pb.FindingSource(kind=pb.SOURCE_KIND_ANALYZER, name="structural", rule_id="python-shell"),
        "state": pb.FINDING_STATE_OPEN,
    }
    return pb.Finding(**(values | changes))


def receipt(**changes: Any) -> pb.Receipt:
    values: dict[str, Any] = {
        "files": [
            pb.FileReceipt(path="src/app.py", status="modified", fate=pb.FILE_FATE_REVIEWED, hunks=1, hunks_read=1),
            pb.FileReceipt(path="uv.lock", status="added", fate=pb.FILE_FATE_SKIPPED, reason="lock file", hunks=1),
        ],
        "analyzers": [pb.AnalyzerReceipt(name="ruff", version="0.17.6", fate=pb.ANALYZER_FATE_RAN, duration_ms=12)],
        "dropped_findings": [pb.DroppedFindings(reason="outside_diff", count=3)],
    }
    return pb.Receipt(**(values | changes))


def outcome(*findings: pb.Finding, **changes: Any) -> Outcome:
    review = pb.Review(id="0198c0de-0000-7000-8000-000000000000", state=pb.REVIEW_STATE_COMPLETED, repository="made")
    review.create_time.FromJsonString("2026-01-02T03:04:05Z")
    answer = GetReviewResponse(review=review, findings=findings, receipt=receipt(**changes))
    return Outcome(answer, failures(answer))
