"""Keys that organisations bring: checked strictly, kept encrypted, shown masked, and sent to their own address only."""

from typing import Any

import pytest
from lintel.llm.v1 import model_service_pb2 as models_pb2
from lintel.llm.v1.model_service_pb2_grpc import ModelServiceStub

from emulators.openai import error
from services.kit.crypto import CryptoSettings, masked
from services.kit.errors import AppError, Reason
from services.kit.postgres.pool import Database
from services.kit.rpc.status import rpc_errors
from services.llm_gateway.credential_store import CredentialStore
from services.llm_gateway.model_keys import ModelKeys
from tests.integration.llm_gateway.conftest import KEY, Make, World, own
from tests.support.mesh import CRYPTO_KEY

NEW_MASTER = "5b6c7d8e9f0a1b2c3d4e5f60718293a4b5c6d7e8f9102132435465768798a9ba"


def fields(error_: AppError) -> list[str]:
    return [violation.field for violation in error_.violations]


async def refused(world: World, **configuration: Any) -> AppError:
    with pytest.raises(AppError) as found:
        await world.configure(**configuration)
    assert found.value.reason is Reason.INVALID_REQUEST
    assert KEY not in str(found.value) and all(KEY not in v.description for v in found.value.violations)
    return found.value


async def test_a_key_is_kept_encrypted_and_shown_masked(world: Make) -> None:
    made = await world(["{}"], environ={"API_OPENAI_FORCE_BASE_URL": "", "API_OPEN_AI_API_KEY": ""})
    stored = await made.configure(byokConfig={"main": own(made.emulator)}, llmProvider="auto")
    main = stored["byokConfig"]["main"]
    assert main["apiKey"] == "sk-…key" and stored["llmProvider"] == "auto"
    (row,) = await made.sql("SELECT * FROM llm_gateway.credentials")
    assert str(row["id"]) == main["apiKeyId"]
    assert not any(KEY in str(value) for value in row.values())
    assert (await made.complete()).text == "{}"


async def test_the_mask_sent_back_keeps_the_key(world: Make) -> None:
    made = await world(["{}"])
    first = await made.configure(byokConfig={"main": own(made.emulator)})
    again = await made.configure(byokConfig={"main": own(made.emulator, apiKey="sk-…key", temperature=0.5)})
    assert again["byokConfig"]["main"]["apiKeyId"] == first["byokConfig"]["main"]["apiKeyId"]
    assert again["byokConfig"]["main"]["temperature"] == 0.5
    assert (await made.complete()).text == "{}"
    assert len(await made.sql("SELECT FROM llm_gateway.credentials")) == 1


async def test_a_kept_key_is_not_sent_to_another_address(world: Make) -> None:
    made = await world(["{}"], ["{}"])
    first, second = made.emulators
    await made.configure(byokConfig={"main": own(first)})
    for changed in (own(second, apiKey="sk-…key"), own(first, apiKey="sk-…key", provider="openai")):
        found = await refused(made, byokConfig={"main": changed})
        assert fields(found) == ["byokConfig.main.apiKey"]
        assert "send the key itself" in found.violations[0].description
    assert not second.requests


async def test_a_mask_of_nothing_is_no_key(world: Make) -> None:
    made = await world()
    found = await refused(made, byokConfig={"main": own(made.emulator, apiKey="sk-…xyz")})
    assert fields(found) == ["byokConfig.main.apiKey"]


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"colour": "red"}, "byokConfig.main.colour"),
        ({"provider": "skynet"}, "byokConfig.main.provider"),
        ({"model": ""}, "byokConfig.main.model"),
        ({"temperature": 3}, "byokConfig.main.temperature"),
        ({"maxInputTokens": 0}, "byokConfig.main.maxInputTokens"),
        ({"maxInputTokens": 1.5}, "byokConfig.main.maxInputTokens"),
        ({"reasoningEffort": "enormous"}, "byokConfig.main.reasoningEffort"),
        ({"vertexLocation": "evil.example/"}, "byokConfig.main.vertexLocation"),
        ({"baseURL": ""}, "byokConfig.main"),
        ({"apiKey": "two words"}, "byokConfig.main.apiKey"),
        ({"apiKey": f"{KEY}\r\nX-Evil: 1"}, "byokConfig.main.apiKey"),
        ({"provider": "openai", "apiKey": ""}, "byokConfig.main.apiKey"),
        ({"baseURL": "http://10.0.0.1/v1"}, "byokConfig.main.baseURL"),
        ({"baseURL": "https://169.254.169.254/v1"}, "byokConfig.main.baseURL"),
        ({"baseURL": "https://user:pw@api.example/v1"}, "byokConfig.main.baseURL"),
        ({"baseURL": "https://2130706433.example:22/v1"}, "byokConfig.main.baseURL"),
    ],
)
async def test_what_is_wrong_is_named(world: Make, change: dict[str, Any], field: str) -> None:
    made = await world()
    assert fields(await refused(made, byokConfig={"main": own(made.emulator) | change})) == [field]


async def test_faults_below_the_first_model_are_named_too(world: Make) -> None:
    made = await world()
    good = own(made.emulator)
    bad = {"main": good, "models": {"verify": good, "fallbacks": [good, good | {"model": ""}]}, "spare": good}
    found = await refused(made, byokConfig=bad, llmProvider="nobody:x")
    assert fields(found) == ["byokConfig.models.fallbacks[1].model", "byokConfig.spare", "llmProvider"]


async def test_one_key_twice_is_one_credential_and_unused_ones_go(world: Make) -> None:
    made = await world()
    await made.configure(byokConfig={"main": own(made.emulator), "fallback": own(made.emulator, model="b")})
    assert len(await made.sql("SELECT FROM llm_gateway.credentials")) == 1
    await made.configure(byokConfig={"main": own(made.emulator, apiKey="another-key-1234")})
    assert len(await made.sql("SELECT FROM llm_gateway.credentials WHERE unused_since IS NULL")) == 1
    await made.sql("UPDATE llm_gateway.credentials SET unused_since = unused_since - interval '2 days'")
    await made.configure(llmProvider="auto")
    assert len(await made.sql("SELECT FROM llm_gateway.credentials")) == 1  # the newest, unused from now on


async def test_a_key_of_another_organisation_is_none(world: Make) -> None:
    made = await world(["{}"])
    stored = await made.configure(byokConfig={"main": own(made.emulator)})
    await made.sql("UPDATE llm_gateway.credentials SET organization_id = gen_random_uuid()")
    with pytest.raises(AppError) as found:
        await made.complete()
    assert found.value.reason is Reason.MODEL_NOT_CONFIGURED
    assert stored["byokConfig"]["main"]["apiKeyId"] not in str(found.value)
    assert not made.emulator.requests


async def test_rotation_writes_the_keys_anew(world: Make) -> None:
    made = await world(["{}"])
    await made.configure(byokConfig={"main": own(made.emulator)})
    settings = CryptoSettings.model_validate({"API_CRYPTO_KEY": NEW_MASTER, "API_CRYPTO_KEY_PREVIOUS": CRYPTO_KEY})
    vault = settings.vault("llm_gateway")
    async with Database(made.mesh.database.app_dsn, "llm_gateway", max_size=2) as database:

        async def guard(_: Any) -> str:
            return ""

        keys = ModelKeys(CredentialStore(database), vault, guard)
        assert await keys.reencrypt() == 1
        assert await keys.reencrypt() == 0
    (row,) = await made.sql("SELECT id, ciphertext FROM llm_gateway.credentials")
    alone = CryptoSettings.model_validate({"API_CRYPTO_KEY": NEW_MASTER}).vault("llm_gateway")
    field = f"llm_gateway.credentials/{row['id']}/api_key"
    assert alone.decrypt(row["ciphertext"], made.organization_id, field) == KEY


async def tried(world: World, **changes: Any) -> models_pb2.TestModelResponse:
    model = own(world.emulator) | changes
    names = {"apiKey": "api_key", "baseURL": "base_url"}
    request = models_pb2.TestModelRequest(**{names.get(name, name): value for name, value in model.items()})
    with rpc_errors():
        stub = ModelServiceStub(world.mesh.public("llm_gateway"))
        return await stub.TestModel(request, metadata=world.mesh.local.metadata, timeout=60)


async def test_a_test_call_is_a_real_one(world: Make) -> None:
    made = await world(lambda chat: "ok")
    good = await tried(made)
    assert good.ok and good.code == models_pb2.TEST_CODE_OK and len(made.emulator.chats) == 1
    wrong = await tried(made, apiKey="wrong-key-123456")
    assert not wrong.ok and wrong.code == models_pb2.TEST_CODE_AUTH
    assert "Incorrect API key" in wrong.provider_message
    missing = await tried(made, model="no-such-model")
    assert missing.code == models_pb2.TEST_CODE_NOT_FOUND
    nobody = await tried(made, baseURL="http://127.0.0.1:9/v1")
    assert nobody.code == models_pb2.TEST_CODE_NETWORK
    private = await tried(made, baseURL="https://10.0.0.1/v1")
    assert private.code == models_pb2.TEST_CODE_BAD_REQUEST and "not public" in private.provider_message


async def test_a_test_call_takes_the_mask_of_the_stored_key(world: Make) -> None:
    made = await world(lambda chat: "ok")
    await made.configure(byokConfig={"main": own(made.emulator)})
    assert (await tried(made, apiKey=masked(KEY))).ok
    stranger = await tried(made, apiKey=masked(KEY), baseURL="http://127.0.0.1:9/v1")
    assert stranger.code == models_pb2.TEST_CODE_BAD_REQUEST


async def test_the_provider_s_words_are_shown_without_the_key(world: Make) -> None:
    made = await world([error(402, f"no credit for {KEY}")])
    found = await tried(made)
    assert found.code == models_pb2.TEST_CODE_PAYMENT
    assert "no credit" in found.provider_message and KEY not in found.provider_message


async def test_models_are_listed_by_the_provider_or_by_name(world: Make) -> None:
    made = await world(models=("test-model", "other-model"))
    stub = ModelServiceStub(made.mesh.public("llm_gateway"))
    with rpc_errors():
        own_ = await stub.ListModels(models_pb2.ListModelsRequest(), metadata=made.mesh.local.metadata)
        known = await stub.ListModels(
            models_pb2.ListModelsRequest(provider="anthropic"), metadata=made.mesh.local.metadata
        )
    assert [(m.id, m.listed) for m in own_.models] == [("test-model", True), ("other-model", True)]
    assert own_.models[0].price.input_usd_per_million == 1 and own_.note == ""
    assert "anthropic:claude-3-5-sonnet-20241022" in [m.preset for m in known.models]
    assert not known.models[0].listed and known.note
