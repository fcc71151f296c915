"""Parser of the tables of checks, groups, channels and maintenance, and the default roster."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Mapping
from typing import Any, TypeVar

from pydantic import TypeAdapter, ValidationError

from monitor.config.alerts import ChannelSpec, MaintenanceSpec
from monitor.config.errors import NO_VALUE, ConfigProblem, nearest, problem, problems_from_validation
from monitor.config.keys import COMMON_CHANNEL_KEYS, COMMON_CHECK_KEYS, table_keys
from monitor.config.model import READY, CheckSpec, GroupSpec, default_timeout_seconds
from monitor.config.settings import CheckDefaults, FrozenModel
from monitor.config.units import seconds

Table = Mapping[str, Any]

DEFAULT_ROSTER: Mapping[str, Table] = {
    "database": {"kind": "database", "groups": [READY]},
    "redis": {"kind": "redis", "groups": [READY]},
    "celery": {"kind": "celery", "groups": [READY]},
    "cpu": {"kind": "cpu", "critical": False, "for": 60.0},
    "memory": {"kind": "memory", "critical": False},
    "disk": {"kind": "disk", "critical": False},
    "connections": {"kind": "connections", "critical": False, "for": 60.0},
}
"""Tables of the checks that run without any configuration. A project's databases and caches add further checks.

A busy machine exceeds the thresholds of ``cpu`` for a moment, and listing its connections may take too long. So both
checks wait (``for``) before their status gets worse.
"""

RUNTIME_PREFIXES = ("worker:", "queue:", "host:", "monitor:", "group:")
"""Prefixes of the names of checks that are created and deleted at run time."""

RUNTIME_NAMES = frozenset({"workers"})
"""Names of the checks that are created at run time and have no such prefix."""

_SETTINGS_OF_ALIASES = {"database": "DATABASES", "cache": "CACHES"}
"""By the prefix of the names of the project's default checks, the Django setting that contains the aliases."""

_ENABLED = TypeAdapter(bool)
_TIMES = frozenset({"interval", "timeout", "valid_for"})  # each is validated by the others
F = TypeVar("F", bound=FrozenModel)


class RosterParser:
    """Parser of tables. After the ``add_`` methods, it has the valid entries, and the ``problems`` of the others.

    ``invalid`` contains checks and channels with invalid fields. These fields have their defaults there.
    """

    def __init__(
        self, defaults: CheckDefaults, origins: Mapping[str, str], default_roster: Mapping[str, Table] = DEFAULT_ROSTER
    ) -> None:
        self.checks: dict[str, CheckSpec] = {}
        self.groups: dict[str, GroupSpec] = {}
        self.channels: dict[str, ChannelSpec] = {}
        self.maintenance: dict[str, MaintenanceSpec] = {}
        self.problems: list[ConfigProblem] = []
        self.invalid: list[CheckSpec | ChannelSpec] = []
        self._names: set[str] = set()
        self._defaults = defaults
        self._origins = origins
        self._default_roster = default_roster
        self._default_fields = {
            field.alias or name: getattr(defaults, name)
            for name, field in CheckDefaults.model_fields.items()
            if (field.alias or name) in COMMON_CHECK_KEYS and field.alias != "timeout"  # it depends on the interval
        }

    def add_checks(self, tables: Mapping[str, Table]) -> None:
        """Add the checks. A disabled check is validated but not added."""
        self._names |= {name for name, table in tables.items() if "kind" in table} | set(self._default_roster)
        for name, table in tables.items():
            enabled = self._parse_enabled(name, table)
            if "kind" not in table and not (enabled is False and name in self._default_roster):
                self._report_missing_kind(name, enabled)
            check = self._parse_check(name, table, is_enabled=enabled is not False)
            if check is not None and enabled:
                self.checks[name] = check
        for check in self.checks.values():
            configured_parents = [
                name for name in check.depends_on if name not in RUNTIME_NAMES and not name.startswith(RUNTIME_PREFIXES)
            ]
            self._report_missing(configured_parents, self._names, ("checks", check.name, "depends_on"), "check")
            if cycle := self._cycle(check.name):
                hint = f"is circular: {' -> '.join(cycle)}; remove one of these dependencies"
                self._report(("checks", check.name, "depends_on"), ", ".join(check.depends_on), hint)

    def add_groups(self, tables: Mapping[str, Table]) -> None:
        """Add the groups. All checks must have been added."""
        self.groups |= self._build(GroupSpec, "groups", tables)
        for group in self.groups.values():
            self._report_missing(group.checks, self._names, ("groups", group.name, "checks"), "check")

    def add_channels(self, tables: Mapping[str, Table]) -> None:
        """Add the channels. All checks and groups must have been added."""
        specs = {}
        for name, table in tables.items():
            common = {key: value for key, value in table.items() if key in COMMON_CHANNEL_KEYS}
            specs[name] = {**common, "options": {key: value for key, value in table.items() if key not in common}}
        self.channels |= self._build(ChannelSpec, "channels", specs)
        groups = {READY, *self.groups, *(group for check in self.checks.values() for group in check.groups)}
        for channel in self.channels.values():
            self._report_missing(channel.groups, groups, ("channels", channel.name, "groups"), "group")

    def add_maintenance(self, tables: Mapping[str, Table]) -> None:
        """Add the entries of the table ``maintenance``."""
        self.maintenance |= self._build(MaintenanceSpec, "maintenance", tables)

    def _build(self, model: type[F], table: str, tables: Mapping[str, Table]) -> dict[str, F]:
        valid = {}
        for name, values in tables.items():
            try:
                valid[name] = model.model_validate({**values, "name": name})
            except ValidationError as error:
                self._report_invalid(table, name, error)
                if model is ChannelSpec:
                    self._add_invalid(ChannelSpec, {**values, "name": name}, error)
        return valid

    def _add_invalid(self, model: type[CheckSpec | ChannelSpec], values: Table, error: ValidationError) -> None:
        """Add the entry without its invalid fields to ``invalid``. Do nothing if its name or its kind is invalid."""
        invalid_keys = {str(detail["loc"][0]) for detail in error.errors(include_url=False) if detail["loc"]}
        with contextlib.suppress(ValidationError):
            kept = {key: value for key, value in values.items() if key not in invalid_keys}
            self.invalid.append(model.model_validate(kept))

    def _report_missing(self, names: Iterable[str], known: set[str], path: tuple[str, ...], noun: str) -> None:
        for name in names:
            if name not in known:
                self._report(path, name, f"there is no such {noun}" + _did_you_mean(name, known))

    def _cycle(self, name: str) -> list[str]:
        """Return a path of dependencies from a check back to itself. Empty if there is no such path."""
        paths = [[name]]
        visited: set[str] = set()
        while paths:
            path = paths.pop()
            spec = self.checks.get(path[-1])
            for parent in spec.depends_on if spec is not None else ():
                if parent == name:
                    return [*path, name]
                if parent not in visited:
                    visited.add(parent)
                    paths.append([*path, parent])
        return []

    def _parse_check(self, name: str, table: Table, *, is_enabled: bool) -> CheckSpec | None:
        # A missing kind has its own problem. With a placeholder the other fields can be validated.
        fields: dict[str, Any] = {"kind": "missing", **self._default_fields, "name": name}
        options: dict[str, Any] = {}
        for key, value in table.items():
            (fields if key in COMMON_CHECK_KEYS else options)[key] = value
        fields.pop("enabled", None)
        interval = _positive_seconds(fields["interval"])
        if interval is not None:
            fields.setdefault("timeout", default_timeout_seconds(interval, self._defaults))
            fields.setdefault("valid_for", interval * self._defaults.stale_after)
        try:
            return CheckSpec.model_validate({**fields, "options": options})
        except ValidationError as error:
            self._report_invalid("checks", name, error)
            if "kind" in table and is_enabled:
                kept = {key: value for key, value in fields.items() if key not in _TIMES}
                self._add_invalid(CheckSpec, {**kept, "options": options}, error)
            return None

    def _parse_enabled(self, name: str, table: Table) -> bool | None:
        try:
            return _ENABLED.validate_python(table.get("enabled", True))
        except ValidationError:
            self._report(("checks", name, "enabled"), table["enabled"], "should be true or false")
            return None

    def _report_missing_kind(self, name: str, enabled: bool | None) -> None:
        default_table = self._default_roster.get(name)
        if default_table is not None:
            keys = (f"{key} = {value!r}" for key, value in default_table.items() if key in ("kind", "alias"))
            hint = f"is required, because default_checks is false; write {' and '.join(keys)}"
        elif enabled is False:
            self._report(("checks", name), NO_VALUE, "there is no such check" + _did_you_mean(name, self._names))
            return
        else:
            hint = "is required; write the kind of the check"
            if setting := _SETTINGS_OF_ALIASES.get(name.partition(":")[0]):
                hint = f"is required: settings.{setting} has no such alias with a check; write the kind of the check"
            hint += _did_you_mean(name, self._names, "; did you mean the check {!r}?")
        self._report(("checks", name, "kind"), NO_VALUE, hint)

    def _report_invalid(self, table: str, name: str, error: ValidationError) -> None:
        for validation_problem in problems_from_validation(f"{table}.{name}", error, table_keys(table), self._origins):
            if validation_problem.key == f"{table}.{name}.name":
                hint = "a name has at most 200 characters: letters, digits and _ . @ : -"
                self._report((table, name), NO_VALUE, hint + _did_you_mean(name, self._names))
            else:
                self.problems.append(validation_problem)

    def _report(self, path: tuple[str, ...], value: Any, hint: str) -> None:
        keys = (".".join(path[:end]) for end in range(len(path), 0, -1))
        origin = next((self._origins[key] for key in keys if key in self._origins), None)
        self.problems.append(problem(path, value, hint, origin))


def _positive_seconds(value: Any) -> float | None:
    try:
        number = float(seconds(value))
    except (TypeError, ValueError):
        return None
    return number if 0 < number < float("inf") else None


def _did_you_mean(name: str, known: set[str], text: str = "; did you mean {!r}?") -> str:
    close = nearest(name, known)
    return text.format(close) if close is not None else ""
