"""The agent's settings: a few of the settings of `monitor.config`, from the same sources with the same precedence.

The module does not use pydantic, which would cost each worker 30 MB. A test ensures that this module and
`monitor.config` read the same values. An invalid setting raises no exception in a worker: it is ignored and listed in
``problems``. The monitor's own roles refuse to start with an invalid setting.
"""

from __future__ import annotations

import importlib
import json
import math
import os
import re
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

from monitor.agent import broker
from monitor.agent.identity import is_name
from monitor.lib.redis_pool import connection_pool
from monitor.lib.redis_urls import for_redis_py
from monitor.lib.tables import merged

_PREFIX = "MONITOR_"
_UNITS = {"": 1.0, "ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_TRUE = {"1", "true", "t", "yes", "y", "on"}
_FALSE = {"0", "false", "f", "no", "n", "off"}
_MISSING = object()


@dataclass(frozen=True, slots=True)
class AgentSettings:
    """Settings of the agent in one worker."""

    redis_url: str | None = None
    """URL of the store. None if it is invalid, or neither configured nor derived from the broker."""
    key_prefix: str = "monitor:"
    project: str | None = None
    interval_seconds: float = 10.0
    enabled: bool = True
    stuck_after_seconds: float = 900.0
    stuck_after_by_task: Mapping[str, float] = field(default_factory=dict)
    problems: tuple[str, ...] = ()
    """Messages about invalid settings. They do not contain the values, which may be passwords."""


def load(conf: Any = None, environ: Mapping[str, str] | None = None) -> AgentSettings:
    """Return the settings for a Celery application with the configuration ``conf``. Never raises."""
    environ = os.environ if environ is None else environ
    problems: list[str] = []
    configured = merged(_from_file(environ, problems), _from_django(environ, problems))
    configured = merged(configured, _from_environment(environ))
    derived = _from_broker(conf, problems) if "redis_url" not in configured else {}
    workers = configured.get("workers")
    tables = {"": configured, "workers": workers if isinstance(workers, Mapping) else {}}
    values = {}
    for table, key, attribute, parse in _KEYS:
        value = tables[table].get(key, derived.get(key, _MISSING))
        if value is not _MISSING:
            try:
                values[attribute] = parse(value)
            except (ValueError, TypeError, OverflowError) as error:
                problems.append(f"{key}: {error}")
    return AgentSettings(**values, problems=tuple(problems))


def _from_environment(environ: Mapping[str, str]) -> dict[str, Any]:
    values: dict[str, Any] = {}
    names = [name for name in environ if name.startswith(_PREFIX) and environ[name]]
    for name in sorted(names, key=lambda name: name.count("__")):
        table, _, key = name.removeprefix(_PREFIX).lower().partition("__")
        if table == "workers" and key:
            values.setdefault("workers", {})[key] = environ[name]
        elif table == "workers":
            values["workers"] = _json_table(environ[name])
        elif not key:
            values[table] = environ[name]
    return values


def _json_table(text: str) -> dict[str, Any]:
    try:
        value = json.loads(text)
    except ValueError:
        return {}
    return value if isinstance(value, dict) else {}


def _from_django(environ: Mapping[str, str], problems: list[str]) -> Mapping[str, Any]:
    # The monitor's own Django settings contain only values from its configuration.
    if environ.get("DJANGO_SETTINGS_MODULE") in (None, "", "monitor.settings"):
        return {}
    try:
        settings = importlib.import_module("django.conf").settings
        values = getattr(settings, "MONITOR", None) or {}
    except Exception as error:  # noqa: BLE001 - a project's settings may raise anything
        problems.append(f"DJANGO_SETTINGS_MODULE: the settings cannot be imported ({type(error).__name__})")
        return {}
    if isinstance(values, Mapping):
        return values
    problems.append("settings.MONITOR: should be a dict")
    return {}


def _from_file(environ: Mapping[str, str], problems: list[str]) -> dict[str, Any]:
    configured_path = environ.get(f"{_PREFIX}CONFIG")
    path = Path(configured_path).expanduser() if configured_path else Path("monitor.toml")
    try:
        return tomllib.loads(path.read_bytes().decode())
    except FileNotFoundError:
        if configured_path:
            problems.append("MONITOR_CONFIG: there is no such file")
    except OSError as error:
        problems.append(f"{path.name}: cannot be read ({error.strerror})")
    except ValueError:  # not UTF-8, or not TOML. The error is not reported: it quotes the text of the file
        problems.append(f"{path.name}: is not TOML")
    return {}


def _from_broker(conf: Any, problems: list[str]) -> dict[str, str]:
    if conf is None:
        return {}
    try:
        url, options, tls = broker.connection_settings(conf)
        store = broker.store_url(url, options, tls)
        prefix = broker.key_prefix(options)
    except Exception as error:  # noqa: BLE001 - a project may configure anything
        problems.append(f"broker_url: no store can be derived from it ({type(error).__name__})")
        return {}
    derived = {"redis_url": store, "key_prefix": prefix} if store else {}
    return {key: value for key, value in derived.items() if value is not None}


def _redis_url(value: Any) -> str | None:
    if value is None:
        return None
    if not isinstance(value, str):
        raise TypeError("should be a string")
    connection_pool(value, timeout_seconds=1.0)
    return for_redis_py(value)


def _key_prefix(value: Any) -> str:
    if not isinstance(value, str) or re.fullmatch(r"[^\s*?\[\]\\]{1,100}", value) is None:
        raise ValueError("should be 1 to 100 characters without spaces, *, ?, [, ] and \\")
    return value


def _project(value: Any) -> str | None:
    if value is None:
        return None
    if not isinstance(value, str) or not is_name(value):
        raise ValueError("should be 1 to 100 characters in one line, without spaces at its ends")
    return value


def _seconds(value: Any, least: float = 0.0) -> float:
    if isinstance(value, timedelta):
        value = value.total_seconds()
    if isinstance(value, str):
        match = re.fullmatch(r"\s*([0-9]{1,15}(?:\.[0-9]{1,15})?)\s*([a-z]*)\s*", value.lower())
        value = float(match[1]) * _UNITS[match[2]] if match and match[2] in _UNITS else None
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value) or value < least:
        raise ValueError(f"should be a duration of at least {least:g} s, such as '500ms', '10s', '5m'")
    return float(value)


def _interval(value: Any) -> float:
    return _seconds(value, 0.5)


def _by_task(value: Any) -> dict[str, float]:
    value = _json_table(value) if isinstance(value, str) else value
    if not isinstance(value, Mapping):
        raise TypeError("should be a table of durations")
    return {str(name): _seconds(duration) for name, duration in value.items()}


def _enabled(value: Any) -> bool:
    text = str(value).lower() if isinstance(value, str | bool | int) else ""
    if text not in _TRUE | _FALSE:
        raise ValueError("should be true or false")
    return text in _TRUE


_KEYS: tuple[tuple[str, str, str, Callable[[Any], Any]], ...] = (
    ("", "redis_url", "redis_url", _redis_url),
    ("", "key_prefix", "key_prefix", _key_prefix),
    ("", "project", "project", _project),
    ("workers", "interval", "interval_seconds", _interval),
    ("workers", "enabled", "enabled", _enabled),
    ("workers", "stuck_after", "stuck_after_seconds", _seconds),
    ("workers", "stuck_after_by_task", "stuck_after_by_task", _by_task),
)
"""For each setting: table, key, attribute of `AgentSettings`, and parser."""
