"""Roll-up of samples into buckets, one hour at a time, and days of rolled-up hours.

A rolled-up hour depends only on the samples of this hour. So hours can be rolled up in any order, and a late sample
changes one hour only. `joining` adds the effect of earlier samples, such as whether an error is a new incident.
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
MAX_NUMBER = 3e38  # roll-ups store numbers as single-precision floats
NO_CODE = -1  # status code before the first sample


class LastSample(NamedTuple):
    """Last sample before a time: its status code, and its time and the end of its validity in microseconds."""

    code: int
    at: int
    until: int


class HourHead(NamedTuple):
    """First and last sample of an hour, which `joining` needs. ``tail`` is the last one. Times are in microseconds."""

    first_at: int
    first_code: int
    tail: LastSample


class Digest(NamedTuple):
    """Summary of a day for uptime, computed as if there were no samples before this day.

    ``times`` are the microseconds in each status, in the order of the status codes. ``began`` is the number of
    incidents that began on this day.
    """

    first_at: int
    first_code: int
    tail: LastSample
    times: tuple[int, int, int, int]
    began: int


@dataclass(frozen=True, slots=True)
class RollupDay:
    """Rolled-up hours of the UTC day that begins at ``start`` (epoch seconds), in columns of 288 buckets.

    - ``heads`` contains the hours that have samples. Its keys are 0 to 23.
    - ``times`` is the time for which samples held, up to the end of their own hour.
    - ``began`` and ``goes_on`` correspond to `Bucket.incidents` and `Bucket.goes_on`. They are computed as if there
      were no samples before each hour.
    """

    start: int
    heads: Mapping[int, HourHead]
    times: Times
    began: array[int]
    goes_on: bytes
    series: Mapping[str, Spreads]

    @property
    def tail(self) -> LastSample | None:
        """Return the last sample of the day, or None."""
        return self.heads[max(self.heads)].tail if self.heads else None


def empty_day(start: int) -> RollupDay:
    """Return a day without samples."""
    times = zeros(PER_DAY), zeros(PER_DAY), zeros(PER_DAY), zeros(PER_DAY)
    return RollupDay(start, {}, times, zeros(PER_DAY), bytes(PER_DAY), {})


def replace_hours(day: RollupDay, samples: Samples) -> RollupDay:
    """Return the day after each hour in ``samples`` was replaced by a roll-up of these samples.

    ``samples`` must contain all samples of each such hour.
    """
    draft = _DayDraft(day)
    for hour, hour_samples in _by_hour(samples):
        draft.clear((hour * HOUR - day.start * MICRO) // HOUR)
        draft.add(hour_samples)
    return draft.day()


def append_samples(day: RollupDay, samples: Samples) -> RollupDay | None:
    """Return the day after samples were added to its hours. Each must be later than the known samples of its hour.

    Return None if one of them is not later. The result equals a roll-up of all samples, except that the means of series
    have one digit less.
    """
    draft = _DayDraft(day)
    for hour, hour_samples in _by_hour(samples):
        head = day.heads.get((hour * HOUR - day.start * MICRO) // HOUR)
        if head is not None and head.tail.at >= hour_samples.at[0]:
            return None
        draft.add(hour_samples)
    return draft.day()


def add_waiting_samples(day: RollupDay, known: Samples | None, fresh: Samples) -> RollupDay | None:
    """Return the day after the new samples of one hour, ``fresh``, were added.

    ``known`` are the stored samples of this hour. Normally the hour is rolled up again, from ``known`` and ``fresh``.
    If the hour was rolled up from other samples, which are lost now, ``fresh`` can only be appended. Return None if
    ``fresh`` is then not later than the lost samples.
    """
    head = day.heads.get((fresh.at[0] - day.start * MICRO) // HOUR)
    if head is None or (known and head.first_at in known.at):
        return replace_hours(day, merge([known, fresh]) if known else fresh)
    return append_samples(day, fresh)


class _DayDraft:
    """Columns of a day while samples are added to them."""

    def __init__(self, day: RollupDay) -> None:
        self._start = day.start * MICRO
        self._heads, self._began, self._goes_on = dict(day.heads), day.began[:], bytearray(day.goes_on)
        self._times = day.times[0][:], day.times[1][:], day.times[2][:], day.times[3][:]
        self._series = {name: spreads.copy() for name, spreads in day.series.items()}

    def clear(self, hour: int) -> None:
        """Remove the samples of an hour of the day."""
        places = slice(hour * PER_HOUR, (hour + 1) * PER_HOUR)
        for column in (*self._times, self._began):
            column[places] = zeros(PER_HOUR)
        self._goes_on[places] = bytes(PER_HOUR)
        for spreads in self._series.values():
            spreads.put(places, no_spreads(PER_HOUR), slice(0, PER_HOUR))
        self._heads.pop(hour, None)

    def add(self, samples: Samples) -> None:
        """Add samples of one hour. All must be later than the samples of this hour so far."""
        hour = (samples.at[0] - self._start) // HOUR
        ended = self._start + (hour + 1) * HOUR
        head = self._heads.get(hour)
        before, last_place = NO_CODE, -1
        if head is not None:
            self._remove_time(head.tail, samples.at[0], ended)
            before, last_place = head.tail.code, (head.tail.at - self._start) // BUCKET
        counts = [0] * PER_HOUR
        for at, end, code in zip(samples.at, samples.ends(), samples.codes, strict=True):
            place = (at - self._start) // BUCKET
            if code == ERROR and before != ERROR:
                self._began[place] += 1
            elif code == ERROR and place != last_place:
                self._goes_on[place] = 1
            before, last_place = code, place
            counts[place % PER_HOUR] += 1
            self._fill(code, at, min(end, ended))
        self._add_series(samples, hour * PER_HOUR, list(accumulate(counts, initial=0)))
        tail = LastSample(samples.codes[-1], samples.at[-1], samples.until[-1])
        first = (samples.at[0], samples.codes[0]) if head is None else (head.first_at, head.first_code)
        self._heads[hour] = HourHead(*first, tail)

    def day(self) -> RollupDay:
        """Return the day."""
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

    def _remove_time(self, tail: LastSample, at: int, ended: int) -> None:
        """Remove the time after ``at`` that was counted for ``tail``, the last sample of the hour so far."""
        place, column, end = (at - self._start) // BUCKET, self._times[tail.code], min(tail.until, ended)
        while at < end:
            step = min(end, self._start + (place + 1) * BUCKET)
            column[place] -= step - at
            if self._start + place * BUCKET >= at:
                self._goes_on[place] = 0
            at, place = step, place + 1

    def _add_series(self, samples: Samples, offset: int, edges: list[int]) -> None:
        for name, values in samples.series.items():
            spreads = self._series.setdefault(name, no_spreads(PER_DAY))
            for place, (first, last) in enumerate(pairwise(edges), offset):
                values_in_bucket = [value for value in values[first:last] if not isnan(value)] if first < last else None
                if not values_in_bucket:
                    continue
                known = spreads.count[place]
                count, low, high = known + len(values_in_bucket), min(values_in_bucket), max(values_in_bucket)
                spreads.low[place] = _clamp(min(low, spreads.low[place]))
                spreads.high[place] = _clamp(max(high, spreads.high[place]))
                # The sum of numbers above MAX_NUMBER could overflow, so their mean is only an approximation.
                total = sum(values_in_bucket) if max(-low, high) < MAX_NUMBER else low * len(values_in_bucket)
                spreads.mean[place] = _clamp((spreads.mean[place] * known + total) / count)
                spreads.count[place] = count


def _by_hour(samples: Samples) -> Iterator[tuple[int, Samples]]:
    place = 0
    while place < len(samples):
        hour = samples.at[place] // HOUR
        hour_samples = samples.within(hour * HOUR_SECONDS, (hour + 1) * HOUR_SECONDS)
        yield hour, hour_samples
        place += len(hour_samples)


def _clamp(value: float) -> float:
    return min(max(value, -MAX_NUMBER), MAX_NUMBER)
