"""history/, history/overview/, uptime/, events/ and detailed/?at=: what the store is asked for."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.http import HttpRequest, HttpResponse
from ninja import Query, Router

from monitor import chronicle
from monitor.api.entries import encode
from monitor.api.guard import answer, failure
from monitor.api.history import tables
from monitor.api.schema.bodies import (
    Detailed,
    EventsAnswer,
    HistoryAnswer,
    OverviewAnswer,
    Refusal,
    UptimeAnswer,
    Wrong,
)
from monitor.api.schema.parameters import (
    EventsQuestion,
    HistoryQuestion,
    MomentQuestion,
    OverviewQuestion,
    Question,
    UptimeQuestion,
)
from monitor.api.service import service
from monitor.api.snapshot import parts_of
from monitor.history.moments import moment, span
from monitor.history.samples import RESPONSE_TIME

QUESTIONS: dict[str, type[Question]] = {
    "history": HistoryQuestion,
    "history/overview": OverviewQuestion,
    "uptime": UptimeQuestion,
    "events": EventsQuestion,
    "detailed": MomentQuestion,
}
AHEAD_SECONDS = 60.0
"""A moment so little ahead of the store's clock is now."""

REFUSALS: dict[int, Any] = {400: Wrong, 401: Refusal, 404: Wrong, 503: Refusal}
CSV: dict[str, Any] = {"responses": {200: {"content": {"text/csv": {"schema": {"type": "string"}}}}}}

router = Router(tags=["the past"])


@router.get("history/", response={200: HistoryAnswer, **REFUSALS}, operation_id="history", openapi_extra=CSV)
def history(request: HttpRequest, asked: Query[HistoryQuestion]) -> HttpResponse:
    """A check's status and series over time."""
    now = service().refresher.moment().now
    since, until = moment(asked.since, now), min(moment(asked.until, now), now)
    step = span(asked.step) if asked.step else None
    if since >= until:
        return _wrong("since", asked.since, "should be in the past")
    with service().reading.enter() as archive:
        found = chronicle.curves(archive.history, asked.check, since, until, step=step, names=asked.names)
    said = chronicle.curves_document(asked.check, *found)
    if asked.format == "csv":
        return _csv(tables.history(said), f"history-{asked.check}")
    return answer(encode(said))


@router.get("history/overview/", response={200: OverviewAnswer, **REFUSALS}, operation_id="history_overview")
def overview(request: HttpRequest, asked: Query[OverviewQuestion]) -> HttpResponse:
    """One series of every check, for sparklines."""
    known = service()
    now = known.refresher.moment()
    specs = [*known.roster.everything(now).checks, *parts_of(now.states)]
    checks = {spec.name: _series(now.states.get(spec.name)) for spec in specs}
    with known.reading.enter() as archive:
        said = chronicle.overview(archive.history, checks, now.now - span(asked.window), now.now, count=asked.points)
        reaches = archive.history.reaches()
    return answer(encode({**said, "reaches": chronicle.reaches_document(reaches)}))


@router.get("uptime/", response={200: UptimeAnswer, **REFUSALS}, operation_id="uptime", openapi_extra=CSV)
def uptime(request: HttpRequest, asked: Query[UptimeQuestion]) -> HttpResponse:
    """How much of the time a check was up, in windows up to now and day by day."""
    known = service()
    now = known.refresher.moment()
    names = [asked.check] if asked.check else [*known.roster.checks, *(part.name for part in parts_of(now.states))]
    with known.reading.enter() as archive:
        said = chronicle.uptime(archive.history, names, asked.spans, now.now, day_count=asked.days)
        reaches = archive.history.reaches()
    if asked.format == "csv":
        return _csv(tables.uptime(said), "uptime")
    return answer(encode({**said, "reaches": chronicle.reaches_document(reaches)}))


@router.get("events/", response={200: EventsAnswer, **REFUSALS}, operation_id="events", openapi_extra=CSV)
def events(request: HttpRequest, asked: Query[EventsQuestion]) -> HttpResponse:
    """What changed, oldest first."""
    with service().reading.enter() as archive:
        found = chronicle.events(archive, after=asked.after, limit=asked.limit, check=asked.check)
    said = chronicle.events_document(found)
    if asked.format == "csv":
        place = {"X-Monitor-More": str(found.more).lower(), "X-Monitor-Cursor": found.cursor or ""}
        return _csv(tables.events(said), "events", place)
    return answer(encode(said))


@router.get("detailed/", response={200: Detailed, **REFUSALS}, operation_id="detailed", url_name="past")
def detailed(request: HttpRequest, asked: Query[MomentQuestion]) -> HttpResponse:
    """Every check, as it is now, or as it was at a moment for which single observations are still kept.

    Of then, status, reason, series and times are exact; `absent` names the fields that are not kept.
    """
    known = service()
    now = known.refresher.moment()
    at = moment(asked.at or "now", now.now)
    if at > now.now + AHEAD_SECONDS:
        return _wrong("at", asked.at, "should be in the past")
    at = min(at, now.now)
    names = [*known.roster.checks, *(name for name in now.states if name not in known.roster.checks)]
    with known.reading.enter() as archive:
        reaches = archive.history.reaches()
        begin = reaches.raw
        if begin is None or at < begin:
            hint = "no observation is kept" if begin is None else f"observations are kept from {begin:.0f} on"
            return failure(404, "not_kept", problems=[{"key": "at", "value": asked.at, "hint": hint}])
        then = chronicle.states_at(archive.history, names, at)
    return answer(known.snapshots.past(then, at, now, reaches))


def _series(state: Any) -> list[str]:
    return [name for name in state.result.series if name != RESPONSE_TIME] if state else []


def _csv(text: str, name: str, headers: Mapping[str, str] | None = None) -> HttpResponse:
    disposition = f'attachment; filename="{name.replace(":", "-")}.csv"'
    return answer(text, tables.MEDIA_TYPE, {"Content-Disposition": disposition, **(headers or {})})


def _wrong(key: str, value: Any, hint: str) -> HttpResponse:
    return failure(400, "wrong_parameters", problems=[{"key": key, "value": value, "hint": hint}])
