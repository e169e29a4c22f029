"""The RPCs of llm_gateway: protos to use cases and back."""

from collections.abc import AsyncIterator
from typing import Any
from uuid import UUID

from google.protobuf.json_format import MessageToDict, ParseDict
from google.protobuf.struct_pb2 import Struct
from lintel.llm.v1 import llm_service_pb2 as llm_pb2
from lintel.llm.v1 import llm_service_pb2_grpc as llm_grpc
from lintel.llm.v1 import model_configuration_service_pb2 as configuration_pb2
from lintel.llm.v1 import model_configuration_service_pb2_grpc as configuration_grpc
from lintel.llm.v1 import model_service_pb2 as models_pb2
from lintel.llm.v1 import model_service_pb2_grpc as models_grpc
from lintel.llm.v1 import usage_service_pb2 as usage_pb2
from lintel.llm.v1 import usage_service_pb2_grpc as usage_grpc

from services.kit.postgres import audit
from services.kit.rpc.chain import RpcContext
from services.kit.rpc.context import principal
from services.kit.rpc.server import Registered
from services.llm_gateway import messages
from services.llm_gateway.accounting import Purpose
from services.llm_gateway.books import Completed, Prompt
from services.llm_gateway.completions import Completions
from services.llm_gateway.model_keys import ModelKeys
from services.llm_gateway.models import Models
from services.llm_gateway.prices import Prices
from services.llm_gateway.usage import UsageReports


def public(models: Models, usage: UsageReports, prices: Prices) -> list[Registered]:
    """Answer the services that the edge reaches."""
    return [
        Registered(
            models_grpc.add_ModelServiceServicer_to_server,
            _ModelService(models),
            models_pb2.DESCRIPTOR.services_by_name["ModelService"],
        ),
        Registered(
            usage_grpc.add_UsageServiceServicer_to_server,
            _UsageService(usage, prices),
            usage_pb2.DESCRIPTOR.services_by_name["UsageService"],
        ),
    ]


def internal(completions: Completions, keys: ModelKeys) -> list[Registered]:
    """Answer the services that the mesh reaches."""
    return [
        Registered(
            llm_grpc.add_LlmServiceServicer_to_server,
            _LlmService(completions),
            llm_pb2.DESCRIPTOR.services_by_name["LlmService"],
        ),
        Registered(
            configuration_grpc.add_ModelConfigurationServiceServicer_to_server,
            _ModelConfigurationService(keys),
            configuration_pb2.DESCRIPTOR.services_by_name["ModelConfigurationService"],
        ),
    ]


class _LlmService(llm_grpc.LlmServiceServicer):
    def __init__(self, completions: Completions) -> None:
        self._completions = completions

    async def DescribeModel(  # noqa: N802
        self, request: llm_pb2.DescribeModelRequest, context: RpcContext
    ) -> llm_pb2.DescribeModelResponse:
        found = await self._completions.describe(UUID(request.organization_id), request.purpose or "review")
        return messages.described(found)

    async def Complete(  # noqa: N802
        self, request: llm_pb2.CompleteRequest, context: RpcContext
    ) -> llm_pb2.CompleteResponse:
        purpose, prompt = _asked(request)
        done = await self._completions.complete(purpose, request.request_id, prompt, request.cache_key)
        return messages.completed(done)

    async def StreamComplete(  # noqa: N802
        self, request: llm_pb2.StreamCompleteRequest, context: RpcContext
    ) -> AsyncIterator[llm_pb2.StreamCompleteResponse]:
        purpose, prompt = _asked(request.completion)
        pieces = self._completions.stream(purpose, request.completion.request_id, prompt)
        try:
            async for piece in pieces:
                if isinstance(piece, Completed):
                    yield llm_pb2.StreamCompleteResponse(done=messages.completed(piece, with_text=False))
                else:
                    yield llm_pb2.StreamCompleteResponse(text=piece)
        finally:
            await pieces.aclose()  # type: ignore[attr-defined]  # a generator: the provider's stream ends here and now


class _ModelConfigurationService(configuration_grpc.ModelConfigurationServiceServicer):
    def __init__(self, keys: ModelKeys) -> None:
        self._keys = keys

    async def StoreModelConfiguration(  # noqa: N802
        self, request: configuration_pb2.StoreModelConfigurationRequest, context: RpcContext
    ) -> configuration_pb2.StoreModelConfigurationResponse:
        kept = await self._keys.keep(
            UUID(request.organization_id), MessageToDict(request.configuration), MessageToDict(request.previous)
        )
        return configuration_pb2.StoreModelConfigurationResponse(configuration=ParseDict(kept, Struct()))


class _ModelService(models_grpc.ModelServiceServicer):
    def __init__(self, models: Models) -> None:
        self._models = models

    async def ListProviders(  # noqa: N802
        self, request: models_pb2.ListProvidersRequest, context: RpcContext
    ) -> models_pb2.ListProvidersResponse:
        return models_pb2.ListProvidersResponse(providers=map(messages.provider, self._models.list_providers()))

    async def ListModels(  # noqa: N802
        self, request: models_pb2.ListModelsRequest, context: RpcContext
    ) -> models_pb2.ListModelsResponse:
        found, note = await self._models.list_models(principal().organization_id, request.provider)
        return models_pb2.ListModelsResponse(models=map(messages.listed, found), note=note)

    async def TestModel(  # noqa: N802
        self, request: models_pb2.TestModelRequest, context: RpcContext
    ) -> models_pb2.TestModelResponse:
        wanted: dict[str, Any] = MessageToDict(request)
        return messages.tested(await self._models.test(principal().organization_id, wanted))


class _UsageService(usage_grpc.UsageServiceServicer):
    def __init__(self, usage: UsageReports, prices: Prices) -> None:
        self._usage = usage
        self._prices = prices

    async def GetTokenUsage(  # noqa: N802
        self, request: usage_pb2.GetTokenUsageRequest, context: RpcContext
    ) -> usage_pb2.GetTokenUsageResponse:
        found = await self._usage.report(
            principal().organization_id, request.from_time, request.to_time, request.group_by
        )
        return messages.report(found)

    async def GetBudget(  # noqa: N802
        self, request: usage_pb2.GetBudgetRequest, context: RpcContext
    ) -> usage_pb2.Budget:
        return messages.budget(await self._usage.budgets(principal().organization_id), self._prices.ceiling)

    async def UpdateBudget(  # noqa: N802
        self, request: usage_pb2.UpdateBudgetRequest, context: RpcContext
    ) -> usage_pb2.Budget:
        wanted = [messages.limit(index, each) for index, each in enumerate(request.budgets)]
        found = await self._usage.replace_budgets(principal().organization_id, wanted, audit.caller())
        return messages.budget(found, self._prices.ceiling)


def _asked(request: llm_pb2.CompleteRequest) -> tuple[Purpose, Prompt]:
    purpose = Purpose(
        UUID(request.organization_id),
        request.purpose,
        request.repository,
        request.pull_request_number,
        request.person,
    )
    return purpose, Prompt(request.instructions, request.input, request.json_schema, request.max_output_tokens)
