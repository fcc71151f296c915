"""The validated configuration: checks, groups and all settings."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

from pydantic import Field, ValidationInfo, field_validator

from monitor.config.alerts import ChannelSpec, MaintenanceSpec
from monitor.config.settings import CheckDefaults, FrozenModel, HysteresisSettings, Settings
from monitor.config.units import HoldTime, Name, Names, Seconds

READY = "ready"
"""Name of the group that always exists."""

DEFAULT_HOLD_SECONDS = 300.0
"""Default of a group's `hold_for`."""

DEFAULT_ORIGIN = "default"

_DEFAULTS = CheckDefaults()


class CheckSpec(HysteresisSettings):
    """One check of the roster: the fields that all checks have, and the options of its kind.

    In a file it is one table, ``[checks.NAME]``. Keys that are not common fields are options of the kind.
    """

    name: Name
    kind: str = Field(
        pattern=r"^[A-Za-z0-9_.@:-]+$",
        description="name of the kind of check, such as `http`, which decides what is measured and which options there "
        "are ([checks](checks.md))",
    )
    interval_seconds: Seconds = Field(
        default=10.0,
        alias="interval",
        gt=0,
        description="time between two runs; shorter finds failures sooner and costs more runs",
    )
    timeout_seconds: Seconds = Field(
        default_factory=lambda data: default_timeout_seconds(data["interval_seconds"], _DEFAULTS),
        alias="timeout",
        gt=0,
        description="time limit of a run, below the interval; a run that takes longer is killed, and its result is "
        "error with the reason `timeout`",
    )
    valid_seconds: Seconds = Field(
        default_factory=lambda data: data["interval_seconds"] * _DEFAULTS.stale_after,
        alias="valid_for",
        gt=0,
        description="time for which a result is valid, at least the interval; after that the check is `stale`",
    )
    critical: bool = Field(
        default=True,
        description="make the check's groups fail while it is error, stale or unknown; with false it is only shown",
    )
    groups: Names = Field(
        default=(),
        description="names of the groups that the check belongs to, such as `ready`; a group that does not exist yet "
        "is created. Without a group it is shown in `detailed` only",
    )
    labels: Mapping[str, str] = Field(
        default_factory=dict, description="labels, by which channels select checks: a table from names to texts"
    )
    depends_on: Names = Field(
        default=(),
        description="names of checks that this one needs; while one of them fails, no notification is sent about this "
        "one. A check that does not exist is an error, except names such as `queue:orders`, which are "
        "created at run time",
    )
    options: Mapping[str, Any] = Field(default_factory=dict, repr=False, description="options of the kind")

    @property
    def lease_seconds(self) -> float:
        """Return the lease of a flight: the time limit, and one second to store the result."""
        return self.timeout_seconds + 1.0

    @field_validator("timeout_seconds")
    @classmethod
    def _timeout_below_interval(cls, value: float, info: ValidationInfo) -> float:
        interval = info.data.get("interval_seconds")
        if interval is not None and value >= interval:
            raise ValueError(f"should be less than the interval ({interval:g} s)")
        return value

    @field_validator("valid_seconds")
    @classmethod
    def _valid_until_the_next_run(cls, value: float, info: ValidationInfo) -> float:
        interval = info.data.get("interval_seconds")
        if interval is not None and value < interval:
            raise ValueError(
                f"should be at least the interval ({interval:g} s), else the check is stale before each run"
            )
        return value


class GroupSpec(FrozenModel):
    """A named set of checks behind one probe: the checks that name it in their ``groups``, and its own ``checks``."""

    name: Name
    checks: Names = Field(
        default=(),
        description="names of checks in the group, in addition to those that name it in their `groups`; a name that "
        "does not exist is an error",
    )
    stale: Literal["fail", "hold"] = Field(
        default="fail",
        description="effect of a stale check: `fail` makes the group fail, `hold` keeps the last verdict for "
        "`hold_for`",
    )
    hold_for_seconds: HoldTime = Field(
        default=DEFAULT_HOLD_SECONDS,
        alias="hold_for",
        description="with `hold`, the age of a verdict's numbers up to which it is kept. After that the check is "
        "`stale`, before its first verdict `unknown`, and the group fails. With `forever` a verdict is kept for 300 "
        "s, and the group does not fail after that or before the first verdict",
    )


class Config(Settings):
    """The complete configuration. Each group that a check names exists, and so does ``ready``."""

    checks: Mapping[str, CheckSpec] = Field(default_factory=dict)
    groups: Mapping[str, GroupSpec] = Field(default_factory=dict, validate_default=True)
    channels: Mapping[str, ChannelSpec] = Field(default_factory=dict)
    maintenance: Mapping[str, MaintenanceSpec] = Field(default_factory=dict)

    @field_validator("groups")
    @classmethod
    def _add_named_groups(cls, value: Mapping[str, GroupSpec], info: ValidationInfo) -> Mapping[str, GroupSpec]:
        named = dict.fromkeys(group for check in info.data.get("checks", {}).values() for group in check.groups)
        return {name: value.get(name) or GroupSpec(name=name) for name in dict.fromkeys((READY, *value, *named))}

    def members(self, group: str) -> tuple[CheckSpec, ...]:
        """Return the checks of a group, in roster order. Raise KeyError for an unknown group."""
        return self._members[group]

    def groups_of(self, check: str) -> tuple[str, ...]:
        """Return the names of the groups of a check; none for a check that is not on the roster."""
        return self._groups_of.get(check, ())

    @cached_property
    def fingerprint(self) -> str:
        """Return a digest that changes when a check is added or removed, or when its interval changes."""
        text = "\n".join(f"{c.name} {c.interval_seconds}" for c in sorted(self.checks.values(), key=lambda c: c.name))
        return hashlib.sha256(text.encode()).hexdigest()[:16]

    @cached_property
    def _groups_of(self) -> Mapping[str, tuple[str, ...]]:
        found: dict[str, list[str]] = {}
        for group, checks in self._members.items():
            for check in checks:
                found.setdefault(check.name, []).append(group)
        return {check: tuple(groups) for check, groups in found.items()}

    @cached_property
    def _members(self) -> Mapping[str, tuple[CheckSpec, ...]]:
        found: dict[str, dict[str, CheckSpec]] = {name: {} for name in self.groups}
        order = {name: index for index, name in enumerate(self.checks)}
        for check in self.checks.values():
            for group in check.groups:
                found[group][check.name] = check
        for spec in self.groups.values():
            found[spec.name].update((name, self.checks[name]) for name in spec.checks if name in self.checks)
        return {group: tuple(sorted(checks.values(), key=lambda c: order[c.name])) for group, checks in found.items()}


@dataclass(frozen=True)
class Loaded:
    """A configuration, and the origins of the dotted keys that were set. All other keys have defaults."""

    config: Config
    origins: Mapping[str, str]

    def origin(self, key: str) -> str:
        """Return the origin of the value of a dotted key: ``default``, ``file monitor.toml``, ``settings.MONITOR`` or
        ``environment MONITOR_X``."""
        return self.origins.get(key, DEFAULT_ORIGIN)


def default_timeout_seconds(interval_seconds: float, defaults: CheckDefaults) -> float:
    """Return the time limit of a check that sets none: the default one, but at most half of the check's interval."""
    return min(defaults.timeout_seconds, interval_seconds / 2)
