"""Models of the tables ``[channels.NAME]`` and ``[maintenance.NAME]``."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import datetime, time
from typing import Any, Literal
from zoneinfo import ZoneInfo

from pydantic import Field, ValidationInfo, field_validator, model_validator

from monitor.config.settings import FrozenModel
from monitor.config.units import Name, Names, Patterns, Seconds, matches

Day = Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"]

WEEKDAYS: tuple[Day, ...] = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")


class ChannelSpec(FrozenModel):
    """Configuration of one channel: the fields that all channels have, and the options of the channel's kind."""

    name: Name
    kind: str = Field(
        pattern=r"^[A-Za-z0-9_.@:-]+$",
        description="name of the kind of channel, such as `webhook`. The kind decides how a notification is sent",
    )
    checks: Patterns = Field(
        default=("*",),
        description="names of checks, or patterns such as `queue:*`. The channel is notified only about checks whose "
        "name matches a name or pattern of the list. A pattern that matches no check is not an error",
    )
    labels: Mapping[str, str] = Field(
        default_factory=dict,
        description="labels with values. The channel is notified only about checks that have all of these labels with "
        "these values",
    )
    groups: Names = Field(
        default=(),
        description="names of groups. The channel is notified only about checks in at least one of these groups. An "
        "empty list also selects checks that are in no group",
    )
    severity: Literal["warning", "error"] = Field(
        default="error",
        description="least severe status that the channel is notified about. `stale` and `unknown` count as `error`. "
        "With the default, the channel is not notified about warnings",
    )
    reminder_seconds: Seconds | None = Field(
        default=None,
        alias="reminder",
        ge=1,
        description="time between two reminders while a failure lasts. If it is not set, no reminders are sent, except "
        "by a kind of channel with a default of its own, such as `alertmanager`",
    )
    resolved: bool = Field(
        default=True,
        description="with true, a channel that was notified of a failure is also notified of its end",
    )
    title: str | None = Field(
        default=None,
        min_length=1,
        description="template of the title, such as `$check is $status`. Default: the template in "
        "[templates](channels.md#templates), which also lists the names that a template may contain. Any other name "
        "is an error",
    )
    body: str | None = Field(
        default=None,
        min_length=1,
        description="template of the text below the title, by the same rules as `title`",
    )
    timeout_seconds: Seconds = Field(
        default=10.0,
        alias="timeout",
        gt=0,
        le=300,
        description="time limit of one attempt to deliver a notification. An attempt that takes longer has failed, and "
        "the delivery is repeated. If the limit is too short, the receiver may get a notification twice",
    )
    options: Mapping[str, Any] = Field(default_factory=dict, repr=False, description="options of the kind")

    def wants(self, check: str, labels: Mapping[str, str], groups: Collection[str]) -> bool:
        """Return whether the channel is to be notified about a check with this name, these labels and these groups."""
        return (
            matches(check, self.checks)
            and all(labels.get(name) == value for name, value in self.labels.items())
            and (not self.groups or not set(self.groups).isdisjoint(groups))
        )


class MaintenanceSpec(FrozenModel):
    """Planned time without notifications about failures.

    A single maintenance lasts from ``start`` to ``end``. A recurring maintenance begins on each of the ``days`` at the
    time ``from``, and ends at the time ``until``.
    """

    name: Name
    checks: Patterns = Field(
        default=("*",),
        description="names or patterns, such as `shop*`, of the checks under maintenance. `*` selects all checks",
    )
    timezone: str = Field(
        default="UTC",
        description="IANA name of a time zone, such as `Europe/Berlin`. It applies to `from` and `until`, and to "
        "`start` and `end` if they contain no offset from UTC",
    )
    start: datetime | None = Field(
        default=None, description="begin of a single maintenance, such as `2026-12-24T22:00:00`"
    )
    end: datetime | None = Field(default=None, description="end of a single maintenance, after `start`")
    days: tuple[Day, ...] = Field(
        default=WEEKDAYS,
        description='days of the week on which a recurring maintenance begins, such as `["sat", "sun"]`',
    )
    from_time: time | None = Field(
        default=None, alias="from", description="time of day at which a recurring maintenance begins, such as `22:00`"
    )
    until_time: time | None = Field(
        default=None,
        alias="until",
        description="time of day at which a recurring maintenance ends. If `until` is not later than `from`, the "
        "maintenance ends on the next day",
    )

    @field_validator("timezone")
    @classmethod
    def _known_zone(cls, value: str) -> str:
        try:
            ZoneInfo(value)
        except (ValueError, OSError, LookupError):
            raise ValueError("unknown time zone; write a name such as 'UTC' or 'Europe/Berlin'") from None
        return value

    @field_validator("days", mode="before")
    @classmethod
    def _split_days(cls, value: Any) -> Any:
        parts = value.split(",") if isinstance(value, str) else value
        return tuple(str(part).strip().lower()[:3] for part in parts) if isinstance(parts, list | tuple) else value

    @field_validator("end")
    @classmethod
    def _end_after_start(cls, value: datetime | None, info: ValidationInfo) -> datetime | None:
        start, zone = info.data.get("start"), info.data.get("timezone")
        if value is None or start is None or zone is None:  # a missing or invalid field has its own problem
            return value
        if _with_zone(value, zone) <= _with_zone(start, zone):
            raise ValueError("should be after `start`")
        return value

    @model_validator(mode="after")
    def _single_or_recurring(self) -> MaintenanceSpec:
        single = (self.start is not None, self.end is not None)
        recurring = (self.from_time is not None, self.until_time is not None)
        if not ((all(single) and not any(recurring)) or (all(recurring) and not any(single))):
            raise ValueError("needs either `start` and `end`, or `from` and `until`")
        return self

    @property
    def zone(self) -> ZoneInfo:
        """Return the time zone that ``timezone`` names."""
        return ZoneInfo(self.timezone)

    @property
    def single_period(self) -> tuple[datetime, datetime] | None:
        """Return ``start`` and ``end`` of a single maintenance, with a time zone. None for a recurring maintenance."""
        if self.start is None or self.end is None:
            return None
        return _with_zone(self.start, self.timezone), _with_zone(self.end, self.timezone)


def _with_zone(value: datetime, zone: str) -> datetime:
    return value if value.tzinfo is not None else value.replace(tzinfo=ZoneInfo(zone))
