"""What this service asks others: auth, to end what a user signs in with, and llm_gateway, to keep keys of models."""

from collections.abc import Mapping
from uuid import UUID

import grpc
from google.protobuf import json_format
from lintel.auth.v1 import credential_service_pb2 as auth_pb
from lintel.auth.v1.credential_service_pb2_grpc import CredentialServiceStub
from lintel.llm.v1 import model_configuration_service_pb2 as llm_pb
from lintel.llm.v1.model_configuration_service_pb2_grpc import ModelConfigurationServiceStub

from services.kit.errors import AppError, Violation
from services.kit.rpc.status import rpc_errors
from services.orgs.structs import plain

_SECONDS = 3.0
_LOOK_UP_SECONDS = 8.0  # llm_gateway resolves the names of base URLs; below the ten seconds of the call that waits


class AuthCredentials:
    """The credentials of users, as auth keeps them. Methods raise AppError."""

    def __init__(self, channel: grpc.aio.Channel) -> None:
        self._stub = CredentialServiceStub(channel)

    async def end_sessions(self, organization_id: UUID, user_id: UUID) -> None:
        """End every session of a user; API keys stay, and work while the user is an active member."""
        request = auth_pb.EndSessionsRequest(organization_id=str(organization_id), user_id=str(user_id))
        with rpc_errors():
            await self._stub.EndSessions(request, timeout=_SECONDS)

    async def delete(self, organization_id: UUID, user_id: UUID) -> None:
        """Forget password, sessions, API keys and identities of a user."""
        request = auth_pb.DeleteCredentialsRequest(organization_id=str(organization_id), user_id=str(user_id))
        with rpc_errors():
            await self._stub.DeleteCredentials(request, timeout=_SECONDS)


class LlmModelConfigurations:
    """The models of organisations and their keys, as llm_gateway keeps them. Methods raise AppError."""

    def __init__(self, channel: grpc.aio.Channel) -> None:
        self._stub = ModelConfigurationServiceStub(channel)

    async def store(
        self, organization_id: UUID, value: Mapping[str, object], previous: Mapping[str, object] | None
    ) -> dict[str, object]:
        """Have a configuration checked and its keys kept; answers it with masks in place of keys."""
        request = llm_pb.StoreModelConfigurationRequest(organization_id=str(organization_id))
        json_format.ParseDict(dict(value), request.configuration)
        if previous is not None:
            json_format.ParseDict(dict(previous), request.previous)
        try:
            with rpc_errors():
                answer = await self._stub.StoreModelConfiguration(request, timeout=_LOOK_UP_SECONDS)
        except AppError as error:
            raise _in_our_names(error) from None
        return plain(answer.configuration, "config_value")


def _in_our_names(error: AppError) -> AppError:
    """Answer the error with its fields named as the caller of SetParameter knows them."""
    named = [
        Violation(f"config_value.{v.field.removeprefix('configuration.')}", v.description, v.rule)
        for v in error.violations
    ]
    return AppError(error.reason, error.message, violations=named, retry_after=error.retry_after, **error.metadata)
