"""Services of Apprise, by the one that posts JSON anywhere."""

from __future__ import annotations

import logging
import socket
import subprocess
import sys
from collections.abc import Callable

import pytest

from monitor.alerts.base import Permanent, Temporary
from tests.integration.alerts.conftest import Receiver
from tests.support.builders.notices import FIRING, channel, refusal, resolved, send


def test_fire_and_resolve(receiver: Receiver) -> None:
    """Each is one notification, of the type that services show in red, yellow or green."""
    tell = channel("apprise", url=f"json://127.0.0.1:{receiver.port}/T0KEN")
    send(tell)
    send(tell, resolved(FIRING))
    fired, ended = receiver.requests
    assert fired.path.rstrip("/") == "/T0KEN"
    assert fired.json["title"] == "[firing] worker:celery@host.example: error (wedged)"
    assert "reason: wedged" in fired.json["message"]
    assert (fired.json["type"], ended.json["type"]) == ("failure", "success")


def test_a_refusal_is_tried_again_and_its_words_are_kept(receiver: Receiver, caplog: pytest.LogCaptureFixture) -> None:
    """Apprise says them to its log only, with the address; ours has neither."""
    receiver.answers.append((403, {}, b"no"))
    with caplog.at_level(logging.DEBUG):
        failure = refusal(lambda: send(channel("apprise", url=f"json://127.0.0.1:{receiver.port}/T0KEN")))
    assert isinstance(failure, Temporary)
    assert "403" in failure.reason
    assert "T0KEN" not in failure.reason + caplog.text
    logging.getLogger("apprise").warning("somebody else's words")
    assert "somebody else's words" in caplog.text


def test_an_answer_that_is_half_nonsense(serve: Callable[..., int], caplog: pytest.LogCaptureFixture) -> None:
    """Libraries below Apprise log that, with the address."""

    def speak(client: socket.socket) -> None:
        client.recv(65536)
        client.sendall(b"HTTP/1.1 200 OK\r\nno header\r\n\r\n")
        client.shutdown(socket.SHUT_WR)
        while client.recv(65536):  # closed with something unread, it would be reset
            pass

    with caplog.at_level(logging.DEBUG):
        send(channel("apprise", url=f"json://127.0.0.1:{serve(speak)}/T0KEN"))
    assert "T0KEN" not in caplog.text


def test_an_address_it_cannot_read_is_given_up() -> None:
    """A typing error in the scheme."""
    failure = refusal(lambda: send(channel("apprise", url="slakc://T0KEN/T0KEN")))
    assert isinstance(failure, Permanent)
    assert "T0KEN" not in failure.reason


def test_without_apprise_it_is_a_configuration_error() -> None:
    """That says what to install; every other channel works."""
    code = (
        "import sys; sys.modules['apprise'] = None\n"
        "from monitor.alerts.registry import CHANNELS\n"
        "print('apprise' in CHANNELS.names(), CHANNELS.build('log', {}).name)\n"
        "try: CHANNELS.build('apprise', {'url': 'json://host'})\n"
        "except ValueError as error: print(error)"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert "True log" in found.stdout
    assert "pip install 'celery-health-monitor[apprise]'" in found.stdout, found.stderr


def test_it_is_imported_when_it_is_needed() -> None:
    """Not by the processes that only look a channel's options up."""
    code = (
        "import sys; from monitor.alerts.registry import CHANNELS\n"
        "CHANNELS.build('apprise', {'url': 'json://host'}); print('apprise' in sys.modules)"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout == "False\n"
