"""The table of roles: what `python -m services ROLE...` can run. The only module that imports every service's app."""

from collections.abc import Mapping

from gateway import app as gateway
from gateway.config import GatewayConfig
from services.auth import app as auth
from services.auth.config import AuthSettings
from services.kit.app import MeshSettings, Role
from services.kit.config import Settings, variables
from services.kit.telemetry.export import ExportSettings
from services.kit.variables import READ_ELSEWHERE, UNUSED
from services.llm_gateway import app as llm_gateway
from services.llm_gateway.config import LlmGatewaySettings
from services.orgs import app as orgs
from services.orgs.config import OrgsSettings
from services.review import app as review
from services.review.config import ReviewSettings
from services.webhooks import app as webhooks
from services.webhooks.config import WebhooksSettings

ROLES: Mapping[str, Role] = {
    # API keys and who they stand for
    "auth": Role(auth.serve, AuthSettings),
    # organisations
    "orgs": Role(orgs.serve, OrgsSettings),
    # language models
    "llm_gateway": Role(llm_gateway.serve, LlmGatewaySettings),
    # intake, deliveries, and both directions of the code hosts
    "webhooks": Role(webhooks.serve, WebhooksSettings),
    # turns deliveries into events and relays them
    "webhooks_worker": Role(webhooks.work, WebhooksSettings),
    # reviews, findings, receipts
    "review": Role(review.serve, ReviewSettings),
    # claims runs and carries them to the end
    "review_worker": Role(review.work, ReviewSettings),
    # REST, webhooks and gRPC's edge; starts last, so that what it fronts is there
    "gateway": Role(gateway.serve, GatewayConfig),
}


def read_variables() -> set[str]:
    """Answer every variable of the environment that something reads."""
    settings: list[type[Settings]] = [MeshSettings, ExportSettings, *(role.settings for role in ROLES.values())]
    return {name for each in settings for name in variables(each)} | READ_ELSEWHERE


def known_variables() -> set[str]:
    """Answer those too that are accepted without effect; any other with our prefix is a mistake."""
    return read_variables() | set(UNUSED)
