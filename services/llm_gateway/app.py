"""Builds the llm_gateway service."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

from services.kit.app import Mesh, serving
from services.kit.config import load
from services.kit.rpc.authenticate import authenticator
from services.kit.rpc.server import RpcServer
from services.kit.telemetry import log
from services.llm_gateway import policy, server
from services.llm_gateway.completions import Completions
from services.llm_gateway.config import LlmGatewaySettings
from services.llm_gateway.models import Models, choose
from services.llm_gateway.providers.opening import open_model
from services.llm_gateway.providers.wire import Network

ROLE = "llm_gateway"


@asynccontextmanager
async def serve(mesh: Mesh) -> AsyncIterator[None]:
    """Serve the choice of models to the edge, and completions to the mesh."""
    settings = load(LlmGatewaySettings)
    async with AsyncExitStack() as stack:
        choice = choose(settings.for_choice())
        for note in choice.notes:
            log.get(ROLE).warning("model settings", note=note)
        completions = Completions(choice, lambda model: open_model(model, Network()), settings.seconds)
        stack.push_async_callback(completions.aclose)
        public = RpcServer(
            ROLE,
            mesh.public(ROLE),
            [server.register_public(Models(settings.given()))],
            policy.PUBLIC,
            authenticator=authenticator(mesh, ROLE, stack),
            with_reflection=mesh.has_reflection,
        )
        internal = RpcServer(
            ROLE,
            mesh.internal(ROLE),
            [server.register_internal(completions)],
            policy.INTERNAL,
            with_reflection=mesh.has_reflection,
        )
        await stack.enter_async_context(serving([internal, public]))
        yield
