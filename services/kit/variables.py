"""Variables of the contract (section 7) that are read elsewhere, or by nobody yet: known, so no typing error."""

_PARTS = ("GITHUB", "GITLAB", "BITBUCKET", "AZURE_REPOS", "FORGEJO")

ACCEPTED = frozenset(
    {
        # read by the command line and the supervisor
        "LINTEL_STATE_DIR",
        "LINTEL_MIGRATIONS_URL",
        "LINTEL_URL",
        "LINTEL_TOKEN",
        # what the install document names and this version has no use for yet
        "API_OPEN_AI_API_KEY",
        "API_OPENAI_FORCE_BASE_URL",
        "API_LLM_PROVIDER_MODEL",
        "API_ANTHROPIC_API_KEY",
        "API_GOOGLE_AI_API_KEY",
        "API_VERTEX_AI_API_KEY",
        "API_VERTEX_AI_LOCATION",
        "API_NOVITA_AI_API_KEY",
        "API_GROQ_BASE_URL",
        "API_GROQ_API_KEY",
        "API_OPENROUTER_KEY",
        *(f"API_{host}_CODE_MANAGEMENT_WEBHOOK" for host in ("GITHUB", "GITLAB", "FORGEJO")),
        "API_GITHUB_APP_ID",
        "API_GITHUB_PRIVATE_KEY",
        *(f"LINTEL_{part}_API_URL" for part in _PARTS),
        "API_SENTRY_DNS",
        "LINTEL_ALLOWED_MODEL_HOSTS",
    }
)

# What the install document names, and nothing here needs: told by `lintel doctor`, with the reason.
UNUSED = {
    "API_DATABASE_ENV": "API_NODE_ENV says which environment it is",
    "API_CLOUD_MODE": "there is one edition",
    "API_JWT_REFRESH_SECRET": "refresh tokens are random and stored as digests, so nothing signs them",
    "API_JWT_REFRESH_SECRET_PREVIOUS": "refresh tokens are random and stored as digests, so nothing signs them",
}
