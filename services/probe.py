"""python -m services.probe ROLE [--live]: ends with 0 if the role of this very container is well; for health checks.

It asks over the role's own listener, as the others do: its socket, or its port with this process's certificate. With
`--live` a role that answers at all is well; without, it must say that it serves, which takes its database.
"""

import argparse
import asyncio
import sys

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc

from services.kit.config import ConfigError, load
from services.kit.rpc.addresses import PORTS, Addresses, AddressSettings, Target
from services.kit.rpc.channel import open_channel

SECONDS = 4.0
GATEWAY = "gateway"
_LOOPBACK = "127.0.0.1"


def main(arguments: list[str] | None = None) -> int:
    """Ask once; answers 0, or 1 with the reason on stderr."""
    parser = argparse.ArgumentParser(prog="python -m services.probe", description=__doc__)
    parser.add_argument("role", choices=[*PORTS, GATEWAY])
    parser.add_argument("--live", action="store_true", help="content with any answer")
    options = parser.parse_args(arguments)
    try:
        problem = asyncio.run(_ask(load(AddressSettings), options.role, is_live=options.live))
    except (ConfigError, OSError, TimeoutError) as error:
        problem = str(error) or type(error).__name__
    if problem:
        print(f"{options.role}: {problem}", file=sys.stderr)
    return 1 if problem else 0


async def _ask(settings: AddressSettings, role: str, *, is_live: bool) -> str:
    if role == GATEWAY:
        return await asyncio.wait_for(_http(settings, "/health/live" if is_live else "/health/ready"), SECONDS)
    async with open_channel(_own(settings, role), role) as channel:
        try:
            answer = await health_pb2_grpc.HealthStub(channel).Check(health_pb2.HealthCheckRequest(), timeout=SECONDS)
        except grpc.aio.AioRpcError as error:
            return error.code().name
    serves = answer.status == health_pb2.HealthCheckResponse.SERVING
    return "" if serves or is_live else "does not serve"


def _own(settings: AddressSettings, role: str) -> Target:
    """The listener of this machine: the role's host name may stand for other instances of it too."""
    there = Addresses.of(settings).internal(role)
    host, colon, port = there.rpartition(":")
    return there if there.startswith("unix:") or not host else Target(f"{_LOOPBACK}{colon}{port}", role)


async def _http(settings: AddressSettings, path: str) -> str:
    reader, writer = await asyncio.open_unix_connection(str(settings.run_dir / "gateway.sock"))
    try:
        writer.write(f"GET {path} HTTP/1.1\r\nhost: probe\r\nconnection: close\r\n\r\n".encode())
        await writer.drain()
        line = (await reader.readline()).decode("ascii", "replace").strip()
    finally:
        writer.close()
    return "" if line.startswith("HTTP/1.1 200") else line or "no answer"


if __name__ == "__main__":
    sys.exit(main())
