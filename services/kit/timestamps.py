"""Times as they travel in messages."""

from datetime import datetime

from google.protobuf.timestamp_pb2 import Timestamp


def timestamp(time: datetime | None) -> Timestamp | None:
    """Build a timestamp of a time with a zone; None stays absent."""
    if time is None:
        return None
    made = Timestamp()
    made.FromDatetime(time)
    return made
