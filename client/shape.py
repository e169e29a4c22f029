"""Messages of the API as JSON: a review in the shape of contract section 2, the others as REST shows them."""

from typing import Any

from google.protobuf.internal.enum_type_wrapper import EnumTypeWrapper
from google.protobuf.timestamp_pb2 import Timestamp
from lintel.orgs.v1 import role_pb2
from lintel.orgs.v1 import user_service_pb2 as users_pb
from lintel.review.v1 import review_pb2 as pb
from lintel.review.v1.code_review_service_pb2 import GetReviewResponse
from lintel.webhooks.v1 import delivery_service_pb2 as deliveries_pb

Json = dict[str, Any]


def enum_name(kind: Any, prefix: str, value: int) -> str:
    """Answer the lowercase name of an enumeration's value: SEVERITY_HIGH is `high`."""
    wrapper: EnumTypeWrapper = kind
    return str(wrapper.Name(value)).removeprefix(prefix).lower()


def severity(finding: pb.Finding) -> str:
    """Answer low, medium, high or critical."""
    return enum_name(pb.Severity, "SEVERITY_", finding.severity)


def review_state(review: pb.Review) -> str:
    """Answer where the review stands."""
    return enum_name(pb.ReviewState, "REVIEW_STATE_", review.state)


def as_json(response: GetReviewResponse) -> Json:
    """Answer the whole review, with exactly the contract's names; what is absent is None."""
    return {
        "review": _review(response.review) if response.HasField("review") else None,
        "findings": [_finding(finding) for finding in response.findings],
        "receipt": _receipt(response.receipt) if response.HasField("receipt") else None,
    }


def _review(review: pb.Review) -> Json:
    return {
        "id": review.id,
        "state": review_state(review),
        "stateReason": review.state_reason,
        "repository": review.repository,
        "baseSha": review.base_sha,
        "headSha": review.head_sha,
        "createTime": _time(review.create_time) if review.HasField("create_time") else None,
        "finishTime": _time(review.finish_time) if review.HasField("finish_time") else None,
        "summary": review.summary,
    }


def _finding(finding: pb.Finding) -> Json:
    suggestion, source = finding.suggestion, finding.source
    return {
        "id": finding.id,
        "fingerprint": finding.fingerprint,
        "path": finding.path,
        "side": enum_name(pb.Side, "SIDE_", finding.side).upper(),
        "startLine": finding.start_line,
        "endLine": finding.end_line,
        "quote": finding.quote,
        "severity": severity(finding),
        "category": finding.category,
        "confidence": finding.confidence,
        "title": finding.title,
        "body": finding.body,
        "suggestion": {"replacement": suggestion.replacement, "level": suggestion.level}
        if finding.HasField("suggestion")
        else None,
        "source": {
            "kind": enum_name(pb.SourceKind, "SOURCE_KIND_", source.kind),
            "name": source.name,
            "ruleId": source.rule_id,
            "model": source.model,
        },
        "state": enum_name(pb.FindingState, "FINDING_STATE_", finding.state),
    }


def _receipt(receipt: pb.Receipt) -> Json:
    return {
        "files": [_file(file) for file in receipt.files],
        "analyzers": [
            {
                "name": analyzer.name,
                "version": analyzer.version,
                "fate": enum_name(pb.AnalyzerFate, "ANALYZER_FATE_", analyzer.fate),
                "reason": analyzer.reason,
                "durationMs": analyzer.duration_ms,
            }
            for analyzer in receipt.analyzers
        ],
        "models": [_model(model) for model in receipt.models],
        "droppedFindings": [{"reason": drop.reason, "count": drop.count} for drop in receipt.dropped_findings],
    }


def _file(file: pb.FileReceipt) -> Json:
    return {
        "path": file.path,
        "status": file.status,
        "fate": enum_name(pb.FileFate, "FILE_FATE_", file.fate),
        "reason": file.reason,
        "hunks": file.hunks,
        "hunksRead": file.hunks_read,
        "notes": list(file.notes),
    }


def _model(model: pb.ModelReceipt) -> Json:
    return {
        "provider": model.provider,
        "model": model.model,
        "calls": model.calls,
        "inputTokens": model.input_tokens,
        "cachedTokens": model.cached_tokens,
        "outputTokens": model.output_tokens,
        "costUsd": model.cost_usd if model.HasField("cost_usd") else None,
        "promptHash": model.prompt_hash,
    }


def _time(time: Timestamp) -> str:
    return str(time.ToJsonString())


def user(found: users_pb.User) -> Json:
    """Answer a user as REST does."""
    return {
        "id": found.id,
        "email": found.email,
        "name": found.name,
        "role": enum_name(role_pb2.Role, "ROLE_", found.role),
        "state": enum_name(role_pb2.MemberState, "MEMBER_STATE_", found.state),
        "organizationId": found.organization_id,
        "createTime": _time(found.create_time) if found.HasField("create_time") else None,
        "updateTime": _time(found.update_time) if found.HasField("update_time") else None,
    }


def delivery(found: deliveries_pb.Delivery) -> Json:
    """Answer a delivery as REST does."""
    return {
        "id": found.id,
        "host": found.host,
        "hostDeliveryId": found.host_delivery_id,
        "event": found.event,
        "state": enum_name(deliveries_pb.DeliveryState, "DELIVERY_STATE_", found.state),
        "reason": found.reason,
        "attempts": found.attempts,
        "bodySize": found.body_size,
        "createTime": _time(found.create_time) if found.HasField("create_time") else None,
        "updateTime": _time(found.update_time) if found.HasField("update_time") else None,
        "repository": found.repository,
    }


def dead_letter(found: deliveries_pb.DeadLetter) -> Json:
    """Answer a dead letter as REST does."""
    return {
        "id": found.id,
        "kind": enum_name(deliveries_pb.DeadLetterKind, "DEAD_LETTER_KIND_", found.kind),
        "topic": found.topic,
        "reason": found.reason,
        "attempts": found.attempts,
        "size": found.size,
        "createTime": _time(found.create_time) if found.HasField("create_time") else None,
        "host": found.host,
        "repository": found.repository,
    }
