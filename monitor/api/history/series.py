"""Endpoints history/ and history/overview/: status and series over time."""

from __future__ import annotations

from typing import Any, Literal

from django.http import HttpResponse
from ninja import Query, Router
from pydantic import Field, ValidationInfo, model_validator
from pydantic_core import PydanticCustomError

from monitor.api import responses
from monitor.api.entries import encode
from monitor.api.history import tables
from monitor.api.render import child_checks, own_series
from monitor.api.schema.bodies import CSV, ERRORS, Described, NumbersWithGaps, ReachBody, StatusWord
from monitor.api.schema.parameters import (
    MAX_DAYS,
    MOMENT_DESCRIPTION,
    CheckName,
    Duration,
    Moment,
    Parameters,
    request_of,
)
from monitor.config.units import names as listed
from monitor.history.series import MAX_POINTS, Span
from monitor.presentation.history import curves_document, overview_document, reaches_document, read_curves

router = Router(tags=["the past"])


class HistoryParameters(Parameters, public_name="HistoryQuestion"):
    """Parameters of history/."""

    check: CheckName = Field(..., description="The name of a check.")
    series: str | None = Field(
        None,
        pattern=r"^[a-z][a-z0-9_]{0,63}(,[a-z][a-z0-9_]{0,63}){0,49}$",
        description="Names of series, separated by commas. Default: all series of the check. Other names are ignored.",
    )
    since: Moment = Field("-24h", validate_default=True, description=f"Start of the period. {MOMENT_DESCRIPTION}")
    until: Moment = Field("now", validate_default=True, description=f"End of the period. {MOMENT_DESCRIPTION}")
    step: Duration | None = Field(
        None,
        description="Time between two points, in seconds or as a duration (`60`, `5m`). Default: chosen by the server. "
        f"If the step would give more than {MAX_POINTS} points, the server uses a longer step.",
    )
    format: Literal["json", "csv"] = Field("json", description="Format of the response.")

    @model_validator(mode="after")
    def _check_period(self, info: ValidationInfo) -> HistoryParameters:
        if self.since >= self.until:
            raise PydanticCustomError("empty", "should be before `until`", {"key": "since"})
        if self.since >= request_of(info).snapshot.now:
            raise PydanticCustomError("future", "should be in the past", {"key": "since"})
        return self

    def span(self, now: float) -> Span:
        """Return the period. The period ends now at the latest."""
        return Span(self.since, min(self.until, now), self.step)


class SeriesBody(Described, public_name="Series"):
    """The values of a series at each point; null at a point where nothing was measured."""

    unit: str = Field(..., description="`ms`, `s`, `%`, `MiB`, `x`, `/s`, ...; empty for a plain number.")
    min: NumbersWithGaps
    mean: NumbersWithGaps
    max: NumbersWithGaps


class HistoryBody(Described, public_name="HistoryAnswer"):
    """The history of a check. Times are epoch seconds; `times` has the start of each point."""

    check: str
    since: float = Field(..., description="The start of the first point: history may begin after the requested time.")
    until: float = Field(..., description="The end of the last point.")
    step_seconds: float = Field(
        ..., description="Time between two points. If the requested step gives over 2,000 points, this step is longer."
    )
    resolution: Literal["raw", "5m"] = Field(
        ..., description="Source of the points: single observations, or five-minute roll-ups."
    )
    times: list[float] = Field(..., max_length=2000)
    status: list[StatusWord | None] = Field(..., description="The worst status within each point; null: not observed.")
    series: dict[str, SeriesBody]
    reaches: ReachBody


class OverviewParameters(Parameters, public_name="OverviewQuestion"):
    """Parameters of history/overview/."""

    window: Duration = Field("24h", validate_default=True, description="Length of the period, such as `24h` or `7d`.")
    points: int = Field(48, ge=2, le=500, description="Maximum number of points. A point covers at least five minutes.")

    @model_validator(mode="after")
    def _check_window(self) -> OverviewParameters:
        if self.window > MAX_DAYS * 86_400:
            raise PydanticCustomError("long", f"should be no longer than {MAX_DAYS}d", {"key": "window"})
        return self


class SparkBody(Described, public_name="Spark"):
    """A check in the overview: at each point, its status and the mean of one of its series."""

    status: list[StatusWord | None]
    series: str
    unit: str
    values: NumbersWithGaps


class OverviewBody(Described, public_name="OverviewAnswer"):
    """All checks, for sparklines. The first point begins at `since`; each point covers `step_seconds`."""

    since: float
    step_seconds: float
    checks: dict[str, SparkBody]
    reaches: ReachBody


@router.get("history/", response={200: HistoryBody, **ERRORS}, operation_id="history", openapi_extra=CSV)
def history(request: Any, parameters: Query[HistoryParameters]) -> HttpResponse:
    """Return the status and the series of a check over time."""
    names = None if parameters.series is None else tuple(listed(parameters.series))
    with request.service.history.slot() as source:
        curves = read_curves(source.history, parameters.check, parameters.span(request.snapshot.now), names=names)
    document = curves_document(parameters.check, *curves)
    if parameters.format == "csv":
        return responses.attachment(tables.history(document), tables.MEDIA_TYPE, f"history-{parameters.check}.csv")
    return responses.success(encode(document))


@router.get("history/overview/", response={200: OverviewBody, **ERRORS}, operation_id="history_overview")
def overview(request: Any, parameters: Query[OverviewParameters]) -> HttpResponse:
    """Return one series of every check, for sparklines."""
    snapshot = request.snapshot
    specs = [*request.service.roster.everything(snapshot).checks, *child_checks(snapshot)]
    checks = {spec.name: own_series(snapshot.states.get(spec.name)) for spec in specs}
    since = snapshot.now - parameters.window
    with request.service.history.slot() as source:
        document = overview_document(source.history, checks, since, snapshot.now, count=parameters.points)
        bounds = source.history.reaches()
    return responses.success(encode({**document, "reaches": reaches_document(bounds)}))
