"""What the RPCs of llm_gateway answer with, as protobuf messages."""

import math
from collections.abc import Sequence

from lintel.llm.v1 import llm_service_pb2 as llm_pb2
from lintel.llm.v1 import model_service_pb2 as models_pb2
from lintel.llm.v1 import usage_service_pb2 as usage_pb2

from services.kit.errors import AppError, Reason, Violation
from services.llm_gateway.accounting import Budget, Period, Report, Scope, Standing, Used
from services.llm_gateway.books import Completed
from services.llm_gateway.completions import Described
from services.llm_gateway.models import ListedModel, Provider
from services.llm_gateway.prices import MICROS, Price
from services.llm_gateway.providers.faults import ProbeCode
from services.llm_gateway.providers.port import ProbeResult

_MOST_USD = 1_000_000_000


def described(found: Described) -> llm_pb2.DescribeModelResponse:
    """Answer which model would be asked."""
    if found.candidate is None:
        return llm_pb2.DescribeModelResponse(configured=False, notes=found.notes)
    made = llm_pb2.DescribeModelResponse(
        configured=True,
        provider=found.candidate.model.provider,
        model=found.candidate.model.model,
        max_input_tokens=found.candidate.input_tokens,
        notes=found.notes,
        fallbacks=found.fallbacks,
    )
    if found.price is not None:
        made.price.input_usd_per_million = float(found.price.input)
        made.price.cached_usd_per_million = float(found.price.cached)
        made.price.output_usd_per_million = float(found.price.output)
    return made


def completed(done: Completed, *, with_text: bool = True) -> llm_pb2.CompleteResponse:
    """Answer a completion."""
    usage = done.usage
    return llm_pb2.CompleteResponse(
        text=done.text if with_text else "",
        provider=done.provider,
        model=done.model,
        usage=llm_pb2.TokenUsage(
            input_tokens=usage.input,
            cached_tokens=usage.cached,
            output_tokens=usage.output,
            reasoning_tokens=usage.reasoning,
            reported=usage.reported,
        ),
        cost_usd=None if done.cost_micros is None else done.cost_micros / MICROS,
        fallback_reason=done.fallback_reason,
        attempts=done.attempts,
        stored=done.is_stored,
    )


def provider(found: Provider) -> models_pb2.Provider:
    """Answer a kind of provider."""
    return models_pb2.Provider(
        id=found.kind.id,
        name=found.kind.name,
        requires_base_url=found.kind.requires_base_url,
        configured=found.is_configured,
    )


def listed(found: ListedModel) -> models_pb2.Model:
    """Answer a model that can be chosen."""
    made = models_pb2.Model(id=found.id, preset=found.preset, listed=found.is_listed)
    if found.price is not None:
        made.price.input_usd_per_million = float(found.price.input)
        made.price.output_usd_per_million = float(found.price.output)
    return made


def tested(found: ProbeResult) -> models_pb2.TestModelResponse:
    """Answer how a test call went; where the provider said nothing, what is known."""
    return models_pb2.TestModelResponse(
        ok=found.code is ProbeCode.OK,
        code=models_pb2.TestCode.Value(f"TEST_CODE_{found.code.name}"),
        latency_ms=found.latency_ms,
        provider_message=found.provider_message or found.message,
    )


def report(found: Report) -> usage_pb2.GetTokenUsageResponse:
    """Answer usage over a time."""
    made = usage_pb2.GetTokenUsageResponse(groups=map(_used, found.groups), total=_used(found.total))
    made.from_time.FromDatetime(found.begin)
    made.to_time.FromDatetime(found.end)
    return made


def budget(standings: Sequence[Standing], ceiling: Price) -> usage_pb2.Budget:
    """Answer the budgets and where they stand."""
    return usage_pb2.Budget(
        budgets=map(_standing, standings),
        unknown_price_input_usd=float(ceiling.input),
        unknown_price_output_usd=float(ceiling.output),
    )


def limit(index: int, wanted: usage_pb2.BudgetLimit) -> Budget:
    """Read a budget. Raises AppError(INVALID_REQUEST)."""
    if not math.isfinite(wanted.limit_usd) or not 0 <= wanted.limit_usd <= _MOST_USD:
        violation = Violation(f"budgets[{index}].limit_usd", f"must be between 0 and {_MOST_USD}")
        raise AppError(Reason.INVALID_REQUEST, violations=[violation])
    return Budget(Scope(wanted.scope), wanted.id, Period(wanted.period), round(wanted.limit_usd * MICROS))


def _standing(found: Standing) -> usage_pb2.BudgetLimit:
    made = usage_pb2.BudgetLimit(
        scope=found.budget.scope.value,
        id=found.budget.subject,
        period=found.budget.period.value,
        limit_usd=found.budget.limit_micros / MICROS,
        spent_usd=found.spent_micros / MICROS,
        reserved_usd=found.reserved_micros / MICROS,
    )
    made.renew_time.FromDatetime(found.renew_time)
    return made


def _used(found: Used) -> usage_pb2.UsageGroup:
    return usage_pb2.UsageGroup(
        key=found.key,
        calls=found.calls,
        failed_calls=found.failed_calls,
        input_tokens=found.input_tokens,
        cached_tokens=found.cached_tokens,
        output_tokens=found.output_tokens,
        reasoning_tokens=found.reasoning_tokens,
        cost_usd=found.cost_micros / MICROS,
        unpriced_calls=found.unpriced_calls,
    )
