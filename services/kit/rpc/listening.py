"""Takes the address of a listener: a socket in a private directory, or a port where callers show a certificate."""

import errno
import os
import socket
import stat
from pathlib import Path

import grpc

from services.kit.rpc import tls
from services.kit.rpc.addresses import Target

MAX_SOCKET_PATH = 107  # bytes; Linux keeps 108 for the path and its final zero


def is_private(address: str) -> bool:
    """Tell whether only who may enter a directory can reach the address."""
    return address.startswith("unix:")


def listen(server: grpc.aio.Server, address: str) -> None:
    """Have a server listen at an address.

    Raises OSError if it is taken, too long, or in a directory that others may enter; ConfigError if it is a port and
    this process has no certificate: TCP without TLS is never opened.
    """
    try:
        if is_private(address):
            _claim(Path(address.removeprefix("unix:")))
            server.add_insecure_port(address)
        else:
            where = address.listen if isinstance(address, Target) else address
            server.add_secure_port(where, tls.identity().for_server())
    except RuntimeError as error:
        raise OSError(errno.EADDRNOTAVAIL, f"cannot listen on {address}: {error}") from None


def _claim(path: Path) -> None:
    """Make way for a socket: what a dead process left is removed, a living one's socket is not."""
    if len(os.fsencode(path)) > MAX_SOCKET_PATH:
        raise OSError(
            errno.ENAMETOOLONG, f"longer than {MAX_SOCKET_PATH} bytes, set a shorter LINTEL_RUN_DIR", str(path)
        )
    if path.parent.stat().st_mode & (stat.S_IRWXG | stat.S_IRWXO):
        raise OSError(
            errno.EACCES, "others may enter the directory of the sockets; give it mode 0700", str(path.parent)
        )
    if not path.exists():
        return
    if not path.is_socket():
        raise OSError(errno.EEXIST, "is in the way and is not a socket", str(path))
    with socket.socket(socket.AF_UNIX) as probe:
        probe.settimeout(1)
        try:
            probe.connect(str(path))
        except ConnectionRefusedError:
            path.unlink(missing_ok=True)
        else:
            raise OSError(
                errno.EADDRINUSE,
                "another process serves this socket; a second instance of the role needs a run directory of its own "
                "(LINTEL_RUN_DIR), or LINTEL_MESH_TLS and a name that stands for both",
                str(path),
            )
