"""Envelopes as they travel: built in the transaction of their cause, opened by the service that handles them."""

from collections.abc import Mapping
from uuid import UUID

from google.protobuf.message import DecodeError, Message
from lintel.events.v1 import envelope_pb2, pull_request_pb2

from services.kit.bus.port import Envelope
from services.kit.ids import new_id
from services.kit.telemetry import trace

PULL_REQUEST_CHANGED = "pull_request.changed"
TOPICS: Mapping[str, type[Message]] = {PULL_REQUEST_CHANGED: pull_request_pb2.PullRequestChanged}


def seal(organization_id: UUID, topic: str, payload: Message, envelope_id: UUID | None = None) -> Envelope:
    """Put an event into a new envelope that carries the current trace."""
    identifier = envelope_id or new_id()
    wire = envelope_pb2.Envelope(
        id=str(identifier),
        organization_id=str(organization_id),
        topic=topic,
        payload=payload.SerializeToString(),
        traceparent=trace.traceparent(),
    )
    wire.create_time.GetCurrentTime()
    return Envelope(identifier, organization_id, topic, wire.SerializeToString())


def open_envelope(data: bytes) -> tuple[Message, str]:
    """Answer the event inside and the traceparent of its cause. Raises ValueError if it cannot be read."""
    try:
        wire = envelope_pb2.Envelope.FromString(data)
        if wire.topic not in TOPICS:
            raise ValueError(f"unknown topic {wire.topic!r}")
        return TOPICS[wire.topic].FromString(wire.payload), wire.traceparent
    except DecodeError as error:
        raise ValueError(f"not an envelope: {error}") from None


def read(data: bytes) -> Envelope:
    """Answer the envelope as an inbox stores it; its event stays closed. Raises ValueError if it names no sender."""
    try:
        wire = envelope_pb2.Envelope.FromString(data)
    except DecodeError as error:
        raise ValueError(f"not an envelope: {error}") from None
    try:
        return Envelope(UUID(wire.id), UUID(wire.organization_id), wire.topic, data)
    except ValueError:
        raise ValueError("not an envelope: it has no id or no organisation") from None
