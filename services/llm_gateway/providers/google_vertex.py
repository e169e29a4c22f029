"""Google Vertex AI: Gemini by service account or key, Claude by service account.

Differences of this provider: the credential is a service account's JSON (or that in base64), for which a token of an
hour is fetched from Google's own address whatever the JSON says, or an API key (Gemini only); the address follows from
the location; Claude's models are those whose name begins with `claude`.
"""

import base64
import binascii
import json
import re
from collections.abc import AsyncIterator, Mapping
from typing import Any

import anthropic
from google.oauth2.credentials import Credentials

from services.llm_gateway.providers import anthropic_messages, gemini
from services.llm_gateway.providers.faults import Fault, ProviderError
from services.llm_gateway.providers.google_token import ServiceAccount, TokenSource
from services.llm_gateway.providers.types import Model
from services.llm_gateway.providers.wire import Ask, Connection, Network, Reply

DEFAULT_LOCATION = "global"
_LOCATION = re.compile(r"[a-z]{2,16}(?:-[a-z]{4,16}\d{1,2})?")


def connect(model: Model, network: Network) -> Connection:
    """Build the SDK's client, Google's or Anthropic's."""
    location = model.vertex_location or DEFAULT_LOCATION
    if not _LOCATION.fullmatch(location):
        raise ProviderError(
            Fault.BAD_REQUEST, words="the location is none, such as us-central1, europe-west4 or global"
        )
    account = read_account(model.api_key or "")
    base_url = model.base_url.rstrip("/") or address_of(location)
    if account is None:
        return _by_key(model, network, base_url)
    tokens = TokenSource(account, network)
    http = network.open_client(model, tokens.headers)
    secrets = (model.api_key or "", account.private_key, *account.private_key.split("\n"))
    if is_claude(model.model):
        sdk: Any = anthropic.AsyncAnthropicVertex(
            region=location,
            project_id=account.project_id,
            access_token="set by the transport",  # noqa: S106 - it is not a token
            base_url=f"{base_url}/v1",
            max_retries=0,
            timeout=None,
            http_client=http,
            open_telemetry=False,
        )
    else:
        sdk = gemini.build(
            http,
            enterprise=True,
            project=account.project_id,
            location=location,
            credentials=_no_credentials(),
            options={"base_url": base_url, "api_version": "v1beta1"},
        )
    return Connection(sdk, http, secrets, tokens.aclose)


async def complete(connection: Connection, ask: Ask) -> Reply:
    """Ask once for a whole answer."""
    if is_claude(ask.model):
        return await anthropic_messages.complete(connection, ask)
    return await gemini.complete(connection, ask)


def stream(connection: Connection, ask: Ask) -> AsyncIterator[str | Reply]:
    """Ask once for pieces of text and, last, the Reply."""
    if is_claude(ask.model):
        return anthropic_messages.stream(connection, ask)
    return gemini.stream(connection, ask)


async def list_models(connection: Connection) -> list[str]:
    """Answer the names of Google's own models; Vertex does not list Claude's."""
    if isinstance(connection.sdk, anthropic.AsyncAnthropicVertex):
        raise ProviderError(Fault.NO_MODEL, words="Vertex does not list the models of Anthropic")
    return await gemini.list_models(connection, {"query_base": True})


def is_claude(model: str) -> bool:
    """Whether a model is one of Anthropic's."""
    return model.startswith("claude")


def address_of(location: str) -> str:
    """Answer where a location is served."""
    if location == "global":
        return "https://aiplatform.googleapis.com"
    if location in ("us", "eu"):
        return f"https://aiplatform.{location}.rep.googleapis.com"
    return f"https://{location}-aiplatform.googleapis.com"


def read_account(key: str) -> ServiceAccount | None:
    """Answer the service account of a key that is its JSON, as it is or in base64; None for an API key.

    BAD_REQUEST for JSON that is no service account: other kinds can name programs to run and addresses to fetch.
    """
    text = key.strip()
    if not text.startswith("{"):
        try:
            text = base64.b64decode("".join(text.split()), validate=True).decode()
        except (binascii.Error, ValueError):
            return None
        if not text.lstrip().startswith("{"):
            return None
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        raise ProviderError(Fault.BAD_REQUEST, words="the key is no JSON, though it begins like it") from None
    return ServiceAccount.read(found)


def _by_key(model: Model, network: Network, base_url: str) -> Connection:
    if is_claude(model.model):
        raise ProviderError(Fault.BAD_REQUEST, words="Claude on Vertex needs a service account, not an API key")
    proof = {"x-goog-api-key": model.api_key} if model.api_key else {}

    async def credential() -> Mapping[str, str]:
        return proof

    http = network.open_client(model, credential)
    options = {"base_url": base_url, "api_version": "v1beta1"}
    sdk = gemini.build(http, enterprise=True, api_key="set-by-the-transport", options=options)
    return Connection(sdk, http, (model.api_key,) if model.api_key else ())


def _no_credentials() -> Any:
    """The SDK wants credentials to be there; the token itself is put on by the transport."""
    return Credentials(token="set by the transport")  # type: ignore[no-untyped-call]  # noqa: S106 - no token
