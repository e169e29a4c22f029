"""Which addresses a model may be called at: looked at when a base URL is saved, and again at each connection.

The rules are those of docs/models.md: https to public addresses for an organisation, more for what the operator lists,
anything for the operator's own variables, and cloud metadata for nobody.
"""

import asyncio
import ipaddress
import socket
from dataclasses import dataclass
from urllib.parse import urlsplit

from services.llm_gateway.providers.types import Trust

IPAddress = ipaddress.IPv4Address | ipaddress.IPv6Address

_PORTS = {"https": 443, "http": 80}
_OPEN_PORTS = frozenset({443, 8443})
_ENDPOINTS = ("/chat/completions", "/responses", "/messages", "/models", ":generatecontent", ":streamgeneratecontent")
_METADATA_NAMES = frozenset({"metadata.google.internal", "metadata.goog", "metadata"})
_METADATA = frozenset(
    map(ipaddress.ip_address, ("169.254.169.254", "169.254.170.2", "169.254.170.23", "100.100.100.200"))
) | frozenset(map(ipaddress.ip_address, ("fd00:ec2::254", "fd00:ec2::23", "fd20:ce::254")))
_PRIVATE = tuple(
    map(
        ipaddress.ip_network,
        (
            "0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12",
            "192.0.0.0/24", "192.0.2.0/24", "192.88.99.0/24", "192.168.0.0/16", "198.18.0.0/15", "198.51.100.0/24",
            "203.0.113.0/24", "224.0.0.0/4", "240.0.0.0/4",
            "::/128", "::1/128", "100::/64", "2001::/32", "2001:db8::/32", "fc00::/7", "fe80::/10", "fec0::/10",
            "ff00::/8",
        ),
    )
)  # fmt: skip
_NAT64 = tuple(map(ipaddress.IPv6Network, ("64:ff9b::/96", "64:ff9b:1::/48")))


class AddressError(ValueError):
    """A base URL that may not be used; the message says why, and nothing of what the address answered."""


@dataclass(frozen=True, slots=True)
class Origin:
    """Scheme, host in lower case without a final dot, and port."""

    scheme: str
    host: str
    port: int


@dataclass(frozen=True, slots=True)
class AddressRules:
    """Whose word an address is, and what the operator permits an organisation beyond public addresses.

    `allowed` are the origins of LINTEL_ALLOWED_MODEL_HOSTS; `loopback` permits this machine, any port (embedded).
    """

    trust: Trust = Trust.OPERATOR
    allowed: frozenset[Origin] = frozenset()
    loopback: bool = False


def parse_allowed(text: str) -> frozenset[Origin]:
    """Answer the origins of a comma list of scheme://host[:port]; ValueError names the entry that is none."""
    origins = set()
    for entry in filter(None, (part.strip() for part in text.split(","))):
        try:
            parts, origin = urlsplit(entry), origin_of(entry)
        except AddressError as error:
            raise ValueError(f"{entry!r}: {error}") from None
        if parts.path.strip("/") or parts.query or parts.fragment or parts.username:
            raise ValueError(f"{entry!r} must be scheme://host[:port] and nothing else")
        origins.add(origin)
    return frozenset(origins)


def origin_of(url: str) -> Origin:
    """Answer the origin of an http(s) URL; AddressError for what is none."""
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise AddressError("is no address: host and port cannot be read") from None
    if parts.scheme not in _PORTS or not parts.hostname:
        raise AddressError("must be http(s)://host[:port][/path]")
    try:
        host = parts.hostname.rstrip(".").lower().encode("idna").decode() if not parts.hostname.isascii() else None
    except UnicodeError:
        raise AddressError("has a host name that is none") from None
    return Origin(parts.scheme, host or parts.hostname.rstrip(".").lower(), port or _PORTS[parts.scheme])


def check_url(url: str, rules: AddressRules) -> Origin:
    """Answer the origin of a base URL that the rules permit as far as can be told without a look at the network."""
    origin = origin_of(url)
    parts = urlsplit(url)
    if parts.username is not None or parts.password is not None:
        raise AddressError("must not hold a user or a password")
    if parts.query or parts.fragment:
        raise AddressError("must have no query and no fragment")
    if parts.path.rstrip("/").lower().endswith(_ENDPOINTS):
        raise AddressError("ends in an endpoint; give the address before that, such as https://host/v1")
    if origin.host in _METADATA_NAMES:
        raise AddressError("is that of a cloud's metadata service, which is never called")
    literal = as_literal(origin.host)
    if literal is not None:
        check_address(literal, origin, rules)
    if rules.trust is Trust.ORGANIZATION and origin not in rules.allowed and not _is_own(literal, origin, rules):
        if origin.scheme != "https":
            raise AddressError("must be https, or an origin that the operator lists in LINTEL_ALLOWED_MODEL_HOSTS")
        if origin.port not in _OPEN_PORTS:
            raise AddressError("must use port 443 or 8443, or be listed by the operator in LINTEL_ALLOWED_MODEL_HOSTS")
    return origin


async def check_base_url(url: str, rules: AddressRules) -> None:
    """Hold a base URL against the rules with every address its name has now; raises AddressError. For use at save.

    A name that cannot be resolved passes: what counts is the look at each connection.
    """
    origin = check_url(url, rules)
    for address in await resolve(origin.host, origin.port):
        check_address(address, origin, rules)


async def resolve(host: str, port: int) -> list[IPAddress]:
    """Answer the addresses of a name, none where it has none."""
    try:
        found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        return []
    return list(dict.fromkeys(ipaddress.ip_address(str(entry[4][0]).partition("%")[0]) for entry in found))


def check_address(address: IPAddress, origin: Origin, rules: AddressRules) -> None:
    """Raise AddressError where the rules forbid a connection to this address for this origin."""
    unwrapped = unwrap(address)
    if unwrapped in _METADATA or address in _METADATA:
        raise AddressError("is that of a cloud's metadata service, which is never called")
    if rules.trust is Trust.OPERATOR or origin in rules.allowed:
        return
    if rules.loopback and unwrapped.is_loopback:
        return
    if any(unwrapped in network for network in _PRIVATE):
        raise AddressError("is not public; the operator can permit it with LINTEL_ALLOWED_MODEL_HOSTS")


def unwrap(address: IPAddress) -> IPAddress:
    """Answer the IPv4 address inside an IPv6 one that only carries it, else the address itself."""
    if isinstance(address, ipaddress.IPv4Address):
        return address
    inner = address.ipv4_mapped or address.sixtofour
    if inner is None and any(address in network for network in _NAT64):
        inner = ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
    return inner or address


def is_metadata(address: str) -> bool:
    """Whether an IP address, in whatever wrapping, is that of a cloud's metadata service."""
    found = ipaddress.ip_address(address.partition("%")[0])
    return found in _METADATA or unwrap(found) in _METADATA


def as_literal(host: str) -> IPAddress | None:
    """Answer the address that a host is, in any of the spellings that a resolver would take, None for a name."""
    try:
        return ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        pass
    try:  # 2130706433, 0x7f.1, 0177.0.0.1
        return ipaddress.IPv4Address(socket.inet_aton(host)) if host[:1].isdigit() else None
    except OSError:
        return None


def _is_own(literal: IPAddress | None, origin: Origin, rules: AddressRules) -> bool:
    is_here = origin.host == "localhost" or (literal is not None and unwrap(literal).is_loopback)
    return rules.loopback and is_here
