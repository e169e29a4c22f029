"""Parameters through REST, with the real llm_gateway behind them: strict, masked, and safe against each other."""

import asyncio
from typing import Any
from uuid import uuid4

import httpx2
import pytest

from tests.contract.access.world import World

KEY = "sk-ant-api03-" + "Zq7" * 14
OTHER = "sk-ant-api03-" + "Yk4" * 14
PATH = "/organization/parameters/code-review"


@pytest.fixture(autouse=True)
async def nothing_set(world: World) -> None:
    for key in ("code-review", "retention"):
        await world.rest.delete(f"/organization/parameters/{key}", headers=world.as_local)


async def put(world: World, value: Any, path: str = PATH, **more: Any) -> httpx2.Response:
    return await world.rest.post(path, json={"configValue": value, **more}, headers=world.as_local)


async def read(world: World, path: str = PATH) -> Any:
    return (await world.rest.get(path, headers=world.as_local)).json()


def byok(key: str = KEY, **more: Any) -> dict[str, Any]:
    return {"byokConfig": {"main": {"provider": "anthropic", "model": "claude-sonnet-4-5", "apiKey": key, **more}}}


def violations(answer: httpx2.Response) -> list[str]:
    assert answer.status_code == 400, answer.text
    return sorted(violation["field"] for violation in answer.json()["violations"])


async def test_what_is_written_is_read_back_with_masks_and_nothing_of_ours(world: World) -> None:
    answer = await put(world, {**byok(), "llmProvider": "auto"})
    assert (answer.status_code, answer.json()["key"]) == (201, "code-review")
    found = await read(world)
    assert found == answer.json()
    assert found["configValue"] == {**byok("sk-…Zq7"), "llmProvider": "auto"}
    listed = (await read(world, "/organization/parameters"))["parameters"]
    assert listed == [found]


async def test_sending_the_mask_back_keeps_the_key(world: World) -> None:
    await put(world, byok())
    before = await key_ids(world)
    value = (await read(world))["configValue"]
    value["byokConfig"]["main"]["temperature"] = 0.25
    assert (await put(world, value)).status_code == 201
    assert await key_ids(world) == before
    assert (await read(world))["configValue"] == byok("sk-…Zq7", temperature=0.25)
    assert (await put(world, byok(OTHER))).status_code == 201
    assert await key_ids(world) != before


async def key_ids(world: World) -> Any:
    """What orgs has stored of the key."""
    value = await world.db.fetchval(
        "SELECT config_value #>> '{byokConfig,main,apiKeyId}' FROM orgs.parameters WHERE organization_id = $1",
        world.own.organization_id,
    )
    assert value
    return value


async def test_the_key_is_nowhere_in_orgs_nor_in_what_it_answers(world: World) -> None:
    answers = [await put(world, byok()), await put(world, byok(mistake=1)), await put(world, byok(OTHER))]
    answers += [await world.rest.get(path, headers=world.as_local) for path in (PATH, "/audit-log?pageSize=200")]
    for answer in answers:
        assert KEY not in answer.text
        assert OTHER not in answer.text
    tables = await world.db.fetch("SELECT tablename FROM pg_tables WHERE schemaname = 'orgs'")
    for table in tables:
        rows = await world.db.fetch(f"SELECT t::text AS row FROM orgs.{table['tablename']} t")
        assert not [row for row in rows if "Zq7Zq7" in row["row"] or "Yk4Yk4" in row["row"]], table["tablename"]


async def test_the_log_shows_masks(world: World) -> None:
    await put(world, byok())
    await put(world, byok(OTHER))
    await world.rest.delete(PATH, headers=world.as_local)
    entries = (await read(world, "/audit-log?resourceKind=parameter&resourceId=code-review&pageSize=3"))["entries"]
    assert [entry["action"] for entry in entries] == ["parameter.delete", "parameter.update", "parameter.create"]
    (update,) = [c for c in entries[1]["changes"] if c["field"] == "byokConfig.main.apiKey"]
    assert (update["before"], update["after"]) == ("sk-…Zq7", "sk-…Yk4")


@pytest.mark.parametrize(
    ("value", "fields"),
    [
        ({"llmprovider": "auto"}, ["configValue.llmprovider"]),
        ({"a": 1, "b": {}}, ["configValue.a", "configValue.b"]),
        ({"byokConfig": {"main": {"modle": "x"}}}, None),
        (byok(temprature=1), ["configValue.byokConfig.main.temprature"]),
        (byok(baseURL="http://169.254.169.254/"), ["configValue.byokConfig.main.baseURL"]),
        ({"byokConfig": 7}, ["configValue.byokConfig"]),
        ({"llmProvider": {}}, ["configValue.llmProvider"]),
    ],
)
async def test_a_field_that_is_wrong_is_named_and_nothing_is_stored(world: World, value: Any, fields: Any) -> None:
    found = violations(await put(world, value))
    assert all(field.startswith("configValue.") for field in found)
    assert fields in (None, found)
    assert (await world.rest.get(PATH, headers=world.as_local)).status_code == 404


@pytest.mark.parametrize("days", [0, 3651, 1.5, "7", True, [], {}])
async def test_retention_is_a_number_of_days(world: World, days: Any) -> None:
    path = "/organization/parameters/retention"
    assert violations(await put(world, {"analyticsDays": days}, path)) == ["configValue.analyticsDays"]


async def test_a_key_that_is_none_is_not_set_and_not_found(world: World) -> None:
    path = "/organization/parameters/code_review"
    assert violations(await put(world, {}, path)) == ["key"]
    assert (await world.rest.get(path, headers=world.as_local)).status_code == 404
    assert (await world.rest.delete(path, headers=world.as_local)).status_code == 404
    assert violations(await world.rest.post(PATH, json={}, headers=world.as_local)) == ["configValue"]
    assert violations(await world.rest.post(PATH, json={"configValue": {}, "key": "x"}, headers=world.as_local)) == [
        "key"
    ]


async def test_an_etag_that_is_not_that_of_the_value_is_refused(world: World) -> None:
    path = "/organization/parameters/retention"
    first = (await put(world, {"analyticsDays": 1}, path)).json()
    again = (await put(world, {"analyticsDays": 1}, path)).json()
    assert again["etag"] == first["etag"]  # nothing changed
    second = (await put(world, {"analyticsDays": 2}, path, etag=first["etag"])).json()
    for answer in (
        await put(world, {"analyticsDays": 3}, path, etag=first["etag"]),
        await world.rest.delete(f"{path}?etag={first['etag']}", headers=world.as_local),
    ):
        assert (answer.status_code, answer.json()["reason"]) == (409, "ETAG_MISMATCH")
    assert (await read(world, path))["configValue"] == {"analyticsDays": 2}
    answer = await world.rest.delete(f"{path}?etag={second['etag']}", headers=world.as_local)
    assert answer.status_code == 204
    gone = await put(world, {"analyticsDays": 3}, path, etag=second["etag"])
    assert gone.status_code == 409  # what was read is not there any more


async def test_of_many_changes_on_one_etag_one_is_made(world: World) -> None:
    path = "/organization/parameters/retention"
    etag = (await put(world, {"analyticsDays": 1}, path)).json()["etag"]
    answers = await asyncio.gather(*(put(world, {"analyticsDays": 10 + n}, path, etag=etag) for n in range(6)))
    assert sorted(answer.status_code for answer in answers) == [201, 409, 409, 409, 409, 409]


async def test_deep_and_long_values_are_refused(world: World) -> None:
    deep: Any = {}
    for _ in range(40):
        deep = {"x": deep}
    assert violations(await put(world, deep)) == ["configValue"]
    assert violations(await put(world, {"llmProvider": "x" * 70_000})) == ["configValue"]
    assert violations(await put(world, {"llmProvider": f"{uuid4()}\0"}))


async def test_no_other_organisation_sees_or_changes_it(world: World) -> None:
    await put(world, byok())
    theirs = {"Authorization": f"Bearer {await world.key(world.foreign, 'owner')}"}
    assert (await world.rest.get(PATH, headers=theirs)).status_code == 404
    assert (await world.rest.delete(PATH, headers=theirs)).status_code == 404
    mask = (await read(world))["configValue"]
    # A mask of somebody else's key is no key.
    assert violations(await world.rest.post(PATH, json={"configValue": mask}, headers=theirs))
