"""Uptime of a check.

*Up* is ``ok`` or ``warning``, *down* is ``error``. Time without a valid observation and time in ``unknown`` are neither
up nor down. An incident is a period of ``error``. A gap in the observations does not end an incident. Any other
observed status ends it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from functools import lru_cache
from typing import NamedTuple

from monitor.history.buckets import Buckets
from monitor.history.rollups import DAY, Digest, LastSample
from monitor.history.samples import BUCKET_SECONDS, DAY_SECONDS, ERROR, MICRO, micros


class UptimeSeconds(NamedTuple):
    """Seconds in each status from ``since`` to ``until``, and the number of incidents in this time."""

    since: float
    until: float
    ok: float
    warning: float
    error: float
    unknown: float
    unobserved: float
    incidents: int

    @property
    def up(self) -> float:
        """Return the number of seconds up."""
        return self.ok + self.warning

    @property
    def availability(self) -> float | None:
        """Return up / (up + down), 0 to 1. None if there was no time up and no time down."""
        return self.up / (self.up + self.error) if self.up + self.error > 0 else None

    @property
    def mttr_seconds(self) -> float | None:
        """Return the mean time to repair: down seconds per incident. None without incidents."""
        return self.error / self.incidents if self.incidents else None

    @property
    def mtbf_seconds(self) -> float | None:
        """Return the mean time between failures: up seconds per incident. None without incidents."""
        return self.up / self.incidents if self.incidents else None

    @property
    def seconds(self) -> dict[str, float]:
        """Return the seconds in each status. The keys are the names of the statuses."""
        return {
            "ok": self.ok,
            "warning": self.warning,
            "error": self.error,
            "unknown": self.unknown,
            "unobserved": self.unobserved,
        }


def uptime(buckets: Buckets, since: float | None = None) -> UptimeSeconds:
    """Return the uptime over all buckets, or from the bucket that contains ``since``.

    ``since`` of the result is the start of this bucket.
    """
    return _uptime_seconds(buckets, 0 if since is None else buckets.place(since), len(buckets))


def window_uptimes(buckets: Buckets, seconds: Mapping[str, float]) -> dict[str, UptimeSeconds]:
    """Return the uptime of each window, by its name. All windows end where the buckets end.

    ``seconds`` maps the name of each window to its length.
    """
    return {name: uptime(buckets, buckets.until - window) for name, window in seconds.items()}


def daily_uptimes(buckets: Buckets) -> list[tuple[str, UptimeSeconds]]:
    """Return the date (``2026-11-20``) and the uptime of each UTC day in which there are buckets."""
    found = []
    at: float = buckets.start
    while at < buckets.until:
        following = (at // DAY_SECONDS + 1) * DAY_SECONDS
        day = _uptime_seconds(buckets, buckets.place(at), buckets.place(following))
        found.append((date_of(at), day))
        at = following
    return found


@lru_cache(maxsize=1000)
def date_of(at: float) -> str:
    """Return the UTC date of a time."""
    return datetime.fromtimestamp(at, UTC).date().isoformat()


class Uptimes(NamedTuple):
    """Uptime of windows that end now, by name, and of UTC days, by date. The last day is today."""

    windows: dict[str, UptimeSeconds]
    days: list[tuple[str, UptimeSeconds]]


def uptimes(buckets: Buckets, spans: Mapping[str, float], day_count: int) -> Uptimes:
    """Return the uptime of windows and of the last ``day_count`` days.

    The buckets must begin at or before the time that :func:`earliest_needed` returns.
    """
    return Uptimes(window_uptimes(buckets, spans), daily_uptimes(buckets)[-day_count:] if day_count else [])


def earliest_needed(seconds: Sequence[float], now: float, day_count: int = 0) -> float:
    """Return the time at which the buckets for :func:`uptimes` must begin.

    ``seconds`` are the lengths of the windows, which end ``now``. ``day_count`` is the number of UTC days, including
    today.
    """
    today = now // DAY_SECONDS * DAY_SECONDS
    return min([now - window for window in seconds] + [today - (day_count - 1) * DAY_SECONDS] * bool(day_count))


class UptimeSegment(NamedTuple):
    """Uptime of a period, in a form in which consecutive periods can be combined.

    ``times`` are the microseconds in each status, in the order of the status codes. ``began`` is the number of
    incidents that began in this period. ``is_under_way`` is true if the first observation of this period belongs to an
    incident that began earlier.
    """

    since: float
    until: float
    times: tuple[int, int, int, int]
    began: int
    is_under_way: bool


def segment(buckets: Buckets, since: float, until: float) -> UptimeSegment:
    """Return the segment of the buckets in [since, until): the bucket that contains ``until`` is not included."""
    return _segment(buckets, buckets.place(since), buckets.place(until))


def day_segments(digests: Mapping[int, Digest], tail: LastSample | None, first: int, last: int) -> list[UptimeSegment]:
    """Return one segment for each of the days ``first`` to ``last`` - 1. Days are numbered from the epoch on.

    ``tail`` is the last sample before the first of these days.
    """
    found = []
    for number in range(first, last):
        start, end = number * DAY, (number + 1) * DAY
        digest = digests.get(number)
        times, began = (digest.times, digest.began) if digest else ((0, 0, 0, 0), 0)
        is_under_way = False
        if tail is not None:
            held_micros = min(tail.until, digest.first_at if digest else end) - start
            if held_micros > 0:
                times_with_tail = [*times]
                times_with_tail[tail.code] += held_micros
                ok, warning, unknown, error = times_with_tail
                times = (ok, warning, unknown, error)
            if tail.code == ERROR:
                is_same_incident = digest is not None and digest.first_code == ERROR
                is_under_way = held_micros > 0 or is_same_incident
                began -= is_same_incident
        found.append(UptimeSegment(start / MICRO, end / MICRO, times, began, is_under_way))
        tail = digest.tail if digest else tail
    return found


def combine(segments: Sequence[UptimeSegment]) -> UptimeSeconds:
    """Return the uptime over consecutive segments. There must be at least one segment."""
    since, until = segments[0].since, segments[-1].until
    first, began = segments[0], segments[0].began
    ok, warning, unknown, error = first.times
    if len(segments) > 1:
        ok, warning, unknown, error = (sum(column) for column in zip(*(each.times for each in segments), strict=True))
        first = next((each for each in segments if any(each.times)), first)
        began = sum(each.began for each in segments)
    unobserved = max(0, micros(until) - micros(since) - ok - warning - unknown - error)
    return UptimeSeconds(
        since=since,
        until=until,
        ok=ok / MICRO,
        warning=warning / MICRO,
        error=error / MICRO,
        unknown=unknown / MICRO,
        unobserved=unobserved / MICRO,
        incidents=began + first.is_under_way,
    )


def _uptime_seconds(buckets: Buckets, first: int, last: int) -> UptimeSeconds:
    return combine([_segment(buckets, first, last)])


def _segment(buckets: Buckets, first: int, last: int) -> UptimeSegment:
    ok, warning, unknown, error = (sum(column[first:last]) for column in buckets.times)
    since = buckets.start + first * BUCKET_SECONDS
    until = max(since, min(buckets.until, buckets.start + last * BUCKET_SECONDS))
    began, is_under_way = sum(buckets.began[first:last]), _is_under_way(buckets, first, last)
    return UptimeSegment(since, until, (ok, warning, unknown, error), began, is_under_way)


def _is_under_way(buckets: Buckets, first: int, last: int) -> bool:
    """Return whether the first observation of these buckets belongs to an incident that began earlier."""
    place = buckets.goes_on.find(1, first, last)
    return place >= 0 and not any(buckets.began[first:place]) and not _is_observed(buckets, first, place)


def _is_observed(buckets: Buckets, first: int, last: int) -> bool:
    return any(any(column[first:last]) for column in buckets.times)
