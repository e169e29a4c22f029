"""python -m services.doctor: what is wrong with the settings and what they name, as JSON lines; for `lintel doctor`.

Each line is {"name", "state": "ok" | "warn" | "fail", "detail", "mend"}. Everything is asked as the roles ask it: with
their settings, drivers and guards. Nothing is changed, and one call of a model is made where one is configured.
"""

import asyncio
import json
import os
import sys
from collections.abc import Awaitable, Callable
from dataclasses import asdict, dataclass, replace
from functools import partial

from services.kit.artefacts.mongodb import MongoChunks
from services.kit.artefacts.settings import DocumentSettings
from services.kit.bus.address import BrokerSettings, parse
from services.kit.bus.session import reach
from services.kit.config import ConfigError, load, unknown_variables
from services.kit.postgres.diagnosis import diagnose
from services.kit.postgres.settings import DatabaseSettings
from services.kit.redact import mask
from services.kit.telemetry import log
from services.kit.variables import UNUSED
from services.llm_gateway.config import LlmGatewaySettings
from services.llm_gateway.environment import Candidate, from_environment
from services.llm_gateway.failures import describe
from services.llm_gateway.providers.faults import ProbeCode, ProviderError
from services.llm_gateway.providers.opening import open_model
from services.llm_gateway.providers.wire import Network
from services.roles import ROLES, known_variables
from services.webhooks.code_hosts import token_variable
from services.webhooks.config import WebhooksSettings
from services.webhooks.hosts import ADAPTERS
from services.webhooks.hosts.base import HostError, StaticToken, UnauthorizedError

_NO_MODEL = "none in the environment: analyzers review without one, but for organisations with a model of their own"
SECONDS = 20.0  # of one check
MODEL_SECONDS = 15.0
MAX_SKEW = 5.0  # seconds; leases are the database's time, signatures of code hosts and providers are ours


_ADVICE = {
    ProbeCode.AUTH: "Check the key in {origin}.",
    ProbeCode.NOT_FOUND: "Check API_LLM_PROVIDER_MODEL; a base URL mostly ends in /v1.",
    ProbeCode.PAYMENT: "The account has no credit left, or its limit is reached.",
    ProbeCode.RATE_LIMIT: "The key works; wait, or ask the provider for a higher limit.",
    ProbeCode.NETWORK: "Does the server run, and is a proxy or a firewall between? The address is in {origin}.",
    ProbeCode.SERVER_ERROR: "The provider has a problem of its own, or the address is another kind of server.",
    ProbeCode.UNKNOWN: "What answers there does not speak this API. A base URL mostly ends in /v1; it is in {origin}.",
    ProbeCode.BAD_REQUEST: "Is the model's name right, and does the address end in /v1?",
}


@dataclass(frozen=True, slots=True)
class Finding:
    """What a check came to; `mend` says what to do and is empty where all is well."""

    name: str
    state: str
    detail: str
    mend: str = ""


def main() -> int:
    """Print every finding; answers 1 if one of them is a failure."""
    log.setup("error")
    found = [*_settings(), *asyncio.run(_dependencies())]
    for each in found:
        masked = {name: mask(text) for name, text in asdict(each).items()}
        print(json.dumps(masked, ensure_ascii=False))
    return 1 if any(each.state == "fail" for each in found) else 0


def _settings() -> list[Finding]:
    found = []
    for name, nearest in unknown_variables(known_variables()).items():
        mend = f"Is {nearest} meant?" if nearest else "Remove it, or look for its name in docs/deployment.md."
        found.append(Finding(name, "warn", "nothing reads this variable", mend))
    problems: dict[str, None] = {}
    for role in ROLES.values():
        try:
            load(role.settings)
        except ConfigError as error:
            problems |= dict.fromkeys(line.strip() for line in str(error).splitlines()[1:] or [str(error)])
    for problem in problems:
        name, _, words = problem.partition(": ")
        if name != "LINTEL_RUN_DIR":  # `lintel up` sets it
            found.append(Finding(name, "fail", words or problem, "Correct it in .env, or in the environment."))
    unused = [
        Finding(name, "ok", f"accepted, without effect: {why}") for name, why in UNUSED.items() if name in os.environ
    ]
    return [*(found or [Finding("settings", "ok", "every variable is known and valid")]), *unused]


async def _dependencies() -> list[Finding]:
    checks: list[tuple[str, Callable[[], Awaitable[Finding]]]] = [
        ("postgres", _postgres),
        ("rabbitmq", _rabbitmq),
        ("mongodb", _mongodb),
        ("model", _model),
        *((name, partial(_code_host, name)) for name in ADAPTERS),
    ]
    return list(await asyncio.gather(*(_in_time(name, check) for name, check in checks)))


async def _in_time(name: str, check: Callable[[], Awaitable[Finding]]) -> Finding:
    try:
        async with asyncio.timeout(SECONDS):
            return await check()
    except TimeoutError:
        words = f"no answer within {SECONDS:g} seconds"
        return Finding(name, "fail", words, "Is something between that swallows packets: a firewall, a proxy?")
    except ConfigError:
        return Finding(name, "warn", "not asked, as its settings are not valid", "Mend the settings first.")


async def _postgres() -> Finding:
    found = await diagnose(load(DatabaseSettings).dsn)
    if found.problem:
        return Finding("postgres", "fail", found.problem, found.mend)
    if abs(found.skew.total_seconds()) > MAX_SKEW:
        words = f"its clock is {found.skew.total_seconds():+.0f} s from this machine's"
        return Finding("postgres", "warn", words, "Keep both machines' clocks by NTP.")
    return Finding("postgres", "ok", f"version {found.version}, the schema is there")


async def _rabbitmq() -> Finding:
    uri = load(BrokerSettings).rabbitmq_uri
    if uri is None:
        return Finding("rabbitmq", "ok", "not configured: events stay in this process")
    problem = await reach(parse(uri.get_secret_value()))
    if problem:
        mend = "Check host, port, user and password of API_RABBITMQ_URI, and that the broker runs."
        return Finding("rabbitmq", "fail", problem, mend)
    return Finding("rabbitmq", "ok", "connected")


async def _mongodb() -> Finding:
    uri = load(DocumentSettings).documents_uri
    if uri is None:
        return Finding("mongodb", "ok", "not configured: large documents are kept in Postgres")
    store = MongoChunks(uri)
    try:
        problem = await store.problem()
    finally:
        await store.close()
    if problem:
        mend = "Check MONGODB_URI (or API_MG_DB_*), and that it is a replica set with a primary."
        return Finding("mongodb", "fail", problem, mend)
    return Finding("mongodb", "ok", "connected")


async def _model() -> Finding:
    settings = load(LlmGatewaySettings)
    route = from_environment(settings.environment())
    if not route.candidates:
        detail = "; ".join(route.notes) or _NO_MODEL
        return Finding(
            "model", "warn" if route.notes else "ok", detail, "Set the variable named." if route.notes else ""
        )
    first = route.candidates[0]
    network = Network(allowed=settings.allowed(), loopback=settings.allow_loopback)
    try:
        first = await _named(first, network)
        opened = await open_model(first.model, network)
        try:
            result = await opened.test(MODEL_SECONDS)
        finally:
            await opened.aclose()
    except ProviderError as error:
        return Finding("model", "fail", describe(error, first), f"See {first.origin}.")
    if result.code is not ProbeCode.OK:
        said = f"; it said: {result.provider_message}" if result.provider_message else ""
        words = f"{first.name.rstrip(':')}: {result.message or result.code.value}{said}"
        return Finding("model", "fail", words, _ADVICE.get(result.code, "").format(origin=first.origin))
    return Finding("model", "ok", f"{first.name.rstrip(':')} answered in {result.latency_ms} ms")


async def _named(candidate: Candidate, network: Network) -> Candidate:
    """A forced address without a model's name stands for the first one that it lists."""
    if candidate.model.model:
        return candidate
    opened = await open_model(candidate.model, network)
    try:
        names = await opened.list_models(MODEL_SECONDS)
    finally:
        await opened.aclose()
    return replace(candidate, model=replace(candidate.model, model=names[0])) if names else candidate


async def _code_host(name: str) -> Finding:
    settings = load(WebhooksSettings)
    adapter, variable = ADAPTERS[name], token_variable(name)
    token = settings.token(name)
    if token is None:
        return Finding(name, "ok", f"not configured: set {variable} to review pull requests there")
    client = adapter.open_client(StaticToken(token), settings.api_url(name) or adapter.default_api_url, MODEL_SECONDS)
    address = f"LINTEL_{variable.removesuffix('_TOKEN')}_API_URL"
    try:
        found = await client.get("/user")
    except UnauthorizedError:
        return Finding(name, "fail", f"it does not accept {variable}", "Make a new token, and restart.")
    except HostError as error:
        return Finding(name, "fail", str(error), f"Check {address}, and what stands between.")
    finally:
        await client.close()
    login = found.get(adapter.login_field, "?") if isinstance(found, dict) else "?"
    if not settings.webhook_secrets(name):
        secret = variable.replace("_TOKEN", "_WEBHOOK_SECRET")
        return Finding(name, "warn", f"signed in as {login}, no webhook secret", f"Set {secret}.")
    return Finding(name, "ok", f"signed in as {login}")


if __name__ == "__main__":
    sys.exit(main())
