"""What a configuration holds, once it is known to be right."""

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
"""The group that always exists."""

DEFAULT_HOLD_SECONDS = 300.0
"""How long a verdict is kept by default."""

DEFAULT_ORIGIN = "default"

_DEFAULTS = CheckDefaults()


class CheckSpec(HysteresisSettings):
    """One check of the roster: the fields every check has, and the options of its kind.

    In a file it is one table, ``[checks.NAME]``; what is not a common field is an option.
    """

    name: Name
    kind: str = Field(pattern=r"^[A-Za-z0-9_.@:-]+$", description="the code that observes")
    interval_seconds: Seconds = Field(default=10.0, alias="interval", gt=0, description="time between two runs")
    timeout_seconds: Seconds = Field(
        default_factory=lambda data: default_timeout_seconds(data["interval_seconds"], _DEFAULTS),
        alias="timeout",
        gt=0,
        description="a run that takes longer is ended; below the interval",
    )
    valid_seconds: Seconds = Field(
        default_factory=lambda data: data["interval_seconds"] * _DEFAULTS.stale_after,
        alias="valid_for",
        gt=0,
        description="how long a result may be believed; at least the interval",
    )
    critical: bool = Field(default=True, description="whether error, stale and unknown fail its groups")
    groups: Names = Field(
        default=(), description="the groups it belongs to, `ready` for one; none shows it in detailed only"
    )
    labels: Mapping[str, str] = Field(default_factory=dict, description="free labels")
    depends_on: Names = Field(
        default=(),
        description="checks without which it cannot be ok: while one fails, nobody is told of this one",
    )
    options: Mapping[str, Any] = Field(default_factory=dict, repr=False, description="options of its kind")

    @property
    def lease_seconds(self) -> float:
        """How long a flight may be held: the time limit and one second to store the result."""
        return self.timeout_seconds + 1.0

    @field_validator("timeout_seconds")
    @classmethod
    def _timeout_below_interval(cls, value: float, info: ValidationInfo) -> float:
        interval = info.data.get("interval_seconds")
        if interval is not None and value >= interval:
            raise ValueError(f"should be below the interval, which is {interval:g} s")
        return value

    @field_validator("valid_seconds")
    @classmethod
    def _valid_until_the_next_run(cls, value: float, info: ValidationInfo) -> float:
        interval = info.data.get("interval_seconds")
        if interval is not None and value < interval:
            raise ValueError(
                f"should be at least the interval, which is {interval:g} s: it would be stale before every run"
            )
        return value


class GroupSpec(FrozenModel):
    """A named set of checks behind one probe. Its members are the checks that name it in ``groups``, and ``checks``."""

    name: Name
    checks: Names = Field(
        default=(), description="checks that belong to it, besides those that name it in their `groups`"
    )
    stale: Literal["fail", "hold"] = Field(
        default="fail", description="what staleness means: fail, or keep the last verdict for `hold_for`"
    )
    hold_for_seconds: HoldTime = Field(
        default=DEFAULT_HOLD_SECONDS,
        alias="hold_for",
        description="with `hold`: how old the numbers of a verdict may be; `forever`: later, and before the first one, "
        "the check is unknown and fails nothing",
    )


class Config(Settings):
    """Everything that is configured. Every group that a check names exists, and so does ``ready``."""

    checks: Mapping[str, CheckSpec] = Field(default_factory=dict)
    groups: Mapping[str, GroupSpec] = Field(default_factory=dict, validate_default=True)
    channels: Mapping[str, ChannelSpec] = Field(default_factory=dict)
    maintenance: Mapping[str, MaintenanceSpec] = Field(default_factory=dict)

    @field_validator("groups")
    @classmethod
    def _groups_that_are_named(cls, value: Mapping[str, GroupSpec], info: ValidationInfo) -> Mapping[str, GroupSpec]:
        named = dict.fromkeys(group for check in info.data.get("checks", {}).values() for group in check.groups)
        return {name: value.get(name) or GroupSpec(name=name) for name in dict.fromkeys((READY, *value, *named))}

    def members(self, group: str) -> tuple[CheckSpec, ...]:
        """The checks of a group, in roster order. Raises KeyError for an unknown group."""
        return self._members[group]

    def groups_of(self, check: str) -> tuple[str, ...]:
        """The groups that a check belongs to; none for one that is not on the roster."""
        return self._groups_of.get(check, ())

    @cached_property
    def fingerprint(self) -> str:
        """Changes when a check is added, removed, or scheduled differently."""
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
        order = {name: place for place, name in enumerate(self.checks)}
        for check in self.checks.values():
            for group in check.groups:
                found[group][check.name] = check
        for spec in self.groups.values():
            found[spec.name].update((name, self.checks[name]) for name in spec.checks if name in self.checks)
        return {group: tuple(sorted(checks.values(), key=lambda c: order[c.name])) for group, checks in found.items()}


@dataclass(frozen=True)
class Loaded:
    """A configuration, and for each dotted key that was set where that was; what is not in ``origins`` is a default."""

    config: Config
    origins: Mapping[str, str]

    def origin(self, key: str) -> str:
        """Return where the value of the dotted key was set: ``default``, ``file monitor.toml``, ``settings.MONITOR`` or
        ``environment MONITOR_X``."""
        return self.origins.get(key, DEFAULT_ORIGIN)


def default_timeout_seconds(interval_seconds: float, defaults: CheckDefaults) -> float:
    """The time limit of a check that names none: the default one, but never more than half of its interval."""
    return min(defaults.timeout_seconds, interval_seconds / 2)
