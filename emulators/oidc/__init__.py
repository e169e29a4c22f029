"""A strict stand-in for an OpenID Connect provider; `emulators/README.md` describes its use."""

from emulators.oidc.emulator import Misbehaviour, OidcEmulator, Person

__all__ = ["Misbehaviour", "OidcEmulator", "Person"]
