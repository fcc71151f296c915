"""Past of a check as a chart draws it: points at a fixed step, from samples or from roll-ups."""

from __future__ import annotations

from array import array
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from math import ceil, isnan
from operator import mul

from monitor.history.buckets import Buckets, Spreads
from monitor.history.samples import BUCKET_SECONDS, STATUSES, Samples, micros
from monitor.model.checks import Status

MAX_POINTS = 2000
USUAL_POINTS = 500
STEPS = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10_800, 21_600, 43_200, 86_400)
"""Steps that the server chooses from."""

_UNITS = (  # the first match counts
    ("_ms", "ms"),
    ("_seconds", "s"),
    ("_percent", "%"),
    ("percent", "%"),
    ("_mb", "MiB"),
    ("_kb", "KiB"),
    ("_bytes", "B"),
    ("_ratio", "x"),
    ("_per_second", "/s"),
)


@dataclass(frozen=True, slots=True)
class Span:
    """Requested period in epoch seconds, and the seconds between two points.

    If ``step`` is None, the server chooses it.
    """

    since: float
    until: float
    step: float | None = None


@dataclass(frozen=True, slots=True)
class TimeScale:
    """Times of the points: at ``since``, a multiple of the step, and then every ``step`` seconds until ``until``."""

    since: float
    until: float
    step: float
    raw: bool

    @property
    def resolution(self) -> str:
        """Return the source of the points: ``raw`` for samples, or ``5m`` for roll-ups of five minutes."""
        return "raw" if self.raw else "5m"

    @property
    def times(self) -> list[float]:
        """Return the start of each point, in epoch seconds."""
        return [self.since + self.step * place for place in range(ceil((self.until - self.since) / self.step))]


@dataclass(frozen=True, slots=True)
class Curve:
    """One series at each point. None where there is no value."""

    unit: str
    low: list[float | None]
    mean: list[float | None]
    high: list[float | None]


@dataclass(frozen=True, slots=True)
class Curves:
    """Points of a check: the worst status that held within each, None where none did, and its series."""

    scale: TimeScale
    status: list[Status | None]
    series: dict[str, Curve] = field(default_factory=dict)


def choose_scale(since: float, until: float, *, step: float | None = None, raw_since: float | None) -> TimeScale:
    """Return the step and the source for a period: the requested step, but with at most ``MAX_POINTS`` points.

    Steps below five minutes use samples if these reach back far enough (``raw_since``). All others use roll-ups.
    """
    chosen_step = step or next(
        (each for each in STEPS if (until - since) / each <= USUAL_POINTS), _day_step(since, until)
    )
    least = (until - since) / (MAX_POINTS - 1)  # the first point may begin before the period
    if chosen_step < least:
        chosen_step = next((each for each in STEPS if each >= least), _day_step(since, until))
    raw = chosen_step < BUCKET_SECONDS and raw_since is not None and since >= raw_since
    if not raw:
        chosen_step = ceil(chosen_step / BUCKET_SECONDS) * BUCKET_SECONDS
    return TimeScale(since // chosen_step * chosen_step, until, chosen_step, raw)


def sparkline_scale(count: int, since: float, until: float) -> TimeScale:
    """Return a scale of at most ``count`` points from roll-ups, for a sparkline."""
    step = max(1, ceil((until - since) / max(1, count - 1) / BUCKET_SECONDS)) * BUCKET_SECONDS
    return TimeScale(since // step * step, until, step, raw=False)


def curves_of_samples(samples: Samples, at: TimeScale, names: Iterable[str] | None = None) -> Curves:
    """Return the curves of samples, which must include those of ``Samples.holding``.

    ``names`` are the series, None for all.
    """
    begins = [micros(time) for time in (*at.times, at.until)]
    times = samples.at.tolist()
    edges = [bisect_left(times, begin) for begin in begins]
    status: list[Status | None] = []
    codes, until = samples.codes, samples.until
    for begin, (first, last) in zip(begins, pairwise(edges), strict=False):
        held = first - (first > 0 and until[first - 1] > begin)
        status.append(STATUSES[max(codes[held:last])] if held < last else None)
    chosen = samples.series if names is None else {n: samples.series[n] for n in names if n in samples.series}
    return Curves(at, status, {name: _of_column(name, column, edges) for name, column in chosen.items()})


def curves_of_buckets(buckets: Buckets, at: TimeScale, names: Iterable[str] | None = None) -> Curves:
    """Return the curves of buckets. The step must be a multiple of a bucket. ``names`` are the series, None for all."""
    places = _places(buckets, at)
    chosen = buckets.series if names is None else {n: buckets.series[n] for n in names if n in buckets.series}
    curves = {name: _of_spreads(name, spreads, places) for name, spreads in chosen.items()}
    return Curves(at, _worst(buckets, places), curves)


def sparkline_values(buckets: Buckets, at: TimeScale, name: str) -> tuple[list[Status | None], list[float | None]]:
    """Return the statuses and the means of one series: like :func:`curves_of_buckets`, without computing the rest."""
    places = _places(buckets, at)
    spreads = buckets.series.get(name)
    return _worst(buckets, places), [None] * len(at.times) if spreads is None else list(_means(spreads, places))


def unit_of(name: str) -> str:
    """Return the unit of a series, derived from the end of its name. Empty for a number without a unit."""
    return next((unit for ending, unit in _UNITS if name.endswith(ending)), "")


def _of_column(name: str, column: array[float], edges: Sequence[int]) -> Curve:
    curve = Curve(unit_of(name), [], [], [])
    is_complete = not any(map(isnan, column))
    values = column.tolist()
    low, mean, high = curve.low.append, curve.mean.append, curve.high.append
    for first, last in pairwise(edges):
        found = values[first:last]
        if not is_complete:
            found = [value for value in found if not isnan(value)]
        if found:
            low(min(found))
            mean(sum(found) / len(found))
            high(max(found))
        else:
            _append_none(curve)
    return curve


def _places(buckets: Buckets, at: TimeScale) -> list[int]:
    return [*map(buckets.place, at.times), len(buckets)]


def _worst(buckets: Buckets, places: Sequence[int]) -> list[Status | None]:
    found: list[Status | None] = [None] * (len(places) - 1)
    for status, column in zip(STATUSES, buckets.times, strict=True):
        if not any(column):
            continue
        for point, (first, last) in enumerate(pairwise(places)):
            if any(column[first:last]):
                found[point] = status
    return found


def _means(spreads: Spreads, places: Sequence[int]) -> Iterator[float | None]:
    for first, last in pairwise(places):
        counts = spreads.count[first:last]
        total = sum(counts)
        yield _seven_digits(sum(map(mul, counts, spreads.mean[first:last])) / total) if total else None


def _of_spreads(name: str, spreads: Spreads, places: Sequence[int]) -> Curve:
    curve = Curve(unit_of(name), [], [*_means(spreads, places)], [])
    for mean, (first, last) in zip(curve.mean, pairwise(places), strict=True):
        is_empty = mean is None
        curve.low.append(None if is_empty else _seven_digits(min(spreads.low[first:last])))
        curve.high.append(None if is_empty else _seven_digits(max(spreads.high[first:last])))
    return curve


def _append_none(curve: Curve) -> None:
    curve.low.append(None)
    curve.mean.append(None)
    curve.high.append(None)


def _seven_digits(value: float) -> float:
    """Return the value without the digits that a roll-up does not have."""
    return float(f"{value:.7g}")


def _day_step(since: float, until: float) -> float:
    return ceil((until - since) / USUAL_POINTS / 86_400) * 86_400
