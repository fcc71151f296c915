"""The webhook, against a real web server."""

from __future__ import annotations

import base64
import hashlib
import hmac
import socket
import ssl
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path

import pytest
from pydantic import SecretStr, ValidationError

from monitor.alerts.base import Permanent, Temporary
from monitor.alerts.channels.webhook import signature
from tests.integration.alerts.conftest import Receiver
from tests.support.builders.notices import FIRING, channel, firing, refusal, resolved, send
from tests.support.faults import FaultProxy
from tests.support.processes import free_port, wait_for

Serve = Callable[[Callable[[socket.socket], None]], int]
KEY = b"a key that only both of us know"
SECRET = "whsec_" + base64.b64encode(KEY).decode()


def test_fire_and_resolve(receiver: Receiver) -> None:
    """Each is one request of JSON that says all there is."""
    webhook = channel("webhook", url=f"{receiver.url}/hooks/T0KEN?a=1", headers={"X-Team": "shop"})
    send(webhook)
    send(webhook, resolved(FIRING, at=FIRING.at + 60))
    fired, ended = receiver.requests
    assert (fired.path, fired.headers["X-Team"]) == ("/hooks/T0KEN?a=1", "shop")
    assert fired.headers["Content-Type"] == "application/json"
    assert fired.headers["Idempotency-Key"] == FIRING.id
    assert fired.json == {
        "id": "worker:celery@host.example:7",
        "kind": "firing",
        "check": "worker:celery@host.example",
        "status": "error",
        "was": "ok",
        "severity": "critical",
        "reason": "wedged",
        "message": "slots are free and nothing is executed — ünï",
        "since": "2023-11-14T22:13:20.000Z",
        "at": "2023-11-14T22:13:23.500Z",
        "labels": {"team": "shop"},
        "data": {"active": 0},
        "title": "[firing] worker:celery@host.example: error (wedged)",
        "body": fired.json["body"],
    }
    assert (ended.json["kind"], ended.json["status"], ended.json["severity"]) == ("resolved", "ok", "ok")
    assert ended.headers["Idempotency-Key"] != fired.headers["Idempotency-Key"]


def test_the_signature_is_that_of_standard_webhooks(receiver: Receiver) -> None:
    """Computed here from its specification: HMAC-SHA256 over id, timestamp and body, with dots between."""
    send(channel("webhook", url=receiver.url, secret=SECRET))
    (request,) = receiver.requests
    webhook_id, sent_at = request.headers["webhook-id"], request.headers["webhook-timestamp"]
    assert abs(time.time() - int(sent_at)) < 60
    assert webhook_id == "worker:celery@host%2Eexample:7"
    signed = b".".join([webhook_id.encode(), sent_at.encode(), request.body])
    expected = base64.b64encode(hmac.new(KEY, signed, hashlib.sha256).digest()).decode()
    assert request.headers["webhook-signature"] == f"v1,{expected}"


def test_the_specification_s_own_example() -> None:
    """The test vector of the reference libraries."""
    headers = signature(
        "msg_p5jXN8AQM9LWM0D4loKWxJek",
        1614265330,
        b'{"test": 2432232314}',
        SecretStr("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"),
    )
    assert headers["webhook-signature"] == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


def test_a_secret_that_is_no_base64_is_a_configuration_error() -> None:
    """Said before anything is sent, and without it."""
    with pytest.raises(ValidationError) as caught:
        channel("webhook", url="http://host/", secret="whsec_sw0rdfish!")
    assert "sw0rdfish" not in str(caught.value)
    assert "base64" in str(caught.value)


@pytest.mark.parametrize("url", ["ftp://host/", "host", "http://", "http://[", ""])
def test_an_address_that_is_none(url: str) -> None:
    """Is a configuration error too."""
    with pytest.raises(ValidationError, match="https://host/path"):
        channel("webhook", url=url)


@pytest.mark.parametrize("status", [408, 425, 429, 500, 502, 503, 302, 307])
def test_worth_another_try(receiver: Receiver, status: int) -> None:
    """What may be otherwise in a minute."""
    receiver.answers.append((status, {}, b""))
    failure = refusal(lambda: send(channel("webhook", url=receiver.url)))
    assert isinstance(failure, Temporary)
    assert str(status) in failure.reason


@pytest.mark.parametrize("status", [400, 401, 403, 404, 410, 413, 301, 308])
def test_not_worth_another_try(receiver: Receiver, status: int) -> None:
    """What somebody has to change first; the answer says what."""
    receiver.answers.append((status, {}, b"no such hook"))
    failure = refusal(lambda: send(channel("webhook", url=receiver.url)))
    assert isinstance(failure, Permanent)
    assert str(status) in failure.reason
    assert ("no such hook" in failure.reason) == (status >= 400)


@pytest.mark.parametrize(
    ("said", "least", "most"),
    [("7", 7, 7), ("0", 0, 0), ("999999999999", 21600, 21600), ("in a minute", None, None), ("DATE", 50, 61)],
)
def test_retry_after(receiver: Receiver, said: str, least: float | None, most: float | None) -> None:
    """In seconds or as a date, 6 hours at most; nonsense is not heard."""
    if said == "DATE":
        said = format_datetime(datetime.now(UTC) + timedelta(seconds=60), usegmt=True)
    receiver.answers.append((429, {"Retry-After": said}, b""))
    failure = refusal(lambda: send(channel("webhook", url=receiver.url)))
    assert isinstance(failure, Temporary)
    if least is None or most is None:
        assert failure.retry_after_seconds is None
    else:
        assert failure.retry_after_seconds is not None
        assert least <= failure.retry_after_seconds <= most


def test_redirects_are_not_followed(receiver: Receiver) -> None:
    """The body would go where nobody wanted it."""
    receiver.answers.append((307, {"Location": f"{receiver.url}/elsewhere"}, b""))
    refusal(lambda: send(channel("webhook", url=f"{receiver.url}/hook")))
    assert [request.path for request in receiver.requests] == ["/hook"]


def test_user_and_password_of_the_address_are_a_header(receiver: Receiver) -> None:
    """As browsers do."""
    send(channel("webhook", url=receiver.url.replace("http://", "http://me:a%40b@")))
    assert receiver.requests[0].headers["Authorization"] == "Basic " + base64.b64encode(b"me:a@b").decode()


@pytest.mark.parametrize("mode", ["blackhole", "reset", "refuse"])
def test_a_broken_network_is_tried_again(
    receiver: Receiver, fault_proxy: Callable[[str, int], FaultProxy], mode: str
) -> None:
    """Within the timeout, and it works again afterwards."""
    proxy = fault_proxy("127.0.0.1", receiver.port)
    webhook = channel("webhook", url=f"http://127.0.0.1:{proxy.port}/")
    proxy.set(mode)  # type: ignore[arg-type]
    began = time.monotonic()
    assert isinstance(refusal(lambda: send(webhook, timeout_seconds=1.0)), Temporary)
    assert time.monotonic() - began < 5
    proxy.set("ok")
    send(webhook)


def test_a_drip_is_hung_up(serve: Serve) -> None:
    """An answer whose headers come a byte at a time, for ever: no thread and no connection is left behind."""
    hung_up = threading.Event()

    def drip(client: socket.socket) -> None:
        client.recv(65536)
        try:
            for byte in b"HTTP/1.1 200 OK\r\n" + b"X" * 10_000:
                client.sendall(bytes([byte]))
                time.sleep(0.02)
        except OSError:
            hung_up.set()

    webhook = channel("webhook", url=f"http://127.0.0.1:{serve(drip)}/")
    assert isinstance(refusal(lambda: send(webhook, timeout_seconds=0.5)), Temporary)
    wait_for(hung_up.is_set, seconds=20, what="the receiver notices that nobody listens")
    wait_for(lambda: "alert-webhook" not in [each.name for each in threading.enumerate()], seconds=20)


@pytest.mark.parametrize(
    "headers", [{"X-Token": "sw0rd\nfish"}, {"X-Token": "sw0rd\u2026fish"}, {"X Y\n": "sw0rdfish"}]
)
def test_headers_that_cannot_be_sent_are_given_up(receiver: Receiver, headers: dict[str, str]) -> None:
    """A line break out of a file of secrets, for one; the reason repeats none of it."""
    failure = refusal(lambda: send(channel("webhook", url=receiver.url, headers=headers)))
    assert isinstance(failure, Permanent)
    assert "fish" not in failure.reason
    assert not receiver.requests


def test_a_name_that_does_not_exist() -> None:
    """Tried again: names come back (.invalid never exists: RFC 2606)."""
    assert isinstance(refusal(lambda: send(channel("webhook", url="http://no-such-host.invalid/"))), Temporary)


def test_certificates_are_looked_at(serve: Serve, certificate: Path) -> None:
    """One that nobody signed is refused, unless it is trusted."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)

    def speak(client: socket.socket) -> None:
        with context.wrap_socket(client, server_side=True) as secured:
            heard = b""
            while not heard.endswith(b"}"):
                heard += secured.recv(65536)
            secured.sendall(b"HTTP/1.1 204 No Content\r\n\r\n")

    url = f"https://127.0.0.1:{serve(speak)}/"
    failure = refusal(lambda: send(channel("webhook", url=url)))
    assert isinstance(failure, Temporary)
    assert "CERTIFICATE" in failure.reason.upper()
    send(channel("webhook", url=url, ca_file=str(certificate)))


def test_nobody_listens() -> None:
    """The reason says whom, and no more of the address."""
    port = free_port()
    failure = refusal(lambda: send(channel("webhook", url=f"http://127.0.0.1:{port}/T0KEN"), firing()))
    assert f"127.0.0.1:{port}" in failure.reason
    assert "T0KEN" not in failure.reason
