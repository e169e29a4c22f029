"""Where an organisation's key may be sent: the same rules at save as at each connection."""

from services.llm_gateway.configuration import ModelConfiguration
from services.llm_gateway.model_keys import AddressGuard
from services.llm_gateway.providers.addresses import AddressRules, check_base_url, origin_of
from services.llm_gateway.providers.types import Trust
from services.llm_gateway.providers.wire import Network


def address_guard(network: Network) -> AddressGuard:
    """Answer what names the origin of a model, and raises ValueError for one that the rules do not permit."""
    rules = AddressRules(Trust.ORGANIZATION, network.allowed, network.loopback)

    async def guard(model: ModelConfiguration) -> str:
        if not model.baseURL:
            return model.provider
        await check_base_url(model.baseURL, rules)  # AddressError is a ValueError
        origin = origin_of(model.baseURL)
        return f"{origin.scheme}://{origin.host}:{origin.port}"

    return guard
