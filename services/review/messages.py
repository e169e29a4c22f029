"""Rows as the messages of the API."""

import json
from typing import Any

from google.protobuf.json_format import ParseDict
from lintel.review.v1 import review_pb2

from services.kit.postgres.pool import Row
from services.kit.timestamps import timestamp
from services.review.domain import LOCAL


def review(row: Row) -> review_pb2.Review:
    """Build the API's review from its row."""
    return review_pb2.Review(
        id=str(row["id"]),
        state=review_pb2.ReviewState.Value(f"REVIEW_STATE_{row['state']}"),
        state_reason=row["state_reason"],
        repository=row["repository"],
        base_sha=row["base_sha"],
        head_sha=row["head_sha"],
        create_time=timestamp(row["create_time"]),
        finish_time=timestamp(row["finish_time"]),
        summary=row["summary"],
        host="" if row["host"] == LOCAL else row["host"],
        pull_request_number=row["number"],
        url=row["url"],
    )


def finding(row: Row) -> review_pb2.Finding:
    """Build the API's finding from its row."""
    suggestion = None
    if row["replacement"] is not None:
        suggestion = review_pb2.Suggestion(replacement=row["replacement"], level="applies")
    same = ("fingerprint", "path", "start_line", "end_line", "quote", "category", "confidence", "title", "body")
    return review_pb2.Finding(
        id=str(row["id"]),
        side=review_pb2.Side.Value(f"SIDE_{row['side']}"),
        severity=review_pb2.Severity.Value(f"SEVERITY_{row['severity'].upper()}"),
        suggestion=suggestion,
        source=review_pb2.FindingSource(
            kind=review_pb2.SourceKind.Value(f"SOURCE_KIND_{row['source_kind'].upper()}"),
            name=row["source_name"],
            rule_id=row["source_rule_id"] or "",
            model=row["source_model"] or "",
        ),
        state=review_pb2.FindingState.Value(f"FINDING_STATE_{row['state'].upper()}"),
        **{name: row[name] for name in same},
    )


def receipt(row: Row) -> review_pb2.Receipt:
    """Build the API's receipt from what is stored."""
    stored: dict[str, Any] = json.loads(row["receipt"] or "{}")
    for name, prefix in (("files", "FILE_FATE_"), ("analyzers", "ANALYZER_FATE_")):
        for item in stored.get(name, ()):
            item["fate"] = prefix + item["fate"].upper()
    return ParseDict(stored, review_pb2.Receipt())
