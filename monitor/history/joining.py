"""Days put together: what one hour hands to the next, and a day in a few numbers."""

from __future__ import annotations

from collections.abc import Iterable
from math import ceil

from monitor.history.buckets import Buckets, Spreads, no_spreads, zeros
from monitor.history.rollups import BUCKET, HOUR, PER_DAY, Digest, HourHead, LastSample, RollupDay
from monitor.history.samples import BUCKET_SECONDS, DAY_SECONDS, ERROR, MICRO, micros

MAX_SPAN_SECONDS = 3660 * DAY_SECONDS


def digest_of(day: RollupDay) -> Digest:
    """A day that has a sample, in a few numbers."""
    head = day.heads[min(day.heads)]
    joined = join_days([day], None, day.start, day.start + DAY_SECONDS)
    ok, warning, unknown, error = map(sum, joined.times)
    last = day.heads[max(day.heads)].tail
    return Digest(head.first_at, head.first_code, last, (ok, warning, unknown, error), sum(joined.began))


def join_days(days: Iterable[RollupDay], tail: LastSample | None, since: float, until: float) -> Buckets:
    """The buckets from that of ``since`` on to that of ``until``: a bucket's end, or now.

    ``days`` are all that have samples in between, in order; ``tail`` is the last sample before them. No more than
    ``LONGEST_SECONDS``, ten years.
    """
    start = int(max(since, until - MAX_SPAN_SECONDS) // BUCKET_SECONDS) * BUCKET_SECONDS
    count = max(0, ceil((until - start) / BUCKET_SECONDS))
    joint = _BucketsDraft(start * MICRO, count, micros(until))
    for day in days:
        joint.add(day)
        for head in day.heads.values():
            joint.link(tail, head)
            tail = head.tail
    if tail is not None:
        joint.hold(tail, micros(until))
        joint.cut(tail)
    return joint.buckets(until)


class _BucketsDraft:
    """Buckets in the making."""

    def __init__(self, start: int, count: int, until: int) -> None:
        self._start, self._count, self._until = start, count, until
        self._times = zeros(count), zeros(count), zeros(count), zeros(count)
        self._began, self._goes_on = zeros(count), bytearray(count)
        self._series: dict[str, Spreads] = {}

    def add(self, day: RollupDay) -> None:
        """What the day knows by itself."""
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

    def link(self, tail: LastSample | None, head: HourHead) -> None:
        """What holds from before an hour up to its first sample; an error there may be the same as before."""
        if tail is None:
            return
        self.hold(tail, head.first_at)
        place = (head.first_at - self._start) // BUCKET
        if tail.code == ERROR and head.first_code == ERROR and 0 <= place < self._count:
            self._began[place] -= 1
            self._goes_on[place] = 1

    def hold(self, tail: LastSample, until: int) -> None:
        """A last sample holds beyond its hour."""
        at = max((tail.at // HOUR + 1) * HOUR, self._start)
        until = min(tail.until, until, self._until)
        while at < until:
            place = (at - self._start) // BUCKET
            end = min(until, self._start + (place + 1) * BUCKET)
            self._times[tail.code][place] += end - at
            if tail.code == ERROR:
                self._goes_on[place] = 1
            at = end

    def cut(self, tail: LastSample) -> None:
        """The last sample of all may hold beyond ``until``, within its hour: that is not counted yet."""
        end = min(tail.until, (tail.at // HOUR + 1) * HOUR, self._start + self._count * BUCKET)
        if self._count and end > self._until:
            column = self._times[tail.code]
            column[-1] -= min(column[-1], end - self._until)

    def buckets(self, until: float) -> Buckets:
        """The outcome."""
        return Buckets(self._start // MICRO, until, self._times, self._began, bytes(self._goes_on), self._series)
