"""What this service asks others: auth, to end what a user signs in with."""

from uuid import UUID

import grpc
from lintel.auth.v1 import credential_service_pb2 as pb
from lintel.auth.v1.credential_service_pb2_grpc import CredentialServiceStub

from services.kit.rpc.status import rpc_errors

_SECONDS = 3.0


class AuthCredentials:
    """The credentials of users, as auth keeps them. Methods raise AppError."""

    def __init__(self, channel: grpc.aio.Channel) -> None:
        self._stub = CredentialServiceStub(channel)

    async def end_sessions(self, organization_id: UUID, user_id: UUID) -> None:
        """End every session of a user; API keys stay, and work while the user is an active member."""
        request = pb.EndSessionsRequest(organization_id=str(organization_id), user_id=str(user_id))
        with rpc_errors():
            await self._stub.EndSessions(request, timeout=_SECONDS)

    async def delete(self, organization_id: UUID, user_id: UUID) -> None:
        """Forget password, sessions, API keys and identities of a user."""
        request = pb.DeleteCredentialsRequest(organization_id=str(organization_id), user_id=str(user_id))
        with rpc_errors():
            await self._stub.DeleteCredentials(request, timeout=_SECONDS)
