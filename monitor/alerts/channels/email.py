"""Mail, by SMTP."""

from __future__ import annotations

import contextlib
import smtplib
import socket
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.message import EmailMessage
from email.utils import format_datetime, parseaddr
from typing import Annotated, Any, ClassVar, Literal
from urllib.parse import quote

import structlog
from pydantic import AfterValidator, Field, SecretStr

from monitor.alerts.base import Attempt, Channel, Permanent, Temporary
from monitor.alerts.registry import register
from monitor.alerts.text import Text
from monitor.model.checks import Notice

log = structlog.get_logger(__name__)

_PORTS = {"starttls": 587, "tls": 465, "none": 25}


def _mail_address(value: str) -> str:
    name, _, domain = parseaddr(value)[1].rpartition("@")
    if not name or not domain or any(character in value for character in "\r\n,;"):
        raise ValueError("write one address such as 'monitor@example.com' or 'Monitor <monitor@example.com>'")
    return value


Address = Annotated[str, AfterValidator(_mail_address)]


@register("email")
@dataclass(frozen=True, kw_only=True)
class Email(Channel):
    """Sends a mail of plain text. Its `Message-ID` is made of the notice's id and its time, so that a mail server or
    reader may recognise one that is delivered again; `Auto-Submitted: auto-generated` (RFC 3834) keeps out-of-office
    replies away.

    Tried again: no connection, no answer, a reply of 4xx. Given up: a reply of 5xx (refused login, sender, or all of
    the recipients). Where only some recipients are refused, the others have got it, and the log says which were not.
    """

    host: Annotated[str, Field(pattern=r"^[^\s/@]+$", description="the mail server")]
    sender: Annotated[Address, Field(description="the address it is from")]
    recipients: Annotated[tuple[Address, ...], Field(min_length=1, description="the addresses it is sent to")]
    port: Annotated[
        int | None, Field(ge=1, le=65535, description="465 with `tls`, 25 with `none`, else 587 when not given")
    ] = None
    security: Annotated[
        Literal["starttls", "tls", "none"],
        Field(description="how the connection is encrypted; `starttls` fails where the server does not offer it"),
    ] = "starttls"
    username: Annotated[str | None, Field(description="to log in with")] = None
    password: Annotated[SecretStr | None, Field(description="to log in with")] = None
    ca_file: Annotated[str | None, Field(description="CA certificates to trust instead of the system's")] = None

    example: ClassVar[Mapping[str, Any]] = {
        "host": "smtp.example.com",
        "sender": "Monitor <monitor@example.com>",
        "recipients": ["oncall@example.com"],
        "username": "monitor",
        "password": "...",
    }

    def __post_init__(self) -> None:
        if (self.username is None) != (self.password is None):
            raise ValueError("`username` and `password` are needed both, or none of them")
        if self.password is not None and self.security == "none":
            raise ValueError("a password is not sent unencrypted: set `security` to 'starttls' or 'tls'")

    def deliver(self, notice: Notice, text: Text, attempt: Attempt) -> None:
        """One mail to all recipients."""
        try:
            server = self._connect(attempt)
            attempt.when_over(lambda: _hang_up(server))
            try:
                self._introduce(server)
                refused = server.send_message(self.message(notice, text))
            finally:
                _leave(server)
        except smtplib.SMTPRecipientsRefused as error:
            codes = {code for code, _ in error.recipients.values()}
            raise _failure(
                max(codes) if min(codes) >= 500 else min(codes), f"all recipients refused: {codes}"
            ) from None
        except smtplib.SMTPAuthenticationError as error:
            # Its text may repeat what was sent to log in.
            raise _failure(error.smtp_code, f"the login was refused: {error.smtp_code}") from None
        except smtplib.SMTPResponseException as error:
            raise _failure(error.smtp_code, f"{error.smtp_code} {_decoded(error.smtp_error)}") from None
        except smtplib.SMTPNotSupportedError as error:
            raise Permanent(f"{self.host}: {error}") from None
        except (smtplib.SMTPException, OSError) as error:
            raise Temporary(f"{self.host}: {error or type(error).__name__}") from None
        if refused:
            log.warning("channel.recipients_refused", channel_kind=self.name, recipients=sorted(refused))

    def message(self, notice: Notice, text: Text) -> EmailMessage:
        """The mail."""
        domain = parseaddr(self.sender)[1].rpartition("@")[2]
        message = EmailMessage()
        message["Subject"] = text.title
        message["From"] = self.sender
        message["To"] = ", ".join(self.recipients)
        message["Date"] = format_datetime(datetime.now(UTC))
        # The time as well: after the store was flushed the ids begin again, and a reader would drop a known one.
        message["Message-ID"] = f"<{quote(notice.id, safe='')}.{notice.at * 1000:.0f}@{domain}>"
        message["Auto-Submitted"] = "auto-generated"
        message["X-Auto-Response-Suppress"] = "All"  # what Exchange understands instead
        message.set_content(text.body)
        return message

    def _connect(self, attempt: Attempt) -> smtplib.SMTP:
        port, timeout = self.port or _PORTS[self.security], attempt.remaining_seconds
        if self.security == "tls":
            return smtplib.SMTP_SSL(self.host, port, timeout=timeout, context=self._context())
        return smtplib.SMTP(self.host, port, timeout=timeout)

    def _introduce(self, server: smtplib.SMTP) -> None:
        if self.security == "starttls":
            server.starttls(context=self._context())
        if self.username is not None and self.password is not None:
            server.login(self.username, self.password.get_secret_value())

    def _context(self) -> ssl.SSLContext:
        return ssl.create_default_context(cafile=self.ca_file)


def _failure(code: int, reason: str) -> Temporary | Permanent:
    return Permanent(reason) if code >= 500 else Temporary(reason)


def _decoded(text: bytes | str) -> str:
    words = text.decode("utf-8", "replace") if isinstance(text, bytes) else text
    return " ".join(words.split())[:300]


def _leave(server: smtplib.SMTP) -> None:
    # What was accepted stays accepted, however the goodbye goes.
    with contextlib.suppress(smtplib.SMTPException, OSError):
        server.quit()
    server.close()


def _hang_up(server: smtplib.SMTP) -> None:
    with contextlib.suppress(OSError, AttributeError):
        server.sock.shutdown(socket.SHUT_RDWR)  # type: ignore[union-attr]
