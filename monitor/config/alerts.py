"""Who is told, and when nobody shall be: the tables ``[channels.NAME]`` and ``[maintenance.NAME]``."""

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
    """Somebody who is told, and of what: the fields every channel has, and the options of its kind."""

    name: Name
    kind: str = Field(pattern=r"^[A-Za-z0-9_.@:-]+$", description="how it is told")
    checks: Patterns = Field(
        default=("*",), description="of which checks: names, `*` for any text, such as `queue:*`; any of these"
    )
    labels: Mapping[str, str] = Field(default_factory=dict, description="of checks with all of these labels")
    groups: Names = Field(default=(), description="of checks in any of these groups; none: whatever their groups")
    severity: Literal["warning", "error"] = Field(
        default="error",
        description="the least status that is told; stale and unknown count as error. "
        "A warning fails no probe, so by default it wakes nobody either",
    )
    reminder_seconds: Seconds | None = Field(
        default=None, alias="reminder", ge=1, description="tell it again this often while it lasts"
    )
    resolved: bool = Field(default=True, description="whether the end of what was told is told as well")
    title: str | None = Field(
        default=None,
        min_length=1,
        description="template of the title, such as `$check is $status`; else its kind's own",
    )
    body: str | None = Field(
        default=None, min_length=1, description="template of the text below it; else its kind's own"
    )
    timeout_seconds: Seconds = Field(
        default=10.0, alias="timeout", gt=0, le=300, description="an attempt to deliver that takes longer has failed"
    )
    options: Mapping[str, Any] = Field(default_factory=dict, repr=False, description="options of its kind")

    def wants(self, check: str, labels: Mapping[str, str], groups: Collection[str]) -> bool:
        """Whether it shall be told of a check of that name, with these labels, in these groups."""
        return (
            matches(check, self.checks)
            and all(labels.get(name) == value for name, value in self.labels.items())
            and (not self.groups or not set(self.groups).isdisjoint(groups))
        )


class MaintenanceSpec(FrozenModel):
    """A time at which nobody is told that something fails: once from ``start`` to ``end``, or again and again."""

    name: Name
    checks: Patterns = Field(default=("*",), description="the checks it is about: names, `*` for any text")
    timezone: str = Field(default="UTC", description="where its times are read, such as `Europe/Berlin`")
    start: datetime | None = Field(default=None, description="when it begins, such as `2026-12-24T22:00:00`")
    end: datetime | None = Field(default=None, description="when it ends")
    days: tuple[Day, ...] = Field(
        default=WEEKDAYS,
        description='the days on which it begins, such as `["sat", "sun"]`',
    )
    from_time: time | None = Field(default=None, alias="from", description="the time of day it begins, such as `22:00`")
    until_time: time | None = Field(
        default=None, alias="until", description="the time of day it ends; of the next day when that is not later"
    )

    @field_validator("timezone")
    @classmethod
    def _known_zone(cls, value: str) -> str:
        try:
            ZoneInfo(value)
        except (ValueError, OSError, LookupError):
            raise ValueError("there is no such time zone; write a name such as 'UTC' or 'Europe/Berlin'") from None
        return value

    @field_validator("days", mode="before")
    @classmethod
    def _list_of_days(cls, value: Any) -> Any:
        parts = value.split(",") if isinstance(value, str) else value
        return tuple(str(part).strip().lower()[:3] for part in parts) if isinstance(parts, list | tuple) else value

    @field_validator("end")
    @classmethod
    def _after_its_start(cls, value: datetime | None, info: ValidationInfo) -> datetime | None:
        start, zone = info.data.get("start"), info.data.get("timezone")
        if value is not None and start is not None and zone is not None and _aware(value, zone) <= _aware(start, zone):
            raise ValueError("should be after the start")
        return value

    @model_validator(mode="after")
    def _one_of_both(self) -> MaintenanceSpec:
        once = (self.start is not None, self.end is not None)
        daily = (self.from_time is not None, self.until_time is not None)
        if not ((all(once) and not any(daily)) or (all(daily) and not any(once))):
            raise ValueError("needs either `start` and `end`, or `from` and `until`")
        return self

    @property
    def zone(self) -> ZoneInfo:
        """Where its times are read."""
        return ZoneInfo(self.timezone)

    @property
    def once(self) -> tuple[datetime, datetime] | None:
        """When it begins and ends, with a time zone; None for one that recurs."""
        if self.start is None or self.end is None:
            return None
        return _aware(self.start, self.timezone), _aware(self.end, self.timezone)


def _aware(value: datetime, zone: str) -> datetime:
    return value if value.tzinfo is not None else value.replace(tzinfo=ZoneInfo(zone))
