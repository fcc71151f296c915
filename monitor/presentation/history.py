"""History queries and their documents: the bodies of history/, uptime/ and events/ as plain data.

Times are seconds since the Unix epoch by the store's clock.
"""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from math import ceil
from typing import Any, NamedTuple

from monitor.history.buckets import Buckets
from monitor.history.samples import RESPONSE_TIME, Sample
from monitor.history.series import (
    Curves,
    Span,
    TimeScale,
    choose_scale,
    curves_of_buckets,
    curves_of_samples,
    sparkline_scale,
    sparkline_values,
    unit_of,
)
from monitor.history.uptime import UptimeSeconds
from monitor.model.checks import Result, State, Status, Transition
from monitor.ports.history import History, HistoryBounds
from monitor.ports.store import StateStore

CHECKS_AT_A_TIME = 50
"""Limit for roll-ups that are in memory at once."""
EVENTS_AT_A_TIME = 1000
EVENTS_READ = 10_000
EVENTS_SECONDS = 0.3
"""Limits of one request for the events of one check. The next request continues from the returned cursor."""
_WORDS = {status: status.value for status in Status}


class EventPage(NamedTuple):
    """Transitions with their cursors, oldest first.

    ``cursor`` is the place to continue from. ``more`` is True when there may be further ones.
    """

    found: Sequence[tuple[str, Transition]]
    cursor: str | None
    more: bool


def earliest_at(reaches: HistoryBounds) -> float | None:
    """Return the earliest time of which history knows anything; None when history is empty."""
    return min((at for at in reaches if at is not None), default=None)


def read_curves(
    history: History,
    check: str,
    span: Span,
    *,
    names: Iterable[str] | None = None,
    reaches: HistoryBounds | None = None,
) -> tuple[Curves, HistoryBounds]:
    """Return a check's past in steps of full seconds, and the bounds of history. Raise StoreUnavailable.

    The curves begin no earlier than history. They have no points when history begins after ``span``. ``names`` limits
    the series, None means all. ``reaches`` are the bounds of history, if the caller has read them.
    """
    reaches = history.reaches() if reaches is None else reaches
    series = None if names is None else list(names)
    begins_at = earliest_at(reaches)
    if begins_at is None or begins_at >= span.until:
        empty = choose_scale(span.since, span.until, step=span.step, raw_since=None)
        return Curves(dataclasses.replace(empty, until=empty.since), []), reaches
    step = span.step and ceil(span.step)
    at = _in_full_steps(choose_scale(max(span.since, begins_at), span.until, step=step, raw_since=reaches.raw))
    if at.raw:
        return curves_of_samples(history.samples(check, at.since, at.until, series), at, series), reaches
    return curves_of_buckets(history.rollups([check], at.since, at.until)[check], at, series), reaches


def curves_document(check: str, curves: Curves, reaches: HistoryBounds) -> dict[str, Any]:
    """Return the body of ``/api/health/history/``."""
    at = curves.scale
    return {
        "check": check,
        "since": without_fraction(at.since),
        "until": without_fraction(at.until),
        "step_seconds": without_fraction(at.step),
        "resolution": at.resolution,
        "times": [without_fraction(time) for time in at.times],
        "status": _words(curves.status),
        "series": {
            name: {
                "unit": curve.unit,
                "min": _numbers(curve.low),
                "mean": _rounded(curve.mean, 10) if at.raw else _numbers(curve.mean),
                "max": _numbers(curve.high),
            }
            for name, curve in curves.series.items()
        },
        "reaches": reaches_document(reaches),
    }


def overview_document(
    history: History, checks: Mapping[str, Sequence[str]], since: float, until: float, *, count: int
) -> dict[str, Any]:
    """Return the body of ``/api/health/history/overview/``: one series of each check, for a sparkline.

    ``checks`` gives the preferred series of each check: the first one that exists is shown, else the response time.
    Raise StoreUnavailable.
    """
    at = _in_full_steps(sparkline_scale(count, since, until))
    return {
        "since": without_fraction(at.since),
        "step_seconds": without_fraction(at.step),
        "checks": {
            check: _spark(buckets, at, checks[check])
            for batch in _batches(checks)
            for check, buckets in history.rollups(batch, at.since, until).items()
        },
    }


def uptime_document(
    history: History, checks: Iterable[str], spans: Mapping[str, float], now: float, *, day_count: int
) -> dict[str, Any]:
    """Return the body of ``/api/health/uptime/``: each check's figures for windows that end now, and for UTC days.

    ``spans`` are the windows' lengths in seconds by name. A window begins with a bucket. Raise StoreUnavailable.
    """
    until, found = now, dict[str, Any]()
    for batch in _batches(checks):
        for check, uptimes in history.uptimes(batch, spans, day_count).items():
            until = max((window.until for window in uptimes.windows.values()), default=now)
            found[check] = {
                "windows": {name: window_document(window) for name, window in uptimes.windows.items()},
                "days": [{"date": date, **_seconds(day)} for date, day in uptimes.days],
            }
    return {"until": without_fraction(until), "checks": found}


def window_document(window: UptimeSeconds) -> dict[str, Any]:
    """Return the figures of one window."""
    return {
        "since": without_fraction(window.since),
        "availability": window.availability,
        "seconds": _seconds(window),
        "incidents": window.incidents,
        "mttr_seconds": window.mttr_seconds,
        "mtbf_seconds": window.mtbf_seconds,
    }


def read_events(states: StateStore, *, after: str | None, limit: int, check: str | None = None) -> EventPage:
    """Return up to ``limit`` events after the cursor, of one check or of all. Raise StoreUnavailable.

    Read at most ``EVENTS_READ`` entries, and begin no page after ``EVENTS_SECONDS``. For a check with few events in a
    long stream the page may have fewer than ``limit`` events, or none, and ``more`` is True.
    """
    found: list[tuple[str, Transition]] = []
    cursor, page_size = after, limit + 1 if check is None else EVENTS_AT_A_TIME
    read, until = 0, time.monotonic() + EVENTS_SECONDS
    while True:
        page = states.transitions(after=cursor, limit=page_size)
        for at, transition in page:
            if check is None or transition.check == check:
                if len(found) == limit:
                    return EventPage(found, cursor, more=True)
                found.append((at, transition))
            cursor = at
        read += len(page)
        if len(page) < page_size:
            return EventPage(found, cursor, more=False)
        if read >= EVENTS_READ or time.monotonic() > until:
            return EventPage(found, cursor, more=True)


def events_document(page: EventPage) -> dict[str, Any]:
    """Return the body of ``/api/health/events/``."""
    return {"events": [event_document(*each) for each in page.found], "cursor": page.cursor, "more": page.more}


def event_document(cursor: str, transition: Transition) -> dict[str, Any]:
    """Return the document of one event."""
    return {
        "cursor": cursor,
        "id": transition.id,
        "check": transition.check,
        "old": transition.old.value,
        "new": transition.new.value,
        "at": transition.at,
        "reason": transition.reason,
    }


def states_at(history: History, checks: Iterable[str], at: float) -> dict[str, State]:
    """Return the states of checks at a moment. Raise StoreUnavailable.

    Judged status, reason, series and times are those of that moment. All other fields are empty, and ``since`` is the
    time of the observation. Checks without an observation are left out.
    """
    return {check: _state(check, sample) for check, sample in history.latest(checks, at).items()}


def reaches_document(reaches: HistoryBounds) -> dict[str, float | None]:
    """Return the times back to which history reaches."""
    return {"raw": reaches.raw, "rollups": reaches.rollups}


def without_fraction(value: float) -> float | int:
    """Return an integer for an integral number, any other number unchanged."""
    integer = int(value)
    return integer if integer == value else value


def _in_full_steps(at: TimeScale) -> TimeScale:
    """Extend a scale to the end of its last point: the response is then the same until there is a new observation."""
    return dataclasses.replace(at, until=at.since + ceil((at.until - at.since) / at.step) * at.step)


def _state(check: str, sample: Sample) -> State:
    data = {name: without_fraction(value) for name, value in sample.series.items() if name != RESPONSE_TIME}
    response_time_ms = sample.series.get(RESPONSE_TIME, 0.0)
    result = Result(
        "", sample.status, sample.at, sample.valid_until, response_time_ms, data, sample.reason, series=tuple(data)
    )
    return State(check, sample.status, sample.at, 0, result)


def _spark(buckets: Buckets, at: TimeScale, names: Sequence[str]) -> dict[str, Any]:
    name = next((name for name in names if name in buckets.series), RESPONSE_TIME)
    status, values = sparkline_values(buckets, at, name)
    return {"status": _words(status), "series": name, "unit": unit_of(name), "values": _rounded(values, 4)}


def _seconds(window: UptimeSeconds) -> dict[str, float]:
    return {
        name: without_fraction(getattr(window, name)) for name in ("ok", "warning", "error", "unknown", "unobserved")
    }


def _words(statuses: Iterable[Status | None]) -> list[str | None]:
    return [None if status is None else _WORDS[status] for status in statuses]


def _numbers(values: Iterable[float | None]) -> list[float | None]:
    return [int(value) if value is not None and value.is_integer() else value for value in values]


def _rounded(values: Iterable[float | None], digits: int) -> list[float | None]:
    return _numbers([None if value is None else float(f"{value:.{digits}g}") for value in values])


def _batches(checks: Iterable[str]) -> Iterator[list[str]]:
    names = list(checks)
    for start in range(0, len(names), CHECKS_AT_A_TIME):
        yield names[start : start + CHECKS_AT_A_TIME]
