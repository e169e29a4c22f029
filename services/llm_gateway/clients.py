"""What llm_gateway asks of other services."""

from collections.abc import Mapping
from typing import Any
from uuid import UUID

import grpc
from google.protobuf.json_format import MessageToDict
from lintel.orgs.v1 import directory_service_pb2 as directory_pb2
from lintel.orgs.v1.directory_service_pb2_grpc import DirectoryServiceStub

from services.kit.rpc.context import deadline
from services.kit.rpc.status import rpc_errors

KEY = "code-review"
_SECONDS = 5.0


class OrganizationParameters:
    """Implements routing.Parameters over the mesh. Methods raise AppError."""

    def __init__(self, channel: grpc.aio.Channel) -> None:
        self._stub = DirectoryServiceStub(channel)

    async def code_review(self, organization_id: UUID) -> Mapping[str, Any]:
        """Answer the `code-review` parameter, empty where it is not set."""
        request = directory_pb2.GetParameterRequest(organization_id=str(organization_id), key=KEY)
        deadline.set(None)  # what is read is for all who wait, not for the first of them alone
        with rpc_errors():
            found = await self._stub.GetParameter(request, timeout=_SECONDS)
        value: dict[str, Any] = MessageToDict(found.config_value)
        return value
