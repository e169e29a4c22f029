"""Builds the orgs service."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

from services.kit.app import Mesh, serving
from services.kit.config import load
from services.kit.postgres.idempotency import IdempotencyKeys
from services.kit.postgres.pool import Database
from services.kit.rpc.authenticate import authenticator
from services.kit.rpc.channel import open_channel
from services.kit.rpc.server import Repeatable, RpcServer
from services.kit.worker import Loop, running
from services.orgs import destinations, policy, registered
from services.orgs.analytics import Analytics, Destination
from services.orgs.audit_log import AuditLog
from services.orgs.clients import AuthCredentials, LlmModelConfigurations
from services.orgs.config import OrgsSettings
from services.orgs.invitation_mail import InvitationMail
from services.orgs.invitations import Invitations
from services.orgs.members import Members
from services.orgs.organizations import Organizations
from services.orgs.parameters import Parameters
from services.orgs.permissions import Assignments
from services.orgs.servers.analytics import AnalyticsServer
from services.orgs.servers.audit_log import AuditLogServer
from services.orgs.servers.directory import DirectoryServer
from services.orgs.servers.organizations import OrganizationServer
from services.orgs.servers.parameters import ParameterServer
from services.orgs.servers.permissions import PermissionServer
from services.orgs.servers.users import UserServer
from services.orgs.teams import Teams

ROLE = "orgs"
_CONNECTIONS = 10  # its queries are short
_FORWARD_SECONDS = 5.0  # between looks for events to send on
_GRACE = 6.0  # for an event that is on its way


@asynccontextmanager
async def serve(mesh: Mesh) -> AsyncIterator[None]:
    """Serve organisations to the edge, and who belongs to them to the mesh; send events on where that is configured."""
    settings = load(OrgsSettings)
    async with AsyncExitStack() as stack:
        database = Database(settings.dsn, ROLE, max_size=min(settings.database_pool_max, _CONNECTIONS))
        await database.open()
        stack.push_async_callback(database.close)
        auth, llm = open_channel(mesh.internal("auth"), ROLE), open_channel(mesh.internal("llm_gateway"), ROLE)
        stack.push_async_callback(auth.close)
        stack.push_async_callback(llm.close)
        organizations, members = Organizations(database), Members(database, AuthCredentials(auth))
        invitations, parameters = Invitations(database), Parameters(database, LlmModelConfigurations(llm))
        forwarded = await _destinations(settings, stack)
        analytics = Analytics(database, forwarded)
        users = UserServer(members, invitations, organizations, InvitationMail(settings.mailer(), settings.public_url))
        owned = OrganizationServer(organizations, Teams(database))
        public = RpcServer(
            ROLE,
            mesh.public(ROLE),
            registered.public(
                owned,
                users,
                ParameterServer(parameters),
                PermissionServer(Assignments(database)),
                AuditLogServer(AuditLog(database)),
                AnalyticsServer(analytics),
            ),
            policy.PUBLIC,
            authenticator=authenticator(mesh, ROLE, stack),
            with_reflection=mesh.has_reflection,
            repeatable=Repeatable(
                IdempotencyKeys(database, ROLE),
                {
                    "/lintel.orgs.v1.UserService/InviteUser": users.replay_invitation,
                    "/lintel.orgs.v1.OrganizationService/CreateTeam": owned.replay_team,
                },
            ),
        )
        internal = RpcServer(
            ROLE,
            mesh.internal(ROLE),
            registered.internal(DirectoryServer(organizations, members, invitations, parameters)),
            policy.INTERNAL,
            with_reflection=mesh.has_reflection,
        )
        if forwarded:
            loop = Loop("forward events", analytics.forward, idle=_FORWARD_SECONDS)
            await stack.enter_async_context(running([loop], grace=_GRACE))
        await stack.enter_async_context(serving([internal, public], database))
        yield


async def _destinations(settings: OrgsSettings, stack: AsyncExitStack) -> list[Destination]:
    """Answer where events are sent on to: nowhere, unless a key is set."""
    segment, posthog = settings.segment_key.get_secret_value(), settings.posthog_key.get_secret_value()
    if not segment and not posthog:
        return []
    http = await stack.enter_async_context(destinations.client())
    found: list[Destination] = []
    if segment:
        found.append(destinations.Segment(http, segment, settings.segment_url))
    if posthog:
        found.append(destinations.PostHog(http, posthog, settings.posthog_url))
    return found
