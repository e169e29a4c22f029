"""Who may call which RPC of the llm_gateway service."""

from services.kit.rpc.policy import OWNER, Policy, read

PUBLIC: Policy = {
    "/lintel.llm.v1.ModelService/ListProviders": read(OWNER),  # a parameter of the organisation
}
INTERNAL: Policy = {}
