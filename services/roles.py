"""The table of roles: what `python -m services ROLE...` can run. The only module that imports every service's app."""

from collections.abc import Mapping

from gateway import app as gateway
from services.auth import app as auth
from services.kit.app import Role
from services.llm_gateway import app as llm_gateway
from services.orgs import app as orgs
from services.review import app as review
from services.webhooks import app as webhooks

ROLES: Mapping[str, Role] = {
    "auth": auth.serve,  # API keys and who they stand for
    "orgs": orgs.serve,  # organisations
    "llm_gateway": llm_gateway.serve,  # language models
    "webhooks": webhooks.serve,  # intake, deliveries, and both directions of the code hosts
    "webhooks_worker": webhooks.work,  # turns deliveries into events and relays them
    "review": review.serve,  # reviews, findings, receipts
    "review_worker": review.work,  # claims runs and carries them to the end
    "gateway": gateway.serve,  # REST, webhooks and gRPC's edge; starts last, so that what it fronts is there
}
