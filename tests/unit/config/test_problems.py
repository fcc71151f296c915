"""What is said about a configuration that is wrong: everything, at once, without secrets."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from monitor.checks.registry import KINDS
from monitor.config import ConfigError, ConfigProblem, load, problems_from_validation, unknown_hint
from monitor.config.keys import setting_keys
from monitor.lib.redis_urls import FORMS


def problems(environ: dict[str, str] | None = None, **values: Any) -> tuple[ConfigProblem, ...]:
    """The problems of this `settings.MONITOR` in this environment."""
    with pytest.raises(ConfigError) as caught:
        load(django_settings=values, environ=environ or {})
    return caught.value.problems


def test_five_errors_are_five_problems(tmp_path):
    """From three sources and of five sorts, each with key, value, hint and origin, in one exception."""
    file = tmp_path / "monitor.toml"
    file.write_text('redis_url = "http://:hunter2@redis:6379"\n[checks.disk]\ninterval = "10 parsecs"\n')
    with pytest.raises(ConfigError) as caught:
        load(
            file=file,
            django_settings={"worker_slot": 3, "groups": {"web": {"checks": ["dsik"]}}},
            environ={"MONITOR_PORT": "abc"},
        )
    assert str(caught.value).splitlines() == [
        "worker_slot = 3 (settings.MONITOR): unknown key; did you mean 'worker_slots'?",
        f"redis_url = 'http://***@redis:6379' (file {file}): should begin with {FORMS}",
        "web.port = 'abc' (environment MONITOR_PORT): should be a whole number",
        f"checks.disk.interval = '10 parsecs' (file {file}): write a number of seconds or a duration such as '500ms', "
        "'10s', '5m', '1h'",
        "groups.web.checks = 'dsik' (settings.MONITOR): there is no such check; did you mean 'disk'?",
    ]


CHECK = {"kind": "x"}
CASES = {
    "a number that is none": ({"worker_slots": "many"}, "worker_slots", "'many'", "whole number"),
    "a number out of range": ({"web": {"port": 70000}}, "web.port", "70000", "less than or equal to 65535"),
    "a boolean for a duration": ({"defaults": {"interval": True}}, "defaults.interval", "True", "'10s'"),
    "an infinite duration": ({"defaults": {"interval": float("inf")}}, "defaults.interval", "inf", "finite"),
    "a duration of nothing": ({"defaults": {"timeout": 0}}, "defaults.timeout", "0", "greater than 0"),
    "a size with a wrong unit": ({"history_memory": "64 miles"}, "history_memory", "'64 miles'", "'64MB'"),
    "a wrong choice": ({"log_format": "xml"}, "log_format", "'xml'", "'auto', 'json' or 'console'"),
    "a value for a table": ({"web": 5}, "web", "5", "should be a table"),
    "a value for the roster": ({"checks": 5}, "checks", "5", "should be a table"),
    "a value for a check": ({"checks": {"cpu": 5}}, "checks.cpu", "5", "should be a table"),
    "a key that is a number": ({"checks": {5: CHECK}}, "checks.5", "{'kind': 'x'}", "key should be a text"),
    "a URL without a scheme": ({"broker_url": "broker:5672"}, "broker_url", "'broker:5672'", "should be a URL"),
    "a Redis URL without a host": ({"redis_url": "redis:///0"}, "redis_url", "'redis:///0'", "has no host"),
    "a Redis URL with a name": ({"redis_url": "redis://h/x"}, "redis_url", "'redis://h/x'", "not a database number"),
    "Celery's socket without a path": (
        {"redis_url": "redis+socket://"},
        "redis_url",
        "'redis+socket://'",
        "redis+socket:///path",
    ),
    "several Redis servers": (
        {"redis_url": "redis://a;redis://b"},
        "redis_url",
        "'redis://a;redis://b'",
        "names several servers",
    ),
    "a Redis broker with a name": (
        {"broker_url": "valkey://h/x"},
        "broker_url",
        "'valkey://h/x'",
        "not a database number",
    ),
    "a form of other clients": (
        {"broker_url": "redis+sentinel://h:1/shop"},
        "broker_url",
        "'redis+sentinel://h:1/shop'",
        "redis+socket:// or sentinel://",
    ),
    "a broker's socket without a path": ({"broker_url": "unix://"}, "broker_url", "'unix://'", "has no path"),
    "an option that is no number": (
        {"broker_url": "redis://h/0?socket_timeout=soon"},
        "broker_url",
        "'redis://h/0?socket_timeout=soon'",
        "not a number of seconds",
    ),
    "a socket without a path": ({"redis_url": "unix://"}, "redis_url", "'unix://'", "has no path"),
    "a port that is a word": ({"redis_url": "redis://h:x/0"}, "redis_url", "'redis://h:x/0'", "port a number"),
    "a blank in the prefix": ({"key_prefix": "a b"}, "key_prefix", "'a b'", "match pattern"),
    "an empty token": ({"token": ""}, "token", "'***'", "at least 16"),
    "a short token": ({"token": "fifteen-letters"}, "token", "'***'", "at least 16"),
    "a token that is not ASCII": ({"token": "sixteen-lettr\u00fcrs"}, "token", "'***'", "ASCII"),
    "no dotted path": ({"celery_app": "a/b"}, "celery_app", "'a/b'", "match pattern"),
    "a name with a blank": ({"checks": {"a b": CHECK}}, "checks.a b", None, "letters, digits"),
    "a check without a kind": ({"checks": {"shop": {}}}, "checks.shop.kind", None, "write the kind"),
    "a misspelt default check": (
        {"checks": {"cpuu": {"interval": 5}}},
        "checks.cpuu.kind",
        None,
        "mean the check 'cpu'",
    ),
    "a misspelt check switched off": ({"checks": {"dsk": {"enabled": False}}}, "checks.dsk", None, "mean 'disk'"),
    "a default check, all switched off": (
        {"default_checks": False, "checks": {"cpu": {"interval": 5}}},
        "checks.cpu.kind",
        None,
        "write kind = 'cpu'",
    ),
    "enabled perhaps": ({"checks": {"cpu": {"enabled": "maybe"}}}, "checks.cpu.enabled", "'maybe'", "true or false"),
    "a time limit as long as the interval": (
        {"checks": {"cpu": {"interval": 5, "timeout": "5s"}}},
        "checks.cpu.timeout",
        "'5s'",
        "less than the interval (5 s)",
    ),
    "a result that is stale before the next": (
        {"checks": {"cpu": {"valid_for": 9}}},
        "checks.cpu.valid_for",
        "9",
        "at least the interval (10 s)",
    ),
    "an interval that dispatching cannot keep": (
        {"checks": {"cpu": {"interval": 0.2}}},
        "dispatch_interval",
        "0.5",
        "shortest interval, 0.2 s of 'cpu'",
    ),
    "a group of nobody": ({"groups": {"a": {"checks": ["zzz"]}}}, "groups.a.checks", "'zzz'", "no such check"),
    "a group with a wrong word": (
        {"groups": {"a": {"stale": "maybe"}}},
        "groups.a.stale",
        "'maybe'",
        "'fail' or 'hold'",
    ),
    "a label that is no text": (
        {"checks": {"cpu": {"labels": {"a": 5}}}},
        "checks.cpu.labels.a",
        "5",
        "should be a text",
    ),
    "a disabled check that is wrong": (
        {"checks": {"cpu": {"enabled": False, "interval": "x"}}},
        "checks.cpu.interval",
        "'x'",
        "duration",
    ),
}


@pytest.mark.parametrize(("values", "key", "value", "hint"), CASES.values(), ids=CASES)
def test_one_problem(values, key, value, hint):
    """One mistake makes one problem, which names the key, shows the value and says what to write."""
    (found,) = problems(**values)
    assert (found.key, found.value) == (key, value)
    assert hint in found.hint
    assert found.origin == ("default" if key == "dispatch_interval" else "settings.MONITOR")


UNKNOWN = {
    "a slip": ({"redis_ulr": "x"}, "redis_ulr", "'redis_url'"),
    "capitals, as Django writes settings": ({"REDIS_URL": "x"}, "REDIS_URL", "'redis_url'"),
    "in the wrong table": ({"port": 8000}, "port", "'web.port'"),
    "a slip in the wrong table": ({"prot": 8000}, "prot", "'web.port'"),
    "a slip within a table": ({"web": {"hots": "x"}}, "web.hots", "'web.host'"),
    "a group's slip": ({"groups": {"a": {"check": []}}}, "groups.a.check", "'groups.a.checks'"),
    "nothing like it": ({"xyzzy": 1}, "xyzzy", "known: alerting, broker_queues, "),
}


@pytest.mark.parametrize(("values", "key", "meant"), UNKNOWN.values(), ids=UNKNOWN)
def test_an_unknown_key(values, key, meant):
    """It is a problem with the name that was probably meant."""
    (found,) = problems(**values)
    assert found.key == key
    assert meant in found.hint


@pytest.mark.parametrize(
    ("variable", "meant"),
    [
        pytest.param("MONITOR_REDIS_ULR", "MONITOR_REDIS_URL", id="a slip"),
        pytest.param("MONITOR_WEB_PORT", "MONITOR_WEB__PORT", id="one underscore for two"),
        pytest.param("MONITOR_INTERVAL", "MONITOR_DEFAULTS__INTERVAL", id="without its table"),
        pytest.param("MONITOR_GROUPS__A__STAEL", "MONITOR_GROUPS__A__STALE", id="a group's slip"),
    ],
)
def test_an_unknown_variable(variable, meant):
    """It is a problem in the environment's own words."""
    (found,) = problems({variable: "x"})
    assert (found.key, found.origin) == (variable, "environment")
    assert repr(meant) in found.hint


SECRETS = {
    "a password in a URL": {"redis_url": "http://user:hunter2@host"},
    "with a slash in it": {"redis_url": "redis://:a/hunter2@host:6379/0"},
    "a URL without a scheme": {"redis_url": ":hunter2@host:6379"},
    "a list instead of the token": {"token": ["hunter2"]},
    "a misspelt token": {"toekn": "hunter2"},
    "a misspelt password": {"redis_pasword": "hunter2"},
    "in a table that is expected to be something else": {"queue": {"password": "hunter2"}},
    "in a check that is no table": {"checks": {"a": "redis://:hunter2@host"}},
    "under an unknown key": {"sentinel": "redis://:hunter2@host"},
    "a database's URL": {"database_url": "user:hunter2@host/name"},
}


@pytest.mark.parametrize("values", SECRETS.values(), ids=SECRETS)
def test_problems_keep_secrets(values):
    """Wherever a password went wrong, neither the problem nor the exception shows it."""
    for found in problems(**values):
        assert "hunter2" not in str(found)
        assert "hunter2" not in repr(found)


def test_options_of_kinds_join_the_problems():
    """What pydantic says of a kind's options becomes problems with key, value, hint and origin."""
    with pytest.raises(ValidationError) as caught:
        KINDS.build("disk", {"pahts": ["/"], "warning_percent": "x"})
    found = problems_from_validation(
        "checks.disk",
        caught.value,
        {"paths", "warning_percent", "interval"},
        {"checks.disk": "file monitor.toml", "checks.disk.pahts": "settings.MONITOR"},
    )
    by_key = {problem.key: problem for problem in found}
    assert by_key["checks.disk.pahts"] == ConfigProblem(
        "checks.disk.pahts", "['/']", "unknown key; did you mean 'paths'?", "settings.MONITOR"
    )
    assert all(problem.key.startswith("checks.disk.") for problem in found)


def test_a_misspelt_common_field_is_an_option_until_its_kind_is_asked():
    """The configuration cannot know; with the common names among the known, the hint is right."""
    check = load(django_settings={"checks": {"cpu": {"intervall": 5}}}, environ={}).config.checks["cpu"]
    assert check.options == {"intervall": 5}
    assert unknown_hint("intervall", ["interval", "timeout"], "option") == "unknown option; did you mean 'interval'?"


def test_a_secret_in_a_kinds_options_stays_secret():
    """Also where pydantic would quote it."""
    with pytest.raises(ValidationError) as caught:
        TypeAdapter(dict[str, int]).validate_python({"password": "hunter2"})
    (found,) = problems_from_validation("checks.a", caught.value, ())
    assert (found.key, found.value) == ("checks.a.password", "'***'")


def test_what_is_right_is_at_hand():
    """Who looks for further problems gets the rest of the configuration; wrong values are at their defaults."""
    with pytest.raises(ConfigError) as caught:
        load(django_settings={"web": {"port": "x", "host": "h"}, "checks": {"a": CHECK, "b": {"kind": 5}}}, environ={})
    rest = caught.value.rest.config
    assert (rest.web.port, rest.web.host) == (8000, "h")
    assert "a" in rest.checks and "b" not in rest.checks


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)
TOP_LEVEL = sorted({key.path[0] for key in setting_keys()} | {"checks", "groups"})


@settings(max_examples=300, deadline=None)
@given(st.dictionaries(st.sampled_from(TOP_LEVEL) | st.text(max_size=5), JSON, max_size=4), st.data())
def test_nothing_but_a_config_error_comes_of_nonsense(values, data):
    """Whatever is in the settings and the environment: a configuration, or problems that can be printed."""
    variables = st.sampled_from(TOP_LEVEL).map(lambda key: f"MONITOR_{key.upper()}")
    texts = JSON.map(json.dumps) | st.text(max_size=8)
    environ = data.draw(st.dictionaries(variables | variables.map(lambda name: f"{name}__A__B"), texts, max_size=2))
    try:
        load(django_settings=values, environ=environ)
    except ConfigError as error:
        assert error.problems
        assert len(str(error).splitlines()) == len(error.problems)
