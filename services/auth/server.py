"""The RPCs of auth: protos to use cases and back."""

from datetime import UTC, datetime
from uuid import UUID

from google.protobuf.empty_pb2 import Empty
from google.protobuf.timestamp_pb2 import Timestamp
from lintel.auth.v1 import api_key_service_pb2 as keys_pb2
from lintel.auth.v1 import api_key_service_pb2_grpc as keys_grpc
from lintel.auth.v1 import credential_service_pb2 as credentials_pb2
from lintel.auth.v1 import credential_service_pb2_grpc as credentials_grpc

from services.auth.api_keys import ApiKeys
from services.auth.domain import ApiKey, Owner
from services.kit.errors import AppError, Reason, Violation
from services.kit.rpc.chain import RpcContext
from services.kit.rpc.context import principal
from services.kit.rpc.server import Registered


def register_public(api_keys: ApiKeys) -> Registered:
    """Answer the service that the edge reaches."""
    return Registered(
        keys_grpc.add_ApiKeyServiceServicer_to_server,
        _ApiKeyService(api_keys),
        keys_pb2.DESCRIPTOR.services_by_name["ApiKeyService"],
    )


def register_internal(api_keys: ApiKeys) -> Registered:
    """Answer the service that the mesh reaches."""
    return Registered(
        credentials_grpc.add_CredentialServiceServicer_to_server,
        _CredentialService(api_keys),  # type: ignore[abstract]  # without sessions theirs are UNIMPLEMENTED
        credentials_pb2.DESCRIPTOR.services_by_name["CredentialService"],
    )


class _ApiKeyService(keys_grpc.ApiKeyServiceServicer):
    def __init__(self, api_keys: ApiKeys) -> None:
        self._api_keys = api_keys

    async def CreateApiKey(  # noqa: N802
        self, request: keys_pb2.CreateApiKeyRequest, context: RpcContext
    ) -> keys_pb2.CreateApiKeyResponse:
        expire_time = _time("expire_time", request.expire_time) if request.HasField("expire_time") else None
        made, key = await self._api_keys.create(_owner(), principal().role, request.name, request.scopes, expire_time)
        return keys_pb2.CreateApiKeyResponse(api_key=_message(made), key=key)

    async def ListApiKeys(  # noqa: N802
        self, request: keys_pb2.ListApiKeysRequest, context: RpcContext
    ) -> keys_pb2.ListApiKeysResponse:
        page = await self._api_keys.list(_owner(), request.page_size, request.page_token)
        return keys_pb2.ListApiKeysResponse(api_keys=map(_message, page.keys), next_page_token=page.next_token)

    async def DeleteApiKey(self, request: keys_pb2.DeleteApiKeyRequest, context: RpcContext) -> Empty:  # noqa: N802
        await self._api_keys.delete(_owner(), UUID(request.id))
        return Empty()


class _CredentialService(credentials_grpc.CredentialServiceServicer):
    def __init__(self, api_keys: ApiKeys) -> None:
        self._api_keys = api_keys

    async def ResolveApiKey(  # noqa: N802
        self, request: credentials_pb2.ResolveApiKeyRequest, context: RpcContext
    ) -> credentials_pb2.ResolveApiKeyResponse:
        key = await self._api_keys.resolve(request.key)
        return credentials_pb2.ResolveApiKeyResponse(
            organization_id=str(key.owner.organization_id),
            user_id=str(key.owner.user_id or ""),
            api_key_id=str(key.id),
            role=key.role,
            scopes=key.scopes,
        )


def _owner() -> Owner:
    caller = principal()
    return Owner(caller.organization_id, caller.user_id)


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
