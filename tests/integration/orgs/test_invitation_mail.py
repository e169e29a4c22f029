"""An invitation goes by mail where a mail server takes it; otherwise its token is for the owner to pass on."""

import asyncio
from collections.abc import AsyncIterator
from email import message_from_bytes, policy
from email.message import EmailMessage
from typing import Any

import pytest
from aiosmtpd.smtp import SMTP
from lintel.orgs.v1 import user_service_pb2 as pb

from services.kit.mail import Mailer, check_smtp_url
from services.orgs.domain import digest
from services.orgs.invitation_mail import InvitationMail
from services.orgs.servers.users import UserServer
from tests.integration.orgs.conftest import Orgs


class Inbox:
    """What a mail server took, and whether it takes any more."""

    def __init__(self) -> None:
        self.messages: list[EmailMessage] = []
        self.is_full = False
        self.url = ""

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:
        if self.is_full:
            return "452 no room"
        parsed = message_from_bytes(envelope.content, policy=policy.default)
        assert isinstance(parsed, EmailMessage)
        self.messages.append(parsed)
        return "250 OK"


@pytest.fixture
async def inbox() -> AsyncIterator[Inbox]:
    made = Inbox()
    server = await asyncio.get_running_loop().create_server(lambda: SMTP(made), "127.0.0.1", 0)
    async with server:
        made.url = f"smtp://127.0.0.1:{server.sockets[0].getsockname()[1]}?from=lintel@example.com"
        yield made


def served(orgs: Orgs, inbox: Inbox | None) -> UserServer:
    mailer = Mailer(check_smtp_url(inbox.url)) if inbox else None
    mail = InvitationMail(mailer, "https://lintel.example.com/")
    return UserServer(orgs.members, orgs.invitations, orgs.organizations, mail)


async def test_the_mail_holds_what_is_needed_to_accept_and_the_answer_does_not(orgs: Orgs, inbox: Inbox) -> None:
    organization, _ = await orgs.owner()
    request = pb.InviteUserRequest(email="new@example.com")
    answer = await served(orgs, inbox).InviteUser(request, None)  # type: ignore[arg-type]
    assert (answer.mailed, answer.token) == (True, "")
    (message,) = inbox.messages
    assert (message["To"], message["From"]) == ("new@example.com", "lintel@example.com")
    text = message.get_content()
    assert "https://lintel.example.com/user/invite/accept" in text
    assert "Default" in text
    token = text.partition('"token": "')[2].partition('"')[0]
    assert (await orgs.invitations.find(digest(token))).organization_id == organization


async def test_where_the_mail_is_not_taken_the_owner_gets_the_token(orgs: Orgs, inbox: Inbox) -> None:
    await orgs.owner()
    inbox.is_full = True
    for server in (served(orgs, inbox), served(orgs, None)):
        answer = await server.InviteUser(pb.InviteUserRequest(email="new@example.com"), None)  # type: ignore[arg-type]
        assert not answer.mailed
        assert (await orgs.invitations.find(digest(answer.token))).email == "new@example.com"
    assert inbox.messages == []
