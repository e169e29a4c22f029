"""One whole system behind Envoy for the tests of the API as strangers, contributors and owners meet it."""

import os
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx2
import pytest

from cli.commands.test import clean_environment
from cli.embedded import Embedded
from tests.e2e.api.outside import EMAIL, Outside, outside

CONNIE = "connie@example.com"
INVITATION = r'"token": "([^"]+)"'


@dataclass
class Api:
    """The edge's address, the document it serves, and keys of an owner and of a contributor who signed up."""

    system: Embedded
    outside: Outside
    url: str
    key: str  # the installation's own
    document: dict[str, Any]
    keys: dict[str, str] = field(default_factory=dict)
    answers: list[tuple[str, str]] = field(default_factory=list)  # request line and text of what `client` was answered

    def headers(self, caller: str) -> dict[str, str]:
        """Answer what a caller of this kind sends along."""
        return {"authorization": f"Bearer {self.keys[caller]}"} if caller in self.keys else {}

    def client(self, address: str = "127.0.0.1", caller: str = "nobody") -> httpx2.Client:
        """Answer a client at an address of its own (limits are kept by address); its answers are remembered."""

        def remember(answer: httpx2.Response) -> None:
            answer.read()
            self.answers.append((f"{answer.request.method} {answer.request.url.path}", answer.text))

        return httpx2.Client(
            base_url=self.url,
            headers=self.headers(caller),
            timeout=60,
            transport=httpx2.HTTPTransport(local_address=address),
            event_hooks={"response": [remember]},
        )


@pytest.fixture(scope="session")
def api() -> Iterator[Api]:
    """Run Postgres, Envoy and every role on free ports, with a state of their own; an owner and a contributor join."""
    with outside() as world, tempfile.TemporaryDirectory(prefix="lt-") as state:
        # Other tests put addresses of theirs into the environment while they run: DATABASE_URL must not be one of ours.
        environment = clean_environment(os.environ) | {"LINTEL_STATE_DIR": state, **world.environment}
        with Embedded(Path(state), env=environment) as system:
            url = system.edge_url
            document = httpx2.get(f"{url}/openapi.json", trust_env=False).json()
            world.oidc.redirect_uri = f"{url}/auth/sso/callback"
            made = Api(system, world, url, system.api_key, document)
            sign_up(made)
            yield made


def sign_up(api: Api) -> None:
    """Have an owner register, who takes the default organisation over, and a contributor accept an invitation."""
    password = api.outside.secrets.password
    with api.client("127.0.0.9") as client:

        def post(path: str, body: dict[str, Any], token: str = "") -> dict[str, Any]:
            answer = client.post(path, json=body, headers={"authorization": f"Bearer {token}"} if token else {})
            assert answer.is_success, (path, answer.status_code, answer.text)
            made: dict[str, Any] = answer.json()
            return made

        post("/auth/register", {"email": EMAIL, "password": password, "name": "Ada"})
        ada = post("/auth/login", {"email": EMAIL, "password": password})["access_token"]
        post("/user/invite", {"email": CONNIE, "role": "contributor"}, ada)
        token = api.outside.token_mailed_to(CONNIE, INVITATION)
        connie = post("/user/invite/accept", {"token": token, "password": password, "name": "Connie"})
        api.keys["owner"] = post("/auth/api-keys", {"name": "ada's"}, ada)["key"]
        api.keys["contributor"] = post("/auth/api-keys", {"name": "connie's"}, connie["access_token"])["key"]
