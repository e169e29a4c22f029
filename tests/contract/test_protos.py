"""The protos are the only schema, so every element of them says what it is, and public RPCs say where REST has them."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from google.api import annotations_pb2  # type: ignore[import-untyped]
from google.protobuf import descriptor_pb2
from lintel.auth.v1 import api_key_service_pb2  # noqa: F401 - its import makes the options of common/v1 known

from services.auth import policy as auth
from services.llm_gateway import policy as llm_gateway
from services.orgs import policy as orgs
from services.review import policy as review
from services.webhooks import policy as webhooks

ROOT = Path(__file__).resolve().parents[2]
FILES = [
    file
    for file in descriptor_pb2.FileDescriptorSet.FromString((ROOT / "protos/gen/descriptors.binpb").read_bytes()).file
    if file.package.startswith("lintel.")
]
PUBLIC = [name for policy in (auth, orgs, llm_gateway, review, webhooks) for name in policy.PUBLIC]
INTERNAL = [name for policy in (auth, orgs, llm_gateway, review, webhooks) for name in policy.INTERNAL]
VERBS = ("get", "put", "post", "delete", "patch")

Path_ = tuple[int, ...]


def messages(found: descriptor_pb2.DescriptorProto, path: Path_, name: str) -> Iterator[tuple[Path_, str]]:
    yield path, name
    for index, field in enumerate(found.field):
        yield (*path, 2, index), f"{name}.{field.name}"
    for index, inner in enumerate(found.nested_type):
        if not inner.options.map_entry:
            yield from messages(inner, (*path, 3, index), f"{name}.{inner.name}")
    for index, enum in enumerate(found.enum_type):
        yield from enums(enum, (*path, 4, index), f"{name}.{enum.name}")


def enums(found: descriptor_pb2.EnumDescriptorProto, path: Path_, name: str) -> Iterator[tuple[Path_, str]]:
    yield path, name
    for index, value in enumerate(found.value):
        yield (*path, 2, index), f"{name}.{value.name}"


def elements(file: descriptor_pb2.FileDescriptorProto) -> Iterator[tuple[Path_, str]]:
    """Every element of a file with its path in the source info (descriptor.proto, SourceCodeInfo)."""
    for index, message in enumerate(file.message_type):
        yield from messages(message, (4, index), message.name)
    for index, enum in enumerate(file.enum_type):
        yield from enums(enum, (5, index), enum.name)
    for index, service in enumerate(file.service):
        yield (6, index), service.name
        for inner, method in enumerate(service.method):
            yield (6, index, 2, inner), f"{service.name}.{method.name}"
    for index, extension in enumerate(file.extension):
        yield (7, index), extension.name


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.name)
def test_every_element_says_what_it_is(file: descriptor_pb2.FileDescriptorProto) -> None:
    comments = {tuple(at.path): at.leading_comments.strip() for at in file.source_code_info.location}
    found = list(elements(file))
    assert found
    assert [name for path, name in found if len(comments.get(path, "")) < 3] == []


def test_the_descriptors_are_those_of_the_sources() -> None:
    sources = {str(path.relative_to(ROOT / "protos")) for path in (ROOT / "protos/lintel").rglob("*.proto")}
    assert {file.name for file in FILES} == sources


def rules() -> dict[str, tuple[str, str]]:
    """The REST verb and path of each RPC that has one."""
    found = {}
    for file in FILES:
        for service in file.service:
            for method in service.method:
                rule = method.options.Extensions[annotations_pb2.http]
                verb = rule.WhichOneof("pattern")
                if verb:
                    found[f"/{file.package}.{service.name}/{method.name}"] = (verb, getattr(rule, verb))
    return found


def uploads() -> set[str]:
    """The RPCs whose caller streams, which REST can't say."""
    return {
        f"/{file.package}.{service.name}/{method.name}"
        for file in FILES
        for service in file.service
        for method in service.method
        if method.client_streaming
    }


def test_public_rpcs_have_a_rest_route_each_and_internal_ones_none() -> None:
    assert sorted(rules()) == sorted(set(PUBLIC) - uploads())
    assert not set(rules()) & set(INTERNAL)


def test_no_two_rpcs_share_a_route() -> None:
    routes = list(rules().values())
    assert len(set(routes)) == len(routes)
    assert {verb for verb, _ in routes} <= set(VERBS)
    assert all(path.startswith("/") for _, path in routes)


def test_house_rules_of_names() -> None:
    for file in FILES:
        assert file.name.startswith(file.package.replace(".", "/") + "/")
        for service in file.service:
            assert service.name.endswith("Service")
            for method in service.method:
                assert method.name[0].isupper()
        for enum in file.enum_type:
            assert enum.value[0].name.endswith("_UNSPECIFIED")
            assert enum.value[0].number == 0


def test_lists_are_paged_alike() -> None:
    for file in FILES:
        shapes = {message.name: [field.name for field in message.field] for message in file.message_type}
        for service in file.service:
            for method in service.method:
                request = method.input_type.rsplit(".", 1)[-1]
                response = shapes.get(method.output_type.rsplit(".", 1)[-1], [])
                if "next_page_token" in response:
                    assert {"page_size", "page_token"} <= set(shapes[request])
                    assert response[1:] == ["next_page_token"]
