"""Models of the complete configuration and of the tables ``[checks.NAME]`` and ``[groups.NAME]``."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Annotated, Any, Literal

from pydantic import Field, ValidationInfo, field_validator

from monitor.config.alerts import ChannelSpec, MaintenanceSpec
from monitor.config.settings import CheckDefaults, FrozenModel, HysteresisSettings, Settings
from monitor.config.units import HoldTime, Name, Names, Seconds, default_from

READY = "ready"
"""Name of the group that always exists."""

DEFAULT_HOLD_SECONDS = 300.0
"""Default of a group's ``hold_for``."""

DEFAULT_ORIGIN = "default"

_DEFAULTS = CheckDefaults()


def _default_timeout(data: Mapping[str, Any]) -> float:
    return default_timeout_seconds(data.get("interval_seconds", _DEFAULTS.interval_seconds), _DEFAULTS)


def _default_validity(data: Mapping[str, Any]) -> float:
    return float(data.get("interval_seconds", _DEFAULTS.interval_seconds) * _DEFAULTS.stale_after)


class CheckSpec(HysteresisSettings):
    """Configuration of one check: the fields that all checks have, and the options of the check's kind.

    In a file it is the table ``[checks.NAME]``. Keys of the table that are not fields of this class are options of the
    kind.
    """

    name: Name
    kind: str = Field(
        pattern=r"^[A-Za-z0-9_.@:-]+$",
        description="name of the kind of check, such as `http`. The kind decides what is measured and which options "
        "the table may have ([checks](checks.md))",
    )
    interval_seconds: Seconds = Field(
        default=10.0,
        alias="interval",
        gt=0,
        description="time between two runs. A shorter interval finds failures sooner and causes more runs",
    )
    timeout_seconds: Annotated[Seconds, default_from(_default_timeout)] = Field(
        default=None,
        validate_default=True,
        alias="timeout",
        gt=0,
        description="time limit of a run, less than the interval. A run that takes longer is killed, and its result is "
        "`error` with the reason `timeout`",
    )
    valid_seconds: Annotated[Seconds, default_from(_default_validity)] = Field(
        default=None,
        validate_default=True,
        alias="valid_for",
        gt=0,
        description="time for which a result is valid, at least the interval. If there is no new result by then, the "
        "check is `stale`",
    )
    critical: bool = Field(
        default=True,
        description="with true, the check makes its groups fail while it is `error`, `stale` or `unknown`. With false, "
        "the check is shown and makes no group fail",
    )
    groups: Names = Field(
        default=(),
        description="names of the groups that the check belongs to, such as `ready`. A group that is not configured is "
        "created. A check that belongs to no group is shown, and affects no probe of a group",
    )
    labels: Mapping[str, str] = Field(
        default_factory=dict,
        description="labels of the check: a table from names to texts. Channels can select checks by their labels",
    )
    depends_on: Names = Field(
        default=(),
        description="names of the checks that this check depends on. While one of them fails, no notification is sent "
        "about this check. The name of a check that is not configured is an error, unless the check is created at run "
        "time, such as `queue:orders`",
    )
    options: Mapping[str, Any] = Field(default_factory=dict, repr=False, description="options of the kind")

    @property
    def lease_seconds(self) -> float:
        """Return the lease of the check's flights: the time limit of a run, and one second to store the result."""
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
    """Configuration of one group: a set of checks behind one probe.

    The checks of the group are those in its ``checks``, and those that name the group in their ``groups``.
    """

    name: Name
    checks: Names = Field(
        default=(),
        description="names of checks in the group, in addition to the checks that name the group in their `groups`. "
        "The name of a check that is not configured is an error",
    )
    stale: Literal["fail", "hold"] = Field(
        default="fail",
        description="effect of a critical check that is `stale`. `fail`: the group fails. `hold`: the last status of "
        "the check counts instead, for the time `hold_for`",
    )
    hold_for_seconds: HoldTime = Field(
        default=DEFAULT_HOLD_SECONDS,
        alias="hold_for",
        description="for a group whose `stale` is `hold`: time after an observation for which the last status of a "
        "`stale` check counts. After this time, and before the first observation of a check, a critical check makes "
        "the group fail. With `forever`, the last status counts for 300 s. After this time, and before the first "
        "observation of a check, the check does not make the group fail",
    )


class Config(Settings):
    """Complete configuration. ``groups`` contains ``ready``, the configured groups and each group that a check names.

    A group that is not configured has the defaults of :class:`GroupSpec`.
    """

    checks: Mapping[str, CheckSpec] = Field(default_factory=dict)
    groups: Mapping[str, GroupSpec] = Field(default_factory=dict, validate_default=True)
    channels: Mapping[str, ChannelSpec] = Field(default_factory=dict)
    maintenance: Mapping[str, MaintenanceSpec] = Field(default_factory=dict)

    @field_validator("groups")
    @classmethod
    def _add_named_groups(cls, value: Mapping[str, GroupSpec], info: ValidationInfo) -> Mapping[str, GroupSpec]:
        named = dict.fromkeys(group for check in info.data.get("checks", {}).values() for group in check.groups)
        return {name: value.get(name) or GroupSpec(name=name) for name in dict.fromkeys((READY, *value, *named))}

    @property
    def dispatch_queue(self) -> str:
        """Return the queue of the task ``dispatch``."""
        return f"{self.queue}.dispatch"

    @property
    def rounds_queue(self) -> str:
        """Return the queue of all tasks of the monitor except ``dispatch`` and ``run_check``."""
        return f"{self.queue}.rounds"

    @property
    def own_queues(self) -> tuple[str, ...]:
        """Return all queues that the monitor's workers consume."""
        return (self.queue, self.dispatch_queue, self.rounds_queue)

    def members(self, group: str) -> tuple[CheckSpec, ...]:
        """Return the checks of a group, in the order of ``checks``. Raise KeyError for an unknown group."""
        return self._members[group]

    def groups_of(self, check: str) -> tuple[str, ...]:
        """Return the names of the groups of a check. Empty for a check that is not configured."""
        return self._groups_of.get(check, ())

    @cached_property
    def fingerprint(self) -> str:
        """Return a digest that changes when a check is added or removed, or when the interval of a check changes."""
        text = "\n".join(f"{c.name} {c.interval_seconds}" for c in sorted(self.checks.values(), key=lambda c: c.name))
        return hashlib.sha256(text.encode()).hexdigest()[:16]

    @cached_property
    def _groups_of(self) -> Mapping[str, tuple[str, ...]]:
        by_check: dict[str, list[str]] = {}
        for group, checks in self._members.items():
            for check in checks:
                by_check.setdefault(check.name, []).append(group)
        return {check: tuple(groups) for check, groups in by_check.items()}

    @cached_property
    def _members(self) -> Mapping[str, tuple[CheckSpec, ...]]:
        by_group: dict[str, dict[str, CheckSpec]] = {name: {} for name in self.groups}
        order = {name: index for index, name in enumerate(self.checks)}
        for check in self.checks.values():
            for group in check.groups:
                by_group[group][check.name] = check
        for spec in self.groups.values():
            by_group[spec.name].update((name, self.checks[name]) for name in spec.checks if name in self.checks)
        return {
            group: tuple(sorted(checks.values(), key=lambda check: order[check.name]))
            for group, checks in by_group.items()
        }


@dataclass(frozen=True)
class Loaded:
    """Configuration, and the origin of each dotted key that was set. All other keys have their defaults.

    ``invalid`` contains the checks and channels that are not in the configuration, because one of their fields is
    invalid. In them, invalid fields have their defaults. So the problems of their options can be reported too.
    """

    config: Config
    origins: Mapping[str, str]
    invalid: tuple[CheckSpec | ChannelSpec, ...] = ()

    def origin(self, key: str) -> str:
        """Return the source of the value of a dotted key.

        It is ``default``, ``file monitor.toml``, ``settings.MONITOR`` or ``environment MONITOR_X``.
        """
        return self.origins.get(key, DEFAULT_ORIGIN)


def default_timeout_seconds(interval_seconds: float, defaults: CheckDefaults) -> float:
    """Return the time limit of a check without ``timeout``: ``defaults.timeout``, or half of the interval if less."""
    return min(defaults.timeout_seconds, interval_seconds / 2)
