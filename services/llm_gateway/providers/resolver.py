"""Names to addresses for aiohttp, which connects to what is answered here and to nothing else."""

import socket

from aiohttp.abc import AbstractResolver, ResolveResult

from services.llm_gateway.providers import addresses
from services.llm_gateway.providers.addresses import AddressError, AddressRules, Origin


class BlockedError(OSError):
    """How a refusal gets through aiohttp, which wraps what its resolver raises."""


class GuardedResolver(AbstractResolver):
    """Answers only addresses that the rules permit; aiohttp connects to what is answered here, and to nothing else."""

    def __init__(self, rules: AddressRules) -> None:
        self._rules = rules
        self.origins: dict[str, Origin] = {}

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        """Answer the addresses; OSError where there is none, or one that is forbidden."""
        name = host.rstrip(".").lower()
        origin = self.origins.get(name) or Origin("https", name, port)
        found = await addresses.resolve(host, port)
        if not found:
            raise OSError("the name has no address")
        try:
            for address in found:
                addresses.check_address(address, origin, self._rules)
        except AddressError as error:
            raise BlockedError(str(error)) from None
        return [
            ResolveResult(
                hostname=host,
                host=str(address),
                port=port,
                family=socket.AF_INET if address.version == 4 else socket.AF_INET6,
                proto=0,
                flags=socket.AI_NUMERICHOST,
            )
            for address in found
        ]

    async def close(self) -> None:
        """Nothing is held."""
