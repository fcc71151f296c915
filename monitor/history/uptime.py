"""How much of the time a check was up.

*Up* is ok or warning, *down* is error. Time without a valid observation is neither, and never counted as up; nor is
time in which the check could not say (``unknown``). An incident is a stretch of ``error``: a gap in the observations
does not end it, anything else that is observed does.
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
    """Seconds in each status from ``since`` to ``until``, and the incidents that were going on in between."""

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
        """Seconds up."""
        return self.ok + self.warning

    @property
    def availability(self) -> float | None:
        """The part of the observed time that was up, 0 to 1; None when it was neither up nor down."""
        return self.up / (self.up + self.error) if self.up + self.error > 0 else None

    @property
    def mttr_seconds(self) -> float | None:
        """Mean time to repair: down seconds per incident; None without incidents."""
        return self.error / self.incidents if self.incidents else None

    @property
    def mtbf_seconds(self) -> float | None:
        """Mean time between failures: up seconds per incident; None without incidents."""
        return self.up / self.incidents if self.incidents else None

    @property
    def seconds(self) -> dict[str, float]:
        """Seconds in each status, by its word."""
        return {
            "ok": self.ok,
            "warning": self.warning,
            "error": self.error,
            "unknown": self.unknown,
            "unobserved": self.unobserved,
        }


def uptime(buckets: Buckets, since: float | None = None) -> UptimeSeconds:
    """The figures of all buckets, or from that of ``since`` on. Since when is said: the begin of a bucket."""
    return _between(buckets, 0 if since is None else buckets.place(since), len(buckets))


def window_uptimes(buckets: Buckets, seconds: Mapping[str, float]) -> dict[str, UptimeSeconds]:
    """The figures of windows that end where the buckets do, by name: how many seconds each reaches back."""
    return {name: uptime(buckets, buckets.until - window) for name, window in seconds.items()}


def daily_uptimes(buckets: Buckets) -> list[tuple[str, UptimeSeconds]]:
    """The figures of each UTC day that the buckets touch, by its date (``2026-11-20``)."""
    found = []
    at: float = buckets.start
    while at < buckets.until:
        following = (at // DAY_SECONDS + 1) * DAY_SECONDS
        day = _between(buckets, buckets.place(at), buckets.place(following))
        found.append((date_of(at), day))
        at = following
    return found


@lru_cache(maxsize=1000)
def date_of(at: float) -> str:
    """The UTC date of a moment."""
    return datetime.fromtimestamp(at, UTC).date().isoformat()


class Uptimes(NamedTuple):
    """The figures of windows up to now, by name, and of whole UTC days, by date, today's being the last."""

    windows: dict[str, UptimeSeconds]
    days: list[tuple[str, UptimeSeconds]]


def uptimes(buckets: Buckets, spans: Mapping[str, float], day_count: int) -> Uptimes:
    """Both, of buckets that reach back far enough (:func:`reaching_back`)."""
    return Uptimes(window_uptimes(buckets, spans), daily_uptimes(buckets)[-day_count:] if day_count else [])


def earliest_needed(seconds: Sequence[float], now: float, whole_days: int = 0) -> float:
    """Since when buckets are needed for windows that end ``now``, and for whole UTC days, today's being the last."""
    today = now // DAY_SECONDS * DAY_SECONDS
    return min([now - window for window in seconds] + [today - (whole_days - 1) * DAY_SECONDS] * bool(whole_days))


class UptimeSegment(NamedTuple):
    """A stretch of time, to be put together with others: microseconds by status code, the incidents that began in it,
    and whether the first thing that was observed in it is an incident that had begun before."""

    since: float
    until: float
    times: tuple[int, int, int, int]
    began: int
    is_under_way: bool


def segment(buckets: Buckets, since: float, until: float) -> UptimeSegment:
    """Of the bucket of ``since`` up to that of ``until``."""
    return _part(buckets, buckets.place(since), buckets.place(until))


def day_segments(digests: Mapping[int, Digest], tail: LastSample | None, first: int, last: int) -> list[UptimeSegment]:
    """Whole days, from number ``first`` to before ``last``; ``tail`` is the last sample before them."""
    found = []
    for number in range(first, last):
        start, end = number * DAY, (number + 1) * DAY
        digest = digests.get(number)
        times, began = (digest.times, digest.began) if digest else ((0, 0, 0, 0), 0)
        is_under_way = False
        if tail is not None:
            held = min(tail.until, digest.first_at if digest else end) - start
            if held > 0:
                spent = [*times]
                spent[tail.code] += held
                ok, warning, unknown, error = spent
                times = (ok, warning, unknown, error)
            if tail.code == ERROR:
                is_same = digest is not None and digest.first_code == ERROR
                is_under_way = held > 0 or is_same
                began -= is_same
        found.append(UptimeSegment(start / MICRO, end / MICRO, times, began, is_under_way))
        tail = digest.tail if digest else tail
    return found


def combine(parts: Sequence[UptimeSegment]) -> UptimeSeconds:
    """The figures of parts that follow one another: at least one."""
    since, until = parts[0].since, parts[-1].until
    first, began = parts[0], parts[0].began
    ok, warning, unknown, error = first.times
    if len(parts) > 1:
        ok, warning, unknown, error = (sum(each) for each in zip(*(part.times for part in parts), strict=True))
        first = next((part for part in parts if any(part.times)), first)
        began = sum(part.began for part in parts)
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


def _between(buckets: Buckets, first: int, last: int) -> UptimeSeconds:
    return combine([_part(buckets, first, last)])


def _part(buckets: Buckets, first: int, last: int) -> UptimeSegment:
    ok, warning, unknown, error = (sum(column[first:last]) for column in buckets.times)
    since = buckets.start + first * BUCKET_SECONDS
    until = max(since, min(buckets.until, buckets.start + last * BUCKET_SECONDS))
    began, is_under_way = sum(buckets.began[first:last]), _is_under_way(buckets, first, last)
    return UptimeSegment(since, until, (ok, warning, unknown, error), began, is_under_way)


def _is_under_way(buckets: Buckets, first: int, last: int) -> bool:
    """Whether the first thing that was observed is an incident that had begun before."""
    place = buckets.goes_on.find(1, first, last)
    return place >= 0 and not any(buckets.began[first:place]) and not _is_observed(buckets, first, place)


def _is_observed(buckets: Buckets, first: int, last: int) -> bool:
    return any(any(column[first:last]) for column in buckets.times)
