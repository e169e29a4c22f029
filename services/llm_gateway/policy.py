"""Who may call which RPC of the llm_gateway service."""

from datetime import timedelta

from services.kit.rpc.policy import OWNER, Policy, internal, read

COMPLETION_DEADLINE = timedelta(seconds=930)  # above the most that LINTEL_MODEL_SECONDS may be

PUBLIC: Policy = {
    "/lintel.llm.v1.ModelService/ListProviders": read(OWNER),  # a parameter of the organisation
}
INTERNAL: Policy = {
    "/lintel.llm.v1.LlmService/DescribeModel": internal(
        "review_worker", is_idempotent=True, deadline=COMPLETION_DEADLINE
    ),
    "/lintel.llm.v1.LlmService/Complete": internal("review_worker", deadline=COMPLETION_DEADLINE),
}
