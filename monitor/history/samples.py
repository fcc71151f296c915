"""What history keeps of one observation: samples, one by one and many in columns.

Times are epoch seconds by the store's clock, to the microsecond; columns hold whole microseconds, so that sums of them
are exact.
"""

from __future__ import annotations

from array import array
from bisect import bisect_left
from collections.abc import Container, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from math import isfinite, isnan, nan
from typing import overload

from monitor.model.checks import State, Status

HOUR_SECONDS = 3600
DAY_SECONDS = 86_400
BUCKET_SECONDS = 300
"""Roll-ups are of five minutes, aligned to the epoch."""
MICRO = 1_000_000
HOLD_SECONDS = 2 * DAY_SECONDS
"""No sample is believed for longer: it is how far back one has to look for what held at a moment."""

RESPONSE_TIME = "response_time_ms"
"""The series that every check has."""

STATUSES = (Status.OK, Status.WARNING, Status.UNKNOWN, Status.ERROR)
"""By code: the higher, the worse."""
SERIES_LIMIT = 100
"""Of a check in one hour: a column takes its room whether or not there is a number."""
OK, WARNING, UNKNOWN, ERROR = range(4)
CODES = {Status.OK: OK, Status.WARNING: WARNING, Status.ERROR: ERROR}


@dataclass(frozen=True, slots=True)
class Sample:
    """One observation: the status as it was judged then, which holds until ``valid_until`` or the next sample.

    ``series`` are the numbers that the check's kind declares, and ``response_time_ms``. A number that was not measured
    is absent.
    """

    at: float
    status: Status
    valid_until: float
    reason: str | None = None
    series: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, eq=False)
class Samples(Sequence[Sample]):
    """Samples of one check in columns, by time; at most one for each microsecond. Reads as a sequence of samples.

    ``at`` and ``until`` (when it stops being valid) are microseconds, ``codes`` index ``STATUSES``; where a series has
    no number it has NaN.
    """

    at: array[int]
    until: array[int]
    codes: bytes
    reasons: tuple[str | None, ...]
    series: Mapping[str, array[float]]

    def __len__(self) -> int:
        return len(self.at)

    @overload
    def __getitem__(self, index: int) -> Sample: ...
    @overload
    def __getitem__(self, index: slice) -> Samples: ...
    def __getitem__(self, index: int | slice) -> Sample | Samples:
        if isinstance(index, slice):
            columns = {name: column[index] for name, column in self.series.items()}
            return Samples(self.at[index], self.until[index], self.codes[index], self.reasons[index], columns)
        numbers = {name: column[index] for name, column in self.series.items() if not isnan(column[index])}
        at, until = self.at[index] / MICRO, self.until[index] / MICRO
        return Sample(at, STATUSES[self.codes[index]], until, self.reasons[index], numbers)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Samples) and list(self) == list(other)

    __hash__ = None  # type: ignore[assignment]

    def ends(self) -> list[int]:
        """When each stops to hold, in microseconds: with the next one, or with its validity."""
        return [*map(min, self.until, self.at[1:]), *self.until[-1:]]

    def only(self, names: Container[str] | None) -> Samples:
        """With no other series than these; with all when None."""
        if names is None or all(name in names for name in self.series):
            return self
        series = {name: column for name, column in self.series.items() if name in names}
        return Samples(self.at, self.until, self.codes, self.reasons, series)

    def within(self, since: float, until: float) -> Samples:
        """Those in [since, until)."""
        return self[bisect_left(self.at, micros(since)) : bisect_left(self.at, micros(until))]

    def holding(self, since: float, until: float) -> Samples:
        """Those in [since, until), and before them the one that still holds at ``since``, if any."""
        first = bisect_left(self.at, micros(since))
        begins = first < len(self.at) and self.at[first] == micros(since)  # the one before ends with it
        if first and not begins and self.until[first - 1] > micros(since):
            first -= 1
        return self[first : bisect_left(self.at, micros(until))]


def micros(seconds: float) -> int:
    """Whole microseconds."""
    return round(seconds * MICRO)


def sample_of(state: State) -> Sample:
    """What history keeps of a check's state: its judged status, and what its last result measured."""
    result = state.result
    series = {RESPONSE_TIME: result.response_time_ms}
    for name in result.series:
        value = result.data.get(name)
        if isinstance(value, int | float) and not isinstance(value, bool) and isfinite(value):
            series[name] = float(value)
    return Sample(result.observed_at, state.status, result.valid_until, result.reason, series)


def gather(samples: Iterable[Sample]) -> Samples:
    """Samples, in whatever order they were written. Of several at one moment, the last that was written counts."""
    by_time = {micros(sample.at): sample for sample in samples}
    ordered = [by_time[at] for at in sorted(by_time)]
    names = [*dict.fromkeys(name for sample in ordered for name in sample.series)][:SERIES_LIMIT]
    return Samples(
        array("q", sorted(by_time)),
        array("q", [_valid_until(sample) for sample in ordered]),
        bytes(CODES.get(sample.status, UNKNOWN) for sample in ordered),
        tuple(sample.reason for sample in ordered),
        {name: array("d", [sample.series.get(name, nan) for sample in ordered]) for name in names},
    )


def merge(parts: Sequence[Samples]) -> Samples:
    """All of them as one; where two are of one moment, the later part's. Cheap for parts that follow one another."""
    parts = [part for part in parts if len(part)]
    if len(parts) == 1:
        return parts[0]
    if any(before.at[-1] >= after.at[0] for before, after in pairwise(parts)):
        return gather(sample for part in parts for sample in part)
    at, until, codes, reasons = array("q"), array("q"), bytearray(), list[str | None]()
    series = {name: array("d") for part in parts for name in part.series}
    for part in parts:
        for name, column in series.items():
            column.extend(part.series.get(name) or array("d", [nan]) * len(part))
        at.extend(part.at)
        until.extend(part.until)
        codes += part.codes
        reasons += part.reasons
    return Samples(at, until, bytes(codes), tuple(reasons), series)


def _valid_until(sample: Sample) -> int:
    at = micros(sample.at)
    return min(max(at + 1, micros(sample.valid_until)), at + HOLD_SECONDS * MICRO)
