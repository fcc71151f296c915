"""Reference page of all settings: ``python -m monitor.config.reference > docs/configuration.md``."""

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

Without any configuration, the checks of the [default roster](#default-roster) run. Values are read from these sources.
A later source overrides an earlier one:

1. the built-in defaults;
2. a TOML file: the file that the variable `MONITOR_CONFIG` names, otherwise `monitor.toml` in the working directory. A
   missing `monitor.toml` is no error. If `MONITOR_CONFIG` names a missing file, this is an error;
3. `settings.MONITOR` of a Django project: a dict with the keys and tables of the file;
4. environment variables.

If a table is in several sources, its keys are merged. A list replaces the list of an earlier source. `monitor config`
shows the effective values with their origins, and masks secrets. A wrong value is an error, and no role starts. All
errors are reported at once, each with key, value, origin and hint.

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

**Environment.** Two underscores separate a table from its key: `MONITOR_DEFAULTS__INTERVAL=5s`,
`MONITOR_CHECKS__CPU__ENABLED=false`. In the name of a check, group, channel or maintenance, each character that is
neither a letter nor a digit becomes an underscore: `MONITOR_CHECKS__ORDERS_API__INTERVAL` sets the interval of the
check `orders-api`. In a list of names, commas separate the names. Write other lists and tables as JSON. An empty
variable counts as not set. Kubernetes sets variables such as `MONITOR_PORT=tcp://...` and `MONITOR_SERVICE_HOST` for a
Service called `monitor`. These variables are ignored.

**Secrets.** `monitor config` and error messages show `***` in place of a token, a password, the value of a header, and
the user and password of a URL. Of an http or https URL that is a secret, such as `alerting.ping_url`, they show only
scheme, host and port. Of the transport options of a broker, they show numbers and the options that never hold a secret,
such as `master_name`.

**Units.** A duration is a number of seconds, or a text such as `500ms`, `10s`, `5m`, `1h`, `1d`. A size is a number of
bytes, or a text such as `64MB` (64 million bytes) or `64MiB` (64 x 1024 x 1024 bytes).
"""

_CHECKS = """\
## Checks

Each check has one table `[checks.NAME]`. The name of a check has at most 200 characters: letters, digits and
`_ . @ : -`. The keys below are common to all checks. Any other key is an option of the kind ([checks](checks.md)). The
environment variable of a key is `MONITOR_CHECKS__NAME__KEY`.
"""

_GROUPS = """\
## Groups

A group is a set of checks behind one probe. A check belongs to a group if the check names the group in its `groups`, or
if the group names the check in its `checks`. The group `ready` always exists. Any other group exists if a check names
it or if it has a table `[groups.NAME]`. A table is needed only to set one of the keys below. The environment variable
of a key is `MONITOR_GROUPS__NAME__KEY`.
"""

_CHANNELS = """\
## Channels

A channel sends notifications when checks change their status. Each channel has one table `[channels.NAME]`. The keys
below are common to all channels. Any other key is an option of the kind ([channels](channels.md)).
[Alerting](alerting.md) describes which notifications are sent. The environment variable of a key is
`MONITOR_CHANNELS__NAME__KEY`.
"""

_MAINTENANCE = """\
## Maintenance

During maintenance no notification is sent about failures of the selected checks. Each maintenance has one table
`[maintenance.NAME]`. A single maintenance has the keys `start` and `end`. A recurring maintenance has the keys
`from` and `until`, and may have `days`. Any other combination is an error. The environment variable of a key is
`MONITOR_MAINTENANCE__NAME__KEY`.
"""

_ROSTER = """\
## Default roster

These checks run unless `default_checks` is false. A table `[checks.NAME]` with the name of one of these checks changes
the check. `enabled = false` in this table removes the check. A check that is not in this list belongs to the group
`ready` only if its `groups` contain `ready`.
"""

_PROJECT_CHECKS = """\
In a Django project, the default roster also has these checks. They are not critical, and they belong to no group:

- `database:ALIAS`, of the kind `database`, for each further alias in `DATABASES`;
- `cache:ALIAS`, of the kind `cache`, for each alias in `CACHES` whose `LOCATION` is a URL of Redis. It does not matter
  whether the backend is Django's own, django-redis or another one.

In an alias, each character that the name of a check cannot have becomes an underscore. Such a name ends with a dot and
8 digits, so that two aliases never get one name. `monitor config` lists the names. The checks contain the alias only:
each run reads the address and the password from the settings. This example makes the cache of the sessions critical:

```toml
[checks."cache:sessions"]
kind = "cache"                 # not needed if the settings have this cache
alias = "sessions"             # not needed, either
critical = true
groups = ["ready"]
```

`cpu` and `connections` wait for a minute (`for`) before their status gets worse, unless `defaults.for` is set. A busy
machine is high for a moment without any failure.
"""


def render() -> str:
    """Return the page, in Markdown."""
    parts = [_INTRODUCTION, _settings(), _CHECKS, _table_of("checks"), _GROUPS, _table_of("groups")]
    parts += [
        _CHANNELS,
        _table_of("channels"),
        _MAINTENANCE,
        _table_of("maintenance"),
        _ROSTER,
        _roster(),
        _PROJECT_CHECKS,
    ]
    return "\n".join(parts)


def _settings() -> str:
    values = {row.key: row.value for row in describe(Loaded(Config(), {}), lambda *_: ())}
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
            _as_code(values[key.dotted]),
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
            default = _as_code(_default_text(field.get_default(call_default_factory=True, validated_data={})))
        rows.append((f"`{key}`", _type(field), default, field.description or ""))
    if name == "checks":
        rows.append(("`enabled`", "true or false", "`true`", "with false, the check does not run and is not shown"))
    return _markdown(("key", "type", "default", "meaning"), rows)


def _roster() -> str:
    rows = [
        (
            f"`{name}`",
            f"`{spec['kind']}`",
            "yes" if spec.get("critical", True) else "no",
            ", ".join(spec.get("groups", ())),
            f"`{spec['for']:g}s`" if "for" in spec else "",
        )
        for name, spec in DEFAULT_ROSTER.items()
    ]
    return _markdown(("check", "kind", "critical", "groups", "for"), rows)


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


def _default_text(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, tuple) and value:
        return ", ".join(value)
    if isinstance(value, float):
        return f"{value:.10g}s"
    return str(value) if value or value == 0 else "(none)"


def _as_code(value: str) -> str:
    return value.strip("()") if value.startswith("(") else f"`{value}`"


def _markdown(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    return "\n".join(table(head, rows))


if __name__ == "__main__":
    sys.stdout.write(render())
