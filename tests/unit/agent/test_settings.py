"""The agent's settings are those that the monitor goes by, whatever says them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import django.conf
import pytest
from celery import Celery

from monitor.agent import settings
from monitor.agent.identity import of_process
from monitor.agent.settings import AgentSettings
from monitor.config import ConfigError
from monitor.config.loading import load
from monitor.project import discovery

BROKER = {"broker_url": "redis://:pw@shop:1/2"}
PREFIXED = {**BROKER, "broker_transport_options": {"global_keyprefix": "shop:"}}
SENTINELS = {
    "broker_url": "sentinel://a:1;sentinel://b:2/3",
    "broker_transport_options": {"master_name": "m", "sentinel_kwargs": {"password": "x"}, "global_keyprefix": "G"},
}

SOURCES: dict[str, dict[str, Any]] = {
    "nothing": {},
    "the broker": {"celery": BROKER},
    "the broker's prefix": {"celery": PREFIXED},
    "Sentinels": {"celery": SENTINELS},
    "a socket": {"celery": {"broker_url": "redis+socket:///run/r.sock?virtual_host=3"}},
    "RabbitMQ": {"celery": {"broker_url": "amqp://h//"}},
    "where it reads": {"celery": {**BROKER, "broker_read_url": "redis://reads/1"}},
    "TLS": {"celery": {"broker_url": "redis://h/0", "broker_use_ssl": {"ssl_cert_reqs": 0}}},
    "a list of brokers": {"celery": {"broker_url": ["redis://a", "redis://b"]}},
    "environment": {
        "environ": {
            "MONITOR_REDIS_URL": "redis://env/0",
            "MONITOR_KEY_PREFIX": "e:",
            "MONITOR_WORKERS__INTERVAL": "500ms",
            "MONITOR_WORKERS__ENABLED": "off",
            "MONITOR_WORKERS__STUCK_AFTER": "1h",
            "MONITOR_WORKERS__STUCK_AFTER_BY_TASK": '{"shop.report": "2h"}',
        }
    },
    "an empty variable is none": {"environ": {"MONITOR_REDIS_URL": ""}, "celery": BROKER},
    "a table as JSON, and one key of it": {
        "environ": {"MONITOR_WORKERS": '{"interval": 3, "enabled": false}', "MONITOR_WORKERS__INTERVAL": "4"}
    },
    "Sentinels in the environment": {"environ": {"MONITOR_REDIS_URL": "sentinel://a:1/0?master_name=m"}},
    "the environment over the broker, whose prefix goes": {
        "environ": {"MONITOR_REDIS_URL": "redis://env/0"},
        "celery": PREFIXED,
    },
    "the project": {"environ": {"MONITOR_PROJECT": "the shop"}, "django": {"project": "other"}},
    "the project, in a file": {"toml": 'project = "größe"'},
    "the project is that of the Celery application": {"django": {"project": None}},
    "only the prefix is said": {"environ": {"MONITOR_KEY_PREFIX": "e:"}, "celery": PREFIXED},
    "a file": {"toml": 'redis_url = "redis://file/0"\nkey_prefix = "f:"\n[workers]\ninterval = 2.5\nenabled = false\n'},
    "a file in the working directory": {"toml": 'redis_url = "redis://file/0"', "named": False},
    "a file says less than the environment": {
        "toml": 'redis_url = "redis://file/0"\n[workers]\ninterval = "3s"\nstuck_after = "5m"',
        "environ": {"MONITOR_WORKERS__INTERVAL": "7"},
        "celery": PREFIXED,
    },
    "Django's settings over a file": {
        "toml": 'redis_url = "redis://file/0"\n[workers]\ninterval = 3\n[workers.stuck_after_by_task]\na = 5\nb = 6',
        "django": {"redis_url": "redis://django/0", "workers": {"enabled": False, "stuck_after_by_task": {"b": "7m"}}},
    },
    "the environment over Django's settings": {
        "django": {"redis_url": "redis://django/0", "key_prefix": "d:"},
        "environ": {"MONITOR_REDIS_URL": "redis://env/0"},
    },
    "Django's settings say that there is none": {"django": {"redis_url": None}, "celery": BROKER},
    "Django's settings say nothing": {"django": None, "celery": BROKER},
    "booleans as people write them": {"django": {"workers": {"enabled": "Yes"}}},
    "a boolean as a number": {"toml": "[workers]\nenabled = 0"},
}


class World:
    """A process with these sources, for both to look at."""

    def __init__(self, directory: Path, monkeypatch: pytest.MonkeyPatch, source: dict[str, Any]) -> None:
        self.environ = dict(source.get("environ", {}))
        monkeypatch.chdir(directory)
        if "toml" in source:
            (directory / "monitor.toml").write_text(source["toml"])
            if source.get("named", True):
                self.environ["MONITOR_CONFIG"] = str(directory / "monitor.toml")
        if "django" in source:
            self.environ["DJANGO_SETTINGS_MODULE"] = "shop.settings"
            monkeypatch.setenv("DJANGO_SETTINGS_MODULE", "shop.settings")
            values = type("Values", (), {"INSTALLED_APPS": [], "MONITOR": source["django"]})
            monkeypatch.setattr(django.conf, "settings", values)
        else:
            monkeypatch.setenv("DJANGO_SETTINGS_MODULE", "")
        self.app = Celery("shop", set_as_current=False)
        self.app.conf.update(source.get("celery", {"broker_url": "amqp://h//"}))
        monkeypatch.setattr(discovery, "_applications", [self.app])

    def agent(self) -> AgentSettings:
        """What the agent goes by, with the name that it gives the project."""
        found = settings.load(self.app.conf, self.environ)
        return replace(found, project=of_process(found.project, [self.app], self.environ).name)

    def monitor(self) -> AgentSettings:
        """What the monitor goes by, in the agent's words. Raises ConfigError."""
        config = load(
            django_settings=discovery.explicit_settings(), project=discovery.derived_settings(), environ=self.environ
        ).config
        return AgentSettings(
            redis_url=config.redis_url.get_secret_value() if config.redis_url else None,
            key_prefix=config.key_prefix,
            project=discovery.identity(config.project).name,
            interval_seconds=config.workers.interval_seconds,
            enabled=config.workers.enabled,
            stuck_after_seconds=config.workers.stuck_after_seconds,
            stuck_after_by_task=dict(config.workers.stuck_after_by_task),
        )


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> Iterator[World]:
    """The sources that the test names."""
    yield World(tmp_path, monkeypatch, request.param)


@pytest.mark.parametrize("world", SOURCES.values(), ids=SOURCES, indirect=True)
def test_the_agent_goes_by_what_the_monitor_goes_by(world: World) -> None:
    """Same sources, same precedence, same units."""
    assert world.agent() == world.monitor()


WRONG: dict[str, dict[str, Any]] = {
    "redis_url": {"environ": {"MONITOR_REDIS_URL": "http://:secret@h"}, "celery": BROKER},
    "key_prefix": {"environ": {"MONITOR_KEY_PREFIX": "a b"}},
    "project": {"environ": {"MONITOR_PROJECT": "secret "}},
    "project, too long": {"toml": f'project = "{"x" * 101}"'},
    "interval": {"environ": {"MONITOR_WORKERS__INTERVAL": "often"}},
    "interval, of less": {"environ": {"MONITOR_WORKERS__INTERVAL": "100ms"}},
    "interval, no number": {"toml": "[workers]\ninterval = true"},
    "interval, without end": {"toml": "[workers]\ninterval = inf"},
    "enabled": {"environ": {"MONITOR_WORKERS__ENABLED": "perhaps"}},
    "stuck_after_by_task": {"django": {"workers": {"stuck_after_by_task": {"a": "long"}}}},
    "monitor.toml": {"toml": "secret", "celery": BROKER},
    "settings.MONITOR": {"django": ["secret"]},
    "MONITOR_CONFIG": {"environ": {"MONITOR_CONFIG": "/nowhere/monitor.toml"}},
}


@pytest.mark.parametrize("world", WRONG.values(), ids=WRONG, indirect=True)
def test_what_is_wrong_is_told_and_not_raised(world: World, request: pytest.FixtureRequest) -> None:
    """Where the monitor refuses to start, the agent names the setting, does not show it, and goes on."""
    with pytest.raises(ConfigError):
        world.monitor()
    found = world.agent()
    name = request.node.callspec.id.split(",")[0]
    assert [problem for problem in found.problems if problem.startswith(name)], found.problems
    assert "secret" not in str(found.problems)
    if name == "redis_url":
        assert found.redis_url is None  # and not the broker: it was said that it is somewhere else


def test_settings_that_cannot_be_imported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A worker whose Django settings fail has a problem of its own; we say that we could not read them."""
    monkeypatch.chdir(tmp_path)
    found = settings.load(None, {"DJANGO_SETTINGS_MODULE": "no.such.settings", "MONITOR_REDIS_URL": "redis://h"})
    assert found.redis_url == "redis://h"
