"""No secret is shown, whatever key it is the value of: by `monitor config`, and by the problems of a configuration.

The keys are those of the code: each setting, and each option of each kind of check and channel. A new one is tested.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple, get_type_hints

import pytest
from pydantic import SecretStr

from monitor import wiring
from monitor.alerts.registry import CHANNELS
from monitor.checks.registry import KINDS
from monitor.config import ConfigError, load
from monitor.config.describe import describe
from monitor.config.keys import setting_keys
from monitor.lib.redaction import as_secret, hide_check_option, hide_option, is_secret, is_secret_type, mask

MARKER = "hunter2"
REGISTRIES = {"checks": KINDS, "channels": CHANNELS}

WEB = f"https://user:{MARKER}@host.example:8443/{MARKER}?a={MARKER}#{MARKER}"
FORMS = {
    "a URL with a user and a path": WEB,
    "a URL with a path only": f"https://host.example/{MARKER}",
    "a URL with a query only": f"https://host.example?{MARKER}",
    "a URL with a blank in it": f"https://host.example/a {MARKER}",
    "a URL without a scheme": f"host.example/{MARKER}",
    "a user without a scheme": f"user:{MARKER}@host.example",
    "a URL of another server": f"redis://user:{MARKER}@host.example/0?password={MARKER}",
    "a text": MARKER,
}


class Key(NamedTuple):
    """A key of the configuration, and the type of its value. ``kind`` is empty for a setting."""

    table: str
    kind: str
    name: str
    type: Any

    def __str__(self) -> str:
        return ".".join(filter(None, self[:3]))

    @property
    def is_secret(self) -> bool:
        """True if the type says that the value is a secret."""
        return is_secret_type(self.type)


def keys() -> Iterator[Key]:
    """All settings, and all options of all kinds."""
    for setting in setting_keys():
        yield Key("", "", setting.dotted, setting.field.annotation)
    for table, registry in REGISTRIES.items():
        for kind in registry.names():
            hints = get_type_hints(registry.find(kind), include_extras=True)
            for name in registry.option_names(kind):
                yield Key(table, kind, name, hints[name])


ALL_KEYS = list(keys())
SECRET_KEYS = [key for key in ALL_KEYS if key.is_secret]


def test_the_keys_are_found() -> None:
    """The list is made by reflection: an empty one would let every test of it pass."""
    assert {str(key) for key in SECRET_KEYS} >= {
        "alerting.ping_url",
        "broker_url",
        "channels.alertmanager.urls",
        "channels.exec.environment",
        "channels.webhook.headers",
        "checks.kafka_group.sasl_password",
        "checks.prometheus.headers",
        "checks.redis.url",
        "token",
    }


# A URL of these is no secret. Its user and password are masked nevertheless.
PLAIN_URLS = {"checks.http.url", "channels.alertmanager.generator_url"}
# The name of a file with a key, the name of the function that returns a token, and a prefix: no secrets.
PLAIN_NAMES = {"checks.kafka_group.sasl_token_provider", "checks.kafka_group.tls_keyfile"}


@pytest.mark.parametrize("key", ALL_KEYS, ids=str)
def test_a_key_with_the_name_of_a_secret_has_the_type_of_one(key: Key) -> None:
    """A new option that holds a secret by its name must be a `SecretStr`, or be listed here with its reason."""
    last = key.name.rpartition(".")[2]
    sounds_secret = is_secret(last) or last.endswith(("url", "urls", "dsn", "headers", "environment"))
    is_listed = str(key) in PLAIN_URLS | PLAIN_NAMES
    assert key.is_secret or not sounds_secret or is_listed or key.type is bool


def shown(key: Key, value: Any) -> str:
    """Return what `monitor config` shows of a value, without the validation of the value."""
    if not key.table:
        return str(mask(as_secret(value), key.name.rpartition(".")[2]))
    assert key.name in wiring.secret_options(key.table, key.kind)
    hide = hide_option if key.table == "channels" else hide_check_option
    return str(hide(as_secret(value), key.name))


@pytest.mark.parametrize("form", FORMS.values(), ids=FORMS)
@pytest.mark.parametrize("key", SECRET_KEYS, ids=str)
def test_no_secret_is_shown(key: Key, form: str) -> None:
    """Alone, in a list and in a table."""
    for value in (form, [form, form], {"X-Scope-OrgID": form}):
        assert MARKER not in shown(key, value)


@pytest.mark.parametrize("key", SECRET_KEYS, ids=str)
def test_no_secret_is_shown_by_describe(key: Key) -> None:
    """The rows of the whole configuration, from a value that passes the validation of settings."""
    value: Any = WEB
    if key.name in ("redis_url", "broker_url", "database_url"):
        value = f"redis://user:{MARKER}@host.example/0"
    elif key.name == "token":
        value = f"{MARKER}-{MARKER}-{MARKER}"
    elif "Mapping" in str(key.type):
        value = {"X-Scope-OrgID": f"{MARKER} {MARKER}"}
    elif "tuple" in str(key.type):
        value = [WEB, WEB]
    values: dict[str, Any] = {}
    table = values
    path = [key.table, "x", key.name] if key.table else key.name.split(".")
    for part in path[:-1]:
        table = table.setdefault(part, {})
    table |= {"kind": key.kind, path[-1]: value} if key.table else {path[-1]: value}
    loaded = load(django_settings=values, environ={})
    rows = {row.key: row.value for row in describe(loaded, wiring.secret_options)}
    assert "***" in rows[".".join(path)]
    assert MARKER not in str(rows) + repr(loaded)


@pytest.mark.parametrize("form", FORMS.values(), ids=FORMS)
@pytest.mark.parametrize("key", SECRET_KEYS, ids=str)
def test_no_secret_is_in_a_problem(key: Key, form: str, tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever is wrong with the value or beside it, with a value of the right type and of a wrong one."""
    monkeypatch.chdir(tmp_path)
    for value in (form, [form, 5], {"a": form, "b": [form]}):
        wrong = {"nonsense": 1, "interval": "often"}
        values: dict[str, Any]
        if key.table:
            values = {key.table: {"x": {"kind": key.kind, key.name: value, **wrong}}}
        else:
            *path, last = key.name.split(".")
            values = {last: value, **wrong}
            for part in reversed(path):
                values = {part: values}
        monkeypatch.setattr(wiring.discovery, "explicit_settings", lambda values=values: values)
        monkeypatch.setattr(wiring.discovery, "derived_settings", dict)
        with pytest.raises(ConfigError) as caught:
            wiring.load()
        assert MARKER not in str(caught.value) + repr(caught.value.problems)


TRANSPORT_OPTIONS = {
    "sentinel_kwargs": {"password": MARKER, "username": MARKER},
    "predefined_queues": {"a": {"url": f"https://sqs/{MARKER}", "access_key_id": MARKER, "secret_access_key": MARKER}},
    "sas_policy": MARKER,
    "login_method": [MARKER, MARKER],
    "master_name": "shop",
    "visibility_timeout": 3600,
    "socket_keepalive": True,
}


def test_transport_options_show_numbers_and_known_names() -> None:
    """The options of a transport have any name, so each text is a secret, except the few that are known to be none."""
    checks = {"x": {"kind": "celery", "transport_options": TRANSPORT_OPTIONS}}
    loaded = load(django_settings={"broker_transport_options": TRANSPORT_OPTIONS, "checks": checks}, environ={})
    rows = {row.key: row.value for row in describe(loaded, wiring.secret_options)}
    assert MARKER not in str(rows) + repr(loaded)
    for key in ("broker_transport_options", "checks.x.transport_options"):
        for part in ("master_name = shop", "visibility_timeout = 3600", "socket_keepalive = True"):
            assert part in rows[key]


def test_what_helps_is_shown() -> None:
    """Scheme, host and port; the number or name of a database; all of what is no secret."""
    assert mask(SecretStr(WEB), "ping_url") == "https://***@host.example:8443/***"
    assert mask(SecretStr("https://hc-ping.com"), "ping_url") == "https://hc-ping.com"
    assert mask(SecretStr("rediss://:x@host:1/3?db=2"), "redis_url") == "rediss://***@host:1/3?db=2"
    assert mask(SecretStr("broker:5672"), "broker_url") == "broker:5672"
    assert mask("https://orders.internal/health", "url") == "https://orders.internal/health"
