"""Builds the auth service."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass

from services.auth import policy, server, sso_server
from services.auth.accounts import Accounts
from services.auth.api_keys import ApiKeys, utc_now
from services.auth.clients import Directory
from services.auth.config import AuthSettings
from services.auth.passwords import Passwords
from services.auth.providers.oidc import Provider
from services.auth.resets import PasswordResets
from services.auth.session_store import SessionStore
from services.auth.sessions import Sessions
from services.auth.signing import Signer
from services.auth.sso import SingleSignOn
from services.auth.sso_configurations import SsoConfigurations
from services.auth.sso_store import SsoStore
from services.auth.store import ApiKeyStore
from services.auth.throttle import Throttle
from services.auth.throttle_store import ThrottleStore
from services.auth.user_store import UserStore
from services.kit.app import Mesh, serving
from services.kit.config import load
from services.kit.mail import Mailer, check_smtp_url
from services.kit.postgres.pool import Database
from services.kit.rpc.authenticate import authenticator
from services.kit.rpc.channel import open_channel
from services.kit.rpc.server import RpcServer
from services.kit.worker import Loop, running

ROLE = "auth"
_CONNECTIONS = 10  # its queries are short
_SWEEP_SECONDS = 3600.0


@dataclass(frozen=True, slots=True)
class Parts:
    """The use cases of the service, on one database."""

    api_keys: ApiKeys
    accounts: Accounts
    sessions: Sessions
    resets: PasswordResets
    signer: Signer
    sso: SingleSignOn
    sso_configurations: SsoConfigurations


@asynccontextmanager
async def serve(mesh: Mesh) -> AsyncIterator[None]:
    """Serve accounts, sessions and API keys to the edge, and whose they are to the mesh."""
    settings = load(AuthSettings)
    async with AsyncExitStack() as stack:
        database = Database(settings.dsn, ROLE, max_size=min(settings.database_pool_max, _CONNECTIONS))
        await database.open()
        stack.push_async_callback(database.close)
        orgs = open_channel(mesh.internal("orgs"), ROLE)
        stack.push_async_callback(orgs.close)
        parts = _build(settings, database, Directory(orgs), stack)
        public = RpcServer(
            ROLE,
            mesh.public(ROLE),
            [
                server.register_auth(parts.accounts, parts.sessions, parts.resets, parts.signer),
                server.register_api_keys(parts.api_keys),
                sso_server.register_sso(parts.sso, parts.sso_configurations),
            ],
            policy.PUBLIC,
            # Its own callers are found like everybody's: over the socket, remembered for seconds.
            authenticator=authenticator(mesh, ROLE, stack),
            with_reflection=mesh.has_reflection,
        )
        internal = RpcServer(
            ROLE,
            mesh.internal(ROLE),
            [server.register_internal(parts.api_keys, parts.accounts, parts.sessions, parts.signer)],
            policy.INTERNAL,
            with_reflection=mesh.has_reflection,
        )
        await stack.enter_async_context(
            running([_sweeping("sessions", parts.sessions.sweep), _sweeping("sso", parts.sso.sweep)], grace=2)
        )
        await stack.enter_async_context(serving([internal, public], database))
        yield


def _sweeping(name: str, sweep: Callable[[], Awaitable[bool]]) -> Loop:
    return Loop(f"auth.sweep.{name}", sweep, idle=_SWEEP_SECONDS)


def _build(settings: AuthSettings, database: Database, directory: Directory, stack: AsyncExitStack) -> Parts:
    users, session_store = UserStore(database), SessionStore(database)
    passwords = Passwords()
    stack.callback(passwords.close)
    throttle = Throttle(ThrottleStore(database), utc_now)
    signer = Signer(settings.signing_secrets())
    sessions = Sessions(session_store, users, directory, passwords, throttle, signer, utc_now)
    mailer = Mailer(check_smtp_url(settings.smtp_url.get_secret_value())) if settings.smtp_url else None
    resets = PasswordResets(session_store, users, passwords, throttle, mailer, settings.public_url, utc_now)
    stack.push_async_callback(resets.drain)
    provider, vault, sso_store = Provider(), settings.vault(ROLE), SsoStore(database)
    configurations = SsoConfigurations(sso_store, provider, vault, settings.sso_issuers, settings.public_url, utc_now)
    stack.push_async_callback(provider.close)
    return Parts(
        api_keys=ApiKeys(ApiKeyStore(database), directory=directory),
        accounts=Accounts(users, directory, passwords, sessions, throttle, utc_now, is_open=settings.open_registration),
        sessions=sessions,
        resets=resets,
        signer=signer,
        sso=SingleSignOn(sso_store, users, directory, sessions, configurations, provider, vault, utc_now),
        sso_configurations=configurations,
    )
