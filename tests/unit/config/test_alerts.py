"""Who is told: the tables of channels and of maintenance, and what checks depend on."""

from __future__ import annotations

from datetime import UTC, datetime, time
from typing import Any

import pytest

from monitor import wiring
from monitor.config import Config, ConfigError, load
from monitor.config.describe import describe
from monitor.config.units import matches

SECRETS = {
    "kind": "webhook",
    "url": "https://hooks.example.com/services/T00/hunter2",
    "urls": ["tgram://hunter2/chat", "slack://user:hunter2@host"],
    "headers": {"Authorization": "hunter2", "X-To": "https://host/hunter2"},
    "routing_key": "hunter2",
}


def configured(**settings: Any) -> Config:
    """The configuration of this `settings.MONITOR`."""
    return load(django_settings=settings, environ={}).config


def problems(**settings: Any) -> list[str]:
    """What is said to be wrong with it."""
    with pytest.raises(ConfigError) as caught:
        configured(**settings)
    return str(caught.value).splitlines()


def test_a_channel_and_its_options():
    """Common keys are fields; all others are options of its kind, for its kind to judge."""
    channel = configured(
        channels={
            "ops": {
                "kind": "webhook",
                "checks": "queue:*, db",
                "severity": "warning",
                "reminder": "1h",
                "title": "$check is $status",
                "url": "https://h/x",
            }
        }
    ).channels["ops"]
    assert (channel.checks, channel.severity, channel.reminder_seconds) == (("queue:*", "db"), "warning", 3600)
    assert (channel.resolved, channel.timeout_seconds, channel.body) == (True, 10, None)
    assert channel.options == {"url": "https://h/x"}


def test_a_channel_from_the_environment():
    """Its secrets need not stand in the file."""
    loaded = load(
        django_settings={"channels": {"on-call": {"kind": "webhook"}}},
        environ={"MONITOR_CHANNELS__ON_CALL__URL": "https://h/x", "MONITOR_CHANNELS__ON_CALL__CHECKS": "a,b*"},
    )
    assert loaded.config.channels["on-call"].options == {"url": "https://h/x"}
    assert loaded.config.channels["on-call"].checks == ("a", "b*")


def test_maintenance():
    """Once, in the zone it names; or again and again."""
    config = configured(
        maintenance={
            "move": {
                "checks": ["db"],
                "start": datetime(2026, 12, 24, 22),
                "end": "2026-12-25T06:00:00Z",
                "timezone": "Europe/Berlin",
            },
            "nightly": {"from": "22:00", "until": "02:00", "days": "Sat, sunday"},
        }
    )
    once = config.maintenance["move"].single_period
    assert once is not None
    assert [at.astimezone(UTC).hour for at in once] == [21, 6]
    nightly = config.maintenance["nightly"]
    assert (nightly.from_time, nightly.until_time, nightly.days) == (time(22), time(2), ("sat", "sun"))
    assert nightly.single_period is None


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"channels": {"a": {}}}, "channels.a.kind (settings.MONITOR): is required"),
        ({"channels": {"a": {"kind": "log", "severity": "fatal"}}}, "'warning' or 'error'"),
        ({"channels": {"a": {"kind": "log", "groups": ["raedy"]}}}, "no such group; did you mean 'ready'?"),
        ({"channels": {"a": {"kind": "log", "checks": ["a b"]}}}, "channels.a.checks.0 = 'a b'"),
        ({"channels": {"a": 5}}, "channels.a = 5 (settings.MONITOR): should be a table"),
        ({"chanels": {}}, "did you mean 'channels'?"),
        ({"maintenance": {"m": {"start": "2026-12-24T22:00:00"}}}, "needs either `start` and `end`"),
        ({"maintenance": {"m": {"from": "22:00", "till": "23:00"}}}, "unknown key"),
        ({"maintenance": {"m": {"from": "22:00", "until": "2:00", "timezone": "Mars"}}}, "unknown time zone"),
        (
            {"maintenance": {"m": {"start": "2026-12-24T22:00:00", "end": "2026-12-24T21:00:00"}}},
            "should be after `start`",
        ),
        ({"checks": {"a": {"kind": "x", "depends_on": ["rediss"]}}}, "no such check; did you mean 'redis'?"),
        (
            {"checks": {"a": {"kind": "x", "depends_on": ["b"]}, "b": {"kind": "x", "depends_on": ["a"]}}},
            "is circular: a -> b -> a",
        ),
    ],
)
def test_what_is_wrong(settings, said):
    """Each with its key and a hint."""
    assert any(said in line for line in problems(**settings)), problems(**settings)


def test_what_only_the_kind_of_a_channel_knows_is_wrong(tmp_path, monkeypatch):
    """Its kind, its options, its templates: with all the rest, when a role starts; without secrets."""
    file = tmp_path / "monitor.toml"
    file.write_text(
        'redis_url = "redis://h/0"\n'
        '[channels.a]\nkind = "webhok"\n'
        '[channels.b]\nkind = "webhook"\nurl = "ftp://h/hunter2"\nsevertiy = "error"\n'
        '[channels.c]\nkind = "log"\ntitle = "$chekc"\nbody = "5$"\n'
    )
    with pytest.raises(ConfigError) as caught:
        wiring.load(file)
    said = str(caught.value)
    assert "channels.a.kind = webhok" in said
    assert "did you mean 'webhook'?" in said
    assert "channels.b.severtiy" in said
    assert "did you mean 'severity'?" in said
    assert "channels.c.title = '$chekc'" in said
    assert "unknown name: $chekc" in said
    assert "write $$ for a dollar sign" in said
    assert "hunter2" not in said


def test_a_check_may_depend_on_what_comes_and_goes():
    """Workers, queues and hosts are not configured, so nobody can say that there is none of that name."""
    config = configured(checks={"a": {"kind": "x", "depends_on": "redis, queue:mail, workers"}})
    assert config.checks["a"].depends_on == ("redis", "queue:mail", "workers")


def test_a_channels_secrets_are_not_shown():
    """Not even the path of a URL, which may be all that lets one in; nor in errors."""
    loaded = load(django_settings={"channels": {"ops": SECRETS}}, environ={})
    rows = {row.key: row.value for row in describe(loaded, wiring.secret_options)}
    assert rows["channels.ops.url"] == "https://***"
    assert rows["channels.ops.severity"] == "error"
    assert "hunter2" not in str(rows) + repr(loaded)
    assert "hunter2" not in str(problems(channels={"ops": SECRETS | {"timeout": "https://h/hunter2"}}))


@pytest.mark.parametrize(
    ("name", "patterns", "expected"),
    [("queue:mail", ("queue:*",), True), ("Db", ("db",), False), ("db2", ("db",), False), ("db2", ("x", "db?"), True)],
)
def test_patterns(name, patterns, expected):
    """The whole name, in its own case."""
    assert matches(name, patterns) is expected
