"""Sends mail by SMTP (RFC 5321), as LINTEL_SMTP_URL says."""

import asyncio
import smtplib
import ssl
from collections.abc import Callable
from dataclasses import dataclass
from email.message import EmailMessage
from email.utils import formatdate, make_msgid
from ipaddress import ip_address
from typing import Literal
from urllib.parse import parse_qs, unquote, urlsplit

from services.kit.telemetry import log

SECONDS = 15.0  # for each step of the conversation with the mail server
_PORTS = {"smtp": 25, "starttls": 587, "smtps": 465}
_FORM = "[smtp|starttls|smtps]://[USER:PASSWORD@]HOST[:PORT][?from=ADDRESS]"
_logger = log.get("mail")


@dataclass(frozen=True, slots=True)
class SmtpServer:
    """Where mail is handed in. `starttls` refuses to go on without encryption, `smtp` never asks for it."""

    security: Literal["smtp", "starttls", "smtps"]
    host: str
    port: int
    user: str
    password: str
    sender: str


def check_smtp_url(url: str) -> SmtpServer:
    """Answer what a URL means. Raises ValueError that says what is wrong and does not show the URL's password."""
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError:
        raise ValueError(f"must have the form {_FORM}") from None
    if parts.scheme not in _PORTS or not host or parts.path not in ("", "/") or parts.fragment:
        raise ValueError(f"must have the form {_FORM}")
    query = parse_qs(parts.query)
    if set(query) - {"from"}:
        raise ValueError(f"knows no parameter but `from`; the form is {_FORM}")
    user, password = unquote(parts.username or ""), unquote(parts.password or "")
    if password and parts.scheme == "smtp" and not _is_loopback(host):
        raise ValueError("would send the password in the clear; use starttls:// or smtps://")
    sender = query.get("from", [user if "@" in user else f"lintel@{host}"])[0]
    if "@" not in sender or not sender.isprintable() or any(c in sender for c in " ,;<>"):
        raise ValueError("names a sender that is no e-mail address")
    security: Literal["smtp", "starttls", "smtps"] = parts.scheme  # type: ignore[assignment]  # one of the three
    return SmtpServer(security, host, port or _PORTS[parts.scheme], user, password, sender)


class Mailer:
    """Sends plain text, off the event loop. `context` is for servers whose certificate nobody else vouches for."""

    def __init__(self, server: SmtpServer, context: Callable[[], ssl.SSLContext] = ssl.create_default_context) -> None:
        self._server = server
        self._context = context

    async def send(self, to: str, subject: str, text: str) -> bool:
        """Hand a message in; False if it was not taken, which is logged by its kind, without the message."""
        try:
            await asyncio.to_thread(self._send, self._message(to, subject, text))
        except (OSError, smtplib.SMTPException, ValueError) as error:
            _logger.warning("mail was not sent", server=self._server.host, error=type(error).__name__)
            return False
        return True

    def _message(self, to: str, subject: str, text: str) -> EmailMessage:
        message = EmailMessage()
        message["From"], message["To"], message["Subject"] = self._server.sender, to, subject
        message["Date"] = formatdate(localtime=False)
        message["Message-ID"] = make_msgid(domain=self._server.sender.rpartition("@")[2])
        message["Auto-Submitted"] = "auto-generated"  # RFC 3834: no holiday notes, please
        message.set_content(text)
        return message

    def _send(self, message: EmailMessage) -> None:
        at = self._server
        if at.security == "smtps":
            connection: smtplib.SMTP = smtplib.SMTP_SSL(at.host, at.port, timeout=SECONDS, context=self._context())
        else:
            connection = smtplib.SMTP(at.host, at.port, timeout=SECONDS)
        with connection:
            if at.security == "starttls":
                connection.starttls(context=self._context())  # raises where the server does not offer it
            if at.user:
                connection.login(at.user, at.password)
            connection.send_message(message)


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
