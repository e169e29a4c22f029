"""The typed client: addresses as people write them, ends of gRPC that are tried in turn, errors in words."""

import threading
from collections.abc import Iterator
from concurrent import futures
from http.server import BaseHTTPRequestHandler, HTTPServer

import grpc
import pytest
from grpc_health.v1 import health, health_pb2_grpc

from client.address import Address, parse_url, unix_socket
from client.errors import RefusedError, UnavailableError
from client.reviews import ReviewClient


@pytest.mark.parametrize(
    ("url", "targets", "secure", "local"),
    [
        ("http://127.0.0.1:3001", ("127.0.0.1:3001", "127.0.0.1:3002"), False, True),
        ("http://[::1]:4000/", ("[::1]:4000",), False, True),
        ("https://lintel.example", ("lintel.example:443",), True, False),
        ("https://lintel.example:3001", ("lintel.example:3001",), True, False),
        ("http://lintel.example", ("lintel.example:80",), False, False),
    ],
)
def test_an_url_names_where_grpc_is(url: str, targets: tuple[str, ...], secure: bool, local: bool) -> None:
    address = parse_url(url)
    assert (address.targets, address.is_secure, address.is_local) == (targets, secure, local)


@pytest.mark.parametrize(
    "url", ["", "x", "ftp://x", "http://", "http://user:secret@x", "http://x/p", "http://x?q", "http://x:0x1"]
)
def test_an_url_that_is_none_is_refused_without_its_secrets(url: str) -> None:
    with pytest.raises(RefusedError) as refused:
        parse_url(url)
    assert "secret" not in str(refused.value)


class Answers(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_error(400)

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""


@pytest.fixture
def web() -> Iterator[str]:
    """A server that speaks HTTP/1.1 only, as an edge without Envoy does at its REST port."""
    with HTTPServer(("127.0.0.1", 0), Answers) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"127.0.0.1:{server.server_address[1]}"
        server.shutdown()
        thread.join()


@pytest.fixture
def empty() -> Iterator[str]:
    """A gRPC server with health and nothing else."""
    server = grpc.server(futures.ThreadPoolExecutor(1))
    health_pb2_grpc.add_HealthServicer_to_server(health.HealthServicer(), server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    yield f"127.0.0.1:{port}"
    server.stop(None).wait()


def test_the_port_that_speaks_grpc_is_found(web: str, empty: str) -> None:
    with ReviewClient(Address("there", (web, empty), is_local=True), "t") as client:
        with pytest.raises(RefusedError, match="an older one"):
            client.upload([])
        with pytest.raises(RefusedError):
            client.get("id")
        with pytest.raises(RefusedError):
            list(client.watch("id"))
        with pytest.raises(RefusedError):
            client.cancel("id")


def test_nobody_there_is_told_with_the_place(web: str) -> None:
    with pytest.raises(UnavailableError, match="does not answer at there"), ReviewClient(Address("there", (web,)), "t"):
        pass
    gone = unix_socket("/nowhere/at/all.sock")
    with pytest.raises(UnavailableError, match=r"/nowhere/at/all\.sock"), ReviewClient(gone, "t"):
        pass


def test_a_token_that_is_none_is_refused_without_being_shown() -> None:
    for token in ("line\nbreak", "ümlaut"):
        with pytest.raises(RefusedError) as refused:
            ReviewClient(unix_socket("/x"), token)
        assert token not in str(refused.value)
