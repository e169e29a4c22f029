"""Builds the two roles of the review service: what answers, and what works."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

from lintel.review.v1 import code_review_service_pb2, inbox_service_pb2, local_review_service_pb2
from lintel.review.v1.code_review_service_pb2_grpc import add_CodeReviewServiceServicer_to_server
from lintel.review.v1.inbox_service_pb2_grpc import add_InboxServiceServicer_to_server
from lintel.review.v1.local_review_service_pb2_grpc import add_LocalReviewServiceServicer_to_server

from services.kit.app import Mesh, serving
from services.kit.artefacts.choose import choose_artefacts
from services.kit.config import load
from services.kit.postgres import inbox
from services.kit.postgres.idempotency import IdempotencyKeys
from services.kit.postgres.pool import Database
from services.kit.postgres.upkeep import MEASURE_SECONDS, PRUNE_SECONDS
from services.kit.rpc.authenticate import authenticator
from services.kit.rpc.channel import open_channel
from services.kit.rpc.server import Registered, Repeatable, RpcServer
from services.kit.worker import Loop, running
from services.review import policy
from services.review.analyzers.process import remove_left_behind
from services.review.checkpoints import StepCheckpoints
from services.review.clients import CodeHosts
from services.review.config import ReviewSettings
from services.review.consumers import Inbox
from services.review.dead_envelopes import DeadEnvelopes
from services.review.local.reviews import LocalReviews, Sweep
from services.review.local.server import CREATE_LOCAL_REVIEW, LocalReviewServer
from services.review.model.clients import RemoteModels
from services.review.model.review_pass import TwoCallPass
from services.review.pipeline import Pipeline
from services.review.reviews import Reviews
from services.review.runs import CHANNEL, UNLIMITED, Runs
from services.review.server import CANCEL_REVIEW, CodeReviewServer, InboxServer
from services.review.sources import UploadSource
from services.review.upkeep import upkeep
from services.review.worker import Worker

REVIEWS = code_review_service_pb2.DESCRIPTOR.services_by_name["CodeReviewService"]
LOCAL_REVIEWS = local_review_service_pb2.DESCRIPTOR.services_by_name["LocalReviewService"]
INBOX = inbox_service_pb2.DESCRIPTOR.services_by_name["InboxService"]
_RESCUE_SECONDS = 5.0
_CONNECTIONS = 10  # of each role; Postgres allows a hundred to all of them
_SWEEP_SECONDS = 5.0  # an upload is kept about this long after its review
_POLL_SECONDS = 1.0  # the safety net under NOTIFY
_DRAIN_SECONDS = 5.0  # for runs that are on, so that half of the supervisor's ten are left to put them back


@asynccontextmanager
async def serve(mesh: Mesh) -> AsyncIterator[None]:
    """Role `review`: reviews, findings and receipts, and what the senders of envelopes ask."""
    settings = load(ReviewSettings)
    async with AsyncExitStack() as stack:
        database = await stack.enter_async_context(_database(settings))
        artefacts = choose_artefacts(settings, database, "review")
        stack.push_async_callback(artefacts.close)
        answering = CodeReviewServer(Reviews(database), Runs(database))
        local = LocalReviewServer(LocalReviews(database, artefacts), Reviews(database))
        public = RpcServer(
            "review",
            mesh.public("review"),
            [
                Registered(add_CodeReviewServiceServicer_to_server, answering, REVIEWS),
                Registered(add_LocalReviewServiceServicer_to_server, local, LOCAL_REVIEWS),
            ],
            policy.PUBLIC,
            authenticator=authenticator(mesh, "review", stack),
            with_reflection=mesh.has_reflection,
            repeatable=Repeatable(
                IdempotencyKeys(database, "review"),
                {CREATE_LOCAL_REVIEW: local.replay, CANCEL_REVIEW: answering.replay_cancel},
            ),
        )
        internal = RpcServer(
            "review",
            mesh.internal("review"),
            [Registered(add_InboxServiceServicer_to_server, InboxServer(database, DeadEnvelopes(database)), INBOX)],
            policy.INTERNAL,
            with_reflection=mesh.has_reflection,
        )
        await stack.enter_async_context(serving([public, internal], database, {"mongodb": artefacts.problem}))
        yield


@asynccontextmanager
async def work(mesh: Mesh) -> AsyncIterator[None]:
    """Role `review_worker`: takes in envelopes, and claims runs and carries them to the end."""
    settings = load(ReviewSettings)
    async with AsyncExitStack() as stack:
        database = await stack.enter_async_context(_database(settings))
        channel = await stack.enter_async_context(open_channel(mesh.internal("webhooks"), "review_worker"))
        limit = settings.organization_concurrency or UNLIMITED
        runs = Runs(database, settings.lease, organization_limit=limit)
        artefacts = choose_artefacts(settings, database, "review")
        stack.push_async_callback(artefacts.close)
        models = await stack.enter_async_context(open_channel(mesh.internal("llm_gateway"), "review_worker"))
        asking = TwoCallPass(RemoteModels(models), StepCheckpoints(database))
        pipeline = Pipeline(database, runs, CodeHosts(channel), UploadSource(artefacts), asking)
        worker = Worker(runs, pipeline.carry, settings.concurrency)
        await asyncio.to_thread(remove_left_behind)
        ways_in = inbox.acceptor(database, "review"), inbox.rejecter(database, "review")
        await stack.enter_async_context(mesh.bus.subscription("review", *ways_in))
        envelopes = Loop("inbox", Inbox(database, runs).handle_next, idle=_POLL_SECONDS)
        claims = Loop("claim", worker.claim_next, idle=_POLL_SECONDS)
        worker.when_free(claims.wake)
        rescues = Loop("rescue", runs.rescue, idle=_RESCUE_SECONDS)
        sweeps = Loop("sweep", Sweep(database, artefacts).run, idle=_SWEEP_SECONDS)
        care = upkeep(database, settings)
        prunes = Loop("prune", care.prune, idle=PRUNE_SECONDS)
        measures = Loop("measure", care.measure, idle=MEASURE_SECONDS)

        def on_runs() -> None:
            claims.wake()
            worker.wake()

        listen = database.listen({"review_inbox": envelopes.wake, CHANNEL: on_runs})
        loops = [listen, envelopes, claims, rescues, sweeps, prunes, measures]
        health = RpcServer(
            "review_worker", mesh.internal("review_worker"), [], {}, with_reflection=False, is_shared=True
        )
        await stack.enter_async_context(
            serving([health], database, {"broker": mesh.broker, "mongodb": artefacts.problem})
        )
        stack.push_async_callback(worker.drain, _DRAIN_SECONDS)
        await stack.enter_async_context(running(loops, grace=2))
        # Runs go on or back while the other roles of the process drain, not after them: ten seconds are all there is.
        drain = asyncio.create_task(_drain_when(mesh.stopping, worker))
        stack.callback(drain.cancel)
        yield


async def _drain_when(stopping: asyncio.Event, worker: Worker) -> None:
    await stopping.wait()
    await worker.drain(_DRAIN_SECONDS)


def _database(settings: ReviewSettings) -> Database:
    return Database(settings.dsn, "review", max_size=min(settings.database_pool_max, _CONNECTIONS))
