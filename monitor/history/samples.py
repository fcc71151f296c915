"""Samples of a check, as single values and in columns. A sample is what history keeps of one observation.

Times are epoch seconds on the store's clock, rounded to the microsecond. Columns contain integer microseconds, so sums
of times are exact.
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
"""Length of a roll-up bucket: five minutes, aligned to the epoch."""
MICRO = 1_000_000
HOLD_SECONDS = 2 * DAY_SECONDS
"""Maximum time for which a sample holds. So the status at a time depends only on samples of this period before it."""

RESPONSE_TIME = "response_time_ms"
"""Series that every check has."""

STATUSES = (Status.OK, Status.WARNING, Status.UNKNOWN, Status.ERROR)
"""Statuses by status code. A higher code is worse."""
SERIES_LIMIT = 100
"""Maximum number of series of a check in one hour. Each series takes a full column, even with a single number."""
OK, WARNING, UNKNOWN, ERROR = range(4)
CODES = {Status.OK: OK, Status.WARNING: WARNING, Status.ERROR: ERROR}


@dataclass(frozen=True, slots=True)
class Sample:
    """One observation: the judged status, which holds until ``valid_until`` or until the next sample.

    ``series`` contains ``response_time_ms`` and the numbers that the check's kind declares, without those that were not
    measured.
    """

    at: float
    status: Status
    valid_until: float
    reason: str | None = None
    series: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, eq=False)
class Samples(Sequence[Sample]):
    """Samples of one check in columns, ordered by time. Usable as a sequence of `Sample`.

    - ``at`` (time) and ``until`` (end of validity) are in microseconds. No two samples have the same ``at``.
    - ``codes`` are status codes: indexes of ``STATUSES``.
    - In ``series``, NaN stands for a missing number.
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
        """Return the time until which each sample holds, in microseconds.

        A sample holds until the next sample or until the end of its validity, whichever is first.
        """
        return [*map(min, self.until, self.at[1:]), *self.until[-1:]]

    def only(self, names: Container[str] | None) -> Samples:
        """Return the samples with only the series in ``names``, or with all series if ``names`` is None."""
        if names is None or all(name in names for name in self.series):
            return self
        series = {name: column for name, column in self.series.items() if name in names}
        return Samples(self.at, self.until, self.codes, self.reasons, series)

    def within(self, since: float, until: float) -> Samples:
        """Return the samples in [since, until)."""
        return self[bisect_left(self.at, micros(since)) : bisect_left(self.at, micros(until))]

    def holding(self, since: float, until: float) -> Samples:
        """Return the samples in [since, until), and before them the sample that holds at ``since`` if there is one."""
        first = bisect_left(self.at, micros(since))
        return self[self.first_holding(first, micros(since)) : bisect_left(self.at, micros(until))]

    def first_holding(self, first: int, since: int) -> int:
        """Return the place of the first sample that holds at ``since`` (microseconds) or later.

        ``first`` is the place of the first sample in [since, ...). If it begins exactly at ``since``, the sample before
        it does not hold any more.
        """
        is_replaced = first < len(self.at) and self.at[first] == since
        return first - (first > 0 and not is_replaced and self.until[first - 1] > since)


def micros(seconds: float) -> int:
    """Return the time in integer microseconds."""
    return round(seconds * MICRO)


def sample_of(state: State) -> Sample:
    """Return the sample of a check's state: its judged status, and the numbers of its last result."""
    result = state.result
    series = {RESPONSE_TIME: result.response_time_ms}
    for name in result.series:
        value = result.data.get(name)
        if isinstance(value, int | float) and not isinstance(value, bool) and isfinite(value):
            series[name] = float(value)
    return Sample(result.observed_at, state.status, result.valid_until, result.reason, series)


def gather(samples: Iterable[Sample]) -> Samples:
    """Return the samples in columns, ordered by time. Of several samples with the same time, the last one is kept."""
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


def merge(blocks: Sequence[Samples]) -> Samples:
    """Return the samples of all blocks in one `Samples`.

    If two samples have the same time, the sample of the later block is kept. This is fast if the blocks do not overlap
    and are ordered by time.
    """
    blocks = [block for block in blocks if len(block)]
    if len(blocks) == 1:
        return blocks[0]
    if any(before.at[-1] >= after.at[0] for before, after in pairwise(blocks)):
        return gather(sample for block in blocks for sample in block)
    at, until, codes, reasons = array("q"), array("q"), bytearray(), list[str | None]()
    series = {name: array("d") for block in blocks for name in block.series}
    for block in blocks:
        for name, column in series.items():
            column.extend(block.series.get(name) or array("d", [nan]) * len(block))
        at.extend(block.at)
        until.extend(block.until)
        codes += block.codes
        reasons += block.reasons
    return Samples(at, until, bytes(codes), tuple(reasons), series)


def _valid_until(sample: Sample) -> int:
    at = micros(sample.at)
    return min(max(at + 1, micros(sample.valid_until)), at + HOLD_SECONDS * MICRO)
