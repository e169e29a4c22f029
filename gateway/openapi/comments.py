"""The comments of the protos, which the runtime descriptors do not hold, by full name."""

from collections.abc import Iterator
from functools import cache
from typing import Any

from google.protobuf.descriptor_pb2 import DescriptorProto, FileDescriptorProto

from gateway.public import described_files

# Field numbers in descriptor.proto; a location's path is a chain of them and of indices.
_FILE_MESSAGE, _FILE_ENUM, _FILE_SERVICE = 4, 5, 6
_MESSAGE_FIELD, _MESSAGE_MESSAGE, _MESSAGE_ENUM = 2, 3, 4
_ENUM_VALUE, _SERVICE_METHOD = 2, 2


@cache
def comments() -> dict[str, str]:
    """Answer the leading comment of everything that has one; values of enumerations as `Enum.VALUE`."""
    found: dict[str, str] = {}
    for file in described_files().file:
        texts = {tuple(loc.path): _flow(loc.leading_comments) for loc in file.source_code_info.location}
        found.update({name: texts[path] for path, name in _named(file) if texts.get(path)})
    return found


def _flow(text: str) -> str:
    return " ".join(text.split())


def _named(file: FileDescriptorProto) -> Iterator[tuple[tuple[int, ...], str]]:
    package = f"{file.package}." if file.package else ""
    for index, message in enumerate(file.message_type):
        yield from _in_message(message, (_FILE_MESSAGE, index), package + message.name)
    for index, enum in enumerate(file.enum_type):
        yield from _in_parent(enum.value, (_FILE_ENUM, index), package + enum.name, _ENUM_VALUE)
    for index, service in enumerate(file.service):
        yield from _in_parent(service.method, (_FILE_SERVICE, index), package + service.name, _SERVICE_METHOD)


def _in_message(message: DescriptorProto, path: tuple[int, ...], name: str) -> Iterator[tuple[tuple[int, ...], str]]:
    yield from _in_parent(message.field, path, name, _MESSAGE_FIELD)
    for index, inner in enumerate(message.nested_type):
        yield from _in_message(inner, (*path, _MESSAGE_MESSAGE, index), f"{name}.{inner.name}")
    for index, enum in enumerate(message.enum_type):
        yield from _in_parent(enum.value, (*path, _MESSAGE_ENUM, index), f"{name}.{enum.name}", _ENUM_VALUE)


def _in_parent(children: Any, path: tuple[int, ...], name: str, number: int) -> Iterator[tuple[tuple[int, ...], str]]:
    yield path, name
    for index, child in enumerate(children):
        yield (*path, number, index), f"{name}.{child.name}"
