"""Layer of the environment variables: ``MONITOR_WEB__PORT=8000`` sets the key ``port`` of the table ``web``."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from typing import Any

from monitor.config.errors import ConfigProblem, problem, unknown_key
from monitor.config.keys import PREFIX, SHORT_NAMES, Path, environment_name, known_children, setting_keys, suggest_path
from monitor.config.layers import Layer

CONFIG_VARIABLE = "MONITOR_CONFIG"
NamesBySpelling = Mapping[str, Mapping[str, list[str]]]
"""Names of entries, by table and by the spelling of the name in a variable, such as ``orders_api``."""

# Kubernetes sets variables in every pod for every Service of the namespace. For a Service called `monitor` or
# `monitor-web` it sets MONITOR_PORT=tcp://10.0.0.1:80, MONITOR_WEB_SERVICE_HOST and so on. These are not settings.
_SERVICE_LINK = re.compile(
    r"MONITOR_(?:\w+_)?(?:SERVICE_HOST|SERVICE_PORT(?:_\w+)?|PORT_[0-9]+_(?:TCP|UDP|SCTP)(?:_\w+)?)"
)
_SERVICE_ADDRESS = re.compile(r"(?:tcp|udp|sctp)://")


def read_environment(environ: Mapping[str, str], names: Mapping[str, Iterable[str]]) -> Layer:
    """Return the layer of the environment.

    ``names`` contains, for each table, the names of the entries in the other layers. They are needed because a variable
    cannot contain every character of a name: ``MONITOR_CHECKS__ORDERS_KAFKA__INTERVAL`` sets the interval of the check
    ``orders-kafka`` if ``names`` contains this check. An empty variable counts as not set.
    """
    layer = Layer()
    spellings = {table: _by_spelling(table_names) for table, table_names in names.items()}
    for variable, path in _variables(environ):
        origin = f"environment {variable}"
        value = _decode(environ[variable], path)
        possible_paths = _possible_paths(path, spellings)
        if len(possible_paths) > 1:
            entries = " or ".join(sorted(possible_path[1] for possible_path in possible_paths))
            hint = f"is ambiguous: {entries}; set it in the configuration file"
            layer.problems.append(problem([variable], value, hint, origin))
        elif _is_unknown(path):
            layer.problems.append(_unknown_variable(variable, path, value))
        else:
            layer.put(possible_paths[0], value, origin)
    return layer


def _variables(environ: Mapping[str, str]) -> list[tuple[str, Path]]:
    """Return the variables that are settings, each with its key.

    If two variables set the same key, the later one in the list overrides the earlier one.
    """
    short = [(variable, path) for variable, path in SHORT_NAMES.items() if variable in environ]
    long = [
        (variable, tuple(variable.removeprefix(PREFIX).lower().split("__")))
        for variable in environ
        if variable.startswith(PREFIX) and variable not in {*SHORT_NAMES, CONFIG_VARIABLE, PREFIX}
    ]
    long.sort(key=lambda item: len(item[1]))
    return [
        (variable, path)
        for variable, path in short + long
        if environ[variable] and not _is_service_link(variable, environ[variable])
    ]


def _is_service_link(variable: str, value: str) -> bool:
    if "__" in variable or not variable.startswith(PREFIX):
        return False
    is_address = variable.endswith("_PORT") and _SERVICE_ADDRESS.match(value)
    return bool(_SERVICE_LINK.fullmatch(variable) or is_address)


def _decode(value: str, path: Path) -> Any:
    """Decode the value of a variable as JSON if the value begins with a bracket. Otherwise return it unchanged.

    Among the settings outside of `TABLES`, only `json_settings` are decoded.
    """
    json_settings = {("broker_transport_options",), ("workers", "stuck_after_by_task")}
    plain_settings = {key.path for key in setting_keys()} - json_settings
    if value[0] in "[{" and path not in plain_settings:
        try:
            return json.loads(value)
        except ValueError:
            return value
    return value


def _possible_paths(path: Path, spellings: NamesBySpelling) -> list[Path]:
    """Return the keys that a variable may set. ``path`` is the key in the spelling of the variable.

    There is more than one key if two entries have the same spelling in a variable, such as ``a-b`` and ``a.b``.
    """
    if len(path) < 2 or path[0] not in spellings:
        return [path]
    names = spellings[path[0]].get(_spelling(path[1]), [path[1]])
    names = [path[1]] if path[1] in names else names
    return [(path[0], name, *path[2:]) for name in names]


def _is_unknown(path: Path) -> bool:
    levels = ((known_children(path[:depth]), path[depth]) for depth in range(len(path)))
    return any(known is not None and name not in known for known, name in levels)


def _unknown_variable(variable: str, path: Path, value: Any) -> ConfigProblem:
    suggestion = suggest_path(path)
    names = {environment_name(key.path) for key in setting_keys()}
    close = environment_name(suggestion) if suggestion else None
    return unknown_key([variable], value, names, "environment", close)


def _spelling(name: str) -> str:
    return re.sub(r"[^a-z0-9]", "_", name.lower())


def _by_spelling(names: Iterable[str]) -> dict[str, list[str]]:
    by_spelling: dict[str, list[str]] = {}
    for name in dict.fromkeys(names):
        by_spelling.setdefault(_spelling(name), []).append(name)
    return by_spelling
