"""Builds the orgs service."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

from lintel.orgs.v1 import (
    directory_service_pb2,
    directory_service_pb2_grpc,
    organization_service_pb2,
    organization_service_pb2_grpc,
)

from services.kit.app import Mesh, serving
from services.kit.config import load
from services.kit.postgres.idempotency import IdempotencyKeys
from services.kit.postgres.pool import Database
from services.kit.rpc.authenticate import authenticator
from services.kit.rpc.channel import open_channel
from services.kit.rpc.server import Registered, Repeatable, RpcServer
from services.orgs import policy
from services.orgs.clients import AuthCredentials
from services.orgs.config import OrgsSettings
from services.orgs.invitations import Invitations
from services.orgs.members import Members
from services.orgs.organizations import Organizations
from services.orgs.parameters import Parameters
from services.orgs.servers.directory import DirectoryServer
from services.orgs.servers.organizations import OrganizationServer

ROLE = "orgs"
_CONNECTIONS = 10  # its queries are short


@asynccontextmanager
async def serve(mesh: Mesh) -> AsyncIterator[None]:
    """Serve organisations to the edge, and who belongs to them to the mesh."""
    settings = load(OrgsSettings)
    async with AsyncExitStack() as stack:
        database = Database(settings.dsn, ROLE, max_size=min(settings.database_pool_max, _CONNECTIONS))
        await database.open()
        stack.push_async_callback(database.close)
        auth = open_channel(mesh.internal("auth"), ROLE)
        stack.push_async_callback(auth.close)
        organizations, parameters = Organizations(database), Parameters(database)
        members, invitations = Members(database, AuthCredentials(auth)), Invitations(database)
        public = RpcServer(
            ROLE,
            mesh.public(ROLE),
            [
                Registered(
                    organization_service_pb2_grpc.add_OrganizationServiceServicer_to_server,
                    OrganizationServer(organizations),
                    organization_service_pb2.DESCRIPTOR.services_by_name["OrganizationService"],
                ),
            ],
            policy.PUBLIC,
            authenticator=authenticator(mesh, ROLE, stack),
            with_reflection=mesh.has_reflection,
            repeatable=Repeatable(IdempotencyKeys(database, ROLE), {}),
        )
        directory = Registered(
            directory_service_pb2_grpc.add_DirectoryServiceServicer_to_server,
            DirectoryServer(organizations, members, invitations, parameters),
            directory_service_pb2.DESCRIPTOR.services_by_name["DirectoryService"],
        )
        internal = RpcServer(
            ROLE, mesh.internal(ROLE), [directory], policy.INTERNAL, with_reflection=mesh.has_reflection
        )
        await stack.enter_async_context(serving([internal, public], database))
        yield
