"""What is answered, as the description tells it. The bodies are made elsewhere; the tests hold them against this."""

from __future__ import annotations

from typing import Any, Literal

from ninja import Schema
from pydantic import ConfigDict, Field

Word = Literal["ok", "warning", "error", "unknown"]
Shown = Literal["ok", "warning", "error", "stale", "unknown"]
Verdict = Literal["healthy", "degraded", "unhealthy"]
Numbers = list[float | None]


class Open(Schema):
    """What may have more fields than are described."""

    model_config = ConfigDict(extra="allow")


class Reach(Schema):
    """How far back history reaches, in epoch seconds; null where there is none."""

    raw: float | None = Field(..., description="Single observations.")
    rollups: float | None = Field(..., description="Five-minute roll-ups.")


class Series(Schema):
    """A series at each point; null where nothing was measured."""

    unit: str = Field(..., description="`ms`, `s`, `%`, `MiB`, `x`, `/s`, ...; empty for a plain number.")
    min: Numbers
    mean: Numbers
    max: Numbers


class HistoryAnswer(Schema):
    """A check's past. Times are epoch seconds; `times` has the begin of each point."""

    check: str
    since: float = Field(..., description="The begin of the first point: history may begin later than was asked.")
    until: float = Field(..., description="The end of the last point.")
    step_seconds: float = Field(..., description="What was used: the server widens it to keep to 2,000 points.")
    resolution: Literal["raw", "5m"] = Field(..., description="Made of single observations, or of roll-ups.")
    times: list[float] = Field(..., max_length=2000)
    status: list[Word | None] = Field(..., description="The worst that held within each point; null: not observed.")
    series: dict[str, Series]
    reaches: Reach


class Spark(Schema):
    """A check in the overview: one of its series, the mean at each point."""

    status: list[Word | None]
    series: str
    unit: str
    values: Numbers


class OverviewAnswer(Schema):
    """All checks, for sparklines: the first point begins at `since`, each is `step_seconds` long."""

    since: float
    step_seconds: float
    checks: dict[str, Spark]
    reaches: Reach


class Seconds(Schema):
    """Seconds in each status. `unobserved` is time without a valid observation: it counts as neither up nor down."""

    ok: float
    warning: float
    error: float
    unknown: float
    unobserved: float


class Figures(Schema):
    """A window up to now."""

    since: float = Field(..., description="Its begin, that of a five-minute bucket, in epoch seconds.")
    availability: float | None = Field(
        ..., ge=0, le=1, description="(ok + warning) / (ok + warning + error); null when nothing was observed."
    )
    seconds: Seconds
    incidents: int = Field(..., ge=0, description="Stretches of error. A gap in the observations does not end one.")
    mttr_seconds: float | None = Field(..., description="Mean time to repair: error / incidents.")
    mtbf_seconds: float | None = Field(..., description="Mean time between failures: (ok + warning) / incidents.")


class Day(Seconds):
    """Seconds in each status within a UTC day."""

    date: str = Field(..., pattern=r"^\d{4}-\d\d-\d\d$")


class Uptime(Schema):
    """Windows by the name they were asked by, and days, oldest first."""

    windows: dict[str, Figures]
    days: list[Day]


class UptimeAnswer(Schema):
    """How much of the time each check was up. `until` is now, in epoch seconds."""

    until: float
    checks: dict[str, Uptime]
    reaches: Reach


class Event(Schema):
    """A change of a check's status. `id` is the same wherever the change is told."""

    cursor: str
    id: str
    check: str
    old: Shown
    new: Shown
    at: float = Field(..., description="Epoch seconds.")
    reason: str | None


class EventsAnswer(Schema):
    """Events, oldest first. Ask again with `after=cursor`.

    One answer reads a bounded part of the stream: with `check` there may be fewer events than `limit`, or none, and
    `more` is true all the same.
    """

    events: list[Event]
    cursor: str | None = Field(..., description="Where to go on: behind the last event that was read.")
    more: bool = Field(..., description="Whether there may be more already: ask again at once.")


class Check(Open):
    """A check, with the numbers of its kind."""

    status: Shown
    response_time_ms: float | None
    reason: str | None = None


class Present(Check):
    """A check in a snapshot: all that detailed has of it, but its age."""

    kind: str
    critical: bool
    groups: list[str]
    series: list[str] = Field(..., description="The fields that history keeps.")


class SnapshotAnswer(Open):
    """Everything that is known now. Ages are counted from the header `X-Monitor-Now`, the store's clock."""

    status: Verdict
    checks: dict[str, Present]
    groups: dict[str, Present] = Field(..., description="What runs of checks found: consumer groups.")
    workers: list[dict[str, Any]]
    queues: list[dict[str, Any]]
    hosts: dict[str, Any]
    reaches: Reach
    answering: bool = Field(..., description="Whether the store answers.")
    version: str


class Detailed(Open):
    """The overall verdict and all checks. Of a past moment (`at`, epoch seconds): whatever was observed then."""

    status: Verdict
    timestamp: str
    checks: dict[str, Check]


class Probed(Open):
    """The answer of a probe."""

    status: str


class Problem(Schema):
    """What is wrong with a parameter."""

    key: str
    value: Any
    hint: str


class Refusal(Schema):
    """Why there is no answer."""

    error: str


class Wrong(Refusal):
    """All that is wrong with the question."""

    problems: list[Problem]
