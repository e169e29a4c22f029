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
        "API_DATABASE_ENV",
        "API_CLOUD_MODE",
        "API_JWT_REFRESH_SECRET",
        "API_JWT_REFRESH_SECRET_PREVIOUS",
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
