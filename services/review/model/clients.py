"""Language models through the service that holds their keys."""

from uuid import UUID

import grpc
from lintel.llm.v1 import llm_service_pb2 as pb
from lintel.llm.v1.llm_service_pb2_grpc import LlmServiceStub

from services.kit.rpc.status import rpc_errors
from services.review.domain import Run
from services.review.model.asker import Answer, Described
from services.review.model.templates import Instructions

_DESCRIBE_SECONDS = 60.0  # the first call may ask a slow server for its models
_COMPLETE_SECONDS = 930.0  # the deadline is held by llm_gateway, which knows what its operator allows


class RemoteModels:
    """Implements LanguageModels over the mesh. Methods raise AppError."""

    def __init__(self, channel: grpc.aio.Channel) -> None:
        self._stub = LlmServiceStub(channel)

    async def describe(self, organization_id: UUID) -> Described | None:
        """Answer the model, None where there is none."""
        request = pb.DescribeModelRequest(organization_id=str(organization_id))
        with rpc_errors():
            found = await self._stub.DescribeModel(request, timeout=_DESCRIBE_SECONDS)
        if not found.configured:
            return None
        price = found.price
        return Described(
            found.provider,
            found.model,
            found.max_input_tokens,
            tuple(found.notes),
            (price.input_usd_per_million, price.output_usd_per_million) if found.HasField("price") else None,
        )

    async def complete(self, run: Run, request_id: str, instructions: Instructions, text: str, question: str) -> Answer:
        """Answer one completion on account of a run."""
        request = pb.CompleteRequest(
            organization_id=str(run.organization_id),
            request_id=request_id,
            purpose=instructions.name.partition(".")[0],
            instructions=instructions.text,
            input=text,
            json_schema=instructions.json_schema,
            max_output_tokens=instructions.max_output_tokens,
            repository=run.ref.repository,
            pull_request_number=0 if run.is_local else run.ref.number,
            person=run.creator,
            cache_key=question,
        )
        with rpc_errors():
            found = await self._stub.Complete(request, timeout=_COMPLETE_SECONDS)
        usage = found.usage
        return Answer(
            text=found.text,
            provider=found.provider,
            model=found.model,
            input_tokens=usage.input_tokens,
            cached_tokens=usage.cached_tokens,
            output_tokens=usage.output_tokens,
            reported=usage.reported,
            cost_usd=found.cost_usd if found.HasField("cost_usd") else None,
            fallback_reason=found.fallback_reason,
            stored=found.stored,
        )
