"""Models, keys, usage and budgets over REST, behind the edge: a key goes in, and a model is asked by it."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from types import SimpleNamespace
from typing import Any
from uuid import UUID

import asyncpg
import pytest
from lintel.llm.v1 import llm_service_pb2 as pb
from lintel.llm.v1.llm_service_pb2_grpc import LlmServiceStub

from emulators.openai import OpenAIEmulator
from services.kit.rpc.channel import open_channel
from tests.integration.llm_gateway.conftest import KEY, own
from tests.support.postgres import Database
from tests.support.system import System, running_system, until

ROLES = ("auth", "orgs", "llm_gateway", "webhooks", "review", "gateway")


@pytest.fixture
async def model() -> AsyncIterator[OpenAIEmulator]:
    async with OpenAIEmulator(lambda chat: "ok", key=KEY) as emulator:
        yield emulator


@asynccontextmanager
async def started(database: Database, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[System]:
    monkeypatch.setattr("services.llm_gateway.routing.KEPT_SECONDS", 0.0)
    monkeypatch.setattr("services.kit.app._HEALTH_SECONDS", 0.05)
    environment = {
        "LINTEL_ALLOW_LOOPBACK_MODELS": "true",
        "LINTEL_MODEL_PRICES": '{"test-model": {"input": 1000000, "output": 0}}',
    }
    host: Any = SimpleNamespace(url="http://127.0.0.1:9")  # nobody asks a code host here
    async with running_system(database, host, environment, roles=ROLES) as made:
        yield made


@pytest.fixture
async def system(database: Database, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[System]:
    async with started(database, monkeypatch) as made:
        yield made


async def saved(system: System, configuration: dict[str, Any]) -> None:
    answer = await system.api.post("/organization/parameters/code-review", json={"configValue": configuration})
    assert answer.status_code in (200, 201), answer.text


async def tells(system: System, state: str, part: str = "llm") -> bool:
    """Whether /health says this of a part."""
    found: str = (await system.api.get("/health")).json()["details"][part]["status"]
    return found == state


async def test_an_organisation_brings_its_key_and_limits_what_it_costs(system: System, model: OpenAIEmulator) -> None:
    async def get(path: str) -> dict[str, Any]:
        answer = await system.api.get(path)
        assert answer.status_code == 200, answer.text
        found: dict[str, Any] = answer.json()
        return found

    tested = await system.api.post("/organization/parameters/test-byok", json=own(model))
    assert (tested.status_code, tested.json()["ok"], tested.json()["code"]) == (200, True, "ok")
    assert set(tested.json()) == {"ok", "code", "latencyMs", "providerMessage"}
    refused = await system.api.post("/organization/parameters/test-byok", json=own(model, apiKey="wrong-key-123"))
    assert (refused.json()["ok"], refused.json()["code"]) == (False, "auth")
    strange = await system.api.post("/organization/parameters/test-byok", json=own(model, colour="red"))
    assert strange.status_code == 400 and "colour" in strange.text

    # What is saved is read back masked, and a fault is named by its path.
    path = "/organization/parameters/code-review"
    wrong = await system.api.post(path, json={"configValue": {"byokConfig": {"main": own(model) | {"baseURL": "x"}}}})
    assert wrong.status_code == 400
    assert [v["field"] for v in wrong.json()["violations"]] == ["configValue.byokConfig.main.baseURL"]
    saved = await system.api.post(path, json={"configValue": {"byokConfig": {"main": own(model)}}})
    assert saved.status_code in (200, 201), saved.text
    kept = (await get(path))["configValue"]["byokConfig"]["main"]
    assert kept["apiKey"] == "sk-…key" and KEY not in (await system.api.get(path)).text
    again = await system.api.post(path, json={"configValue": {"byokConfig": {"main": kept}}})
    assert again.status_code in (200, 201), again.text
    assert (await get("/organization/parameters/models"))["models"][0] == {
        "id": "test-model",
        "preset": "",
        "listed": True,
        "price": {"inputUsdPerMillion": 1000000, "outputUsdPerMillion": 0},
    }
    assert (await get("/organization/parameters/providers"))["providers"][0]["id"] == "openai"

    # One call costs more than the budget, so there is no second one.
    (organization,) = await system.rows("SELECT organization_id FROM orgs.organizations")
    async with open_channel(f"unix:{system.run_dir / 'llm_gateway'}.sock", "review_worker") as channel:
        await LlmServiceStub(channel).Complete(
            pb.CompleteRequest(
                organization_id=str(UUID(str(organization["organization_id"]))),
                request_id="one",
                purpose="review",
                instructions="Say ok.",
                input="x",
                max_output_tokens=10,
                repository="acme/shop",
                pull_request_number=7,
            ),
            timeout=60,
        )
    limit = {"scope": "organization", "period": "month", "limitUsd": 0.5}
    budget = await system.api.put("/usage/budget", json={"budgets": [limit]})
    assert budget.status_code == 200, budget.text
    (found,) = (await get("/usage/budget"))["budgets"]
    assert found["limitUsd"] == 0.5 and found["spentUsd"] > 0.5 and found["renewTime"].endswith("-01T00:00:00Z")
    same = await system.api.put("/usage/budget", json={"budgets": [found]})
    assert same.status_code == 200, same.text  # what is read may be sent back
    log = (await get("/audit-log"))["entries"]
    told = [change for entry in log if entry["action"] == "budget.update" for change in entry["changes"]]
    assert {change["after"] for change in told} == {"organization month 0.5"}
    used = await get("/usage/tokens?groupBy=pullRequest")
    assert [(g["key"], g["calls"]) for g in used["groups"]] == [("acme/shop#7", 1)]
    assert used["total"]["inputTokens"] > 0 and used["total"]["costUsd"] > 0.5
    assert {"from", "to"} <= set(used)
    bad = await system.api.get("/usage/tokens?from=yesterday")
    assert bad.status_code == 400 and [v["field"] for v in bad.json()["violations"]] == ["from"]
    assert (await system.api.get("/usage/tokens?groupBy=colour")).status_code == 400


async def test_health_lives_on_where_the_schema_is_behind(
    database: Database, monkeypatch: pytest.MonkeyPatch, model: OpenAIEmulator
) -> None:
    owner = await asyncpg.connect(database.owner_dsn)
    try:
        await owner.execute("ALTER TABLE llm_gateway.credentials RENAME TO credentials_to_come")
        async with started(database, monkeypatch) as system:
            await until(lambda: tells(system, "up", part="application"))
            assert await tells(system, "disabled")
            await owner.execute("ALTER TABLE llm_gateway.credentials_to_come RENAME TO credentials")
            await saved(system, {"byokConfig": {"main": own(model)}})
            await until(lambda: tells(system, "up"))
    finally:
        await owner.close()


async def test_health_tells_of_a_model_that_only_an_organisation_has(system: System, model: OpenAIEmulator) -> None:
    assert await tells(system, "disabled")
    await saved(system, {"byokConfig": {"main": own(model)}})
    await until(lambda: tells(system, "up"))
    await saved(system, {})
    await until(lambda: tells(system, "disabled"))
