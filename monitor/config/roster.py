"""From tables to checks and groups."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import TypeAdapter, ValidationError

from monitor.config.errors import NO_VALUE, Problem, nearest, problem, problems_from_validation
from monitor.config.keys import COMMON_CHECK_KEYS, table_keys
from monitor.config.model import READY, CheckSpec, GroupSpec, default_timeout_seconds
from monitor.config.settings import Defaults
from monitor.config.units import seconds

Table = Mapping[str, Any]

DEFAULT_ROSTER: Mapping[str, Table] = {
    "database": {"kind": "database", "groups": [READY]},
    "redis": {"kind": "redis", "groups": [READY]},
    "celery": {"kind": "celery", "groups": [READY]},
    "cpu": {"kind": "cpu", "critical": False},
    "memory": {"kind": "memory", "critical": False},
    "disk": {"kind": "disk", "critical": False},
    "connections": {"kind": "connections", "critical": False},
}
"""What runs with no configuration at all."""

_ENABLED = TypeAdapter(bool)


class Roster:
    """Checks and groups made of their tables, and everything that is wrong with them."""

    def __init__(self, defaults: Defaults, origins: Mapping[str, str]) -> None:
        self.checks: dict[str, CheckSpec] = {}
        self.groups: dict[str, GroupSpec] = {}
        self.problems: list[Problem] = []
        self._names: set[str] = set()
        self._defaults = defaults
        self._origins = origins
        self._fields = {
            field.alias or name: getattr(defaults, name)
            for name, field in Defaults.model_fields.items()
            if (field.alias or name) in COMMON_CHECK_KEYS and field.alias != "timeout"  # it depends on the interval
        }

    def add_checks(self, tables: Mapping[str, Table]) -> None:
        """Make the checks; those that are not enabled are looked at and left out."""
        self._names |= {name for name, table in tables.items() if "kind" in table} | set(DEFAULT_ROSTER)
        for name, table in tables.items():
            enabled = self._enabled(name, table)
            if "kind" not in table and not (enabled is False and name in DEFAULT_ROSTER):
                self._kind_missing(name, enabled)
            check = self._check(name, table)
            if check is not None and enabled:
                self.checks[name] = check

    def add_groups(self, tables: Mapping[str, Table]) -> None:
        """Make the groups; call it when all checks were added."""
        for name, table in tables.items():
            try:
                group = GroupSpec.model_validate({**table, "name": name})
            except ValidationError as error:
                self._invalid("groups", name, error)
                continue
            self.groups[name] = group
            for check in group.checks:
                if check not in self._names:
                    self._report(
                        ("groups", name, "checks"), check, "there is no such check" + _did_you_mean(check, self._names)
                    )

    def _check(self, name: str, table: Table) -> CheckSpec | None:
        fields: dict[str, Any] = {"kind": "missing", **self._fields, "name": name}
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
            self._invalid("checks", name, error)
            return None

    def _enabled(self, name: str, table: Table) -> bool | None:
        try:
            return _ENABLED.validate_python(table.get("enabled", True))
        except ValidationError:
            self._report(("checks", name, "enabled"), table["enabled"], "should be true or false")
            return None

    def _kind_missing(self, name: str, enabled: bool | None) -> None:
        known = DEFAULT_ROSTER.get(name)
        if known is not None:
            hint = f"is required, because the default roster is off; write kind = {known['kind']!r}"
        elif enabled is False:
            self._report(("checks", name), NO_VALUE, "there is no such check" + _did_you_mean(name, self._names))
            return
        else:
            hint = "is required; name the kind of the check"
            hint += _did_you_mean(name, self._names, "; did you mean the check {!r}?")
        self._report(("checks", name, "kind"), NO_VALUE, hint)

    def _invalid(self, table: str, name: str, error: ValidationError) -> None:
        for found in problems_from_validation(f"{table}.{name}", error, table_keys(table), self._origins):
            if found.key == f"{table}.{name}.name":
                self._report((table, name), NO_VALUE, "a name holds up to 200 letters, digits and any of _ . @ : -")
            else:
                self.problems.append(found)

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
