"""`lintel seed`: safe to run again, and an owner only when asked."""

from uuid import uuid4

from tests.contract.access.test_audit_command import run
from tests.contract.access.world import World


async def test_defaults_are_set_once_and_what_is_there_stays(world: World) -> None:
    path = "/organization/parameters/retention"
    await world.rest.delete(path, headers=world.as_local)
    assert (await run(world, command="seed")).exit_code == 0
    assert (await world.rest.get(path, headers=world.as_local)).json()["configValue"] == {"analyticsDays": 400}
    await world.rest.post(path, json={"configValue": {"analyticsDays": 7}}, headers=world.as_local)
    result = await run(world, command="seed")
    assert (result.exit_code, result.stdout) == (0, "")
    assert (await world.rest.get(path, headers=world.as_local)).json()["configValue"] == {"analyticsDays": 7}


async def test_where_there_are_users_an_owner_is_invited(world: World) -> None:
    email = f"{uuid4()}@example.com"
    result = await run(world, "--owner", email, command="seed")
    assert result.exit_code == 0, result.stderr
    body = {"token": result.stdout.strip(), "name": "Oona", "password": "a long password"}
    assert (await world.rest.post("/user/invite/accept", json=body)).is_success
    result = await run(world, "--owner", email.upper(), command="seed")
    assert (result.exit_code, result.stdout) == (0, "")
    assert "is an owner already" in result.stderr
    contributor = await world.db.fetchval(
        "SELECT email FROM orgs.members WHERE user_id = $1", world.own.users["contributor"]
    )
    result = await run(world, "--owner", contributor, command="seed")
    assert (result.exit_code, "no owner" in result.stderr) == (1, True)
