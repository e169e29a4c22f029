"""Who may call which RPC of the webhooks service."""

from datetime import timedelta

from services.kit.rpc.policy import OPERATORS, OWNER, Policy, internal, read, write

_DELIVERIES = "/lintel.webhooks.v1.DeliveryService/"
_HOSTS = "/lintel.webhooks.v1.CodeHostService/"

PUBLIC: Policy = {
    _DELIVERIES + "GetWebhookHealth": read(OPERATORS),
    _DELIVERIES + "ListDeliveries": read(OPERATORS),
    _DELIVERIES + "GetDelivery": read(OPERATORS),
    _DELIVERIES + "RedeliverDelivery": write(OPERATORS, is_idempotent=True),
    _DELIVERIES + "ListDeadLetters": read(OPERATORS),
    _DELIVERIES + "ReplayDeadLetter": write(OWNER),  # a second time it is no longer dead
}
INTERNAL: Policy = {
    "/lintel.webhooks.v1.IngestService/Ingest": internal("gateway", is_idempotent=True, deadline=timedelta(seconds=5)),
    _HOSTS + "GetPullRequest": internal("review_worker", is_idempotent=True, deadline=timedelta(seconds=30)),
    _HOSTS + "ReadSource": internal("review_worker", is_idempotent=True, deadline=timedelta(minutes=5)),
    _HOSTS + "Publish": internal("review_worker", is_idempotent=True, deadline=timedelta(minutes=2)),
}
