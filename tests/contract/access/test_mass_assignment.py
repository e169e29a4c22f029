"""What a body may not say is refused by its name: nobody gives themselves a role, an organisation, an id or a time."""

from typing import Any

import pytest

from tests.contract.access.test_table import EXPECTED
from tests.contract.access.transports import RULES
from tests.contract.access.world import World

FORBIDDEN = ("organizationId", "organization_id", "role", "id", "userId", "createTime", "isAdmin", "__proto__")
BODIES = sorted(name for name, rule in RULES.items() if rule.body == "*")


@pytest.mark.parametrize("name", BODIES)
async def test_fields_that_are_not_the_caller_s_to_set_are_refused_by_name(world: World, name: str) -> None:
    rule, row = RULES[name], EXPECTED[name]
    known = {field.json_name for field in rule.request.fields}
    in_path = {field.json_name for field in rule.variables}
    added: dict[str, Any] = {field: "x" for field in FORBIDDEN if field not in known or field in in_path}
    assert len(added) > 4
    # Things that nobody has made: the request must not get that far.
    template = {k: v for k, v in row.get("request", {}).items() if k not in in_path}
    body = await world.request(template, world.own, "owner") | added
    path = "/" + "/".join("018f0000-0000-7000-8000-000000000001" if s.is_variable else s.text for s in rule.segments)
    answer = await world.rest.request(rule.verb, path, json=body, headers=world.as_local)
    assert answer.status_code == 400, answer.text
    assert {v["field"] for v in answer.json()["violations"]} == added.keys()


async def test_a_contributor_makes_nobody_an_owner(world: World) -> None:
    me, key = world.own.users["contributor"], await world.key(world.own, "contributor")
    for change in ({"role": "owner"}, {"state": "active"}, {"name": "x", "role": "contributor"}):
        answer = await world.rest.patch(f"/user/{me}", json=change, headers={"Authorization": f"Bearer {key}"})
        assert (answer.status_code, answer.json()["reason"]) == (403, "PERMISSION_DENIED"), change
    answer = await world.rest.patch(f"/user/{me}", json={"name": "Connie"}, headers={"Authorization": f"Bearer {key}"})
    assert (answer.json()["name"], answer.json()["role"]) == ("Connie", "contributor")
