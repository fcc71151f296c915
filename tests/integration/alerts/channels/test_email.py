"""Mail, to a real mail server that wants STARTTLS and a login."""

from __future__ import annotations

import dataclasses
import socket
import ssl
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from monitor.alerts.base import Channel, Permanent, Temporary
from tests.integration.alerts.conftest import Mailbox
from tests.support.builders.notices import FIRING, channel, firing, refusal, resolved, send
from tests.support.logs import capture_logs
from tests.support.processes import free_port

Serve = Callable[[Callable[[socket.socket], None]], int]


def email(mailbox: Mailbox, **options: Any) -> Channel:
    """A channel to it."""
    defaults = {
        "host": "127.0.0.1",
        "port": mailbox.port,
        "sender": "Mönitor <monitor@shop.example>",
        "recipients": ["oncall@shop.example", "Boss <boss@shop.example>"],
        "username": "monitor",
        "password": mailbox.password,
        "ca_file": mailbox.ca_file,
    }
    return channel("email", **{**defaults, **options})


def test_fire_and_resolve(mailbox: Mailbox) -> None:
    """Each is one mail to all recipients."""
    send(email(mailbox))
    send(email(mailbox), resolved(FIRING))
    fired, ended = mailbox.mails
    assert fired["Subject"] == "[firing] worker:celery@host.example: error (wedged)"
    assert fired["From"] == "Mönitor <monitor@shop.example>"
    assert fired["To"] == "oncall@shop.example, Boss <boss@shop.example>"
    assert "nothing is executed — ünï" in fired.get_content()
    assert fired["Auto-Submitted"] == "auto-generated"
    assert fired["Date"]
    assert ended["Subject"].startswith("[resolved]")
    assert mailbox.envelopes[0] == ("monitor@shop.example", ["oncall@shop.example", "boss@shop.example"])


def test_a_mail_that_is_delivered_again_has_the_same_id(mailbox: Mailbox) -> None:
    """And no other: not even a notice of the same id after the store was flushed."""
    send(email(mailbox))
    send(email(mailbox))
    send(email(mailbox), dataclasses.replace(FIRING, at=FIRING.at + 1))
    first, again, later = [mail["Message-ID"] for mail in mailbox.mails]
    assert first == again == "<worker%3Acelery%40host.example%3A7.1700000003500@shop.example>"
    assert later != first


def test_odd_texts_are_mails_too(mailbox: Mailbox) -> None:
    """Whatever some server's error had in it."""
    send(email(mailbox), dataclasses.replace(FIRING, message="\ud800\x00\r\n.\r\nBcc: x\r\n" * 100, check="x" * 300))
    assert mailbox.mails[0]["Bcc"] is None


@pytest.mark.parametrize(("reply", "kind"), [("451 later", Temporary), ("554 spam", Permanent)])
def test_a_refused_mail(mailbox: Mailbox, reply: str, kind: type[Exception]) -> None:
    """4xx is tried again, 5xx given up; the reason is the server's."""
    mailbox.replies["DATA"] = reply
    failure = refusal(lambda: send(email(mailbox)))
    assert isinstance(failure, kind)
    assert reply in failure.reason


@pytest.mark.parametrize(
    ("replies", "kind"),
    [
        (("550 who?", "550 who?"), Permanent),
        (("550 who?", "450 full"), Temporary),
        (("450 full", "450 full"), Temporary),
    ],
)
def test_no_recipient_is_taken(mailbox: Mailbox, replies: tuple[str, str], kind: type[Exception]) -> None:
    """Given up when none ever will be."""
    mailbox.replies.update(zip(["oncall@shop.example", "boss@shop.example"], replies, strict=True))
    assert isinstance(refusal(lambda: send(email(mailbox))), kind)
    assert not mailbox.mails


def test_one_recipient_is_taken(mailbox: Mailbox) -> None:
    """Told, and the log says who was not."""
    mailbox.replies["boss@shop.example"] = "550 who?"
    with capture_logs() as logged:
        send(email(mailbox))
    assert [(entry["event"], entry["recipients"]) for entry in logged] == [
        ("channel.recipients_refused", ["boss@shop.example"])
    ]
    assert len(mailbox.mails) == 1


def test_a_wrong_password_is_given_up_and_not_shown(mailbox: Mailbox) -> None:
    """Even by a server that repeats it."""
    failure = refusal(lambda: send(email(mailbox, password="barracuda")))
    assert isinstance(failure, Permanent)
    assert "535" in failure.reason
    assert "barracuda" not in failure.reason


def test_a_certificate_nobody_signed_is_refused(mailbox: Mailbox) -> None:
    """The password is not sent there."""
    failure = refusal(lambda: send(email(mailbox, ca_file=None)))
    assert isinstance(failure, Temporary)
    assert "CERTIFICATE" in failure.reason.upper()


def test_no_starttls_no_mail(serve: Serve) -> None:
    """Somebody between may have taken it out of the offer."""

    def speak(client: socket.socket) -> None:
        client.sendall(b"220 hello\r\n")
        while client.recv(65536):
            client.sendall(b"250 plain\r\n")

    box = Mailbox(serve(speak), "")
    assert isinstance(refusal(lambda: send(email(box, ca_file=None))), Permanent)


def test_implicit_tls(serve: Serve, certificate: Path) -> None:
    """A server that speaks TLS from the first byte, and hangs up after it has taken the mail: told."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    heard: list[bytes] = []

    def speak(client: socket.socket) -> None:
        with context.wrap_socket(client, server_side=True) as secured:
            secured.sendall(b"220 hello\r\n")
            while (line := secured.recv(65536)) and not line.endswith(b"\r\n.\r\n"):
                heard.append(line)
                secured.sendall(b"354 go\r\n" if line.upper().startswith(b"DATA") else b"250 fine\r\n")
                if line.upper().startswith(b"DATA"):
                    mail = b""
                    while not mail.endswith(b"\r\n.\r\n"):
                        mail += secured.recv(65536)
                    heard.append(mail)
                    secured.sendall(b"250 taken\r\n")
                    return

    box = Mailbox(serve(speak), str(certificate))
    send(email(box, security="tls", username=None, password=None))
    assert b"Subject: [firing]" in heard[-1]


@pytest.mark.parametrize(
    "options",
    [
        {"password": None},
        {"security": "none"},
        {"sender": "nobody"},
        {"recipients": []},
        {"recipients": ["a@b\r\nBcc: c@d"]},
        {"port": 0},
    ],
)
def test_options_that_make_no_sense(options: dict[str, Any]) -> None:
    """Said before anything is sent."""
    with pytest.raises(ValidationError) as caught:
        email(Mailbox(25, ""), **options)
    assert "swordfish" not in str(caught.value)


def test_nobody_listens_and_nobody_answers(serve: Serve) -> None:
    """Tried again, within the timeout."""
    down = email(Mailbox(free_port(), ""), ca_file=None)
    assert isinstance(refusal(lambda: send(down, firing())), Temporary)
    silent = email(Mailbox(serve(lambda client: client.recv(1)), ""), ca_file=None)
    began = time.monotonic()
    assert isinstance(refusal(lambda: send(silent, firing(), 0.5)), Temporary)
    assert time.monotonic() - began < 5
