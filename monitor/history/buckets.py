"""Five-minute buckets of a check, as single values and in columns."""

from __future__ import annotations

from array import array
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from math import inf
from typing import overload

from monitor.history.samples import BUCKET_SECONDS, MICRO, micros


@dataclass(frozen=True, slots=True)
class Spread:
    """Number of values, minimum, mean and maximum of one series in one bucket. Roll-ups keep seven digits."""

    count: int
    low: float
    mean: float
    high: float


@dataclass(frozen=True, slots=True)
class Bucket:
    """Five minutes of a check that begin at ``start`` (epoch seconds).

    - ``ok``, ``warning``, ``error``, ``unknown`` and ``unobserved`` are seconds. Their sum is ``BUCKET_SECONDS``, or in
      the current bucket the time since ``start``.
    - ``incidents`` is the number of incidents that began in this bucket. An incident is a period of ``error``.
    - ``goes_on`` is true if an incident that began in an earlier bucket continues in this bucket.
    """

    start: int
    ok: float = 0.0
    warning: float = 0.0
    error: float = 0.0
    unknown: float = 0.0
    unobserved: float = float(BUCKET_SECONDS)
    incidents: int = 0
    goes_on: bool = False
    series: Mapping[str, Spread] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Spreads:
    """One series in many buckets, in columns.

    For a bucket without values, the columns contain 0, infinity, 0 and minus infinity.
    """

    count: array[int]
    low: array[float]
    mean: array[float]
    high: array[float]

    def copy(self) -> Spreads:
        """Return a copy that may be changed."""
        return Spreads(self.count[:], self.low[:], self.mean[:], self.high[:])

    def put(self, places: slice, other: Spreads, other_places: slice) -> None:
        """Copy the buckets ``other_places`` of ``other`` to ``places`` of this series. Both are slices of buckets."""
        self.count[places], self.low[places] = other.count[other_places], other.low[other_places]
        self.mean[places], self.high[places] = other.mean[other_places], other.high[other_places]


Times = tuple["array[int]", "array[int]", "array[int]", "array[int]"]
"""Microseconds in each status: one column for each status code, in their order."""


@dataclass(frozen=True, slots=True, eq=False)
class Buckets(Sequence[Bucket]):
    """Consecutive buckets of one check, in columns. Usable as a sequence of `Bucket`.

    ``start`` is the start of the first bucket. ``until`` is the time up to which the last bucket is counted: its end,
    or now. Both are epoch seconds.
    """

    start: int
    until: float
    times: Times
    began: array[int]
    goes_on: bytes
    series: Mapping[str, Spreads]

    def __len__(self) -> int:
        return len(self.began)

    @overload
    def __getitem__(self, index: int) -> Bucket: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[Bucket]: ...
    def __getitem__(self, index: int | slice) -> Bucket | Sequence[Bucket]:
        if isinstance(index, slice):
            return [self[each] for each in range(*index.indices(len(self)))]
        place = range(len(self))[index]
        start = self.start + place * BUCKET_SECONDS
        ok, warning, unknown, error = (column[place] / MICRO for column in self.times)
        passed = micros(min(self.until, start + BUCKET_SECONDS)) - start * MICRO
        return Bucket(
            start=start,
            ok=ok,
            warning=warning,
            error=error,
            unknown=unknown,
            unobserved=max(0, passed - sum(column[place] for column in self.times)) / MICRO,
            incidents=self.began[place],
            goes_on=bool(self.goes_on[place]),
            series={
                name: Spread(spreads.count[place], spreads.low[place], spreads.mean[place], spreads.high[place])
                for name, spreads in self.series.items()
                if spreads.count[place]
            },
        )

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Buckets) and self.until == other.until and list(self) == list(other)

    __hash__ = None  # type: ignore[assignment]

    def place(self, at: float) -> int:
        """Return the index of the bucket that contains this time, at least 0 and at most the number of buckets."""
        return min(max(0, int((at - self.start) // BUCKET_SECONDS)), len(self))


def zeros(count: int) -> array[int]:
    """Return a column of zeros for counts or microseconds."""
    return array("I", bytes(4 * count))


def no_spreads(count: int) -> Spreads:
    """Return a series without values in any bucket."""
    return Spreads(zeros(count), array("f", [inf]) * count, array("f", bytes(4 * count)), array("f", [-inf]) * count)
