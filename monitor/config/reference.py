"""The reference of all settings: ``python -m monitor.config.reference > docs/configuration.md``."""

from __future__ import annotations

import sys
import types
from collections.abc import Iterable, Mapping
from datetime import datetime, time
from pathlib import Path
from typing import Any, Literal, Union, get_args, get_origin

from pydantic import SecretStr
from pydantic.fields import FieldInfo

from monitor.config.describe import describe
from monitor.config.keys import SHORT_NAMES, environment_name, setting_keys, table_keys
from monitor.config.model import Config, Loaded
from monitor.config.roster import DEFAULT_ROSTER
from monitor.plugins.reference import table

_INTRODUCTION = """\
# Configuration

This page is generated from the code: `python -m monitor.config.reference > docs/configuration.md`.

With no configuration at all the default roster runs (below). A value is looked for in these places; the later wins:

1. the built-in defaults;
2. a TOML file: `monitor.toml` in the working directory, or the one that `MONITOR_CONFIG` names (which must then exist);
3. `settings.MONITOR` of a Django project, a dict of the same shape;
4. the environment.

Tables are merged key by key; lists are replaced. `monitor config` shows what is in force and where each value came
from, with secrets masked. Everything that is wrong is reported at once, and nothing starts half-configured.

```toml
redis_url = "redis://:password@redis:6379/0"
token = "a long random text"

[defaults]
interval = "10s"

[checks.orders-api]
kind = "http"
url = "http://orders/health"   # an option of the kind
interval = "30s"
groups = ["ready"]

[checks.disk]                  # changes a check of the default roster
paths = ["/", "/data"]

[checks.connections]
enabled = false

[groups.orders]
checks = ["orders-api", "database"]
```

**Environment.** Two underscores lead into a table: `MONITOR_DEFAULTS__INTERVAL=5s`,
`MONITOR_CHECKS__CPU__ENABLED=false`. The check `orders-api` is reached by `MONITOR_CHECKS__ORDERS_API__INTERVAL`. Lists
of names are separated by commas; other lists and tables are JSON. An empty variable is one that is not set. The
variables that Kubernetes makes for a Service called `monitor` (`MONITOR_PORT=tcp://...`, `MONITOR_SERVICE_HOST`, ...)
are ignored.

**Units.** Durations are seconds, or a text such as `500ms`, `10s`, `5m`, `1h`, `1d`. Sizes are bytes, or a text such
as `64MB` (1000 x 1000) or `64MiB` (1024 x 1024).
"""

_CHECKS = """\
## Checks

One table `[checks.NAME]` for each; names hold letters, digits and `_ . @ : -`. The keys below are common to all
checks; any other key is an option of its kind. In the environment: `MONITOR_CHECKS__NAME__KEY`.
"""

_GROUPS = """\
## Groups

A group is a set of checks behind one probe. A check joins those it names in `groups`; a group may also list `checks`.
The group `ready` always exists, and so does every group that a check names. A table `[groups.NAME]`, or
`MONITOR_GROUPS__NAME__KEY`:
"""

_CHANNELS = """\
## Channels

Who is told when a check changes its status: one table `[channels.NAME]` for each. The keys below are common to all; any
other key is an option of its kind ([channels](channels.md)). What is told when: [alerting](alerting.md). In the
environment: `MONITOR_CHANNELS__NAME__KEY`.
"""

_MAINTENANCE = """\
## Maintenance

Times at which nobody is told that something fails. A table `[maintenance.NAME]`, or `MONITOR_MAINTENANCE__NAME__KEY`,
has either `start` and `end`, or `from` and `until` and perhaps `days`:
"""

_ROSTER = """\
## Default roster

Runs unless `default_checks = false`. A table of the same name changes a check, `enabled = false` removes it. A check of
your own is in `ready` only if it says so.
"""


def render() -> str:
    """The page, in Markdown."""
    parts = [_INTRODUCTION, _settings(), _CHECKS, _table_of("checks"), _GROUPS, _table_of("groups")]
    parts += [_CHANNELS, _table_of("channels"), _MAINTENANCE, _table_of("maintenance"), _ROSTER, _roster()]
    return "\n".join(parts)


def _settings() -> str:
    values = {row.key: row.value for row in describe(Loaded(Config(), {}))}
    short: dict[tuple[str, ...], list[str]] = {}
    for name, path in SHORT_NAMES.items():
        short.setdefault(path, []).append(name)
    rows = []
    for key in setting_keys():
        variables = [environment_name(key.path), *short.get(key.path, [])]
        cells = (
            f"`{key.dotted}`",
            ", ".join(f"`{name}`" for name in variables),
            _type(key.field),
            _code(values[key.dotted]),
        )
        rows.append((*cells, key.field.description or ""))
    return "## Settings\n\n" + _markdown(("key", "environment", "type", "default", "meaning"), rows)


def _table_of(name: str) -> str:
    derived = {
        "timeout": "`defaults.timeout`, at most half of the interval",
        "valid_for": "`defaults.stale_after` x interval",
    }
    rows = []
    for key, field in table_keys(name).items():
        if name == "checks" and key in derived:
            default = derived[key]
        elif name == "checks" and any(setting.dotted == f"defaults.{key}" for setting in setting_keys()):
            default = f"`defaults.{key}`"
        elif field.is_required():
            default = "required"
        else:
            default = _code(_plain(field.get_default(call_default_factory=True, validated_data={})))
        rows.append((f"`{key}`", _type(field), default, field.description or ""))
    if name == "checks":
        rows.append(("`enabled`", "true or false", "`true`", "false takes the check off the roster"))
    return _markdown(("key", "type", "default", "meaning"), rows)


def _roster() -> str:
    rows = [
        (
            f"`{name}`",
            f"`{spec['kind']}`",
            "yes" if spec.get("critical", True) else "no",
            ", ".join(spec.get("groups", ())),
        )
        for name, spec in DEFAULT_ROSTER.items()
    ]
    return _markdown(("check", "kind", "critical", "groups"), rows)


def _type(field: FieldInfo) -> str:
    if field.alias is not None and time in get_args(field.annotation):
        return "time of day"
    if field.alias is not None or field.annotation is float:
        name = str(field.alias)
        return "size" if "memory" in name else "number" if field.alias is None else "duration"
    return _type_name(field.annotation)


def _type_name(annotation: Any) -> str:
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin in {Union, types.UnionType}:
        return _type_name(next(argument for argument in arguments if argument is not type(None)))
    if origin is Literal:
        return " or ".join(f"`{choice}`" for choice in arguments)
    if hasattr(annotation, "__metadata__"):
        return _type_name(arguments[0])
    if isinstance(origin, type) and issubclass(origin, tuple):
        return "list of names"
    if isinstance(origin, type) and issubclass(origin, Mapping):
        return "table"
    names = {
        bool: "true or false",
        int: "whole number",
        float: "number",
        str: "text",
        Path: "path",
        datetime: "date and time",
        SecretStr: "secret text",
    }
    return names[annotation]


def _plain(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, tuple) and value:
        return ", ".join(value)
    if isinstance(value, float):
        return f"{value:.10g}s"
    return str(value) if value or value == 0 else "(none)"


def _code(value: str) -> str:
    return value.strip("()") if value.startswith("(") else f"`{value}`"


def _markdown(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    return "\n".join(table(head, rows))


if __name__ == "__main__":
    sys.stdout.write(render())
