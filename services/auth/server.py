"""The RPCs of auth: protos to use cases and back."""

from datetime import UTC, datetime
from uuid import UUID

from google.protobuf.empty_pb2 import Empty
from google.protobuf.timestamp_pb2 import Timestamp
from lintel.auth.v1 import api_key_service_pb2 as keys_pb2
from lintel.auth.v1 import api_key_service_pb2_grpc as keys_grpc
from lintel.auth.v1 import auth_service_pb2 as auth_pb2
from lintel.auth.v1 import auth_service_pb2_grpc as auth_grpc
from lintel.auth.v1 import credential_service_pb2 as credentials_pb2
from lintel.auth.v1 import credential_service_pb2_grpc as credentials_grpc

from services.auth.accounts import Accounts
from services.auth.api_keys import ApiKeys
from services.auth.domain import ApiKey, Owner, Tokens
from services.auth.resets import PasswordResets
from services.auth.sessions import Sessions
from services.auth.signing import Signer
from services.kit.errors import AppError, Reason, Violation
from services.kit.postgres import audit
from services.kit.rpc.chain import RpcContext
from services.kit.rpc.context import client_address, principal
from services.kit.rpc.server import Registered


def register_auth(accounts: Accounts, sessions: Sessions, resets: PasswordResets, signer: Signer) -> Registered:
    """Answer the service that people sign in by."""
    return Registered(
        auth_grpc.add_AuthServiceServicer_to_server,
        _AuthService(accounts, sessions, resets, signer),
        auth_pb2.DESCRIPTOR.services_by_name["AuthService"],
    )


def register_api_keys(api_keys: ApiKeys) -> Registered:
    """Answer the service that callers make keys by."""
    return Registered(
        keys_grpc.add_ApiKeyServiceServicer_to_server,
        _ApiKeyService(api_keys),
        keys_pb2.DESCRIPTOR.services_by_name["ApiKeyService"],
    )


def register_internal(api_keys: ApiKeys, accounts: Accounts, sessions: Sessions, signer: Signer) -> Registered:
    """Answer the service that the mesh reaches."""
    return Registered(
        credentials_grpc.add_CredentialServiceServicer_to_server,
        _CredentialService(api_keys, accounts, sessions, signer),
        credentials_pb2.DESCRIPTOR.services_by_name["CredentialService"],
    )


class _AuthService(auth_grpc.AuthServiceServicer):
    def __init__(self, accounts: Accounts, sessions: Sessions, resets: PasswordResets, signer: Signer) -> None:
        self._accounts = accounts
        self._sessions = sessions
        self._resets = resets
        self._signer = signer

    async def Register(  # noqa: N802
        self, request: auth_pb2.RegisterRequest, context: RpcContext
    ) -> auth_pb2.RegisterResponse:
        user = await self._accounts.register(
            request.email, request.password, request.name, request.organization_name, client_address.get()
        )
        return auth_pb2.RegisterResponse(
            user_id=str(user.id),
            organization_id=str(user.organization_id),
            email=user.email,
            name=request.name.strip(),
            role="owner",
        )

    async def Login(self, request: auth_pb2.LoginRequest, context: RpcContext) -> auth_pb2.Tokens:  # noqa: N802
        return _tokens(await self._sessions.login(request.email, request.password, client_address.get()))

    async def Refresh(self, request: auth_pb2.RefreshRequest, context: RpcContext) -> auth_pb2.Tokens:  # noqa: N802
        return _tokens(await self._sessions.refresh(request.refresh_token))

    async def Logout(self, request: auth_pb2.LogoutRequest, context: RpcContext) -> Empty:  # noqa: N802
        caller = principal()
        await self._sessions.logout(caller.session_id, caller.user_id, request.refresh_token)
        return Empty()

    async def ForgotPassword(  # noqa: N802
        self, request: auth_pb2.ForgotPasswordRequest, context: RpcContext
    ) -> Empty:
        await self._resets.forgot(request.email, client_address.get())
        return Empty()

    async def ResetPassword(self, request: auth_pb2.ResetPasswordRequest, context: RpcContext) -> Empty:  # noqa: N802
        await self._resets.reset(request.token, request.password)
        return Empty()

    async def CreatePasswordResetLink(  # noqa: N802
        self, request: auth_pb2.CreatePasswordResetLinkRequest, context: RpcContext
    ) -> auth_pb2.CreatePasswordResetLinkResponse:
        link, expire_time = await self._resets.create_link(request.email, principal().organization_id, audit.caller())
        made = auth_pb2.CreatePasswordResetLinkResponse(link=link)
        made.expire_time.FromDatetime(expire_time)
        return made

    async def GetJwks(self, request: auth_pb2.GetJwksRequest, context: RpcContext) -> auth_pb2.Jwks:  # noqa: N802
        return auth_pb2.Jwks(
            keys=[
                auth_pb2.Jwk(kty="OKP", crv="Ed25519", x=key.x, kid=key.id, alg="EdDSA", use="sig")
                for key in self._signer.public_keys
            ]
        )

    async def AcceptInvitation(  # noqa: N802
        self, request: auth_pb2.AcceptInvitationRequest, context: RpcContext
    ) -> auth_pb2.Tokens:
        return _tokens(
            await self._accounts.accept_invitation(request.token, request.password, request.name, client_address.get())
        )


class _ApiKeyService(keys_grpc.ApiKeyServiceServicer):
    def __init__(self, api_keys: ApiKeys) -> None:
        self._api_keys = api_keys

    async def CreateApiKey(  # noqa: N802
        self, request: keys_pb2.CreateApiKeyRequest, context: RpcContext
    ) -> keys_pb2.CreateApiKeyResponse:
        expire_time = _time("expire_time", request.expire_time) if request.HasField("expire_time") else None
        made, key = await self._api_keys.create(
            _owner(), principal().role, request.name, request.scopes, expire_time, audit.caller()
        )
        return keys_pb2.CreateApiKeyResponse(api_key=_message(made), key=key)

    async def ListApiKeys(  # noqa: N802
        self, request: keys_pb2.ListApiKeysRequest, context: RpcContext
    ) -> keys_pb2.ListApiKeysResponse:
        page = await self._api_keys.list(_owner(), request.page_size, request.page_token)
        return keys_pb2.ListApiKeysResponse(api_keys=map(_message, page.keys), next_page_token=page.next_token)

    async def DeleteApiKey(self, request: keys_pb2.DeleteApiKeyRequest, context: RpcContext) -> Empty:  # noqa: N802
        await self._api_keys.delete(_owner(), UUID(request.id), audit.caller())
        return Empty()


class _CredentialService(credentials_grpc.CredentialServiceServicer):
    def __init__(self, api_keys: ApiKeys, accounts: Accounts, sessions: Sessions, signer: Signer) -> None:
        self._api_keys = api_keys
        self._accounts = accounts
        self._sessions = sessions
        self._signer = signer

    async def ResolveApiKey(  # noqa: N802
        self, request: credentials_pb2.ResolveApiKeyRequest, context: RpcContext
    ) -> credentials_pb2.ResolveApiKeyResponse:
        key, member = await self._api_keys.resolve(request.key)
        return credentials_pb2.ResolveApiKeyResponse(
            organization_id=str(key.owner.organization_id),
            user_id=str(key.owner.user_id or ""),
            api_key_id=str(key.id),
            role=member.role,
            scopes=key.scopes,
            assigned_repository_ids=member.assigned_repository_ids,
        )

    async def ResolveSession(  # noqa: N802
        self, request: credentials_pb2.ResolveSessionRequest, context: RpcContext
    ) -> credentials_pb2.ResolveSessionResponse:
        session, member = await self._sessions.resolve(UUID(request.session_id))
        return credentials_pb2.ResolveSessionResponse(
            organization_id=str(session.organization_id),
            user_id=str(session.user_id),
            role=member.role,
            assigned_repository_ids=member.assigned_repository_ids,
        )

    async def ListSigningKeys(  # noqa: N802
        self, request: credentials_pb2.ListSigningKeysRequest, context: RpcContext
    ) -> credentials_pb2.ListSigningKeysResponse:
        keys = [credentials_pb2.SigningKey(key_id=k.id, public_key=k.raw) for k in self._signer.public_keys]
        return credentials_pb2.ListSigningKeysResponse(keys=keys)

    async def EndSessions(  # noqa: N802
        self, request: credentials_pb2.EndSessionsRequest, context: RpcContext
    ) -> credentials_pb2.EndSessionsResponse:
        owner = Owner(UUID(request.organization_id), UUID(request.user_id))
        sessions = await self._sessions.end_all(UUID(request.organization_id), UUID(request.user_id))
        keys = await self._api_keys.end_all(owner) if request.ends_api_keys else 0
        return credentials_pb2.EndSessionsResponse(sessions=sessions, api_keys=keys)

    async def DeleteCredentials(  # noqa: N802
        self, request: credentials_pb2.DeleteCredentialsRequest, context: RpcContext
    ) -> credentials_pb2.DeleteCredentialsResponse:
        await self._accounts.forget(UUID(request.organization_id), UUID(request.user_id))
        return credentials_pb2.DeleteCredentialsResponse()


def _owner() -> Owner:
    caller = principal()
    return Owner(caller.organization_id, caller.user_id)


def _tokens(tokens: Tokens) -> auth_pb2.Tokens:
    return auth_pb2.Tokens(
        access_token=tokens.access_token,
        refresh_token=tokens.refresh_token,
        token_type="Bearer",  # noqa: S106 - the name of a scheme
        expires_in=tokens.expires_in,
    )


def _message(key: ApiKey) -> keys_pb2.ApiKey:
    made = keys_pb2.ApiKey(id=str(key.id), name=key.name, prefix=key.prefix, scopes=key.scopes)
    made.create_time.FromDatetime(key.create_time)
    if key.expire_time is not None:
        made.expire_time.FromDatetime(key.expire_time)
    return made


def _time(field: str, value: Timestamp) -> datetime:
    try:
        return value.ToDatetime(tzinfo=UTC)
    except (ValueError, OverflowError):
        violation = Violation(field, "is not a time between the years 1 and 9999")
        raise AppError(Reason.INVALID_REQUEST, violations=[violation]) from None
