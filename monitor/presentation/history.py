"""History queries, and the bodies of the endpoints history/, uptime/ and events/ as plain data.

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
"""Number of checks that one query reads. This limits the roll-ups that are in memory at the same time."""
EVENTS_AT_A_TIME = 1000
EVENTS_READ = 10_000
EVENTS_SECONDS = 0.3
"""A request for the events of one check ends after this time, or after ``EVENTS_READ`` entries. It returns a cursor,
from which the next request continues."""
_STATUS_VALUES = {status: status.value for status in Status}


class EventPage(NamedTuple):
    """Transitions with their cursors, oldest first.

    ``cursor`` is the cursor for the next page. ``more`` is True when the stream may have further transitions.
    """

    events: Sequence[tuple[str, Transition]]
    cursor: str | None
    more: bool


def earliest_at(reaches: HistoryBounds) -> float | None:
    """Return the time at which history begins; None when history is empty."""
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

    The curves begin no earlier than history. They have no points when history begins after ``span``. Only the series in
    ``names`` are included; all series when None. A caller that has read the bounds of history passes them as
    ``reaches``, which saves a read.
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
        "status": _status_values(curves.status),
        "series": {
            name: {
                "unit": curve.unit,
                "min": _with_integers(curve.low),
                "mean": _to_digits(curve.mean, 10) if at.raw else _with_integers(curve.mean),
                "max": _with_integers(curve.high),
            }
            for name, curve in curves.series.items()
        },
        "reaches": reaches_document(reaches),
    }


def overview_document(
    history: History, checks: Mapping[str, Sequence[str]], since: float, until: float, *, count: int
) -> dict[str, Any]:
    """Return the body of ``/api/health/history/overview/``: one series of each check, for a sparkline.

    ``checks`` maps each check to its preferred series. The first preferred series that has samples is included; without
    any, the response time. Raise StoreUnavailable.
    """
    at = _in_full_steps(sparkline_scale(count, since, until))
    return {
        "since": without_fraction(at.since),
        "step_seconds": without_fraction(at.step),
        "checks": {
            check: _sparkline_document(buckets, at, checks[check])
            for batch in _batches(checks)
            for check, buckets in history.rollups(batch, at.since, until).items()
        },
    }


def uptime_document(
    history: History, checks: Iterable[str], spans: Mapping[str, float], now: float, *, day_count: int
) -> dict[str, Any]:
    """Return the body of ``/api/health/uptime/``: each check's figures for windows that end now, and for UTC days.

    ``spans`` maps a window's name to its length in seconds. A window begins at the start of a bucket. Raise
    StoreUnavailable.
    """
    until, documents = now, dict[str, Any]()
    for batch in _batches(checks):
        for check, uptimes in history.uptimes(batch, spans, day_count).items():
            until = max((window.until for window in uptimes.windows.values()), default=now)
            documents[check] = {
                "windows": {name: window_document(window) for name, window in uptimes.windows.items()},
                "days": [{"date": date, **_seconds_by_status(day)} for date, day in uptimes.days],
            }
    return {"until": without_fraction(until), "checks": documents}


def window_document(window: UptimeSeconds) -> dict[str, Any]:
    """Return the uptime figures of one window."""
    return {
        "since": without_fraction(window.since),
        "availability": window.availability,
        "seconds": _seconds_by_status(window),
        "incidents": window.incidents,
        "mttr_seconds": window.mttr_seconds,
        "mtbf_seconds": window.mtbf_seconds,
    }


def read_events(states: StateStore, *, after: str | None, limit: int, check: str | None = None) -> EventPage:
    """Return up to ``limit`` events after the cursor, of one check or of all. Raise StoreUnavailable.

    The stream is read in pages: no page begins after ``EVENTS_READ`` entries or ``EVENTS_SECONDS``. So for a check with
    few events in a long stream, the result may have fewer than ``limit`` events, or none, although ``more`` is True.
    """
    events: list[tuple[str, Transition]] = []
    cursor, page_size = after, limit + 1 if check is None else EVENTS_AT_A_TIME
    read_count, ends_at = 0, time.monotonic() + EVENTS_SECONDS
    while True:
        page = states.transitions(after=cursor, limit=page_size)
        for event_cursor, transition in page:
            if check is None or transition.check == check:
                if len(events) == limit:
                    return EventPage(events, cursor, more=True)
                events.append((event_cursor, transition))
            cursor = event_cursor
        read_count += len(page)
        if len(page) < page_size:
            return EventPage(events, cursor, more=False)
        if read_count >= EVENTS_READ or time.monotonic() > ends_at:
            return EventPage(events, cursor, more=True)


def events_document(page: EventPage) -> dict[str, Any]:
    """Return the body of ``/api/health/events/``."""
    return {"events": [event_document(*event) for event in page.events], "cursor": page.cursor, "more": page.more}


def event_document(cursor: str, transition: Transition) -> dict[str, Any]:
    """Return one event of the body."""
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
    """Return the states that checks had at the time ``at``. Raise StoreUnavailable.

    Each state is built from the check's last sample: status, reason, series, ``observed_at`` and ``valid_until``.
    ``since`` is ``observed_at``, because a sample does not contain it. All other fields are empty. Checks without a
    sample in the two days before ``at`` are left out.
    """
    return {check: _state_of_sample(check, sample) for check, sample in history.latest(checks, at).items()}


def reaches_document(reaches: HistoryBounds) -> dict[str, float | None]:
    """Return the times at which samples and roll-ups begin."""
    return {"raw": reaches.raw, "rollups": reaches.rollups}


def without_fraction(value: float) -> float | int:
    """Return an integer for an integral number, any other number unchanged."""
    integer = int(value)
    return integer if integer == value else value


def _in_full_steps(at: TimeScale) -> TimeScale:
    """Extend a scale to the end of its last step, so that the response stays the same until there is a new sample."""
    return dataclasses.replace(at, until=at.since + ceil((at.until - at.since) / at.step) * at.step)


def _state_of_sample(check: str, sample: Sample) -> State:
    data = {name: without_fraction(value) for name, value in sample.series.items() if name != RESPONSE_TIME}
    response_time_ms = sample.series.get(RESPONSE_TIME, 0.0)
    result = Result(
        "", sample.status, sample.at, sample.valid_until, response_time_ms, data, sample.reason, series=tuple(data)
    )
    return State(check, sample.status, sample.at, 0, result)


def _sparkline_document(buckets: Buckets, at: TimeScale, names: Sequence[str]) -> dict[str, Any]:
    name = next((name for name in names if name in buckets.series), RESPONSE_TIME)
    status, values = sparkline_values(buckets, at, name)
    return {"status": _status_values(status), "series": name, "unit": unit_of(name), "values": _to_digits(values, 4)}


def _seconds_by_status(window: UptimeSeconds) -> dict[str, float]:
    return {
        name: without_fraction(getattr(window, name)) for name in ("ok", "warning", "error", "unknown", "unobserved")
    }


def _status_values(statuses: Iterable[Status | None]) -> list[str | None]:
    return [None if status is None else _STATUS_VALUES[status] for status in statuses]


def _with_integers(values: Iterable[float | None]) -> list[float | None]:
    return [int(value) if value is not None and value.is_integer() else value for value in values]


def _to_digits(values: Iterable[float | None], digits: int) -> list[float | None]:
    return _with_integers([None if value is None else float(f"{value:.{digits}g}") for value in values])


def _batches(checks: Iterable[str]) -> Iterator[list[str]]:
    names = list(checks)
    for start in range(0, len(names), CHECKS_AT_A_TIME):
        yield names[start : start + CHECKS_AT_A_TIME]
