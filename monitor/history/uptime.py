"""How much of the time a check was up.

*Up* is ok or warning, *down* is error. Time without a valid observation is neither, and never counted as up; nor is
time in which the check could not say (``unknown``). An incident is a stretch of ``error``: a gap in the observations
does not end it, anything else that is observed does.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from monitor.history.buckets import Buckets
from monitor.history.samples import BUCKET_SECONDS, DAY_SECONDS, MICRO, micros


@dataclass(frozen=True, slots=True)
class Uptime:
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


def uptime(buckets: Buckets, since: float | None = None) -> Uptime:
    """The figures of all buckets, or from that of ``since`` on. Since when is said: the begin of a bucket."""
    return _between(buckets, 0 if since is None else buckets.place(since), len(buckets))


def windows(buckets: Buckets, seconds: Mapping[str, float]) -> dict[str, Uptime]:
    """The figures of windows that end where the buckets do, by name: how many seconds each reaches back."""
    return {name: uptime(buckets, buckets.until - window) for name, window in seconds.items()}


def days(buckets: Buckets) -> list[tuple[str, Uptime]]:
    """The figures of each UTC day that the buckets touch, by its date (``2026-11-20``)."""
    found = []
    at: float = buckets.start
    while at < buckets.until:
        following = (at // DAY_SECONDS + 1) * DAY_SECONDS
        day = _between(buckets, buckets.place(at), buckets.place(following))
        found.append((datetime.fromtimestamp(at, UTC).date().isoformat(), day))
        at = following
    return found


def reaching_back(seconds: Sequence[float], now: float, whole_days: int = 0) -> float:
    """Since when buckets are needed for windows that end ``now``, and for whole UTC days, today's being the last."""
    today = now // DAY_SECONDS * DAY_SECONDS
    return min([now - window for window in seconds] + [today - (whole_days - 1) * DAY_SECONDS] * bool(whole_days))


def _between(buckets: Buckets, first: int, last: int) -> Uptime:
    spent = [sum(column[first:last]) for column in buckets.times]
    since = buckets.start + first * BUCKET_SECONDS
    until = max(since, min(buckets.until, buckets.start + last * BUCKET_SECONDS))
    ok, warning, unknown, error = (each / MICRO for each in spent)
    return Uptime(
        since=since,
        until=until,
        ok=ok,
        warning=warning,
        error=error,
        unknown=unknown,
        unobserved=max(0, micros(until) - since * MICRO - sum(spent)) / MICRO,
        incidents=sum(buckets.began[first:last]) + _is_under_way(buckets, first, last),
    )


def _is_under_way(buckets: Buckets, first: int, last: int) -> bool:
    """Whether the first thing that was observed is an incident that had begun before."""
    place = buckets.goes_on.find(1, first, last)
    return place >= 0 and not any(buckets.began[first:place]) and not _is_observed(buckets, first, place)


def _is_observed(buckets: Buckets, first: int, last: int) -> bool:
    return any(any(column[first:last]) for column in buckets.times)
