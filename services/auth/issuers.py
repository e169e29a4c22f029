"""Which issuers of OpenID Connect may be configured at all."""

from urllib.parse import urlsplit

_LOCAL = ("localhost", "127.0.0.1", "::1")


def check_issuer(issuer: str) -> str:
    """Answer an issuer that may be configured: https, or http on this machine. Raises ValueError."""
    try:
        parts = urlsplit(issuer)
        port_is_fine = parts.port is None or 0 < parts.port < 65536
    except ValueError:
        port_is_fine, parts = False, urlsplit("")
    if not port_is_fine or not parts.hostname or parts.query or parts.fragment or parts.username or parts.password:
        raise ValueError("must be https://HOST[:PORT][/PATH], without query and fragment")
    if not is_safe(issuer):
        raise ValueError("must be https, or http on this machine")
    return issuer


def is_safe(url: str) -> bool:
    """Tell whether what is sent to an address can be read on the way by nobody."""
    parts = urlsplit(url)
    return parts.scheme == "https" or (parts.scheme == "http" and parts.hostname in _LOCAL)
