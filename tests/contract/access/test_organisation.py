"""The organisation through REST: what is written is read back, and what is wrong is told by its name."""

from typing import Any
from uuid import uuid4

import httpx2
import pytest

from tests.contract.access.world import World


@pytest.fixture
def call(world: World) -> Any:
    """Send a request as the installation's own key and answer status and JSON."""

    async def send(verb: str, path: str, body: Any = None, **headers: str) -> tuple[int, Any]:
        answer: httpx2.Response = await world.rest.request(
            verb, path, json=body, headers={**world.as_local, **{k.replace("_", "-"): v for k, v in headers.items()}}
        )
        return answer.status_code, answer.json() if answer.content else None

    return send


def fields(problem: Any) -> set[str]:
    return {violation["field"] for violation in problem["violations"]}


async def test_an_organisation_is_renamed(call: Any) -> None:
    assert (await call("PATCH", "/organization", {"name": "  Acme  "}))[0] == 200
    status, found = await call("GET", "/organization")
    assert (status, found["name"]) == (200, "Acme")
    assert (await call("PATCH", "/organization", {}))[1]["name"] == "Acme"
    for name in ("", "   ", "a\x07b", "x" * 201):
        status, problem = await call("PATCH", "/organization", {"name": name})
        assert (status, fields(problem)) == (400, {"name"}), name


async def test_the_life_of_a_team(call: Any, world: World) -> None:
    name = f"Team {uuid4()}"
    status, team = await call("POST", "/organization/teams", {"name": name})
    assert status == 201
    path = f"/organization/teams/{team['id']}"
    assert (await call("POST", "/organization/teams", {"name": name.upper()}))[1]["reason"] == "NAME_TAKEN"
    assert (await call("PATCH", path, {"name": f"{name} 2"}))[1]["name"] == f"{name} 2"
    user = str(await world.user(world.own))
    status, member = await call("POST", f"{path}/members", {"userId": user})
    assert (status, member["userId"]) == (201, user)
    assert (await call("POST", f"{path}/members", {"userId": user}))[0] == 201  # they are in it
    assert [m["userId"] for m in (await call("GET", f"{path}/members"))[1]["members"]] == [user]
    stranger = str(await world.user(world.foreign))
    assert (await call("POST", f"{path}/members", {"userId": stranger}))[0] == 404
    assert (await call("DELETE", f"{path}/members/{user}"))[0] == 204
    assert (await call("DELETE", f"{path}/members/{user}"))[0] == 404
    assert (await call("DELETE", path))[0] == 204
    assert (await call("GET", path))[0] == 404


async def test_an_invitation_is_made_once_for_one_key(call: Any) -> None:
    body, key = {"email": f"{uuid4()}@example.com", "role": "repo_admin", "repositoryIds": ["github:7"]}, str(uuid4())
    status, made = await call("POST", "/user/invite", body, Idempotency_Key=key)
    assert (status, len(made["token"]), made["invitation"]["role"]) == (201, 64, "repo_admin")
    status, again = await call("POST", "/user/invite", body, Idempotency_Key=key)
    assert (status, again["invitation"], again["token"]) == (201, made["invitation"], "")
    listed = (await call("GET", "/user/invite?pageSize=200"))[1]["invitations"]
    assert [i for i in listed if i["email"] == body["email"]] == [made["invitation"]]
    assert (await call("DELETE", f"/user/invite/{made['invitation']['id']}"))[0] == 204


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "email"),
        ({"email": "nobody"}, "email"),
        ({"email": "a@b.example", "role": "admin"}, "role"),
        ({"email": "a@b.example", "repositoryIds": [""]}, "repositoryIds[0]"),
        ({"email": "a@b.example", "repositoryIds": "github:1"}, "repositoryIds"),
    ],
)
async def test_a_wrong_invitation_is_told_by_its_field(call: Any, body: Any, field: str) -> None:
    status, problem = await call("POST", "/user/invite", body)
    assert (status, fields(problem)) == (400, {field})


async def test_an_owner_changes_what_a_user_may_do(call: Any, world: World) -> None:
    path = f"/user/{await world.user(world.own)}"
    status, user = await call("PATCH", path, {"role": "repo_admin", "state": "disabled", "name": "Rita"})
    assert (status, user["role"], user["state"], user["name"]) == (200, "repo_admin", "disabled", "Rita")
    for body, field in (({"role": None}, None), ({"role": "unspecified"}, "role"), ({"state": "removed"}, "state")):
        status, problem = await call("PATCH", path, body)
        assert (status, field) == (200, None) or (status, fields(problem)) == (400, {field}), body
    listed = (await call("GET", "/user?pageSize=200"))[1]["users"]
    assert [u for u in listed if f"/user/{u['id']}" == path] == [user]


async def test_repositories_are_assigned_and_taken_away(call: Any, world: World) -> None:
    user = str(await world.user(world.own))
    body = {"userId": user, "repositoryIds": ["github:2", "github:1", "github:2"]}
    status, assigned = await call("POST", "/permissions/assign-repos", body)
    assert (status, assigned) == (200, {"userId": user, "repositoryIds": ["github:1", "github:2"]})
    assert (await call("GET", f"/permissions/assigned-repos?userId={user}"))[1] == assigned
    assert (await call("POST", "/permissions/assign-repos", {"userId": user}))[1]["repositoryIds"] == []
    log = (await call("GET", f"/audit-log?resourceId={user}&action=member.assign"))[1]["entries"]
    assert [[(c["before"], c["after"]) for c in e["changes"]] for e in log] == [
        [("github:1", None), ("github:2", None)],
        [(None, "github:1"), (None, "github:2")],
    ]
    status, problem = await call("GET", "/permissions/assigned-repos?userId=me")
    assert (status, fields(problem)) == (400, {"userId"})


async def test_permissions_are_those_of_the_role(call: Any, world: World) -> None:
    status, found = await call("GET", "/permissions")
    assert (status, found["role"]) == (200, "owner")
    assert {p["resource"]: p["actions"] for p in found["permissions"]}["reviews"] == ["manage"]
    key = await world.key(world.own, "repo_admin")
    for action, resource, allowed in (("delete", "rules", True), ("delete", "repository_settings", False)):
        answer = await world.rest.get(
            f"/permissions/can-access?action={action}&resource={resource}", headers={"Authorization": f"Bearer {key}"}
        )
        assert answer.json() == {"allowed": allowed}
    status, problem = await call("GET", "/permissions/can-access?action=fly&resource=")
    assert (status, fields(problem)) == (400, {"action", "resource"})


async def test_the_installation_s_own_key_is_an_owner_and_nobody(call: Any) -> None:
    status, me = await call("GET", "/user/info")
    assert (status, me["id"], me["role"]) == (200, "", "owner")
    assert (await call("GET", "/permissions/assigned-repos"))[1] == {"userId": "", "repositoryIds": []}


async def test_events_are_counted(call: Any) -> None:
    name = f"opened {uuid4()}"
    for _ in range(3):
        body = {"event": name, "properties": {"page": 1, "deep": {"x": []}}}
        status, made = await call("POST", "/segment/track", body)
        assert (status, len(made["id"])) == (201, 36)
    assert {"group": name, "count": 3, "users": 0} in (await call("GET", "/segment/metrics"))[1]["metrics"]
    days = (await call("GET", "/segment/metrics?groupBy=day&from=2026-01-01&to=2999-01-01"))[1]["metrics"]
    assert sum(day["count"] for day in days) >= 3
    assert (await call("GET", "/segment/metrics?to=2020-01-01"))[1]["metrics"] == []
    for query in ("from=yesterday", "groupBy=year", "from=2026-02-01&to=2026-01-01"):
        status, problem = await call("GET", f"/segment/metrics?{query}")
        assert (status, fields(problem)) == (400, {query.partition("=")[0]}), query
    status, problem = await call("POST", "/segment/track", {"event": "x", "properties": {"x": "y" * 40_000}})
    assert (status, fields(problem)) == (400, {"properties"})


async def test_the_audit_log_pages_and_is_whole(call: Any) -> None:
    for number in range(3):
        await call("PATCH", "/organization", {"name": f"Name {number} {uuid4()}"})
    first = (await call("GET", "/audit-log?pageSize=2&resourceKind=organization"))[1]
    query = f"/audit-log?pageSize=2&resourceKind=organization&pageToken={first['nextPageToken']}"
    second = (await call("GET", query))[1]
    numbers = [entry["sequence"] for entry in (*first["entries"], *second["entries"])]
    assert numbers == sorted(numbers, reverse=True)
    assert len(set(numbers)) == 4 or len(second["entries"]) < 2
    status, _ = await call("GET", f"/audit-log?pageSize=2&pageToken={first['nextPageToken']}")
    assert status == 400  # of another query
    status, verdict = await call("GET", "/audit-log/verify")
    assert (status, verdict["ok"], verdict["brokenSequence"]) == (200, True, 0)
    assert verdict["entries"] >= 3
