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
    """One channel: the fields that all channels have, and the options of its kind."""

    name: Name
    kind: str = Field(
        pattern=r"^[A-Za-z0-9_.@:-]+$",
        description="name of the kind of channel, such as `webhook`, which decides how a notification is sent",
    )
    checks: Patterns = Field(
        default=("*",),
        description="names or patterns, such as `queue:*`, of the checks to notify about; one of them must match. A "
        "pattern that matches no check has no effect",
    )
    labels: Mapping[str, str] = Field(
        default_factory=dict, description="notify only about checks that have all of these labels with these values"
    )
    groups: Names = Field(
        default=(),
        description="notify only about checks in one of these groups; empty selects checks of any group and of none",
    )
    severity: Literal["warning", "error"] = Field(
        default="error",
        description="least severe status to notify about; stale and unknown count as error. A warning fails no probe, "
        "so by default it causes no notification either",
    )
    reminder_seconds: Seconds | None = Field(
        default=None,
        alias="reminder",
        ge=1,
        description="time between two reminders while a failure lasts; without it none is sent, except by kinds that "
        "have a default of their own",
    )
    resolved: bool = Field(default=True, description="notify also about the end of a failure that was reported")
    title: str | None = Field(
        default=None,
        min_length=1,
        description="template of the title, such as `$check is $status`; without it the default of the kind "
        "([templates](channels.md#templates)). An unknown name is an error",
    )
    body: str | None = Field(
        default=None,
        min_length=1,
        description="template of the text below the title; without it the default of the kind",
    )
    timeout_seconds: Seconds = Field(
        default=10.0,
        alias="timeout",
        gt=0,
        le=300,
        description="time limit of one attempt to deliver; an attempt that takes longer has failed and is repeated, so "
        "with too short a limit a notification may arrive twice",
    )
    options: Mapping[str, Any] = Field(default_factory=dict, repr=False, description="options of the kind")

    def wants(self, check: str, labels: Mapping[str, str], groups: Collection[str]) -> bool:
        """Return whether the channel is notified about a check with this name, these labels and these groups."""
        return (
            matches(check, self.checks)
            and all(labels.get(name) == value for name, value in self.labels.items())
            and (not self.groups or not set(self.groups).isdisjoint(groups))
        )


class MaintenanceSpec(FrozenModel):
    """Planned time without notifications about failures: once from ``start`` to ``end``, or recurring on days."""

    name: Name
    checks: Patterns = Field(
        default=("*",),
        description="names or patterns, such as `shop*`, of the checks under maintenance; the default is all checks",
    )
    timezone: str = Field(
        default="UTC",
        description="IANA name of the time zone of its times without an offset, such as `Europe/Berlin`; with a wrong "
        "one it begins hours too early or too late",
    )
    start: datetime | None = Field(
        default=None, description="begin of a single maintenance, such as `2026-12-24T22:00:00`"
    )
    end: datetime | None = Field(default=None, description="end of a single maintenance, after `start`")
    days: tuple[Day, ...] = Field(
        default=WEEKDAYS,
        description='days on which a recurring maintenance begins, such as `["sat", "sun"]`',
    )
    from_time: time | None = Field(
        default=None, alias="from", description="time of day at which a recurring maintenance begins, such as `22:00`"
    )
    until_time: time | None = Field(
        default=None,
        alias="until",
        description="time of day at which it ends, on the next day if this is not later than `from`",
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
        if value is not None and start is not None and zone is not None and _aware(value, zone) <= _aware(start, zone):
            raise ValueError("should be after `start`")
        return value

    @model_validator(mode="after")
    def _once_or_recurring(self) -> MaintenanceSpec:
        once = (self.start is not None, self.end is not None)
        daily = (self.from_time is not None, self.until_time is not None)
        if not ((all(once) and not any(daily)) or (all(daily) and not any(once))):
            raise ValueError("needs either `start` and `end`, or `from` and `until`")
        return self

    @property
    def zone(self) -> ZoneInfo:
        """Return the time zone of its times."""
        return ZoneInfo(self.timezone)

    @property
    def once(self) -> tuple[datetime, datetime] | None:
        """Return begin and end, with a time zone; None for a recurring maintenance."""
        if self.start is None or self.end is None:
            return None
        return _aware(self.start, self.timezone), _aware(self.end, self.timezone)


def _aware(value: datetime, zone: str) -> datetime:
    return value if value.tzinfo is not None else value.replace(tzinfo=ZoneInfo(zone))
