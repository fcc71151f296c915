"""What the commands show of alerts, and what they refuse."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest
from click.testing import CliRunner, Result

from monitor.cli.commands import cli
from monitor.config import Config
from monitor.model.checks import Notice, Status
from monitor.ports.alerts import DeliveryFailure
from monitor.services import alerting as alarms
from monitor.store.redis.store import RedisStore
from tests.support.builders.alerting import channel
from tests.support.redis_server import RedisServer
from tests.system.services.test_alert_delivery import change

OPS, PAGER, MAIL = channel("ops"), channel("pager"), channel("mail")


@pytest.fixture
def store(
    redis_server: RedisServer, key_prefix: str, monkeypatch: pytest.MonkeyPatch, tmp_path
) -> Iterator[RedisStore]:
    """A store of our own, which the commands find as well."""
    monkeypatch.chdir(tmp_path)
    for name, value in {"REDIS_URL": redis_server.url, "KEY_PREFIX": key_prefix, "DEFAULT_CHECKS": "false"}.items():
        monkeypatch.setenv(f"MONITOR_{name}", value)
    monkeypatch.setenv("COLUMNS", "200")
    store = RedisStore(redis_server.url, prefix=key_prefix)
    yield store
    store.close()


def monitor(*arguments: str) -> Result:
    """What a command prints, and its exit code."""
    return CliRunner().invoke(cli, arguments)


def test_status_shows_who_was_told_and_who_was_not(store: RedisStore) -> None:
    """What fires, what is held back, what waits, what was given up."""
    config = Config(channels={one.name: one for one in (OPS, PAGER, MAIL)})
    silence = store.alerts.silence("quiet*", for_seconds=3600, why="we know", by="ada")
    for check in ("loud", "quiet"):
        change(store, check, Status.ERROR)
    alarms.decide(config, store=store.states, outbox=store.alerts)

    def deliver(channel_name: str, failure: DeliveryFailure | None) -> None:
        def send(_: Notice) -> DeliveryFailure | None:
            return failure

        for _ in alarms.deliver(config.channels[channel_name], send, store.alerts, retry_for_seconds=60, for_seconds=5):
            pass

    deliver("ops", None)
    deliver("pager", DeliveryFailure("refused"))
    deliver("mail", DeliveryFailure("no such address", permanent=True))
    shown = " ".join(monitor("status").output.split())
    assert "loud error" in shown
    assert "ops (error), pager (error), mail (error)" in shown
    assert f"silenced ({silence.id})" in shown
    assert "we know" in shown
    assert "pager 1" in shown
    assert "refused" in shown
    assert "no such address" in shown
    alerting = json.loads(monitor("status", "--json").output)["alerting"]
    assert {alert["check"]: alert["held"] for alert in alerting["alerts"]} == {"loud": None, "quiet": "silenced"}
    assert alerting["dead_letter_count"] == 1


def test_status_says_nothing_of_alerts_where_there_are_none(store: RedisStore) -> None:
    """Not even a heading."""
    assert "alert" not in monitor("status").output


def test_silence(store: RedisStore) -> None:
    """Says its id, and that nothing of that name is known yet; lasts as long as it was told to."""
    done = monitor("silence", "queue:*", "--for", "90m", "--why", "moving", "--by", "ada")
    assert done.exit_code == 0
    assert "for 1 h 30 min" in done.output
    assert "no check matches" in done.output
    [silence] = store.alerts.overview().silences
    assert (silence.checks, silence.why, silence.by) == ("queue:*", "moving", "ada")
    assert round(silence.until - silence.since) == 5400
    assert silence.id in monitor("silences").output
    assert monitor("unsilence", silence.id).exit_code == 0
    assert "nothing is silenced" in monitor("silences").output
    assert monitor("unsilence", silence.id).exit_code == 1


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["a b", "--for", "1h", "--why", "x"], "should be the name of a check"),
        (["a", "--for", "soon", "--why", "x"], "a duration such as"),
        (["a", "--for", "0", "--why", "x"], "more than 0 seconds"),
        (["a", "--for", "9999d", "--why", "x"], "at most a year"),
        (["a", "--for", "1h"], "Missing option '--why'"),
        (["a", "--why", "x"], "Missing option '--for'"),
    ],
)
def test_what_is_no_silence(store: RedisStore, arguments: list[str], said: str) -> None:
    """Refused, with what is wrong."""
    done = monitor("silence", *arguments)
    assert done.exit_code == 2
    assert said in done.output
    assert store.alerts.overview().silences == ()


def test_a_store_that_does_not_answer(monkeypatch: pytest.MonkeyPatch, tmp_path) -> None:
    """Exit code 3, as of the other commands, without the password."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MONITOR_REDIS_URL", "redis://:hunter2@127.0.0.1:1/0")
    for arguments in (["silences"], ["unsilence", "x"], ["silence", "a", "--for", "1h", "--why", "x"]):
        done = monitor(*arguments)
        assert done.exit_code == 3
        assert "does not answer" in done.output
        assert "hunter2" not in done.output
