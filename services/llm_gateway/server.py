"""The RPCs of llm_gateway: protos to use cases and back."""

from lintel.llm.v1 import model_service_pb2 as models_pb2
from lintel.llm.v1 import model_service_pb2_grpc as models_grpc

from services.kit.rpc.chain import RpcContext
from services.kit.rpc.server import Registered
from services.llm_gateway.models import Models, Provider


def register_public(models: Models) -> Registered:
    """Answer the service that the edge reaches."""
    return Registered(
        models_grpc.add_ModelServiceServicer_to_server,
        _ModelService(models),
        models_pb2.DESCRIPTOR.services_by_name["ModelService"],
    )


class _ModelService(models_grpc.ModelServiceServicer):
    def __init__(self, models: Models) -> None:
        self._models = models

    async def ListProviders(  # noqa: N802
        self, request: models_pb2.ListProvidersRequest, context: RpcContext
    ) -> models_pb2.ListProvidersResponse:
        return models_pb2.ListProvidersResponse(providers=map(_message, self._models.list_providers()))


def _message(provider: Provider) -> models_pb2.Provider:
    return models_pb2.Provider(
        id=provider.kind.id,
        name=provider.kind.name,
        requires_base_url=provider.kind.requires_base_url,
        configured=provider.is_configured,
    )
