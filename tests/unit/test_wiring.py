"""From a configuration to things that run; what is wrong with it is said all at once."""

from __future__ import annotations

import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from django.conf import LazySettings

from monitor import wiring
from monitor.config import ConfigError
from monitor.project import discovery
from monitor.project.reader import ProjectReader


@pytest.fixture(autouse=True)
def own_surroundings(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No configuration but the test's own, and no project remembered from another test."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(discovery, "_applications", [])
    monkeypatch.setattr(discovery, "_named_applications", [])
    monkeypatch.setattr(wiring, "project_reader", ProjectReader())
    monkeypatch.delenv("MONITOR_CONFIG", raising=False)
    monkeypatch.setenv("DJANGO_SETTINGS_MODULE", "monitor.settings")


def celery_like(**conf: Any) -> Any:
    """What is read of a Celery application."""
    defaults = {
        "broker_read_url": None,
        "broker_use_ssl": None,
        "broker_url": None,
        "broker_transport_options": {},
        "task_queues": None,
        "task_default_queue": "celery",
    }
    return SimpleNamespace(conf=SimpleNamespace(**{**defaults, **conf}))


def test_options_come_from_the_configuration_unless_given(tmp_path: Path) -> None:
    """The default redis check watches the store; one with a url of its own watches that."""
    (tmp_path / "monitor.toml").write_text(
        'redis_url = "redis://store/0"\n[checks.cache]\nkind = "redis"\nurl = "redis://cache/0"\n'
    )
    config = wiring.load().config
    resolved = {name: wiring.with_configured_options(config, check).options for name, check in config.checks.items()}
    assert resolved["redis"]["url"] == "redis://store/0"
    assert resolved["cache"]["url"] == "redis://cache/0"
    assert resolved["celery"]["broker_url"] == "redis://store/0"


def test_everything_wrong_with_options_is_said_at_once(tmp_path: Path) -> None:
    """An unknown kind, a misspelt option, a misspelt common field and a bad value: each with its key and a hint."""
    (tmp_path / "monitor.toml").write_text(
        'redis_url = "redis://store/0"\n'
        '[checks.a]\nkind = "dsk"\n'
        '[checks.b]\nkind = "disk"\npats = ["/"]\n'
        '[checks.c]\nkind = "disk"\nintervall = 5\n'
        '[checks.d]\nkind = "cpu"\nwarning_percent = "lots"\n'
        '[checks.e]\nkind = "tcp"\n'
    )
    with pytest.raises(ConfigError) as caught:
        wiring.load()
    found = {problem.key: problem for problem in caught.value.problems}
    assert "did you mean 'disk'" in found["checks.a.kind"].hint
    assert "did you mean 'paths'" in found["checks.b.pats"].hint
    assert "did you mean 'interval'" in found["checks.c.intervall"].hint
    assert "lots" in (found["checks.d.warning_percent"].value or "")
    assert {"checks.e.host", "checks.e.port"} <= found.keys()
    assert all(
        problem.origin == "file monitor.toml" for key, problem in found.items() if not key.startswith("checks.e")
    )


@pytest.mark.parametrize(
    "toml",
    [
        '[checks.m]\nkind = "prometheus"\nurl = "http://m"\nquery = "up"\nheaders = {X-Scope-OrgID = "a\\nshop-eu"}\n',
        '[checks.m]\nkind = "prometheus"\nurl = "http://m"\nquery = "up"\nheadres = {X-Scope-OrgID = "shop-eu"}\n',
        '[checks.m]\nkind = "prometheus"\nurl = "http://m"\nquery = "up"\nheaders = "X-Scope-OrgID: shop-eu"\n',
        '[channels.m]\nkind = "alertmanager"\nurls = ["http://m"]\nheaders = {X-Scope-OrgID = ["shop-eu"]}\n',
    ],
)
def test_a_wrong_header_is_named_without_its_value(toml: str, tmp_path: Path) -> None:
    """Misspelt, of the wrong type, or not to be sent."""
    (tmp_path / "monitor.toml").write_text(f'redis_url = "redis://store/0"\n{toml}')
    with pytest.raises(ConfigError) as caught:
        wiring.load()
    assert "head" in str(caught.value)
    assert "shop-eu" not in str(caught.value)


def test_without_a_store_it_is_said_once_what_to_set() -> None:
    """Two checks need it; the problem is one."""
    with pytest.raises(ConfigError) as caught:
        wiring.load()
    assert sorted(problem.key for problem in caught.value.problems) == ["broker_url", "redis_url"]
    assert "MONITOR_REDIS_URL" in str(caught.value)


def test_the_projects_own_broker_is_watched_and_may_be_the_store() -> None:
    """install(app) is enough: broker, options and queues are read off the application."""
    discovery.add_application(
        celery_like(
            broker_url="redis://broker/3",
            broker_transport_options={"global_keyprefix": "shop:"},
            task_queues={"mail": None, "orders": None},
        )
    )
    config = wiring.load().config
    options = wiring.with_configured_options(config, config.checks["celery"]).options
    assert options["broker_url"] == "redis://broker/3"
    assert options["transport_options"] == {"global_keyprefix": "shop:"}
    assert list(options["queues"]) == ["mail", "orders"]
    assert wiring.required_url(config, "redis_url") == "redis://broker:6379/3"
    assert config.key_prefix == "shop:monitor:"  # a user who may touch shop:* only can use it


def test_what_is_configured_wins_over_the_project(monkeypatch: pytest.MonkeyPatch) -> None:
    """The monitor's own store, beside a project on RabbitMQ."""
    discovery.add_application(celery_like(broker_url="amqp://rabbit//"))
    monkeypatch.setenv("MONITOR_REDIS_URL", "redis://own/0")
    config = wiring.load().config
    assert wiring.required_url(config, "redis_url") == "redis://own/0"
    assert wiring.required_url(config, "broker_url") == "amqp://rabbit//"


def test_a_celery_app_is_named_by_its_dotted_path(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """For a project whose broker is not in its settings; one that cannot be imported is a problem with its reason."""
    (tmp_path / "shop_celery.py").write_text(
        "from celery import Celery\napp = Celery('shop', broker='redis://shop/1')\n"
    )
    monkeypatch.setenv("MONITOR_CELERY_APP", "shop_celery:app")
    assert wiring.required_url(wiring.load().config, "broker_url") == "redis://shop/1"
    monkeypatch.setenv("MONITOR_CELERY_APP", "shop_celery:aap")
    with pytest.raises(ConfigError, match="celery_app") as caught:
        wiring.load()
    assert "aap" in str(caught.value)


def test_settings_that_cannot_be_imported_are_a_problem_and_not_a_traceback(monkeypatch: pytest.MonkeyPatch) -> None:
    """A slip in DJANGO_SETTINGS_MODULE is named, with what was wrong."""
    monkeypatch.setenv("DJANGO_SETTINGS_MODULE", "shop.settigns")
    monkeypatch.setattr("django.conf.settings", LazySettings())
    with pytest.raises(ConfigError) as caught:
        wiring.load()
    assert "DJANGO_SETTINGS_MODULE = shop.settigns" in str(caught.value)


def test_a_channel_reminds_as_its_kind_does_unless_configured(tmp_path: Path) -> None:
    """Alertmanager wants to hear again of what lasts; nobody else does."""
    (tmp_path / "monitor.toml").write_text(
        'redis_url = "redis://store/0"\n[channels.am]\nkind = "alertmanager"\nurls = ["http://am:9093"]\n'
        '[channels.slow-am]\nkind = "alertmanager"\nurls = ["http://am:9093"]\nreminder = "1h"\n'
        '[channels.log]\nkind = "log"\n'
    )
    channels = wiring.with_reminders(wiring.load().config).channels
    assert {name: spec.reminder_seconds for name, spec in channels.items()} == {
        "am": 120.0,
        "slow-am": 3600.0,
        "log": None,
    }


EVERYTHING_WRONG = """
redis_url = "bla"
worker_slots = "many"
[alerting]
ping_url = "hc-ping.com"
[checks.kind]
kind = "disc"
interval = "often"
[checks.fields-and-options]
kind = "http"
timeout = "99s"
colour = "red"
url = "ftp://host"
[checks.store]
kind = "redis"
warning_memory_percent = "lots"
[checks.disabled]
kind = "pigeon"
enabled = false
[channels.kind]
kind = "pigeon"
severity = "bad"
[channels.fields-and-options]
kind = "webhook"
severity = "bad"
url = "ftp://host"
title = "$nonsense"
[channels.options]
kind = "email"
host = "a b"
"""
EVERY_KEY = {
    "redis_url",
    "worker_slots",
    "alerting.ping_url",
    "checks.kind.kind",
    "checks.kind.interval",
    "checks.fields-and-options.timeout",
    "checks.fields-and-options.colour",
    "checks.fields-and-options.url",
    "checks.store.warning_memory_percent",
    "channels.kind.kind",
    "channels.kind.severity",
    "channels.fields-and-options.severity",
    "channels.fields-and-options.url",
    "channels.fields-and-options.title",
    "channels.options.host",
    "channels.options.sender",
    "channels.options.recipients",
}


def test_every_problem_is_reported_in_one_run(tmp_path: Path) -> None:
    """Settings, fields and options, also several of one entry, and beside an unknown kind; each once."""
    (tmp_path / "monitor.toml").write_text(EVERYTHING_WRONG)
    with pytest.raises(ConfigError) as caught:
        wiring.load()
    keys = [problem.key for problem in caught.value.problems]
    assert sorted(keys) == sorted(EVERY_KEY)


def test_a_wrong_application_hides_no_other_problem(tmp_path: Path) -> None:
    """It cannot be imported, and there is an unknown kind."""
    text = 'celery_app = "nowhere:app"\nredis_url = "redis://h/0"\n[checks.a]\nkind = "disc"\n'
    (tmp_path / "monitor.toml").write_text(text)
    with pytest.raises(ConfigError) as caught:
        wiring.load()
    assert {problem.key for problem in caught.value.problems} == {"celery_app", "checks.a.kind"}


def test_a_second_read_in_a_process_finds_the_same(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The application sets the settings module: the second read finds it set, and no data directory has the facts."""
    (tmp_path / "shop_settings.py").write_text("MONITOR = {'queue': 'from-settings'}\nINSTALLED_APPS = []\n")
    (tmp_path / "shop_celery.py").write_text(
        "import os\nfrom celery import Celery\n"
        "os.environ.setdefault('DJANGO_SETTINGS_MODULE', 'shop_settings')\napp = Celery('stockroom')\n"
    )
    monkeypatch.delenv("DJANGO_SETTINGS_MODULE")
    monkeypatch.setenv("MONITOR_CELERY_APP", "shop_celery:app")
    monkeypatch.setenv("MONITOR_REDIS_URL", "redis://127.0.0.1:1/0")
    for _ in range(2):
        config = wiring.load_unvalidated(use=wiring.Use.STORE_ONLY).config
        assert (config.queue, config.project) == ("from-settings", "stockroom")
    assert wiring.identity(config).applications == ("stockroom",)
    assert "shop_celery" not in sys.modules
