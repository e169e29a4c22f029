"""Invitations: for one e-mail and one role, once, until they expire."""

import asyncio
from datetime import timedelta
from uuid import uuid4

from services.kit.errors import Reason
from services.orgs.domain import Role, digest
from services.orgs.invitations import LIFETIME
from tests.integration.orgs.conftest import Orgs
from tests.integration.orgs.test_members import reason


async def test_whoever_holds_the_token_becomes_what_the_invitation_says(orgs: Orgs) -> None:
    organization, _ = await orgs.owner()
    made = await orgs.invitations.invite(organization, "New@Example.com", Role.REPO_ADMIN, ["github:2", "github:1"])
    found = await orgs.invitations.find(digest(made.token))
    assert (found.email, found.role, found.organization_id) == ("New@Example.com", Role.REPO_ADMIN, organization)
    user = uuid4()
    member = await orgs.invitations.accept(digest(made.token), user, "N")
    assert (member.email, member.role, member.name) == ("New@Example.com", Role.REPO_ADMIN, "N")
    assert (await orgs.members.resolve(user)).repository_ids == ["github:1", "github:2"]
    assert await orgs.invitations.accept(digest(made.token), user, "N") == member  # an answer that was lost
    assert await reason(orgs.invitations.accept(digest(made.token), uuid4(), "")) is Reason.INVITATION_INVALID
    assert await reason(orgs.invitations.find(digest(made.token))) is Reason.INVITATION_INVALID


async def test_a_token_is_used_once_however_many_hold_it(orgs: Orgs) -> None:
    organization, _ = await orgs.owner()
    token = digest((await orgs.invitations.invite(organization, "b@example.com", Role.CONTRIBUTOR)).token)
    got = await asyncio.gather(*(reason(orgs.invitations.accept(token, uuid4(), "")) for _ in range(6)))
    assert sorted(map(str, got)) == [*["INVITATION_INVALID"] * 5, "None"]


async def test_an_invitation_ends(orgs: Orgs) -> None:
    organization, _ = await orgs.owner()
    made = await orgs.invitations.invite(organization, "b@example.com", Role.CONTRIBUTOR)
    orgs.now += LIFETIME - timedelta(seconds=1)
    await orgs.invitations.find(digest(made.token))
    orgs.now += timedelta(seconds=1)
    assert await reason(orgs.invitations.find(digest(made.token))) is Reason.INVITATION_INVALID
    assert await reason(orgs.invitations.accept(digest(made.token), uuid4(), "")) is Reason.INVITATION_INVALID


async def test_a_newer_invitation_takes_the_place_of_an_older_one(orgs: Orgs) -> None:
    organization, _ = await orgs.owner()
    first = await orgs.invitations.invite(organization, "b@example.com", Role.OWNER)
    second = await orgs.invitations.invite(organization, "B@EXAMPLE.com", Role.CONTRIBUTOR)
    assert await reason(orgs.invitations.find(digest(first.token))) is Reason.INVITATION_INVALID
    listed, _ = await orgs.invitations.page(organization, 0, "")
    assert [invitation.id for invitation in listed] == [second.invitation.id]


async def test_a_withdrawn_one_is_worth_nothing(orgs: Orgs) -> None:
    organization, _ = await orgs.owner()
    made = await orgs.invitations.invite(organization, "b@example.com", Role.CONTRIBUTOR)
    await orgs.invitations.withdraw(organization, made.invitation.id)
    assert await reason(orgs.invitations.accept(digest(made.token), uuid4(), "")) is Reason.INVITATION_INVALID
    assert await reason(orgs.invitations.withdraw(organization, made.invitation.id)) is Reason.NOT_FOUND


async def test_members_are_not_invited_and_an_accepted_one_is_not_withdrawn(orgs: Orgs) -> None:
    organization, _ = await orgs.owner()
    assert await reason(orgs.invitations.invite(organization, "OWNER@example.com", Role.OWNER)) is Reason.EMAIL_TAKEN
    made = await orgs.invitations.invite(organization, "b@example.com", Role.CONTRIBUTOR)
    await orgs.invitations.accept(digest(made.token), uuid4(), "")
    assert await reason(orgs.invitations.withdraw(organization, made.invitation.id)) is Reason.NOT_FOUND


async def test_somebody_who_is_a_member_elsewhere_can_not_accept(orgs: Orgs) -> None:
    organization, _ = await orgs.owner()
    await orgs.organizations.create_with_owner(uuid4(), "b@example.com", "", "B", is_open=True)
    made = await orgs.invitations.invite(organization, "b@example.com", Role.CONTRIBUTOR)
    assert await reason(orgs.invitations.accept(digest(made.token), uuid4(), "")) is Reason.EMAIL_TAKEN


async def test_the_token_is_stored_nowhere(orgs: Orgs) -> None:
    organization, _ = await orgs.owner()
    made = await orgs.invitations.invite(organization, "b@example.com", Role.CONTRIBUTOR)
    async with orgs.database.tenant(organization) as connection:
        for table in ("invitations", "audit_log"):
            rows = await connection.fetch(f"SELECT * FROM orgs.{table}")
            assert made.token not in str([dict(row) for row in rows])
            assert bytes.fromhex(made.token) not in [value for row in rows for value in row.values()]
