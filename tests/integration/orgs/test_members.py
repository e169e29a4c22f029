"""Members: the first registration, the last owner, coming and going."""

import asyncio
from uuid import uuid4

import pytest

from services.kit.errors import AppError, Reason
from services.orgs.domain import MemberState, Role
from tests.integration.orgs.conftest import Orgs


async def register(orgs: Orgs, email: str, *, is_open: bool = False) -> object:
    """Answer the organisation a new user got, or the reason they got none."""
    try:
        return await orgs.organizations.create_with_owner(uuid4(), email, "", "", is_open=is_open)
    except AppError as error:
        return error.reason


async def reason(call: object) -> Reason | None:
    try:
        await call  # type: ignore[misc]
    except AppError as error:
        return error.reason
    return None


async def test_of_many_first_users_one_owns_the_default_organisation(orgs: Orgs) -> None:
    default = await orgs.organizations.ensure_default()
    got = await asyncio.gather(*(register(orgs, f"user{n}@example.com") for n in range(6)))
    assert sorted(map(str, got)) == sorted([str(default.id), *["REGISTRATION_CLOSED"] * 5])


async def test_where_registration_is_open_later_users_get_organisations_of_their_own(orgs: Orgs) -> None:
    default = await orgs.organizations.ensure_default()
    first = await register(orgs, "a@example.com", is_open=True)
    second = await register(orgs, "b@example.com", is_open=True)
    assert first == default.id
    assert second not in (default.id, Reason.REGISTRATION_CLOSED)
    assert await register(orgs, "B@Example.COM", is_open=True) is Reason.EMAIL_TAKEN


async def test_registering_again_with_the_same_id_changes_nothing(orgs: Orgs) -> None:
    organization, user = await orgs.owner()
    again = await orgs.organizations.create_with_owner(user, "other@example.com", "", "Other", is_open=False)
    assert again == organization
    assert (await orgs.members.get(organization, user)).email == "owner@example.com"
    assert (await orgs.organizations.get(organization)).name == "Default"


async def test_the_first_user_names_the_default_organisation(orgs: Orgs) -> None:
    made = await orgs.organizations.create_with_owner(uuid4(), "a@example.com", "A", "Acme", is_open=False)
    found = await orgs.organizations.get(made)
    assert (found.name, found.is_default) == ("Acme", True)
    assert [action for _, action, _ in await orgs.log(made)] == ["member.create", "organization.update"]


@pytest.mark.parametrize(
    "change",
    [{"role": Role.CONTRIBUTOR}, {"state": MemberState.DISABLED}, {"role": Role.BILLING_MANAGER, "name": "x"}],
)
async def test_the_last_owner_stays(orgs: Orgs, change: dict[str, Role | MemberState]) -> None:
    organization, owner = await orgs.owner()
    assert await reason(orgs.members.update(organization, owner, **change)) is Reason.LAST_OWNER  # type: ignore[arg-type]
    assert await reason(orgs.members.remove(organization, owner)) is Reason.LAST_OWNER
    other = await orgs.members.join_by_sso(organization, uuid4(), "b@example.com", "B", Role.OWNER)
    await orgs.members.update(organization, other.user_id, state=MemberState.DISABLED)
    # A disabled owner is none that could let anybody in.
    assert await reason(orgs.members.remove(organization, owner)) is Reason.LAST_OWNER
    await orgs.members.update(organization, other.user_id, state=MemberState.ACTIVE)
    await orgs.members.remove(organization, owner)
    assert await reason(orgs.members.remove(organization, other.user_id)) is Reason.LAST_OWNER


async def test_two_owners_who_remove_each_other_at_once_leave_one(orgs: Orgs) -> None:
    organization, first = await orgs.owner()
    second = (await orgs.members.join_by_sso(organization, uuid4(), "b@example.com", "B", Role.OWNER)).user_id
    got = await asyncio.gather(
        reason(orgs.members.remove(organization, first)),
        reason(orgs.members.update(organization, second, role=Role.CONTRIBUTOR)),
    )
    assert sorted(map(str, got)) == ["LAST_OWNER", "None"]


async def test_single_sign_on_brings_members_up_to_date_but_demotes_no_last_owner(orgs: Orgs) -> None:
    organization, owner = await orgs.owner()
    user, join = uuid4(), orgs.members.join_by_sso
    made = await join(organization, user, "b@example.com", "B", None)
    assert made.role is Role.CONTRIBUTOR
    assert (await join(organization, user, "b@example.com", "", Role.REPO_ADMIN)).role is Role.REPO_ADMIN
    assert (await join(organization, user, "b@example.com", "", None)).name == "B"
    assert (await join(organization, owner, "o@example.com", "", Role.CONTRIBUTOR)).role is Role.OWNER
    await orgs.members.update(organization, user, state=MemberState.DISABLED)
    again = await join(organization, user, "b@example.com", "", Role.OWNER)
    assert again.state is MemberState.DISABLED
    assert await reason(join(organization, uuid4(), "B@example.com", "", None)) is Reason.EMAIL_TAKEN


async def test_a_disabled_member_signs_in_anew(orgs: Orgs) -> None:
    organization, _ = await orgs.owner()
    user = (await orgs.members.join_by_sso(organization, uuid4(), "b@example.com", "B", None)).user_id
    orgs.auth.is_down = True
    # Auth does not answer: the member is disabled all the same, and can't be let in before the sessions have ended.
    await orgs.members.update(organization, user, state=MemberState.DISABLED)
    assert (await orgs.members.resolve(user)).member.state is MemberState.DISABLED
    assert await reason(orgs.members.update(organization, user, state=MemberState.ACTIVE)) is Reason.UNAVAILABLE
    orgs.auth.is_down = False
    await orgs.members.update(organization, user, state=MemberState.ACTIVE)
    assert orgs.auth.asked == [("end_sessions", user)]


async def test_a_removed_member_is_gone_and_the_email_is_free(orgs: Orgs) -> None:
    organization, owner = await orgs.owner()
    user = (await orgs.members.join_by_sso(organization, uuid4(), "b@example.com", "B", None)).user_id
    orgs.auth.is_down = True
    assert await reason(orgs.members.remove(organization, user)) is Reason.UNAVAILABLE
    assert await reason(orgs.members.resolve(user)) is Reason.NOT_FOUND
    orgs.auth.is_down = False
    await orgs.members.remove(organization, user)  # said again, it is finished
    assert orgs.auth.asked == [("delete", user)]
    assert await reason(orgs.members.remove(organization, user)) is Reason.NOT_FOUND
    assert await reason(orgs.members.update(organization, user, name="x")) is Reason.NOT_FOUND
    assert [m.user_id for m in (await orgs.members.page(organization, 0, ""))[0]] == [owner]
    again = await orgs.members.join_by_sso(organization, uuid4(), "b@example.com", "B", None)
    assert again.state is MemberState.ACTIVE


async def test_members_of_another_organisation_are_not_found(orgs: Orgs) -> None:
    _, owner = await orgs.owner()
    other = await orgs.organizations.create_with_owner(uuid4(), "b@example.com", "", "B", is_open=True)
    assert await reason(orgs.members.get(other, owner)) is Reason.NOT_FOUND
    assert await reason(orgs.members.update(other, owner, role=Role.CONTRIBUTOR)) is Reason.NOT_FOUND
    assert await reason(orgs.members.remove(other, owner)) is Reason.NOT_FOUND
    assert await reason(orgs.members.resolve(uuid4())) is Reason.NOT_FOUND


async def test_pages_show_every_member_once(orgs: Orgs) -> None:
    organization, _ = await orgs.owner()
    for number in range(4):
        await orgs.members.join_by_sso(organization, uuid4(), f"m{number}@example.com", "", None)
    seen, token = [], ""
    while True:
        page, token = await orgs.members.page(organization, 2, token)
        seen += [member.email for member in page]
        if not token:
            break
    assert seen == ["owner@example.com", *(f"m{n}@example.com" for n in range(4))]


async def test_each_change_stands_in_the_log_once(orgs: Orgs) -> None:
    organization, owner = await orgs.owner()
    user = (await orgs.members.join_by_sso(organization, uuid4(), "b@example.com", "B", None)).user_id
    await orgs.members.update(organization, user, role=Role.REPO_ADMIN)
    await orgs.members.update(organization, user, role=Role.REPO_ADMIN)  # changes nothing
    await orgs.members.remove(organization, user)
    assert await orgs.log(organization) == [
        (str(owner), "member.create", str(owner)),
        (str(user), "member.create", str(user)),
        (str(owner), "member.update", str(user)),
        (str(owner), "member.delete", str(user)),
    ]
