"""From samples to buckets: each hour by itself, so that it can be done again; then what one hour hands to the next.

A rolled-up hour knows only its own samples. What still holds from before it, and whether an error goes on or begins,
is found where hours are put together: so a late sample changes one hour, and no order of roll-ups is wrong.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import accumulate, pairwise
from math import isnan
from typing import NamedTuple

from monitor.history.buckets import Spreads, Times, no_spreads, zeros
from monitor.history.samples import BUCKET_SECONDS, DAY_SECONDS, ERROR, HOUR_SECONDS, MICRO, Samples, merge

BUCKET, HOUR, DAY = BUCKET_SECONDS * MICRO, HOUR_SECONDS * MICRO, DAY_SECONDS * MICRO
PER_HOUR, PER_DAY = HOUR // BUCKET, DAY // BUCKET
MAX_NUMBER = 3e38  # of the numbers that roll-ups hold
NO_CODE = -1  # the code of what was before the first sample


class LastSample(NamedTuple):
    """The last sample before a moment: status code, when it was, and until when it is valid (microseconds)."""

    code: int
    at: int
    until: int


class HourHead(NamedTuple):
    """What an hour's neighbours need to know of it: its first sample (when, in microseconds; code) and its last."""

    first_at: int
    first_code: int
    tail: LastSample


class Digest(NamedTuple):
    """A day in a few numbers, as if nothing had been before it: enough for its uptime.

    ``times`` are microseconds by status code, ``began`` the incidents that began.
    """

    first_at: int
    first_code: int
    tail: LastSample
    times: tuple[int, int, int, int]
    began: int


@dataclass(frozen=True, slots=True)
class RollupDay:
    """The rolled-up hours of one UTC day, from ``start`` on, in columns of 288 buckets.

    ``heads`` are by hour of the day; hours that are not among them had no sample. ``times`` is how long samples held
    within their own hour. ``began`` and ``goes_on`` are as in a Bucket, as if nothing had been before each hour.
    """

    start: int
    heads: Mapping[int, HourHead]
    times: Times
    began: array[int]
    goes_on: bytes
    series: Mapping[str, Spreads]

    @property
    def tail(self) -> LastSample | None:
        """The last sample of the day."""
        return self.heads[max(self.heads)].tail if self.heads else None


def empty_day(start: int) -> RollupDay:
    """A day without samples."""
    times = zeros(PER_DAY), zeros(PER_DAY), zeros(PER_DAY), zeros(PER_DAY)
    return RollupDay(start, {}, times, zeros(PER_DAY), bytes(PER_DAY), {})


def replace_hours(day: RollupDay, samples: Samples) -> RollupDay:
    """The day with these samples in place of what it knew of their hours: all the samples of each."""
    draft = _DayDraft(day)
    for hour, some in _by_hour(samples):
        draft.clear((hour * HOUR - day.start * MICRO) // HOUR)
        draft.add(some)
    return draft.day()


def append_samples(day: RollupDay, samples: Samples) -> RollupDay | None:
    """The day with samples that came after those it knows of their hours; None when some did not.

    The same as all samples of the hour would give, but that the means of series have a digit less.
    """
    draft = _DayDraft(day)
    for hour, some in _by_hour(samples):
        head = day.heads.get((hour * HOUR - day.start * MICRO) // HOUR)
        if head is not None and head.tail.at >= some.at[0]:
            return None
        draft.add(some)
    return draft.day()


def add_waiting_samples(day: RollupDay, known: Samples | None, fresh: Samples) -> RollupDay | None:
    """The day with samples of one hour that it does not know yet, next to all those that are ``known`` of that hour.

    Where those are not what the day was made of (they were lost), only what is later can be added; else None.
    """
    head = day.heads.get((fresh.at[0] - day.start * MICRO) // HOUR)
    if head is None or (known and head.first_at in known.at):
        return replace_hours(day, merge([known, fresh]) if known else fresh)
    return append_samples(day, fresh)


class _DayDraft:
    """A day in the making."""

    def __init__(self, day: RollupDay) -> None:
        self._start = day.start * MICRO
        self._heads, self._began, self._goes_on = dict(day.heads), day.began[:], bytearray(day.goes_on)
        self._times = day.times[0][:], day.times[1][:], day.times[2][:], day.times[3][:]
        self._series = {name: spreads.copy() for name, spreads in day.series.items()}

    def clear(self, hour: int) -> None:
        """Forget an hour of the day."""
        places = slice(hour * PER_HOUR, (hour + 1) * PER_HOUR)
        for column in (*self._times, self._began):
            column[places] = zeros(PER_HOUR)
        self._goes_on[places] = bytes(PER_HOUR)
        for spreads in self._series.values():
            spreads.put(places, no_spreads(PER_HOUR), slice(0, PER_HOUR))
        self._heads.pop(hour, None)

    def add(self, samples: Samples) -> None:
        """Samples of one hour, all after those that are known of it."""
        hour = (samples.at[0] - self._start) // HOUR
        ended = self._start + (hour + 1) * HOUR
        head = self._heads.get(hour)
        before, seen = NO_CODE, -1
        if head is not None:
            self._take_back(head.tail, samples.at[0], ended)
            before, seen = head.tail.code, (head.tail.at - self._start) // BUCKET
        counts = [0] * PER_HOUR
        for at, end, code in zip(samples.at, samples.ends(), samples.codes, strict=True):
            place = (at - self._start) // BUCKET
            if code == ERROR and before != ERROR:
                self._began[place] += 1
            elif code == ERROR and place != seen:
                self._goes_on[place] = 1
            before, seen = code, place
            counts[place % PER_HOUR] += 1
            self._fill(code, at, min(end, ended))
        self._spread(samples, hour * PER_HOUR, list(accumulate(counts, initial=0)))
        tail = LastSample(samples.codes[-1], samples.at[-1], samples.until[-1])
        first = (samples.at[0], samples.codes[0]) if head is None else (head.first_at, head.first_code)
        self._heads[hour] = HourHead(*first, tail)

    def day(self) -> RollupDay:
        """The outcome."""
        heads = {hour: self._heads[hour] for hour in sorted(self._heads)}
        series = {name: spreads for name, spreads in self._series.items() if any(spreads.count)}
        return RollupDay(self._start // MICRO, heads, self._times, self._began, bytes(self._goes_on), series)

    def _fill(self, code: int, at: int, end: int) -> None:
        place, column = (at - self._start) // BUCKET, self._times[code]
        while at < end:
            step = min(end, self._start + (place + 1) * BUCKET)
            column[place] += step - at
            at, place = step, place + 1
            if code == ERROR and at < end:
                self._goes_on[place] = 1

    def _take_back(self, tail: LastSample, at: int, ended: int) -> None:
        """What was counted of the last sample from ``at`` on."""
        place, column, end = (at - self._start) // BUCKET, self._times[tail.code], min(tail.until, ended)
        while at < end:
            step = min(end, self._start + (place + 1) * BUCKET)
            column[place] -= step - at
            if self._start + place * BUCKET >= at:
                self._goes_on[place] = 0
            at, place = step, place + 1

    def _spread(self, samples: Samples, offset: int, edges: list[int]) -> None:
        for name, values in samples.series.items():
            spreads = self._series.setdefault(name, no_spreads(PER_DAY))
            for place, (first, last) in enumerate(pairwise(edges), offset):
                found = [value for value in values[first:last] if not isnan(value)] if first < last else None
                if not found:
                    continue
                known = spreads.count[place]
                count, low, high = known + len(found), min(found), max(found)
                spreads.low[place] = _bounded(min(low, spreads.low[place]))
                spreads.high[place] = _bounded(max(high, spreads.high[place]))
                # Of numbers that cannot be added up the mean is anything.
                total = sum(found) if max(-low, high) < MAX_NUMBER else low * len(found)
                spreads.mean[place] = _bounded((spreads.mean[place] * known + total) / count)
                spreads.count[place] = count


def _by_hour(samples: Samples) -> Iterator[tuple[int, Samples]]:
    place = 0
    while place < len(samples):
        hour = samples.at[place] // HOUR
        some = samples.within(hour * HOUR_SECONDS, (hour + 1) * HOUR_SECONDS)
        yield hour, some
        place += len(some)


def _bounded(value: float) -> float:
    return min(max(value, -MAX_NUMBER), MAX_NUMBER)
