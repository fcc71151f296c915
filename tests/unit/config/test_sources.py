"""Where values come from, who wins, and that every value knows its origin."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest

from monitor.config import Config, ConfigError, load

DEFAULT_ROSTER = ["database", "redis", "celery", "cpu", "memory", "disk", "connections"]


@pytest.fixture
def toml(tmp_path: Path):
    """Writes a configuration file and returns its path."""

    def write(text: str, name: str = "given.toml") -> Path:
        path = tmp_path / name
        path.write_text(text)
        return path

    return write


def configured(environ: Mapping[str, str] | None = None, **arguments: object) -> Config:
    """The configuration of these sources, and of nothing that happens to be in our environment."""
    return load(environ=environ or {}, **arguments).config  # type: ignore[arg-type]


def test_the_later_source_wins(toml):
    """Default, project, file, settings.MONITOR, environment: each beats those before it, and is named as the origin."""
    sources = {
        "project": {"broker_url": "redis://project", "redis_url": "redis://project", "queue": "project"},
        "file": toml('redis_url = "redis://file"\nqueue = "file"\nworker_slots = 2\n[web]\nport = 1\n'),
        "django_settings": {"queue": "settings", "worker_slots": 3, "web": {"port": 2}},
        "environ": {"MONITOR_WORKER_SLOTS": "4", "MONITOR_WEB__PORT": "3"},
    }
    loaded = load(**sources)
    file = f"file {sources['file']}"
    found = {
        "broker_url": (loaded.config.broker_url.get_secret_value(), loaded.origin("broker_url")),
        "redis_url": (loaded.config.redis_url.get_secret_value(), loaded.origin("redis_url")),
        "queue": (loaded.config.queue, loaded.origin("queue")),
        "worker_slots": (loaded.config.worker_slots, loaded.origin("worker_slots")),
        "web.port": (loaded.config.web.port, loaded.origin("web.port")),
        "web.host": (loaded.config.web.host, loaded.origin("web.host")),
    }
    assert found == {
        "broker_url": ("redis://project", "the project's Celery settings"),
        "redis_url": ("redis://file", file),
        "queue": ("settings", "settings.MONITOR"),
        "worker_slots": (4, "environment MONITOR_WORKER_SLOTS"),
        "web.port": (3, "environment MONITOR_WEB__PORT"),
        "web.host": ("127.0.0.1", "default"),
    }


def test_which_file_is_read(toml, tmp_path, monkeypatch):
    """An explicit path beats MONITOR_CONFIG, which beats monitor.toml in the working directory, which may be absent."""
    monkeypatch.chdir(tmp_path)
    assert configured().queue == "monitor"
    toml('queue = "here"', "monitor.toml")
    named, given = toml('queue = "named"', "named.toml"), toml('queue = "given"')
    assert load(environ={}).origin("queue") == "file monitor.toml"
    assert configured().queue == "here"
    assert configured({"MONITOR_CONFIG": str(named)}).queue == "named"
    assert configured({"MONITOR_CONFIG": str(named)}, file=given).queue == "given"


@pytest.mark.parametrize(
    ("content", "said"),
    [
        pytest.param(None, "does not exist", id="a named file that is missing"),
        pytest.param(b"queue = 'a'\nworker_slots = = 2\n", "line 2, column 16: Invalid", id="a syntax error"),
        pytest.param(b"[web]\nhost = [1,\n", "line 2, column 11: ", id="a syntax error at the end"),
        pytest.param(b"queue = '\xff'", "not UTF-8", id="bytes that are no text"),
    ],
)
def test_a_file_that_cannot_be_read(tmp_path, content, said):
    """It is one problem among the others; checks that might have been in it are not reported missing."""
    path = tmp_path / "x.toml"
    if content is not None:
        path.write_bytes(content)
    environ = {"MONITOR_CONFIG": str(path), "MONITOR_WORKER_SLOTS": "0", "MONITOR_CHECKS__MINE__INTERVAL": "5"}
    with pytest.raises(ConfigError) as caught:
        load(environ=environ)
    unreadable, slots = caught.value.problems
    assert said in unreadable.hint
    assert slots.key == "worker_slots"


def test_a_directory_is_no_file(tmp_path):
    """The operating system's word for it is passed on."""
    with pytest.raises(ConfigError, match="directory"):
        load(file=tmp_path, environ={})


def test_settings_that_are_no_dict():
    """`settings.MONITOR = [...]` is a problem, not a crash."""
    with pytest.raises(ConfigError, match=r"settings.MONITOR = \['x'\].*should be a dict"):
        load(django_settings=["x"], environ={})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("variables", "path", "value"),
    [
        pytest.param({"MONITOR_DEFAULTS__INTERVAL": "5s"}, "defaults.interval_seconds", 5.0, id="two underscores nest"),
        pytest.param({"MONITOR_PORT": "9"}, "web.port", 9, id="the short name"),
        pytest.param({"MONITOR_PORT": "9", "MONITOR_WEB__PORT": "8"}, "web.port", 8, id="the systematic name wins"),
        pytest.param({"MONITOR_PORT": "tcp://10.0.0.1:80"}, "web.port", 8000, id="Kubernetes' link to a Service"),
        pytest.param({"MONITOR_QUEUE": ""}, "queue", "monitor", id="an empty variable is not set"),
        pytest.param({"MONITOR_BROKER_QUEUES": "a, b"}, "broker_queues", ("a", "b"), id="names separated by commas"),
        pytest.param(
            {"MONITOR_BROKER_TRANSPORT_OPTIONS": '{"a": 1}'},
            "broker_transport_options",
            {"a": 1},
            id="JSON for a table",
        ),
        pytest.param({"MONITOR_KEY_PREFIX": "{a}:"}, "key_prefix", "{a}:", id="a brace in a text is only a brace"),
        pytest.param({"MONITOR_HISTORY_MEMORY": "1GiB"}, "history_memory_bytes", 2**30, id="a size"),
        pytest.param({"MONITOR_LOG_LEVEL": "DEBUG"}, "log_level", "debug", id="levels in capitals"),
    ],
)
def test_environment(variables, path, value):
    """How the environment spells settings."""
    found: object = configured(variables)
    for name in path.split("."):
        found = getattr(found, name)
    assert found == value


def test_variables_of_kubernetes_are_not_ours():
    """Services called `monitor` and `monitor-web` put these into every pod of the namespace; they must not stop us."""
    assert configured(
        {
            "MONITOR_SERVICE_HOST": "10.0.0.1",
            "MONITOR_SERVICE_PORT": "80",
            "MONITOR_SERVICE_PORT_HTTP": "80",
            "MONITOR_PORT": "tcp://10.0.0.1:80",
            "MONITOR_PORT_80_TCP": "tcp://10.0.0.1:80",
            "MONITOR_PORT_80_TCP_ADDR": "10.0.0.1",
            "MONITOR_WEB_SERVICE_HOST": "10.0.0.2",
            "MONITOR_WEB_PORT": "tcp://10.0.0.2:80",
            "MONITOR_WEB_PORT_80_TCP_PROTO": "tcp",
        }
    ) == Config(checks=configured().checks)


def test_database_url():
    """Ours wins over the name that everybody uses."""
    both = {"DATABASE_URL": "postgres://theirs/x", "MONITOR_DATABASE_URL": "postgres://ours/x"}
    assert configured(both).database_url.get_secret_value() == "postgres://ours/x"
    loaded = load(environ={"DATABASE_URL": "postgres://theirs/x"})
    assert loaded.config.database_url.get_secret_value() == "postgres://theirs/x"
    assert loaded.origin("database_url") == "environment DATABASE_URL"


def test_variables_reach_checks_whose_names_they_cannot_spell(toml):
    """`orders-api` is ORDERS_API; a variable that two names share is an error."""
    file = toml('[checks."Orders-API"]\nkind = "http"\n[checks."a.b"]\nkind = "x"\n[checks."a-b"]\nkind = "x"')
    config = configured({"MONITOR_CHECKS__ORDERS_API__INTERVAL": "30s"}, file=file)
    assert config.checks["Orders-API"].interval_seconds == 30
    with pytest.raises(ConfigError, match=r"MONITOR_CHECKS__A_B__INTERVAL.*is ambiguous: a-b or a\.b"):
        load(environ={"MONITOR_CHECKS__A_B__INTERVAL": "30s"}, file=file)


def test_a_check_from_the_environment_alone():
    """Fields, options and labels of a check that no file knows."""
    config = configured(
        {
            "MONITOR_CHECKS__SHOP__KIND": "http",
            "MONITOR_CHECKS__SHOP__URL": "http://shop/health",
            "MONITOR_CHECKS__SHOP__STATUSES": "[200, 204]",
            "MONITOR_CHECKS__SHOP__GROUPS": "ready,shops",
            "MONITOR_CHECKS__SHOP__LABELS__TEAM": "web",
        }
    )
    shop = config.checks["shop"]
    assert shop.options == {"url": "http://shop/health", "statuses": [200, 204]}
    assert (shop.groups, shop.labels) == (("ready", "shops"), {"team": "web"})
    assert config.members("shops") == (shop,)


def test_tables_merge_and_lists_are_replaced(toml):
    """A source that says one field of a check leaves the others to the sources below it."""
    file = toml('[checks.a]\nkind = "http"\ngroups = ["x", "y"]\nlabels = {one = "1"}\ninterval = "1m"')
    above = {"checks": {"a": {"groups": ["z"], "labels": {"two": "2"}}}}
    check = configured(file=file, django_settings=above).checks["a"]
    assert (check.interval_seconds, check.groups, check.labels) == (60, ("z",), {"one": "1", "two": "2"})
