"""Variables of the contract (section 7) that no role reads: read elsewhere, or without effect, and why."""

READ_ELSEWHERE = frozenset(
    {
        # by the command line and the supervisor
        "LINTEL_STATE_DIR",
        "LINTEL_MIGRATIONS_URL",
        "LINTEL_URL",
        "LINTEL_TOKEN",
    }
)

_ONE_SIGNER = "refresh tokens are random and stored as digests, so nothing signs them"
_NO_HOOKS = "webhooks are made at the code host by hand for now: docs/hosts.md says which address goes where"
_NO_APP = "GitHub is reached with GITHUB_TOKEN; Apps are not supported yet"
_NO_ADAPTER = "there is no adapter for this code host yet"

# What the install document names, and nothing here uses: told by `lintel doctor`, with the reason.
UNUSED = {
    "API_DATABASE_ENV": "API_NODE_ENV says which environment it is",
    "API_CLOUD_MODE": "there is one edition",
    "API_JWT_REFRESH_SECRET": _ONE_SIGNER,
    "API_JWT_REFRESH_SECRET_PREVIOUS": _ONE_SIGNER,
    "API_SENTRY_DNS": "errors go to the log, and traces to OTEL_EXPORTER_OTLP_ENDPOINT; Sentry is not supported yet",
    "API_GITHUB_APP_ID": _NO_APP,
    "API_GITHUB_PRIVATE_KEY": _NO_APP,
    **{f"API_{host}_CODE_MANAGEMENT_WEBHOOK": _NO_HOOKS for host in ("GITHUB", "GITLAB", "FORGEJO")},
    **{f"GLOBAL_{host}_CODE_MANAGEMENT_WEBHOOK": _NO_HOOKS for host in ("BITBUCKET", "AZURE_REPOS")},
    **{
        name: _NO_ADAPTER
        for host in ("BITBUCKET", "AZURE_REPOS", "FORGEJO")
        for name in (f"{host}_TOKEN", f"{host}_WEBHOOK_SECRET", f"LINTEL_{host}_API_URL")
    },
}
