"""Join of rolled-up hours into buckets of several days, and the digest of a day."""

from __future__ import annotations

from collections.abc import Iterable
from math import ceil

from monitor.history.buckets import Buckets, Spreads, no_spreads, zeros
from monitor.history.rollups import BUCKET, HOUR, PER_DAY, Digest, HourHead, LastSample, RollupDay
from monitor.history.samples import BUCKET_SECONDS, DAY_SECONDS, ERROR, MICRO, micros

MAX_SPAN_SECONDS = 3660 * DAY_SECONDS


def digest_of(day: RollupDay) -> Digest:
    """Return the digest of a day that has at least one sample."""
    head = day.heads[min(day.heads)]
    joined = join_days([day], None, day.start, day.start + DAY_SECONDS)
    ok, warning, unknown, error = map(sum, joined.times)
    last = day.heads[max(day.heads)].tail
    return Digest(head.first_at, head.first_code, last, (ok, warning, unknown, error), sum(joined.began))


def join_days(days: Iterable[RollupDay], tail: LastSample | None, since: float, until: float) -> Buckets:
    """Return the buckets from ``since`` to ``until``. Incidents and validity continue from each hour to the next.

    - The first bucket contains ``since``. ``until`` is the end of a bucket, or now.
    - ``days`` are all days with samples in this time, in order. ``tail`` is the last sample before these days.
    - The result covers at most ``MAX_SPAN_SECONDS``, ten years.
    """
    start = int(max(since, until - MAX_SPAN_SECONDS) // BUCKET_SECONDS) * BUCKET_SECONDS
    count = max(0, ceil((until - start) / BUCKET_SECONDS))
    draft = _BucketsDraft(start * MICRO, count, micros(until))
    for day in days:
        draft.add_day(day)
        for head in day.heads.values():
            draft.link_hour(tail, head)
            tail = head.tail
    if tail is not None:
        draft.extend(tail, micros(until))
        draft.trim(tail)
    return draft.buckets(until)


class _BucketsDraft:
    """Columns of buckets while days are added to them."""

    def __init__(self, start: int, count: int, until: int) -> None:
        self._start, self._count, self._until = start, count, until
        self._times = zeros(count), zeros(count), zeros(count), zeros(count)
        self._began, self._goes_on = zeros(count), bytearray(count)
        self._series: dict[str, Spreads] = {}

    def add_day(self, day: RollupDay) -> None:
        """Copy the buckets of a day. The effect of samples before each hour is added by `link_hour`."""
        offset = (day.start * MICRO - self._start) // BUCKET
        low, high = max(0, -offset), min(PER_DAY, self._count - offset)
        if low >= high:
            return
        here, there = slice(offset + low, offset + high), slice(low, high)
        for mine, column in zip((*self._times, self._began), (*day.times, day.began), strict=True):
            mine[here] = column[there]
        self._goes_on[here] = day.goes_on[there]
        for name, spreads in day.series.items():
            if name not in self._series:
                self._series[name] = no_spreads(self._count)
            self._series[name].put(here, spreads, there)

    def link_hour(self, tail: LastSample | None, head: HourHead) -> None:
        """Add the effect of ``tail``, the last sample before an hour, on this hour.

        ``tail`` may hold until the first sample of the hour. If both samples are errors, they belong to one incident.
        """
        if tail is None:
            return
        self.extend(tail, head.first_at)
        place = (head.first_at - self._start) // BUCKET
        if tail.code == ERROR and head.first_code == ERROR and 0 <= place < self._count:
            self._began[place] -= 1
            self._goes_on[place] = 1

    def extend(self, tail: LastSample, until: int) -> None:
        """Add the time for which ``tail`` holds after the end of its own hour, up to ``until``."""
        at = max((tail.at // HOUR + 1) * HOUR, self._start)
        until = min(tail.until, until, self._until)
        while at < until:
            place = (at - self._start) // BUCKET
            end = min(until, self._start + (place + 1) * BUCKET)
            self._times[tail.code][place] += end - at
            if tail.code == ERROR:
                self._goes_on[place] = 1
            at = end

    def trim(self, tail: LastSample) -> None:
        """Remove the time after the end of the buckets that was counted for the last sample."""
        end = min(tail.until, (tail.at // HOUR + 1) * HOUR, self._start + self._count * BUCKET)
        if self._count and end > self._until:
            column = self._times[tail.code]
            column[-1] -= min(column[-1], end - self._until)

    def buckets(self, until: float) -> Buckets:
        """Return the buckets."""
        return Buckets(self._start // MICRO, until, self._times, self._began, bytes(self._goes_on), self._series)
