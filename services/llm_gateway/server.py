"""The RPCs of llm_gateway: protos to use cases and back."""

from lintel.llm.v1 import llm_service_pb2 as llm_pb2
from lintel.llm.v1 import llm_service_pb2_grpc as llm_grpc
from lintel.llm.v1 import model_service_pb2 as models_pb2
from lintel.llm.v1 import model_service_pb2_grpc as models_grpc

from services.kit.rpc.chain import RpcContext
from services.kit.rpc.server import Registered
from services.llm_gateway.completions import Completions
from services.llm_gateway.domain import Prompt
from services.llm_gateway.models import Models, Provider


def register_public(models: Models) -> Registered:
    """Answer the service that the edge reaches."""
    return Registered(
        models_grpc.add_ModelServiceServicer_to_server,
        _ModelService(models),  # type: ignore[abstract]
        models_pb2.DESCRIPTOR.services_by_name["ModelService"],
    )


def register_internal(completions: Completions) -> Registered:
    """Answer the service that the mesh reaches."""
    return Registered(
        llm_grpc.add_LlmServiceServicer_to_server,
        _LlmService(completions),  # type: ignore[abstract]
        llm_pb2.DESCRIPTOR.services_by_name["LlmService"],
    )


class _LlmService(llm_grpc.LlmServiceServicer):
    def __init__(self, completions: Completions) -> None:
        self._completions = completions

    async def DescribeModel(  # noqa: N802
        self, request: llm_pb2.DescribeModelRequest, context: RpcContext
    ) -> llm_pb2.DescribeModelResponse:
        found = await self._completions.describe()
        if found.model is None:
            return llm_pb2.DescribeModelResponse(configured=False, notes=found.notes)
        return llm_pb2.DescribeModelResponse(
            configured=True,
            provider=found.model.provider,
            model=found.model.model,
            max_input_tokens=found.model.max_input_tokens,
            notes=found.notes,
        )

    async def Complete(  # noqa: N802
        self, request: llm_pb2.CompleteRequest, context: RpcContext
    ) -> llm_pb2.CompleteResponse:
        prompt = Prompt(request.instructions, request.input, request.json_schema, request.max_output_tokens)
        choice, completion = await self._completions.complete(request.request_id, prompt)
        usage = completion.usage
        return llm_pb2.CompleteResponse(
            text=completion.text,
            provider=choice.provider,
            model=completion.model or choice.model,
            usage=llm_pb2.TokenUsage(
                input_tokens=usage.input,
                cached_tokens=usage.cached,
                output_tokens=usage.output,
                reported=usage.reported,
            ),
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
