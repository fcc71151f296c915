"""Channel `email`: mail by SMTP."""

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

from pydantic import AfterValidator, Field, SecretStr

from monitor.alerts.base import Attempt, Channel, Permanent, Temporary
from monitor.alerts.registry import register
from monitor.alerts.text import Text
from monitor.lib import logs
from monitor.model.checks import Notice

log = logs.get_logger(__name__)

_PORTS = {"starttls": 587, "tls": 465, "none": 25}


def _validated_address(value: str) -> str:
    name, _, domain = parseaddr(value)[1].rpartition("@")
    if not name or not domain or any(character in value for character in "\r\n,;"):
        raise ValueError("should be one address, such as 'monitor@example.com' or 'Monitor <monitor@example.com>'")
    return value


Address = Annotated[str, AfterValidator(_validated_address)]


@register("email")
@dataclass(frozen=True, kw_only=True)
class Email(Channel):
    """Mail of plain text by SMTP. Its `Message-ID` consists of the id and the time of the notification. A mail that is
    delivered again has the same `Message-ID`, so that a mail server or client may recognise it. The header
    `Auto-Submitted: auto-generated` (RFC 3834) prevents out-of-office replies.

    The delivery is repeated if there is no connection or no reply, and after a reply of 4xx. It is given up after a
    reply of 5xx, such as a refused login, a refused sender, or the refusal of all recipients. If the server refuses
    only some of the recipients, the mail is delivered to the others, and the log event `channel.recipients_refused`
    names the refused recipients.
    """

    host: Annotated[str, Field(pattern=r"^[^\s/@]+$", description="host name or IP address of the mail server")]
    sender: Annotated[
        Address, Field(description="address of the sender. Many servers refuse a sender that they do not know")
    ]
    recipients: Annotated[
        tuple[Address, ...],
        Field(min_length=1, description="addresses of the recipients. One mail is sent to all of them"),
    ]
    port: Annotated[
        int | None,
        Field(
            ge=1,
            le=65535,
            description="TCP port. Default by `security`: 587 for `starttls`, 465 for `tls`, 25 for `none`",
        ),
    ] = None
    security: Annotated[
        Literal["starttls", "tls", "none"],
        Field(
            description="encryption of the connection. With `starttls`, the delivery is given up if the server does "
            "not offer STARTTLS"
        ),
    ] = "starttls"
    username: Annotated[
        str | None, Field(description="user name for the login. `username` and `password` must be set together")
    ] = None
    password: Annotated[
        SecretStr | None, Field(description="password for the login. Not permitted if `security` is `none`")
    ] = None
    ca_file: Annotated[
        str | None,
        Field(description="path of a PEM file with the CA certificates to trust. Default: those of the system"),
    ] = None

    example: ClassVar[Mapping[str, Any]] = {
        "host": "smtp.example.com",
        "sender": "Monitor <monitor@example.com>",
        "recipients": ["oncall@example.com"],
        "username": "monitor",
        "password": "...",
    }

    def __post_init__(self) -> None:
        if (self.username is None) != (self.password is None):
            raise ValueError("set both `username` and `password`, or neither")
        if self.password is not None and self.security == "none":
            raise ValueError("a password needs encryption: set `security` to 'starttls' or 'tls'")

    def deliver(self, notice: Notice, text: Text, attempt: Attempt) -> None:
        """Send one mail to all recipients."""
        try:
            server = self._connect(attempt)
            attempt.when_over(lambda: _shut_down(server))
            try:
                self._log_in(server)
                refused = server.send_message(self.message(notice, text))
            finally:
                _quit(server)
        except smtplib.SMTPRecipientsRefused as error:
            codes = {code for code, _ in error.recipients.values()}
            raise _failure(
                max(codes) if min(codes) >= 500 else min(codes), f"all recipients refused: {codes}"
            ) from None
        except smtplib.SMTPAuthenticationError as error:
            # The text of this exception may contain the password.
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
        """Return the mail for a notice."""
        domain = parseaddr(self.sender)[1].rpartition("@")[2]
        message = EmailMessage()
        message["Subject"] = text.title
        message["From"] = self.sender
        message["To"] = ", ".join(self.recipients)
        message["Date"] = format_datetime(datetime.now(UTC))
        # Clients drop a mail with a known Message-ID. The id of a notice alone could repeat after a flush of the store.
        message["Message-ID"] = f"<{quote(notice.id, safe='')}.{notice.at * 1000:.0f}@{domain}>"
        message["Auto-Submitted"] = "auto-generated"
        message["X-Auto-Response-Suppress"] = "All"  # the equivalent of Auto-Submitted for Exchange
        message.set_content(text.body)
        return message

    def _connect(self, attempt: Attempt) -> smtplib.SMTP:
        port, timeout = self.port or _PORTS[self.security], attempt.remaining_seconds
        if self.security == "tls":
            return smtplib.SMTP_SSL(self.host, port, timeout=timeout, context=self._context())
        return smtplib.SMTP(self.host, port, timeout=timeout)

    def _log_in(self, server: smtplib.SMTP) -> None:
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


def _quit(server: smtplib.SMTP) -> None:
    # The delivery has succeeded or failed before, so a failure here does not matter.
    with contextlib.suppress(smtplib.SMTPException, OSError):
        server.quit()
    server.close()


def _shut_down(server: smtplib.SMTP) -> None:
    with contextlib.suppress(OSError, AttributeError):
        server.sock.shutdown(socket.SHUT_RDWR)  # type: ignore[union-attr]
