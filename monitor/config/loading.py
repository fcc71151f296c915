"""Loading of a configuration from its sources: defaults, file, ``settings.MONITOR``, environment.

A value in a later source overrides the value in an earlier one.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from pydantic import ConfigDict, Field, ValidationError

from monitor.config import probe_environment
from monitor.config.environment import CONFIG_VARIABLE, read_environment
from monitor.config.errors import ConfigError, ConfigProblem, problem, problems_from_validation
from monitor.config.keys import TABLES, setting_keys
from monitor.config.layers import CELERY_ORIGIN, PROJECT_ORIGIN, Layer, read_file, read_mapping
from monitor.config.model import DEFAULT_ORIGIN, Config, Loaded
from monitor.config.roster import DEFAULT_ROSTER, RosterParser, Table
from monitor.config.settings import Settings
from monitor.config.urls import celery_broker_url, celery_transport_options
from monitor.lib.tables import merged

DEFAULT_FILE = "monitor.toml"


def load(
    *,
    file: Path | None = None,
    django_settings: Mapping[str, Any] | None = None,
    project: Mapping[str, Any] | None = None,
    environ: Mapping[str, str] | None = None,
) -> Loaded:
    """Return the effective configuration. Options of kinds are not validated. Raise ConfigError with all problems.

    The sources, lowest precedence first:

    1. ``project``: values derived from the project, such as the URL of its broker. Its ``checks`` belong to the default
       roster.
    2. In a sidecar only: the variables of `probe_environment`.
    3. The file ``file``, else the file that ``MONITOR_CONFIG`` names, else ``monitor.toml`` in the working directory.
    4. ``django_settings``: the dict ``settings.MONITOR``.
    5. ``environ``: the environment variables, by default those of the process.
    """
    environ = os.environ if environ is None else environ
    project = dict(project or {})
    project_checks = read_mapping({"checks": project.pop("checks", {})}, PROJECT_ORIGIN)
    default_roster: Mapping[str, Table] = {**DEFAULT_ROSTER, **project_checks.values["checks"]}
    layers = [_file_layer(file, environ)]
    if probe_environment.is_sidecar(environ):
        layers.insert(0, probe_environment.read(environ, layers[0].values))
    if project:
        layers.insert(0, read_mapping(project, CELERY_ORIGIN))
    if django_settings is not None:
        layers.append(read_mapping(django_settings))
    layers.append(read_environment(environ, {table: _entry_names(layers, table, default_roster) for table in TABLES}))
    if project and any("redis_url" in layer.values for layer in layers[1:]):
        _drop_key_prefix(layers[0])
    origins = {key: origin for layer in layers for key, origin in layer.origins.items()}
    problems = [layer_problem for layer in layers for layer_problem in layer.problems]

    document, document_problems = _document(layers, origins)
    problems += document_problems
    if not all(layer.readable for layer in layers):  # the checks of an unreadable file would be reported as missing
        raise ConfigError(problems)
    if document.default_checks:
        origins = project_checks.origins | origins
    roster = _roster(document, origins, default_roster)
    problems += roster.problems
    values = {name: getattr(document, name) for name in Settings.model_fields if name in document.model_fields_set}
    if document.broker_url is not None:
        options, transport_problems = _transport_options(document, origins)
        problems += transport_problems
        values |= {"broker_url": celery_broker_url(document.broker_url), "broker_transport_options": options}
    config = Config(**values, **{table: getattr(roster, table) for table in TABLES})
    all_origins = {key.dotted: DEFAULT_ORIGIN for key in setting_keys()} | origins
    loaded = Loaded(config, all_origins, tuple(roster.invalid))
    if problems:
        raise ConfigError(problems, loaded)
    return loaded


class _Document(Settings):
    """Model of the merged layers. It validates the settings, and only that ``TABLES`` are tables of tables."""

    model_config = ConfigDict(validate_default=True)

    checks: dict[str, dict[str, Any]] = Field(default_factory=dict)
    groups: dict[str, dict[str, Any]] = Field(default_factory=dict)
    channels: dict[str, dict[str, Any]] = Field(default_factory=dict)
    maintenance: dict[str, dict[str, Any]] = Field(default_factory=dict)


def _file_layer(file: Path | None, environ: Mapping[str, str]) -> Layer:
    if file is not None:
        return read_file(file, f"file {file}", "the file to read")
    if environ.get(CONFIG_VARIABLE):
        name = environ[CONFIG_VARIABLE]
        return read_file(Path(name).expanduser(), f"file {name}", f"environment {CONFIG_VARIABLE}")
    return read_file(Path(DEFAULT_FILE), f"file {DEFAULT_FILE}", None)


def _transport_options(document: _Document, origins: Mapping[str, str]) -> tuple[dict[str, Any], list[ConfigProblem]]:
    """Return the broker's transport options: those in its URL, overridden by the setting.

    There is a problem if the broker is behind Sentinels and no option names the master.
    """
    broker = document.broker_url
    options = {**({} if broker is None else celery_transport_options(broker)), **document.broker_transport_options}
    if broker is None or not broker.get_secret_value().startswith("sentinel://") or options.get("master_name"):
        return options, []
    hint = "names no master; add ?master_name=NAME to the URL, or master_name to broker_transport_options"
    return options, [problem(["broker_url"], broker, hint, origins.get("broker_url", DEFAULT_ORIGIN))]


def _drop_key_prefix(derived: Layer) -> None:
    """Remove the derived key prefix, because another source sets the store.

    The derived prefix is valid only for the store that was derived from the broker.
    """
    derived.values.pop("key_prefix", None)
    derived.origins.pop("key_prefix", None)


def _entry_names(layers: Iterable[Layer], table: str, default_roster: Iterable[str]) -> list[str]:
    names = list(default_roster) if table == "checks" else []
    for layer in layers:
        if isinstance(layer.values.get(table), dict):
            names += layer.values[table]
    return names


def _document(layers: list[Layer], origins: Mapping[str, str]) -> tuple[_Document, list[ConfigProblem]]:
    """Return the merged layers without invalid values, and the problems of the invalid values."""
    try:
        return _merged_document([layer.values for layer in layers]), []
    except ValidationError as error:
        problems = problems_from_validation("", error, (), origins)
        invalid_paths = [[str(part) for part in detail["loc"]] for detail in error.errors(include_url=False)]
        return _merged_document([_without(layer.values, invalid_paths) for layer in layers]), problems


def _merged_document(values: list[dict[str, Any]]) -> _Document:
    document: dict[str, Any] = {}
    for layer in reversed(values):
        document = merged(layer, document)
    return _Document.model_validate(document)


def _without(values: dict[str, Any], paths: list[list[str]]) -> dict[str, Any]:
    """Return a copy of the values without the value at each path.

    If a path leads into a value that is no table, such as a list, this value is removed.
    """
    kept = dict(values)
    for key in {path[0] for path in paths} & kept.keys():
        inner_paths = [path[1:] for path in paths if path[0] == key]
        if isinstance(kept[key], dict) and all(inner_paths):
            kept[key] = _without(kept[key], inner_paths)
        else:
            del kept[key]
    return kept


def _roster(document: _Document, origins: Mapping[str, str], default_roster: Mapping[str, Table]) -> RosterParser:
    tables: dict[str, Table] = {}
    if document.default_checks:
        overridden = {"for"} if "for_seconds" in document.defaults.model_fields_set else set()
        tables = {
            name: {key: value for key, value in table.items() if key not in overridden}
            for name, table in default_roster.items()
        }
    for name, table in document.checks.items():
        tables[name] = {**tables.get(name, {}), **table}
    roster = RosterParser(document.defaults, origins, default_roster)
    roster.add_checks(tables)
    roster.add_groups(document.groups)
    roster.add_channels(document.channels)
    roster.add_maintenance(document.maintenance)
    shortest = min(roster.checks.values(), key=lambda check: check.interval_seconds, default=None)
    if shortest is not None and shortest.interval_seconds < document.dispatch_interval_seconds:
        hint = f"should not be longer than the shortest interval, {shortest.interval_seconds:g} s of {shortest.name!r}"
        value = document.dispatch_interval_seconds
        roster.problems.append(
            problem(["dispatch_interval"], value, hint, origins.get("dispatch_interval", DEFAULT_ORIGIN))
        )
    return roster
