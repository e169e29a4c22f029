"""lintel.orgs.v1.ParameterService: settings of the caller's organisation."""

from google.protobuf.empty_pb2 import Empty
from lintel.orgs.v1 import parameter_service_pb2 as pb
from lintel.orgs.v1.parameter_service_pb2_grpc import ParameterServiceServicer

from services.kit.rpc.chain import RpcContext
from services.kit.rpc.context import principal
from services.kit.timestamps import timestamp
from services.orgs.domain import Parameter
from services.orgs.parameters import Parameters
from services.orgs.structs import plain, struct

_OURS = frozenset({"apiKeyId"})  # what a stored value holds for the services, and nobody else has a use for


class ParameterServer(ParameterServiceServicer):
    """Values as their owners may see them."""

    def __init__(self, parameters: Parameters) -> None:
        self._parameters = parameters

    async def ListParameters(self, request: pb.ListParametersRequest, context: RpcContext) -> pb.ListParametersResponse:  # noqa: N802
        """List the parameters that are set."""
        found, token = await self._parameters.page(principal().organization_id, request.page_size, request.page_token)
        return pb.ListParametersResponse(parameters=map(_message, found), next_page_token=token)

    async def GetParameter(  # noqa: N802
        self, request: pb.ParameterServiceGetParameterRequest, context: RpcContext
    ) -> pb.Parameter:
        """Answer a parameter."""
        return _message(await self._parameters.get(principal().organization_id, request.key))

    async def SetParameter(self, request: pb.SetParameterRequest, context: RpcContext) -> pb.Parameter:  # noqa: N802
        """Set a parameter."""
        value = plain(request.config_value, "config_value")
        return _message(await self._parameters.set(principal().organization_id, request.key, value, request.etag))

    async def DeleteParameter(self, request: pb.DeleteParameterRequest, context: RpcContext) -> Empty:  # noqa: N802
        """Forget a parameter."""
        await self._parameters.delete(principal().organization_id, request.key, request.etag)
        return Empty()


def _message(parameter: Parameter) -> pb.Parameter:
    return pb.Parameter(
        key=parameter.key,
        config_value=struct(_shown(parameter.value)),
        etag=parameter.etag,
        update_time=timestamp(parameter.update_time),
    )


def _shown(value: dict[str, object]) -> dict[str, object]:
    return {name: _shown(item) if isinstance(item, dict) else item for name, item in value.items() if name not in _OURS}
