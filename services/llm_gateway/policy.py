"""Who may call which RPC of the llm_gateway service."""

from datetime import timedelta

from services.kit.rpc.policy import OWNER, Policy, internal, read, write

COMPLETION_DEADLINE = timedelta(seconds=930)  # above the most that LINTEL_MODEL_SECONDS may be
TEST_DEADLINE = timedelta(seconds=30)  # one call with ten tokens, or a provider's list
_USAGE = frozenset({"owner", "billing_manager", "repo_admin"})
_LLM = "/lintel.llm.v1.LlmService/"
_MODELS = "/lintel.llm.v1.ModelService/"
_USAGES = "/lintel.llm.v1.UsageService/"

PUBLIC: Policy = {
    f"{_MODELS}ListProviders": read(OWNER),  # a parameter of the organisation, as are the next two
    f"{_MODELS}ListModels": read(OWNER, deadline=TEST_DEADLINE),
    f"{_MODELS}TestModel": write(OWNER, deadline=TEST_DEADLINE),
    f"{_USAGES}GetTokenUsage": read(_USAGE),
    f"{_USAGES}GetBudget": read(_USAGE),
    f"{_USAGES}UpdateBudget": write(OWNER, is_idempotent=True),
}
INTERNAL: Policy = {
    f"{_LLM}DescribeModel": internal("review_worker", is_idempotent=True, deadline=COMPLETION_DEADLINE),
    f"{_LLM}Complete": internal("review_worker", is_idempotent=True, deadline=COMPLETION_DEADLINE),
    f"{_LLM}StreamComplete": internal("review_worker", "review", deadline=COMPLETION_DEADLINE),
    "/lintel.llm.v1.ModelConfigurationService/StoreModelConfiguration": internal("orgs", is_idempotent=True),
}
