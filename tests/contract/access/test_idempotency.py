"""`Idempotency-Key` through REST, for every POST that may bring one: nothing twice, one answer, one body to a key."""

from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

import httpx2
import pytest

from tests.contract.access.test_table import EXPECTED
from tests.contract.access.transports import RULES
from tests.contract.access.world import World

POSTS = sorted(n for n, r in RULES.items() if r.verb == "POST" and not r.path.startswith("/auth/") and not r.is_open)
# What makes something each time it is asked: how many there are now.
COUNTED = {
    "orgs.v1.OrganizationService/CreateTeam": "SELECT count(*) FROM orgs.teams",
    "orgs.v1.UserService/InviteUser": "SELECT count(*) FROM orgs.invitations",
    "orgs.v1.AnalyticsService/TrackEvent": "SELECT count(*) FROM orgs.events",
    "review.v1.LocalReviewService/CreateLocalReview": "SELECT count(*) FROM review.runs",
}
# What is the same when it is done twice; it is done again, so that what it answers is what holds now.
REPEATABLE = {
    "orgs.v1.OrganizationService/AddTeamMember",
    "orgs.v1.ParameterService/SetParameter",
    "orgs.v1.PermissionService/AssignRepositories",
    "webhooks.v1.DeliveryService/RedeliverDelivery",
}
# What can be done once only: without a key, the second time is refused.
ONCE = {"review.v1.CodeReviewService/CancelReview", "webhooks.v1.DeliveryService/ReplayDeadLetter"}
MAKES_NOTHING = {"llm.v1.ModelService/TestModel"}  # asks a model, and says how it went this time
SHOWN_ONCE = {"orgs.v1.UserService/InviteUser": {"token": ""}}  # never kept, so never shown again
OTHER: Mapping[str, Any] = {
    "orgs.v1.OrganizationService/CreateTeam": {"name": "Another"},
    "orgs.v1.OrganizationService/AddTeamMember": {"userId": "018f0000-0000-7000-8000-000000000001"},
    "orgs.v1.UserService/InviteUser": {"email": "another@ours.example"},
    "orgs.v1.AnalyticsService/TrackEvent": {"event": "another"},
    "orgs.v1.ParameterService/SetParameter": {"configValue": {"analyticsDays": 31}},
    "orgs.v1.PermissionService/AssignRepositories": {"repositoryIds": []},
    "review.v1.LocalReviewService/CreateLocalReview": {"options": {"repository": "another"}},
}


def test_every_post_is_in_one_of_the_lists() -> None:
    assert sorted([*COUNTED, *REPEATABLE, *ONCE, *MAKES_NOTHING]) == POSTS


async def send(world: World, name: str, request: Mapping[str, Any], key: str) -> httpx2.Response:
    rule, rest = RULES[name], dict(request)
    parts = (quote(str(rest.pop(rule.json_name(s))), safe="") if s.is_variable else s.text for s in rule.segments)
    headers = {"Idempotency-Key": key, **world.as_local}
    return await world.rest.request(rule.verb, "/" + "/".join(parts), json=rest, headers=headers)


@pytest.mark.parametrize("name", sorted(COUNTED))
async def test_what_makes_something_makes_it_once(world: World, name: str) -> None:
    request = await world.request(EXPECTED[name].get("request", {}), world.own, "owner")
    before = await world.db.fetchval(COUNTED[name])
    first, second = [await send(world, name, request, f"once {name}".replace(" ", "-")) for _ in range(2)]
    assert first.status_code == second.status_code == RULES[name].success_status, first.text
    assert second.json() == first.json() | SHOWN_ONCE.get(name, {})
    assert second.headers.get("location") == first.headers.get("location")
    assert await world.db.fetchval(COUNTED[name]) == before + 1


@pytest.mark.parametrize("name", sorted(REPEATABLE))
async def test_what_is_repeatable_may_be_repeated(world: World, name: str) -> None:
    request = await world.request(EXPECTED[name].get("request", {}), world.own, "owner")
    first, second = [await send(world, name, request, "again-" + name.rpartition("/")[2]) for _ in range(2)]
    assert first.status_code == RULES[name].success_status, first.text
    assert second.status_code == first.status_code
    assert stable(second.json()) == stable(first.json())


@pytest.mark.parametrize("name", sorted(ONCE))
async def test_what_can_be_done_once_is_answered_again(world: World, name: str) -> None:
    request = await world.request(EXPECTED[name]["request"], world.own, "owner")
    first, second = [await send(world, name, request, "once-" + name.rpartition("/")[2]) for _ in range(2)]
    assert first.status_code == second.status_code == RULES[name].success_status, (first.text, second.text)
    assert id_in(second) == id_in(first) == request["id"]
    refused = await send(world, name, request, "another")
    assert (refused.status_code, refused.json()["reason"]) == (400, "WRONG_STATE")


def id_in(answer: httpx2.Response) -> str:
    return str((answer.json().get("review") or answer.json())["id"])


@pytest.mark.parametrize("name", sorted(OTHER))
async def test_a_key_belongs_to_one_body(world: World, name: str) -> None:
    request = await world.request(EXPECTED[name].get("request", {}), world.own, "owner")
    key = "one-body-" + name.rpartition("/")[2]
    assert (await send(world, name, request, key)).is_success
    refused = await send(world, name, {**request, **OTHER[name]}, key)
    assert (refused.status_code, refused.json()["reason"]) == (409, "IDEMPOTENCY_KEY_REUSED")
    assert (await send(world, name, request, key)).is_success


def stable(answer: dict[str, Any]) -> dict[str, Any]:
    """Answer what of an answer is not about this very moment."""
    return {name: value for name, value in answer.items() if not name.endswith("Time") and name != "etag"}
