"""Endpoint uptime/.

For each check, it returns the availability in windows that end now, and how many seconds of each day the check spent in
each status.
"""

from __future__ import annotations

from typing import Any, Literal

from django.http import HttpResponse
from ninja import Query, Router
from pydantic import Field

from monitor.api import responses
from monitor.api.entries import encode
from monitor.api.history import tables
from monitor.api.render import child_checks
from monitor.api.schema.bodies import CSV, ERRORS, Described, ReachBody
from monitor.api.schema.parameters import MAX_DAYS, CheckName, Parameters, Windows
from monitor.presentation.history import reaches_document, uptime_document

WINDOWS = "24h,7d,30d,90d"

router = Router(tags=["the past"])


class UptimeParameters(Parameters, public_name="UptimeQuestion"):
    """Parameters of uptime/."""

    check: CheckName | None = Field(None, description="The name of a check. Default: all checks.")
    window: Windows = Field(
        WINDOWS, validate_default=True, description="Lengths of windows that end now, separated by commas."
    )
    days: int = Field(90, ge=0, le=MAX_DAYS, description="Number of UTC days. The last day is today.")
    format: Literal["json", "csv"] = Field("json", description="Format of the response. CSV contains no days.")


class SecondsBody(Described, public_name="Seconds"):
    """Seconds in each status. `unobserved` is time without a valid observation, which counts as neither up nor down."""

    ok: float
    warning: float
    error: float
    unknown: float
    unobserved: float


class WindowBody(Described, public_name="Figures"):
    """Uptime of a check in one window that ends now."""

    since: float = Field(..., description="Start in epoch seconds, rounded down to five minutes.")
    availability: float | None = Field(
        ..., ge=0, le=1, description="(ok + warning) / (ok + warning + error); null when nothing was observed."
    )
    seconds: SecondsBody
    incidents: int = Field(
        ..., ge=0, description="Number of periods of error. Time without observations does not end a period."
    )
    mttr_seconds: float | None = Field(..., description="Mean time to repair: error / incidents.")
    mtbf_seconds: float | None = Field(..., description="Mean time between failures: (ok + warning) / incidents.")


class DayBody(SecondsBody, public_name="Day"):
    """Seconds in each status within a UTC day."""

    date: str = Field(..., pattern=r"^\d{4}-\d\d-\d\d$")


class CheckUptimeBody(Described, public_name="Uptime"):
    """Uptime of a check.

    The keys of `windows` are the lengths as the request gives them, such as `24h`. `days` begins with the oldest day.
    """

    windows: dict[str, WindowBody]
    days: list[DayBody]


class UptimeBody(Described, public_name="UptimeAnswer"):
    """The uptime of checks. `until` is the end of all windows (now), in epoch seconds.

    `reaches` is the start of the kept history.
    """

    until: float
    checks: dict[str, CheckUptimeBody]
    reaches: ReachBody


@router.get("uptime/", response={200: UptimeBody, **ERRORS}, operation_id="uptime", openapi_extra=CSV)
def uptime(request: Any, parameters: Query[UptimeParameters]) -> HttpResponse:
    """Return the availability of each check in windows that end now, and its seconds in each status on each day."""
    service, snapshot = request.service, request.snapshot
    all_names = [*service.roster.checks, *(child.name for child in child_checks(snapshot))]
    names = [parameters.check] if parameters.check else all_names
    with service.history.slot() as source:
        document = uptime_document(source.history, names, parameters.window, snapshot.now, day_count=parameters.days)
        bounds = source.history.reaches()
    if parameters.format == "csv":
        return responses.attachment(tables.uptime(document), tables.MEDIA_TYPE, "uptime.csv")
    return responses.success(encode({**document, "reaches": reaches_document(bounds)}))
