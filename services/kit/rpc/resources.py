"""What an answer made: the identifier of the resource in it."""

from typing import Any

from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass


def id_path(answer: Any) -> tuple[str, ...]:
    """Answer where the identifier of what was made stands: `id` of the answer, or of the only message in it."""
    if "id" in answer.fields_by_name:
        return ("id",)
    inner = [(f.name, f.message_type) for f in answer.fields if f.message_type is not None and not f.is_repeated]
    if len(inner) == 1 and "id" in inner[0][1].fields_by_name:
        return (inner[0][0], "id")
    return ()


def id_of(answer: Message | None) -> str:
    """Answer the identifier in an answer, empty where it names none."""
    if answer is None:
        return ""
    value: object = answer
    for name in id_path(answer.DESCRIPTOR):
        value = getattr(value, name)
    return value if isinstance(value, str) else ""


def bare(answer: Any, identifier: str) -> Message:
    """Answer an answer that names the resource and says no more."""
    made: Message = GetMessageClass(answer)()
    path = id_path(answer)
    if path and identifier:
        holder = getattr(made, path[0]) if len(path) > 1 else made
        setattr(holder, path[-1], identifier)
    return made
