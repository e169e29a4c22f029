"""What somebody tries who wants past the edge: odd headers, odd paths, internal calls, and pages of other origins."""

import asyncio
import base64
import json
import struct
from collections.abc import Iterator

import grpc
import httpx2
import pytest
from google.protobuf import descriptor_pb2

from gateway.envelope import SECURITY_HEADERS
from gateway.public import PUBLIC_SERVICES, described_files
from tests.contract.rest.test_bad_input import check_problem
from tests.contract.rest.test_webhooks import JSON
from tests.integration.edge.test_envoy import CREDENTIAL, Proxy, alone, call_raw, channel, edge, proxy  # noqa: F401
from tests.integration.edge.upstream import ID, Upstream


def internal_methods() -> Iterator[str]:
    """All our RPCs that the outside must not reach, from the committed descriptors."""
    public = {service.name for service in PUBLIC_SERVICES}
    file: descriptor_pb2.FileDescriptorProto
    for file in described_files().file:
        for service in file.service:
            name = f"{file.package}.{service.name}"
            if name.startswith("lintel.") and name not in public:
                yield from (f"/{name}/{method.name}" for method in service.method)


INTERNAL = sorted(internal_methods())


async def test_no_internal_rpc_is_reached(
    edge: httpx2.AsyncClient,  # noqa: F811
    channel: grpc.aio.Channel,  # noqa: F811
    upstream: Upstream,
) -> None:
    assert len(INTERNAL) > 15
    frame = struct.pack(">BI", 0, 0)
    for path in INTERNAL:
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await call_raw(channel, path)
        assert caught.value.code() is grpc.StatusCode.UNIMPLEMENTED, path
        for kind in ("application/grpc-web+proto", "application/grpc-web-text", "application/grpc"):
            content = base64.b64encode(frame) if kind.endswith("text") else frame
            answer = await edge.post(path, content=content, headers={"content-type": kind})
            assert answer.status_code == 404 or answer.headers.get("grpc-status") == "12", (path, kind)
        check_problem(await edge.post(path, json={}), 404, "NOT_FOUND")
    assert upstream.script.requests == []


@pytest.mark.parametrize(
    "path",
    [
        "//lintel.webhooks.v1.IngestService/Ingest",
        "/lintel.webhooks.v1.IngestService//Ingest",
        "/lintel.webhooks.v1.IngestService%2FIngest",
        "/lintel.webhooks.v1.IngestService/%49ngest",
        "/lintel.review.v1.CodeReviewService/../lintel.webhooks.v1.IngestService/Ingest",
        "/lintel.review.v1.CodeReviewService/%2e%2e/lintel.webhooks.v1.IngestService/Ingest",
        "/lintel.review.v1.CodeReviewService/..%2flintel.webhooks.v1.IngestService/Ingest",
        "/lintel.review.v1.CodeReviewService\\..\\lintel.webhooks.v1.IngestService/Ingest",
        "/LINTEL.WEBHOOKS.V1.INGESTSERVICE/INGEST",
        "/lintel.webhooks.v1.IngestService/Ingest?/lintel.review.v1.CodeReviewService/",
    ],
)
async def test_odd_paths_lead_to_no_internal_rpc(proxy: Proxy, upstream: Upstream, path: str) -> None:  # noqa: F811
    for kind in (b"application/grpc-web+proto", b"application/grpc", b"application/json"):
        status, headers, _ = await raw(proxy, b"POST " + path.encode() + b" HTTP/1.1", b"Content-Type: " + kind)
        told = headers.get("grpc-status")  # 13: a redirect, as gRPC is told of it
        assert 300 <= status < 500 or told in ("12", "13"), (path, kind, status, headers)
    assert upstream.script.requests == []


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("//organization", 200),
        ("/docs/../organization", 200),
        ("/docs/%2e%2e/organization", 200),
        ("/./organization", 200),
        ("/codeReview/a%2Fb", 307),  # sent on to the path that it means
        ("/codeReview/a%5Cb", 307),
        ("/organization%00", 400),
        ("/organization/%zz", 404),
        ("/organization;x=1", 404),
        ("/organization/", 404),
        ("/ORGANIZATION", 404),
    ],
)
async def test_a_path_has_one_meaning(proxy: Proxy, upstream: Upstream, path: str, status: int) -> None:  # noqa: F811
    found, headers, body = await raw(proxy, b"GET " + path.encode() + b" HTTP/1.1", credential())
    assert found == status, (path, body)
    if status >= 400:
        assert json.loads(body)["status"] == status
    if status == 307:
        assert headers["location"].startswith("/codeReview/a"), "an absolute one could lead elsewhere"


@pytest.mark.parametrize("name", ["x_request_id", "x_lintel_caller", "idempotency_key", "content_length", "a_b"])
async def test_header_names_with_underscores_are_refused(proxy: Proxy, upstream: Upstream, name: str) -> None:  # noqa: F811
    # Some frameworks read them as the name with dashes, behind the back of whoever filters that.
    status, headers, body = await raw(proxy, b"GET /organization HTTP/1.1", credential(), name.encode() + b": 1")
    assert (status, json.loads(body)["reason"]) == (400, "INVALID_REQUEST")
    assert headers["content-type"] == "application/problem+json"
    assert upstream.script.requests == []


async def test_nobody_outside_speaks_for_us(edge: httpx2.AsyncClient, upstream: Upstream) -> None:  # noqa: F811
    spoofed = {
        **{f"x-lintel-{name}": "evil" for name in ("caller", "organization-id", "principal", "user", "role")},
        **{f"x-forwarded-{name}": "evil.example" for name in ("host", "proto", "port", "prefix")},
        "forwarded": "for=6.6.6.6;host=evil.example",
        "x-envoy-original-path": "/evil",
        "x-original-url": "/evil",
        "x-rewrite-url": "/evil",
        "x-http-method-override": "DELETE",
    }
    answer = await edge.post("/auth/api-keys", json={"name": "ci"}, headers=spoofed)
    assert answer.status_code == 201, answer.text
    assert answer.headers["location"].startswith("/auth/api-keys/")
    seen = upstream.script.metadata[0]
    assert seen["x-lintel-caller"] == "gateway"
    assert "evil" not in str({name: value for name, value in seen.items() if name != "x-lintel-caller"})


@pytest.mark.parametrize(
    "lines",
    [
        (b"Content-Length: 5", b"Transfer-Encoding: chunked"),
        (b"Content-Length: 5", b"Content-Length: 6"),
        (b"Content-Length: +5",),
        (b"Transfer-Encoding: chunked, identity",),
        (b"Host: a", b"Host: b"),
        (b"Expect: something",),
    ],
)
async def test_a_request_has_one_length_and_one_host(proxy: Proxy, upstream: Upstream, lines: tuple[bytes]) -> None:  # noqa: F811
    status, _, _ = await raw(proxy, b"POST /auth/api-keys HTTP/1.1", credential(), *lines, body=b"0\r\n\r\n")
    assert 400 <= status < 600
    assert status not in (500, 503)
    assert upstream.script.requests == []


async def test_two_credentials_are_none(edge: httpx2.AsyncClient) -> None:  # noqa: F811
    headers = [("authorization", "Bearer other"), ("authorization", edge.headers["authorization"])]
    check_problem(await edge.get("/organization", headers=headers), 401, "UNAUTHENTICATED")


async def test_deep_and_wide_bodies_are_refused_cheaply(edge: httpx2.AsyncClient, upstream: Upstream) -> None:  # noqa: F811
    for body in (
        b"[" * 500_000,
        b'{"a":' * 150_000,
        b'{"name":' + b"[" * 900_000,
        b'{"name":"' + b"\\u0000" * 100_000 + b'"}',
    ):
        check_problem(await edge.post("/auth/api-keys", content=body, headers=JSON), 400, "INVALID_REQUEST")
    assert upstream.script.requests == []


ORIGIN = {"origin": "https://evil.example"}


async def test_no_page_of_another_origin_gets_an_answer(
    edge: httpx2.AsyncClient,  # noqa: F811
    proxy: Proxy,  # noqa: F811
    upstream: Upstream,
) -> None:
    preflight = {**ORIGIN, "access-control-request-method": "POST", "access-control-request-headers": "authorization"}
    web = {**ORIGIN, "content-type": "application/grpc-web+proto"}
    grpc_path = "/lintel.orgs.v1.OrganizationService/GetOrganization"
    answers = [
        await edge.options("/auth/api-keys", headers=preflight),
        await edge.options("/nowhere", headers=preflight),
        await edge.options(grpc_path, headers=preflight),
        await edge.options(f"http://{proxy.webhooks}/github/webhook", headers=preflight),
        await edge.get("/organization", headers=ORIGIN),
        await edge.get("/nowhere", headers=ORIGIN),
        await edge.get("/docs", headers=ORIGIN),
        await edge.get("/openapi.json", headers=ORIGIN),
        await edge.get("/health", headers=ORIGIN),
        await edge.post("/auth/api-keys", content=b"x" * 2_000_000, headers={**JSON, **ORIGIN}),
        await edge.post(grpc_path, content=struct.pack(">BI", 0, 0), headers=web),
    ]
    assert answers[4].status_code == answers[10].status_code == 200
    for answer in answers:
        assert not [n for n in answer.headers if n.startswith("access-control")], (answer.request.url, answer.headers)


async def test_every_kind_of_answer_has_the_security_headers(
    edge: httpx2.AsyncClient,  # noqa: F811
    proxy: Proxy,  # noqa: F811
    alone: str,  # noqa: F811
    upstream: Upstream,
) -> None:
    async with httpx2.AsyncClient(base_url=f"http://{alone}") as nobody_behind:
        answers = [
            await edge.get(f"/codeReview/{ID}"),
            await edge.get("/health"),
            await edge.get("/organization", headers={"authorization": "Bearer no"}),
            await edge.get("/nowhere"),
            await edge.options("/organization"),
            await edge.post("/auth/api-keys", content=b"x" * 2_000_000, headers=JSON),  # Envoy's own from here on
            await edge.get(f"http://{proxy.webhooks}/organization"),
            await edge.get("/organization", headers={"a_b": "1"}),
            await nobody_behind.get("/organization"),
            *[await nobody_behind.post("/auth/api-keys", json={}) for _ in range(4)],
        ]
    assert [a.status_code for a in answers[:9]] == [200, 200, 401, 404, 204, 413, 404, 400, 503]
    assert answers[-1].status_code == 429
    for answer in answers:
        assert {n: answer.headers.get(n) for n in SECURITY_HEADERS} == SECURITY_HEADERS, answer.request.url
        assert not {"server", "x-powered-by", "via"} & answer.headers.keys()


def credential() -> bytes:
    return b": ".join(text.encode() for text in CREDENTIAL[0])


async def raw(proxy: Proxy, first: bytes, *lines: bytes, body: bytes = b"") -> tuple[int, dict[str, str], bytes]:  # noqa: F811
    """Send a request to the letter, and answer status, headers and body."""
    host, _, port = proxy.edge.partition(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    named = () if any(line.lower().startswith(b"host:") for line in lines) else (b"Host: edge",)
    ended = () if body else (b"Content-Length: 0",) if first.startswith(b"POST") else ()
    writer.write(b"\r\n".join((first, *named, *lines, *ended, b"Connection: close", b"", body)))
    async with asyncio.timeout(20):
        status, *rest = (await reader.readuntil(b"\r\n\r\n")).decode().strip().split("\r\n")
        headers = {k.lower(): v for k, _, v in (line.partition(": ") for line in rest)}
        content = await reader.readexactly(int(headers.get("content-length", 0)))
    writer.close()
    return int(status.split()[1]), headers, content
