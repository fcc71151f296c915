"""Services of Apprise, by the one that posts JSON anywhere."""

from __future__ import annotations

import logging
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from monitor import wiring
from monitor.alerts.base import Temporary
from monitor.config import ConfigError
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


@pytest.mark.parametrize(
    "url",
    [
        pytest.param("slakc://hunter2/hunter2/hunter2", id="a misspelt service"),
        pytest.param("slack://hunter2", id="a token is missing"),
        pytest.param("json://[::1/hunter2", id="no host"),
        pytest.param("hunter2/hunter2", id="no scheme"),
    ],
)
def test_an_address_it_cannot_use_is_a_configuration_error(
    url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Found when the configuration is loaded. The key is named, and nothing of the URL but its scheme."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "monitor.toml").write_text(f'[channels.on-call]\nkind = "apprise"\nurl = "{url}"\n')
    with pytest.raises(ConfigError) as caught, caplog.at_level(logging.DEBUG):
        wiring.load()
    [found] = [problem for problem in caught.value.problems if problem.key.startswith("channels.")]
    assert found.key == "channels.on-call.url"
    assert "Apprise" in found.hint
    assert "hunter2" not in str(caught.value) + caplog.text


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
    """Not by a monitor whose channels are of other kinds."""
    code = (
        "import sys; from monitor.alerts.registry import CHANNELS\n"
        "CHANNELS.names(), CHANNELS.build('log', {}); print('apprise' in sys.modules)"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout == "False\n"
