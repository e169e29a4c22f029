"""Builds the two roles of the webhooks service: what answers, and what works."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import timedelta

from lintel.webhooks.v1 import code_host_service_pb2, delivery_service_pb2, ingest_service_pb2
from lintel.webhooks.v1.code_host_service_pb2_grpc import add_CodeHostServiceServicer_to_server
from lintel.webhooks.v1.delivery_service_pb2_grpc import add_DeliveryServiceServicer_to_server
from lintel.webhooks.v1.ingest_service_pb2_grpc import add_IngestServiceServicer_to_server

from services.kit.app import Mesh, serving
from services.kit.config import load
from services.kit.postgres.idempotency import IdempotencyKeys
from services.kit.postgres.outbox import Relay
from services.kit.postgres.pool import Database
from services.kit.postgres.upkeep import MEASURE_SECONDS, PRUNE_SECONDS
from services.kit.rpc.authenticate import authenticator
from services.kit.rpc.channel import open_channel
from services.kit.rpc.server import Registered, Repeatable, RpcServer
from services.kit.worker import Loop, running
from services.webhooks import policy, store
from services.webhooks.clients import Directory, ReviewInbox, seal_change
from services.webhooks.code_hosts import CodeHosts
from services.webhooks.config import WebhooksSettings
from services.webhooks.dead_letters import DeadLetters
from services.webhooks.deliveries import Deliveries, DeliveryWorker
from services.webhooks.health import WebhookHealth
from services.webhooks.hosts.marker import Marker
from services.webhooks.intake import Intake
from services.webhooks.ledger_store import LedgerStore
from services.webhooks.publications import Publications
from services.webhooks.server import CodeHostServer, DeliveryServer, IngestServer
from services.webhooks.sweep import Sweep
from services.webhooks.upkeep import upkeep

DELIVERIES = delivery_service_pb2.DESCRIPTOR.services_by_name["DeliveryService"]
INGEST = ingest_service_pb2.DESCRIPTOR.services_by_name["IngestService"]
CODE_HOSTS = code_host_service_pb2.DESCRIPTOR.services_by_name["CodeHostService"]
_CONNECTIONS = 10  # of each role; Postgres allows a hundred to all of them
_POLL_SECONDS = 1.0  # the safety net under NOTIFY
_SWEEP_SECONDS = 5.0  # between looks for a repository that is due


@asynccontextmanager
async def serve(mesh: Mesh) -> AsyncIterator[None]:
    """Role `webhooks`: intake, deliveries, and both directions of the code hosts."""
    settings = load(WebhooksSettings)
    async with AsyncExitStack() as stack:
        database = await stack.enter_async_context(_database(settings))
        directory = Directory(await stack.enter_async_context(open_channel(mesh.internal("orgs"), "webhooks")))
        intake = Intake(database, settings.webhook_secrets, directory.default_organization)
        hosts = CodeHosts(settings.token, settings.api_url, Marker(settings.subkeys("webhooks.marker")))
        stack.push_async_callback(hosts.close)
        code_hosts = CodeHostServer(hosts, Publications(LedgerStore(database, settings.publication_lease)))
        inbox = ReviewInbox(await stack.enter_async_context(open_channel(mesh.internal("review"), "webhooks")))
        dead = DeadLetters(database, inbox, directory.default_organization)
        deliveries = DeliveryServer(Deliveries(database), dead, WebhookHealth(database))
        public = RpcServer(
            "webhooks",
            mesh.public("webhooks"),
            [Registered(add_DeliveryServiceServicer_to_server, deliveries, DELIVERIES)],
            policy.PUBLIC,
            authenticator=authenticator(mesh, "webhooks", stack),
            with_reflection=mesh.has_reflection,
            repeatable=Repeatable(IdempotencyKeys(database, "webhooks"), {}),
        )
        internal = RpcServer(
            "webhooks",
            mesh.internal("webhooks"),
            [
                Registered(add_IngestServiceServicer_to_server, IngestServer(intake), INGEST),
                Registered(add_CodeHostServiceServicer_to_server, code_hosts, CODE_HOSTS),
            ],
            policy.INTERNAL,
            with_reflection=mesh.has_reflection,
        )
        await stack.enter_async_context(serving([public, internal], database))
        yield


@asynccontextmanager
async def work(mesh: Mesh) -> AsyncIterator[None]:
    """Role `webhooks_worker`: turns deliveries into events and relays them to their receivers."""
    settings = load(WebhooksSettings)
    async with AsyncExitStack() as stack:
        database = await stack.enter_async_context(_database(settings))
        inbox = ReviewInbox(await stack.enter_async_context(open_channel(mesh.internal("review"), "webhooks_worker")))
        relay = Relay(database, "webhooks", mesh.bus, inbox.find_missing)
        handle = Loop("deliveries", DeliveryWorker(database, seal_change).handle_next, idle=_POLL_SECONDS)
        send = Loop("relay", relay.send, idle=_POLL_SECONDS)
        close = Loop("close outbox", relay.close_received, idle=settings.outbox_ask_seconds)
        care = upkeep(database, settings)
        hosts = CodeHosts(settings.token, settings.api_url, Marker(settings.subkeys("webhooks.marker")))
        stack.push_async_callback(hosts.close)
        loops = [
            handle,
            send,
            close,
            Loop("prune", care.prune, idle=PRUNE_SECONDS),
            Loop("measure", care.measure, idle=MEASURE_SECONDS),
        ]
        if settings.sweep_minutes:
            sweep = Sweep(database, hosts, seal_change, timedelta(minutes=settings.sweep_minutes))
            loops.append(Loop("sweep", sweep.run, idle=_SWEEP_SECONDS))
        listen = database.listen({store.CHANNEL: handle.wake, "webhooks_outbox": send.wake})
        health = RpcServer(
            "webhooks_worker", mesh.internal("webhooks_worker"), [], {}, with_reflection=False, is_shared=True
        )
        await stack.enter_async_context(serving([health], database, {"broker": mesh.broker}))
        await stack.enter_async_context(running([listen, *loops], grace=5))
        yield


def _database(settings: WebhooksSettings) -> Database:
    return Database(settings.dsn, "webhooks", max_size=min(settings.database_pool_max, _CONNECTIONS))
