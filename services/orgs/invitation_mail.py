"""Tells people by mail that they are invited."""

import asyncio

from services.kit.mail import Mailer
from services.orgs.domain import Invitation

SECONDS = 7.0  # below the ten of the call that waits for it
_SUBJECT = "You are invited to Lintel"
_TEXT = """\
You are invited to review code with {organization} at {url}, as {role}.

Accept within {days} days; with the token below, a name and a password of your own (8 characters or more):

    curl {url}/user/invite/accept -H 'Content-Type: application/json' \\
      -d '{{"token": "{token}", "name": "YOUR NAME", "password": "YOUR PASSWORD"}}'

Whoever has the token can accept in your place, so keep this mail to yourself. If you expected no invitation, ignore it.
"""


class InvitationMail:
    """Sends invitations where a mail server is configured, and to whoever asks does nothing where none is."""

    def __init__(self, mailer: Mailer | None, public_url: str) -> None:
        self._mailer = mailer
        self._url = public_url.rstrip("/")

    async def send(self, invitation: Invitation, organization: str, token: str) -> bool:
        """Mail an invitation; False if it was not handed in, and the token has to be passed on by hand."""
        if self._mailer is None:
            return False
        text = _TEXT.format(
            organization=organization,
            url=self._url,
            role=invitation.role.value.replace("_", " "),
            days=(invitation.expire_time - invitation.create_time).days,
            token=token,
        )
        try:
            return await asyncio.wait_for(self._mailer.send(invitation.email, _SUBJECT, text), SECONDS)
        except TimeoutError:
            return False
